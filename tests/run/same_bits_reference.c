/* SPDX-License-Identifier: MIT */
/*
 * What tests/run/same_bits.sh compares with, for a model that vitqc brought into its integer form:
 *
 *   same_bits_reference expect MODEL.vir IMAGES.npy MEAN STD REAL FOLDER
 *       evaluates the graph; writes FOLDER/inputs.bin, expected.bin and, in words, expected.txt
 *   same_bits_reference compile MODEL.vir MODEL.onnx STEM PREFIX INSTRUMENT TARGET [OPTION...]
 *       compiles the same graph to STEM.o and STEM.h, so that its value ids are the evaluator's;
 *       options: -mcpu=X -mattr=X -mfloat-abi=softfp; -S: also to STEM.s
 *
 * Inputs: 2 real, 1 random, 1 all zero, 1 beyond every range, then REAL - 2 more real ones.
 * expected.bin, little endian: u32 inputs, values, bytes of one input, of one output; per value
 * u32 id, u32 zero; per input u64 FNV-1a of every value, then of the output.
 */
#include "backend/backend.h"
#include "frontend/file.h"
#include "frontend/folder.h"
#include "frontend/print_diag.h"
#include "frontend/samples.h"
#include "ir/eval.h"
#include "ir/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The inputs that every target sees: real ones, then random, zero, saturating. */
enum { FIRST_REAL = 2, SPECIAL = 3 };

typedef struct reference {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	vq_value *value; /* every node's result, in execution order */
	uint32_t n;
	uint64_t *hash; /* of each, of the input being evaluated */
	uint32_t seen;  /* values seen during it */
} reference;

static bool put(FILE *f, const void *data, size_t bytes) { return fwrite(data, 1, bytes, f) == bytes; }

static bool put_u32(FILE *f, uint32_t v)
{
	unsigned char b[4];

	for (int i = 0; i < 4; i++)
		b[i] = (unsigned char)(v >> 8 * i);
	return put(f, b, sizeof b);
}

static bool put_u64(FILE *f, uint64_t v) { return put_u32(f, (uint32_t)v) && put_u32(f, (uint32_t)(v >> 32)); }

static FILE *create(reference *r, const char *folder, const char *name)
{
	const char *path = vq_arena_printf(&r->arena, "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");

	if (!f)
		vq_error(&r->diag, NULL, "cannot write '%s'", path);
	return f;
}

static bool read_graph(reference *r, const char *path)
{
	vq_file f;
	bool good = vq_file_open(&f, &r->diag, NULL, path);

	if (!good)
		return false;
	good = vq_parse_graph(
		&r->g, &r->arena, &r->diag, (const char *)f.data, f.bytes, vq_path_folder(&r->arena, path));
	vq_file_close(&f);
	if (good && (r->g.n_inputs != 1 || r->g.n_outputs != 1))
		return vq_error(&r->diag, NULL, "the program of this test takes models of one input and one output");
	return good;
}

/* ---- expect ---- */

/* a float of [-8, 8) from 32 random bits */
static float random_float(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (float)(int32_t)(*state >> 32) * 0x1p-28f;
}

static void special_input(uint32_t which, float *x, int64_t n)
{
	static const float extreme[] = { 1e30f, -1e30f, NAN, INFINITY, -INFINITY, 0x1p-140f, -0x1p-127f, -0.0f, 3e38f,
		127.5f, -128.5f };
	uint64_t state = 88172645463325252u;

	for (int64_t i = 0; i < n; i++) {
		float v = random_float(&state);

		if (which > 0)
			v = which == 1 ? 0.0f : extreme[(state >> 33) % (sizeof extreme / sizeof *extreme)];
		x[i] = v;
	}
}

static void see(void *user, vq_value v, const void *data)
{
	reference *r = user;

	for (uint32_t i = 0; i < r->n; i++)
		if (vq_same(r->value[i], v)) {
			r->hash[i] = vq_hash(data, vq_type_bytes(vq_type_of(&r->g, v)));
			r->seen++;
			return;
		}
}

