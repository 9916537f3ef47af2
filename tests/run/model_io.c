/* SPDX-License-Identifier: MIT */
/*
 * Runs an object made with -prefix=model on raw files: model_io INPUT... OUTPUT...
 * An input file holds one or more samples, one after the other; an output file gets as many results.
 * Compiled for the object's target with -include of the generated header and -DINPUTS=, -DOUTPUTS=.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if INPUTS == 1
#define IN data[0]
#elif INPUTS == 2
#define IN data[0], data[1]
#elif INPUTS == 3
#define IN data[0], data[1], data[2]
#elif INPUTS == 4
#define IN data[0], data[1], data[2], data[3]
#else
#error "INPUTS: 1 to 4"
#endif
#if OUTPUTS == 1
#define OUT data[INPUTS]
#elif OUTPUTS == 2
#define OUT data[INPUTS], data[INPUTS + 1]
#elif OUTPUTS == 3
#define OUT data[INPUTS], data[INPUTS + 1], data[INPUTS + 2]
#elif OUTPUTS == 4
#define OUT data[INPUTS], data[INPUTS + 1], data[INPUTS + 2], data[INPUTS + 3]
#else
#error "OUTPUTS: 1 to 4"
#endif

enum { TENSORS = INPUTS + OUTPUTS };

static int fail(const char *what, const char *name)
{
	fprintf(stderr, "model_io: %s: %s\n", name, what);
	return 1;
}

static size_t bytes_of(uint32_t tensor)
{
	static const size_t size[] = { 4, 8, 4, 1, 1, 1 }; /* of vitq_tensor_info.elem */
	const vitq_tensor_info *t = (const void *)((const char *)&model_info + model_info.tensors);
	size_t n = size[t[tensor].elem];

	for (uint32_t i = 0; i < t[tensor].rank; i++)
		n *= (size_t)t[tensor].dim[i];
	return n;
}

int main(int argc, char **argv)
{
	FILE *file[TENSORS];
	void *data[TENSORS], *workspace;
	size_t bytes[TENSORS], samples = 0;

	if (model_info.n_inputs != INPUTS || model_info.n_outputs != OUTPUTS)
		return fail("other numbers of inputs and outputs than compiled for", "model");
	if (argc != TENSORS + 1)
		return fail("usage: model_io INPUT... OUTPUT...", "model");
	for (uint32_t i = 0; i < TENSORS; i++) {
		bytes[i] = bytes_of(i);
		file[i] = fopen(argv[i + 1], i < INPUTS ? "rb" : "wb");
		data[i] = malloc(bytes[i]);
		if (!file[i] || !data[i])
			return fail("cannot be opened, or no memory", argv[i + 1]);
	}
	workspace = aligned_alloc(MODEL_WORKSPACE_ALIGN,
		(MODEL_WORKSPACE_BYTES + MODEL_WORKSPACE_ALIGN - 1) & ~(size_t)(MODEL_WORKSPACE_ALIGN - 1));
	if (!workspace)
		return fail("no memory", "workspace");
	for (;; samples++) {
		int code;

		for (uint32_t i = 0; i < INPUTS; i++) {
			size_t got = fread(data[i], 1, bytes[i], file[i]);

			if (i == 0 && got == 0 && samples)
				goto done;
			if (got != bytes[i])
				return fail("not a whole number of samples", argv[i + 1]);
		}
		memset(workspace, 0xa5, MODEL_WORKSPACE_BYTES);
		code = model_run(IN, OUT, workspace, MODEL_WORKSPACE_BYTES, NULL);
		if (code) {
			fprintf(stderr, "model_io: model_run: code %d\n", code);
			return 2;
		}
		for (uint32_t i = INPUTS; i < TENSORS; i++)
			if (fwrite(data[i], 1, bytes[i], file[i]) != bytes[i])
				return fail("cannot be written", argv[i + 1]);
	}
done:
	for (uint32_t i = 0; i < TENSORS; i++) {
		free(data[i]);
		if (fclose(file[i]))
			return fail("cannot be written", argv[i + 1]);
	}
	free(workspace);
	return 0;
}
