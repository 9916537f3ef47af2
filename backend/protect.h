/* SPDX-License-Identifier: MIT */
/* Branch protection: hardware checks of where indirect branches land and of return addresses. */
#ifndef VQ_BACKEND_PROTECT_H
#define VQ_BACKEND_PROTECT_H

#include "backend/backend.h"

/* Bits of vq_target.protect. */
enum {
	VQ_PROTECT_BRANCH = 1, /* AArch64 BTI, x86 IBT: indirect branches land on marked places only */
	VQ_PROTECT_RETURN = 2, /* AArch64: return addresses are signed; x86: the object works with a shadow stack */
	VQ_PROTECT_LEAF = 4,   /* AArch64: signed in leaf functions too */
	VQ_PROTECT_B_KEY = 8,  /* AArch64: with key B */
};

/*
 * Bits of -mbranch-protection= and -fcf-protection= as GCC and clang define them, for a target named aarch64, x86-64 ...; text NULL: not given.
 * false after an error: unknown words, or an option of another architecture.
 */
bool vq_protect_parse(
	uint32_t *bits, vq_diag *diag, const char *target, const char *branch_protection, const char *cf_protection);

#endif
