/* SPDX-License-Identifier: MIT */
/* What every target of libFuzzer does first: running out of memory is a finding. */
#include "tests/fuzz/promises.h"

#include "ir/arena.h"

#include <stdlib.h>

static void out_of_memory(void *user)
{
	(void)user;
	abort(); /* inputs are small: they must not ask for what a machine may lack */
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	vq_set_oom_handler(out_of_memory, NULL);
	return 0;
}
