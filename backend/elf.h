/* SPDX-License-Identifier: MIT */
/*
 * Self-check of a finished relocatable object: what docs/object-abi.md promises about it is read back from
 * its bytes.
 */
#ifndef VQ_BACKEND_ELF_H
#define VQ_BACKEND_ELF_H

#include "backend/target.h"

/*
 * Checks elf[bytes]: relocatable, right machine, class, flags and float ABI; no undefined symbol;
 * no global symbol but <prefix>_…; no writable, thread-local or unwind section; every relocation of
 * a loaded section relative to the place, so that -shared links without text relocations. Each
 * violation is reported as vitqc's own fault (vq_bug). A damaged file is reported too and never
 * read past its end. The prefix has no trailing underscore.
 */
bool vq_elf_check(const vq_target *t, const char *prefix, const void *elf, size_t bytes, vq_diag *diag);

/*
 * Weights may be larger than all else in memory, so LLVM does not see them: it makes a section without bytes of this name, and
 * vq_elf_place turns it into the read-only section of that name, whose bytes are those from file offset `at` on. NULL: .rodata.
 */
const char *vq_elf_room(vq_arena *arena, const char *name);
bool vq_elf_place(const vq_target *t, void *elf, size_t bytes, const char *name, uint64_t at, vq_diag *diag);

#endif