/* The files that expect writes. */
typedef struct outputs {
	FILE *inputs, *table, *text; /* inputs.bin, expected.bin, expected.txt */
} outputs;

static bool one_input(reference *r, vq_exec *e, uint32_t index, const float *x, void *y, const outputs *to)
{
	const void *in[1] = { x };
	void *out[1] = { y };
	bool good = put(to->inputs, x, vq_type_bytes(vq_type_of(&r->g, r->g.input[0].value)));
	uint64_t result;

	r->seen = 0;
	if (!vq_evaluator.run(e, in, out, see, r))
		return false;
	if (r->seen != r->n)
		return vq_error(&r->diag, NULL, "the evaluator showed %u of %u values", r->seen, r->n);
	for (uint32_t i = 0; i < r->n; i++) {
		good = good && put_u64(to->table, r->hash[i]);
		fprintf(to->text, "%u %u %016llx\n", index, r->value[i].id, (unsigned long long)r->hash[i]);
	}
	result = vq_hash(y, vq_type_bytes(vq_type_of(&r->g, r->g.output[0].value)));
	fprintf(to->text, "%u output %016llx\n", index, (unsigned long long)result);
	return (good && put_u64(to->table, result)) || vq_error(&r->diag, NULL, "cannot write");
}

static bool all_inputs(reference *r, vq_samples *real, const outputs *to)
{
	const vq_type *in = vq_type_of(&r->g, r->g.input[0].value), *out = vq_type_of(&r->g, r->g.output[0].value);
	void *x = vq_arena_alloc(&r->arena, vq_type_bytes(in)), *y = vq_arena_alloc(&r->arena, vq_type_bytes(out));
	void *slot[1] = { x };
	vq_exec *e = vq_evaluator.prepare(&r->g, r->value, r->n);
	bool good = e != NULL;

	good = good && put_u32(to->table, real->n + SPECIAL) && put_u32(to->table, r->n) &&
		put_u32(to->table, (uint32_t)vq_type_bytes(in)) && put_u32(to->table, (uint32_t)vq_type_bytes(out));
	for (uint32_t i = 0; i < r->n && good; i++)
		good = put_u32(to->table, r->value[i].id) && put_u32(to->table, 0);
	for (uint32_t i = 0; i < real->n + SPECIAL && good; i++) {
		bool special = i >= FIRST_REAL && i < FIRST_REAL + SPECIAL;

		if (special)
			special_input(i - FIRST_REAL, x, vq_type_count(in));
		else
			good = real->get(real->self, i < FIRST_REAL ? i : i - SPECIAL, slot);
		good = good && one_input(r, e, i, x, y, to);
	}
	if (e)
		vq_evaluator.dispose(e);
	return good;
}

static bool expect(reference *r, char **argv)
{
	float mean = strtof(argv[2], NULL), std = strtof(argv[3], NULL);
	vq_image_options image = {
		.mean = { .item = &mean, .n = 1 }, .std = { .item = &std, .n = 1 }, .scale = 1.0f / 255
	};
	vq_strings files = { .item = NULL };
	vq_samples real;
	outputs to;
	bool good;

	if (!read_graph(r, argv[0]))
		return false;
	r->value = VQ_ARRAY(&r->arena, r->g.n_values, vq_value);
	r->hash = VQ_ARRAY(&r->arena, r->g.n_values, uint64_t);
	for (uint32_t i = 1; i < r->g.n_nodes; i++)
		if (r->g.node[i].op != VQ_OP_NONE) {
			r->value[r->n++] = r->g.node[i].out;
			if (r->g.node[i].out2.id)
				r->value[r->n++] = r->g.node[i].out2;
		}
	if (!vq_samples_open(&real, &r->arena, &r->diag, &r->g, argv[1], (uint32_t)atoi(argv[4]), &image, &files))
		return false;
	if (real.n < FIRST_REAL)
		return vq_error(&r->diag, NULL, "at least %d samples are needed", FIRST_REAL);
	to.inputs = create(r, argv[5], "inputs.bin");
	to.table = create(r, argv[5], "expected.bin");
	to.text = create(r, argv[5], "expected.txt");
	if (!to.inputs || !to.table || !to.text)
		return false;
	good = all_inputs(r, &real, &to);
	vq_samples_close(&real);
	return ((fclose(to.inputs) == 0) & (fclose(to.table) == 0) & (fclose(to.text) == 0)) && good;
}

