/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin that counts how often every instruction of a program is executed:
 *
 *   qemu-aarch64 -plugin icount.so,out=FILE PROGRAM      writes a line "ADDRESS COUNT" (hexadecimal, decimal) for each
 *
 * What the instructions are is left to a disassembler of the program file: QEMU's own does not know the newest ones.
 * For programs of one thread: the additions are not atomic.
 */
#include "qemu_plugin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 18 }; /* far more than a small static program has instructions that run */

typedef struct counter {
	uint64_t address; /* 0: free */
	uint64_t count;
} counter;

static counter slot[SLOTS]; /* open addressing; entries never move, translated code points to them */
static uint32_t used;
static const char *path;

QEMU_PLUGIN_EXPORT int qemu_plugin_version = 1;
QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv);

static counter *counter_of(uint64_t address)
{
	uint64_t i = address * 0x9e3779b97f4a7c15u >> 46; /* 18 bits */

	while (slot[i].address && slot[i].address != address)
		i = (i + 1) % SLOTS;
	if (!slot[i].address) {
		if (++used == SLOTS) {
			fprintf(stderr, "icount: more than %d instructions\n", SLOTS - 1);
			exit(3);
		}
		slot[i].address = address;
	}
	return &slot[i];
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		qemu_plugin_register_vcpu_insn_exec_inline(
			insn, QEMU_PLUGIN_INLINE_ADD_U64, &counter_of(qemu_plugin_insn_vaddr(insn))->count, 1);
	}
}

static void finished(qemu_plugin_id_t id, void *user)
{
	FILE *f = fopen(path, "w");

	(void)id;
	(void)user;
	if (!f) {
		perror(path);
		return;
	}
	for (size_t i = 0; i < SLOTS; i++)
		if (slot[i].address)
			fprintf(f, "%" PRIx64 " %" PRIu64 "\n", slot[i].address, slot[i].count);
	if (fclose(f))
		perror(path);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			path = argv[i] + 4;
	if (!path) {
		fprintf(stderr, "icount: out=FILE is missing\n");
		return 1;
	}
	path = strdup(path); /* the arguments go away */
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finished, NULL);
	return path ? 0 : 1;
}
