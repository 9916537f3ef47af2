/* SPDX-License-Identifier: MIT */
/*
 * Calls the objects of node cases on a target that is not this machine: the inputs of case p stand in FOLDER/p.in, one after the
 * other as the object takes them; the outputs go to FOLDER/p.out, each as element, rank, dimensions (64 bits each) and data.
 * table.h, made by emulated.py, has a line CASE(prefix, calls of run with as many pointers as it takes) per case.
 *
 *   emulated_run FOLDER
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16, ALIGN = 64 };

/* as the generated header has them */
typedef struct tensor_info {
	uint32_t name, elem, rank, reserved;
	int64_t dim[8];
} tensor_info;
typedef struct info {
	uint32_t bytes, abi, n_inputs, n_outputs, tensors, tool, target, scheme;
	uint64_t model_hash, workspace_bytes, worker_bytes, weight_bytes, macs, integer_macs;
} info;
typedef int call(void **p, void *workspace, size_t bytes);

#define CASE(prefix, declared, given)               \
	int prefix##_run declared;                  \
	extern const unsigned char prefix##_info[]; \
	static int prefix##_call(void **p, void *workspace, size_t bytes) { return prefix##_run given; }
#include "table.h"
#undef CASE

static const struct {
	const char *prefix;
	const unsigned char *info;
	call *run;
} cases[] = {
#define CASE(prefix, declared, given) { #prefix, prefix##_info, prefix##_call },
#include "table.h"
};

static void *room(uint64_t bytes)
{
	unsigned char *p = calloc(1, (size_t)bytes + 2 * ALIGN);

	if (!p)
		exit(2);
	return p + (ALIGN - (uintptr_t)p % ALIGN);
}

static uint64_t bytes_of(const tensor_info *t)
{
	static const uint64_t width[] = { 4, 8, 4, 1, 1, 1 }; /* f32, i64, i32, bool, u8, s8 */
	uint64_t n = width[t->elem];

	for (uint32_t i = 0; i < t->rank; i++)
		n *= (uint64_t)t->dim[i];
	return n;
}

static FILE *open_file(const char *folder, const char *prefix, const char *kind, const char *mode)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.%s", folder, prefix, kind);
	f = fopen(path, mode);
	if (!f) {
		perror(path);
		exit(2);
	}
	return f;
}

static int one(const char *folder, size_t i)
{
	const info *in = (const info *)(const void *)cases[i].info;
	const tensor_info *t = (const tensor_info *)(const void *)(cases[i].info + in->tensors);
	uint32_t n = in->n_inputs + in->n_outputs;
	void *p[MOST];
	FILE *f = open_file(folder, cases[i].prefix, "in", "rb");
	int code;

	if (n > MOST)
		exit(2);
	for (uint32_t k = 0; k < n; k++) {
		p[k] = room(bytes_of(&t[k]));
		if (k < in->n_inputs && fread(p[k], 1, (size_t)bytes_of(&t[k]), f) != bytes_of(&t[k]))
			exit(2);
	}
	fclose(f);
	code = cases[i].run(p, room(in->workspace_bytes), (size_t)in->workspace_bytes);
	if (code)
		return code;
	f = open_file(folder, cases[i].prefix, "out", "wb");
	for (uint32_t k = in->n_inputs; k < n; k++) {
		int64_t head[2] = { t[k].elem, t[k].rank };

		fwrite(head, sizeof head, 1, f);
		fwrite(t[k].dim, sizeof *t[k].dim, t[k].rank, f);
		fwrite(p[k], 1, (size_t)bytes_of(&t[k]), f);
	}
	return fclose(f);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++) {
		int code = one(argv[1], i);

		if (code)
			printf("%s returned %d\n", cases[i].prefix, code);
	}
	return 0;
}
