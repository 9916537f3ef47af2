/* SPDX-License-Identifier: MIT */
/*
 * What tests/run/same_bits.sh compares with, for a model that vitqc brought into its integer form:
 *
 *   same_bits_reference expect MODEL.vir SAMPLES MEAN STD REAL FOLDER
 *       evaluates the graph; writes FOLDER/inputs.bin, expected.bin, in words expected.txt, and ports.h
 *   same_bits_reference compile MODEL.vir MODEL.onnx STEM PREFIX INSTRUMENT TARGET [OPTION...]
 *       compiles the same graph to STEM.o and STEM.h, so that its value ids are the evaluator's;
 *       options: -mcpu=X -mattr=X -mfloat-abi=softfp; -S: also to STEM.s
 *
 * Inputs: at most 2 real, 1 random, 1 all zero, 1 beyond every range, then the other real ones, REAL
 * at most. "Random" and "beyond" are of f32; integers, which may have to be in a range, are those of
 * the first real input in another order. A model's inputs stand one behind the other, at multiples of 64 bytes.
 * expected.bin, little endian: u32 inputs, values, bytes of one input, of one output; per value
 * u32 id, u32 zero; per input u64 FNV-1a of every value, then of the outputs, one behind the other.
 * ports.h: the same sizes for the program, and how it passes them.
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
enum { FIRST_REAL = 2, SPECIAL = 3, ALIGN = 64 };

typedef struct reference {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	vq_value *value; /* every node's result, in execution order */
	uint32_t n;
	uint64_t *hash;        /* of each, of the input being evaluated */
	uint32_t seen;         /* values seen during it */
	unsigned char *joined; /* room for the outputs, one behind the other */
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
	return good;
}

/* ---- expect ---- */

/* a float of [-8, 8) from 32 random bits */
static float random_float(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (float)(int32_t)(*state >> 32) * 0x1p-28f;
}

/* x holds the first real input */
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