/* ---- compile ---- */

static bool write_file(reference *r, const char *path, const void *data, size_t bytes)
{
	FILE *f = fopen(path, "wb");
	bool good = f && put(f, data, bytes);

	if (f)
		good = fclose(f) == 0 && good;
	return good || vq_error(&r->diag, NULL, "cannot write '%s'", path);
}

static bool compile(reference *r, int argc, char **argv)
{
	bool run_time = false, of_types = false; /* scales of products */
	vq_target_request request = { .target = argv[5] };
	vq_emit_options e = { .prefix = argv[3],
		.scheme = "w8a8",
		.tool = "vitqc " VQ_VERSION,
		.instrument = strcmp(argv[4], "1") == 0,
		.strict = true };
	vq_object o = { .arena = &r->arena }, text = o;
	bool assembly = false;
	vq_file model;

	for (int i = 6; i < argc; i++) {
		if (strncmp(argv[i], "-mcpu=", 6) == 0)
			request.cpu = argv[i] + 6;
		else if (strncmp(argv[i], "-mattr=", 7) == 0)
			request.attr = argv[i] + 7;
		else if (strcmp(argv[i], "-mfloat-abi=softfp") == 0)
			request.float_abi = VQ_FLOAT_ABI_SOFTFP;
		else if (strcmp(argv[i], "-S") == 0)
			assembly = true;
		else
			return vq_error(&r->diag, NULL, "unknown option '%s'", argv[i]);
	}
	if (!vq_file_open(&model, &r->diag, NULL, argv[1]))
		return false;
	e.model_hash = vq_hash(model.data, model.bytes);
	vq_file_close(&model);
	e.target = vq_target_resolve(&r->arena, &r->diag, &request);
	if (!e.target || !read_graph(r, argv[0]))
		return false;
	for (uint32_t i = 1; i < r->g.n_nodes; i++) {
		const vq_node_info *n = &r->g.node[i];

		run_time |= vq_is_dynamic(n->op);
		of_types |= n->op && vq_ops[n->op].class_ == VQ_CLASS_DOT && !vq_is_dynamic(n->op) &&
			vq_type_of(&r->g, n->in[0])->quant;
	}
	if (run_time && !of_types)
		e.scheme = "w8a8-dynamic";
	if (assembly &&
		(!vq_compile(&r->g, &e, VQ_ARTIFACT_ASM, &text) ||
			!write_file(r, vq_arena_printf(&r->arena, "%s.s", argv[2]), text.elf, text.elf_bytes)))
		return false;
	return vq_compile(&r->g, &e, VQ_ARTIFACT_OBJECT, &o) &&
		write_file(r, vq_arena_printf(&r->arena, "%s.o", argv[2]), o.elf, o.elf_bytes) &&
		write_file(r, vq_arena_printf(&r->arena, "%s.h", argv[2]), o.header, strlen(o.header));
}

int main(int argc, char **argv)
{
	reference r = { .n = 0 };
	bool good = false;

	vq_diag_init(&r.diag, &r.arena, NULL);
	if (argc == 8 && strcmp(argv[1], "expect") == 0)
		good = expect(&r, argv + 2);
	else if (argc >= 8 && strcmp(argv[1], "compile") == 0)
		good = compile(&r, argc - 2, argv + 2);
	else
		vq_error(&r.diag, NULL, "usage: see the first lines of tests/run/same_bits_reference.c");
	vq_print_diag(stderr, &r.diag, false);
	vq_arena_free(&r.arena);
	return good ? 0 : 1;
}
