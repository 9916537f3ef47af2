/* SPDX-License-Identifier: MIT */
/* What vitqc promises about its messages, whatever the input is. */
#ifndef VQ_TESTS_PROMISES_H
#define VQ_TESTS_PROMISES_H

#include "ir/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is wrong with the messages of a run that ended well or not; NULL: nothing. */
const char *broken_promise(const vq_diag *d, bool good);

/* For targets of libFuzzer: ends the process with the messages if a promise is broken. */
void keep_promises(const vq_diag *d, bool good);

/* libFuzzer's interface */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

#endif