/* The same of integers: shifted by one, zero, in reverse. */
static void special_integers(uint32_t which, unsigned char *x, size_t size, size_t n)
{
	unsigned char t[8];

	if (which == 1)
		memset(x, 0, size * n);
	for (size_t i = 0; which != 1 && i + 1 < n; i++) {
		size_t j = which ? n - 1 - i : i + 1;

		if (j <= i)
			break;
		memcpy(t, x + size * i, size);
		memcpy(x + size * i, x + size * j, size);
		memcpy(x + size * j, t, size);
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

static size_t bytes_of(const reference *r, const vq_port *p) { return vq_type_bytes(vq_type_of(&r->g, p->value)); }

static size_t padded(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

static bool one_input(reference *r, vq_exec *e, uint32_t index, void **in, void **out, const outputs *to)
{
	static const unsigned char zero[ALIGN];
	bool good = true;
	unsigned char *joined = r->joined;
	uint64_t result;

	for (uint32_t i = 0; i < r->g.n_inputs; i++) {
		size_t bytes = bytes_of(r, &r->g.input[i]);

		good = good && put(to->inputs, in[i], bytes) && put(to->inputs, zero, padded(bytes) - bytes);
	}
	r->seen = 0;
	if (!vq_evaluator.run(e, (const void *const *)in, out, see, r))
		return false;
	if (r->seen != r->n)
		return vq_error(&r->diag, NULL, "the evaluator showed %u of %u values", r->seen, r->n);
	for (uint32_t i = 0; i < r->n; i++) {
		good = good && put_u64(to->table, r->hash[i]);
		fprintf(to->text, "%u %u %016llx\n", index, r->value[i].id, (unsigned long long)r->hash[i]);
	}
	for (uint32_t i = 0; i < r->g.n_outputs; i++) {
		memcpy(joined, out[i], bytes_of(r, &r->g.output[i]));
		joined += bytes_of(r, &r->g.output[i]);
	}
	result = vq_hash(r->joined, (size_t)(joined - r->joined));
	fprintf(to->text, "%u output %016llx\n", index, (unsigned long long)result);
	return (good && put_u64(to->table, result)) || vq_error(&r->diag, NULL, "cannot write");
}

/* The samples, as vq_samples.get gives them, special ones among them. */
static bool get_input(reference *r, vq_samples *real, uint32_t i, uint32_t first_real, void **in)
{
	bool special = i >= first_real && i < first_real + SPECIAL;

	if (!real->get(real->self, i < first_real ? i : special ? 0 : i - SPECIAL, in))
		return false;
	for (uint32_t k = 0; special && k < r->g.n_inputs; k++) {
		const vq_type *t = vq_type_of(&r->g, r->g.input[k].value);
		int64_t n = vq_type_count(t);

		if (t->elem == VQ_F32)
			special_input(i - first_real, in[k], n);
		else
			special_integers(i - first_real, in[k], vq_type_bytes(t) / (size_t)n, (size_t)n);
	}
	return true;
}

static bool all_inputs(reference *r, vq_samples *real, const outputs *to)
{
	void **in = VQ_ARRAY(&r->arena, r->g.n_inputs, void *), **out = VQ_ARRAY(&r->arena, r->g.n_outputs, void *);
	uint32_t first_real = real->n < FIRST_REAL ? real->n : FIRST_REAL;
	size_t in_bytes = 0, out_bytes = 0;
	vq_exec *e = vq_evaluator.prepare(&vq_evaluator, &r->g, r->value, r->n);
	bool good = e != NULL;

	for (uint32_t i = 0; i < r->g.n_inputs; i++) {
		in[i] = vq_arena_alloc(&r->arena, bytes_of(r, &r->g.input[i]));
		in_bytes += padded(bytes_of(r, &r->g.input[i]));
	}
	for (uint32_t i = 0; i < r->g.n_outputs; i++) {
		out[i] = vq_arena_alloc(&r->arena, bytes_of(r, &r->g.output[i]));
		out_bytes += bytes_of(r, &r->g.output[i]);
	}
	r->joined = vq_arena_alloc(&r->arena, out_bytes);
	good = good && put_u32(to->table, real->n + SPECIAL) && put_u32(to->table, r->n) &&
		put_u32(to->table, (uint32_t)in_bytes) && put_u32(to->table, (uint32_t)out_bytes);
	for (uint32_t i = 0; i < r->n && good; i++)
		good = put_u32(to->table, r->value[i].id) && put_u32(to->table, 0);
	for (uint32_t i = 0; i < real->n + SPECIAL && good; i++)
		good = get_input(r, real, i, first_real, in) && one_input(r, e, i, in, out, to);
	if (e)
		vq_evaluator.dispose(e);
	return good;
}

/* Where each stands behind base, as arguments of the run function; returns the bytes of all. */
static size_t list_ports(
	const reference *r, FILE *f, const char *what, const vq_port *port, uint32_t n, const char *base)
{
	size_t at = 0;

	fprintf(f, "#define %s_PORTS", what);
	for (uint32_t i = 0; i < n; i++) {
		fprintf(f, "%s (void *)(%s + %zu)", i ? "," : "", base, at);
		at += padded(bytes_of(r, &port[i]));
	}
	fprintf(f, "\n");
	return at;
}

static bool write_ports(reference *r, const char *folder)
{
	FILE *f = create(r, folder, "ports.h");
	size_t in, out;

	if (!f)
		return false;
	in = list_ports(r, f, "INPUT", r->g.input, r->g.n_inputs, "in");
	out = list_ports(r, f, "OUTPUT", r->g.output, r->g.n_outputs, "output");
	fprintf(f, "enum { INPUT_ROOM = %zu, OUTPUT_ROOM = %zu };\n#define OUTPUT_BYTES", in, out);
	for (uint32_t i = 0; i < r->g.n_outputs; i++)
		fprintf(f, "%s %zu", i ? "," : "", bytes_of(r, &r->g.output[i]));
	fprintf(f, "\n");
	return fclose(f) == 0;
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
	to.inputs = create(r, argv[5], "inputs.bin");
	to.table = create(r, argv[5], "expected.bin");
	to.text = create(r, argv[5], "expected.txt");
	if (!to.inputs || !to.table || !to.text || !write_ports(r, argv[5]))
		return false;
	good = all_inputs(r, &real, &to);
	vq_samples_close(&real);
	good = fclose(to.inputs) == 0 && good;
	good = fclose(to.table) == 0 && good;
	return fclose(to.text) == 0 && good;
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
