/* SPDX-License-Identifier: MIT */
/* Shape rules and the checking builder. */
#include "ir/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

typedef struct fixture {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
} fixture;

static int setup(void **state)
{
	fixture *f = vq_alloc(sizeof *f);

	vq_diag_init(&f->diag, &f->arena, "test");
	vq_graph_init(&f->g, &f->arena, &f->diag, "test");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture *f = *state;

	vq_arena_free(&f->arena);
	vq_free(f);
	return 0;
}

/* T(VQ_F32, 2, 3): f32[2,3] */
#define T(...) type_of((int64_t[]){ __VA_ARGS__ }, sizeof(int64_t[]){ __VA_ARGS__ } / sizeof(int64_t))
static vq_type type_of(const int64_t *item, size_t n)
{
	return vq_type_make((vq_elem)item[0], (uint32_t)n - 1, item + 1);
}

static void good(fixture *f, vq_op op, const vq_type *in, uint32_t n, const vq_attr *attr, vq_type want)
{
	vq_type got;
	const char *wrong = vq_infer(&f->g, op, in, n, attr, &got);

	if (wrong)
		fail_msg("%s: %s", vq_ops[op].text, wrong);
	if (!vq_same_type(&got, &want))
		fail_msg("%s: got %s, expected %s", vq_ops[op].text, vq_type_text(&f->arena, &got),
			vq_type_text(&f->arena, &want));
}

static void bad(fixture *f, vq_op op, const vq_type *in, uint32_t n, const vq_attr *attr, const char *want)
{
	vq_type got;
	const char *wrong = vq_infer(&f->g, op, in, n, attr, &got);

	if (!wrong)
		fail_msg("%s: accepted as %s, expected '%s'", vq_ops[op].text, vq_type_text(&f->arena, &got), want);
	if (!strstr(wrong, want))
		fail_msg("%s: got '%s', expected '%s'", vq_ops[op].text, wrong, want);
}

static void elementwise(void **state)
{
	fixture *f = *state;
	vq_type a = T(VQ_F32, 2, 1, 3), b = T(VQ_F32, 4, 1), i = T(VQ_I64, 3), c = T(VQ_BOOL, 4, 3), s = T(VQ_F32);

	good(f, VQ_OP_ADD, (vq_type[]){ a, b }, 2, NULL, T(VQ_F32, 2, 4, 3));
	good(f, VQ_OP_ADD, (vq_type[]){ a, s }, 2, NULL, a);
	good(f, VQ_OP_LESS, (vq_type[]){ i, i }, 2, NULL, T(VQ_BOOL, 3));
	good(f, VQ_OP_WHERE, (vq_type[]){ c, a, s }, 3, NULL, T(VQ_F32, 2, 4, 3));
	good(f, VQ_OP_CAST, &i, 1, &(vq_attr){ .cast = { VQ_F32 } }, T(VQ_F32, 3));
	good(f, VQ_OP_NOT, &c, 1, NULL, c);
	bad(f, VQ_OP_ADD, (vq_type[]){ a, i }, 2, NULL, "element types differ: left is f32[2,1,3], right is i64[3]");
	bad(f, VQ_OP_MUL, (vq_type[]){ a, T(VQ_F32, 2) }, 2, NULL,
		"shapes do not broadcast: left is 2x1x3, right is 2");
	bad(f, VQ_OP_NOT, &a, 1, NULL, "operand 1 is f32[2,1,3], expected bool");
	bad(f, VQ_OP_GELU, &i, 1, NULL, "operand 1 is i64[3], expected f32");
	bad(f, VQ_OP_ADD, &a, 1, NULL, "add has 1 operands, expected 2 to 2");
	bad(f, VQ_OP_SOFTMAX, &a, 1, &(vq_attr){ .axis = { 3 } },
		"axis 3 is outside the operand's 3 dimensions (2x1x3)");
}

static void sizes(void **state)
{
	fixture *f = *state;
	vq_type empty = T(VQ_F32, 2, 0), large = T(VQ_F32, 1 << 20, 1 << 20, 2), wide = T(VQ_F32, 1 << 20, 1, 1 << 20);

	bad(f, VQ_OP_NEG, &empty, 1, NULL, "dimension 1 of operand 1 is 0, expected at least 1");
	bad(f, VQ_OP_NEG, &large, 1, NULL, "more than 2^40 elements");
	bad(f, VQ_OP_ADD, (vq_type[]){ wide, T(VQ_F32, 2, 1) }, 2, NULL,
		"the result of shape 1048576x2x1048576 has more");
	bad(f, VQ_OP_RESHAPE, &wide, 1, &(vq_attr){ .shape = { .dim = { INT64_MAX, INT64_MAX }, .rank = 2 } }, "2^40");
}

static void movement(void **state)
{
	fixture *f = *state;
	vq_type x = T(VQ_F32, 2, 3, 4), u = T(VQ_U8, 5);

	good(f, VQ_OP_RESHAPE, &x, 1, &(vq_attr){ .shape = { .dim = { 6, 4 }, .rank = 2 } }, T(VQ_F32, 6, 4));
	bad(f, VQ_OP_RESHAPE, &x, 1, &(vq_attr){ .shape = { .dim = { 6, 5 }, .rank = 2 } },
		"cannot reshape 2x3x4 (24 elements) to 6x5 (30 elements)");
	good(f, VQ_OP_TRANSPOSE, &x, 1, &(vq_attr){ .perm = { { 2, 0, 1 } } }, T(VQ_F32, 4, 2, 3));
	bad(f, VQ_OP_TRANSPOSE, &x, 1, &(vq_attr){ .perm = { { 2, 0, 2 } } },
		"entry 2 is 2, expected each of 0..2 once");
	good(f, VQ_OP_SLICE, &x, 1, &(vq_attr){ .slice = { { 1, 2, 0 }, { 1, -1, 3 }, { 1, 3, 2 } } },
		T(VQ_F32, 1, 3, 2));
	bad(f, VQ_OP_SLICE, &x, 1, &(vq_attr){ .slice = { { 1, 2, 0 }, { 1, -1, 3 }, { 1, 3, 3 } } },
		"leaves dimension 2");
	bad(f, VQ_OP_SLICE, &x, 1, &(vq_attr){ .slice = { { 0 }, { 1, INT64_MIN, 1 }, { 1, 2, 1 } } },
		"leaves dimension 1");
	bad(f, VQ_OP_SLICE, &x, 1, &(vq_attr){ .slice = { { INT64_MIN }, { 1, 1, 1 }, { 2, 2, 1 } } },
		"leaves dimension 0");
	bad(f, VQ_OP_SLICE, &x, 1, &(vq_attr){ .slice = { { 0 }, { 1, 1, 1 }, { 2, 0, 1 } } }, "takes 0 elements");
	good(f, VQ_OP_EXPAND, &u, 1, &(vq_attr){ .shape = { .dim = { 2, 5 }, .rank = 2 } }, T(VQ_U8, 2, 5));
	bad(f, VQ_OP_EXPAND, &x, 1, &(vq_attr){ .shape = { .dim = { 2, 3, 8 }, .rank = 3 } },
		"cannot expand 2x3x4 to 2x3x8");
	good(f, VQ_OP_VIEW, &x, 1, &(vq_attr){ .view = { 23, { 4, 3 }, { -1, -4 }, 2 } }, T(VQ_F32, 4, 3));
	bad(f, VQ_OP_VIEW, &x, 1, &(vq_attr){ .view = { 20, { 4, 3 }, { 1, 4 }, 2 } },
		"reads outside of it: element 31");
	bad(f, VQ_OP_VIEW, &x, 1, &(vq_attr){ .view = { 0, { 2, 2 }, { INT64_MIN, INT64_MAX }, 2 } },
		"reads outside of it");
	good(f, VQ_OP_CONCAT, (vq_type[]){ x, T(VQ_F32, 2, 1, 4) }, 2, &(vq_attr){ .axis = { 1 } }, T(VQ_F32, 2, 4, 4));
	bad(f, VQ_OP_CONCAT, (vq_type[]){ x, T(VQ_F32, 2, 4) }, 2, &(vq_attr){ .axis = { 1 } }, "operand 2 is 2x4");
	good(f, VQ_OP_GATHER, (vq_type[]){ x, T(VQ_I64, 7, 8) }, 2, &(vq_attr){ .axis = { 1 } }, T(VQ_F32, 2, 7, 8, 4));
	bad(f, VQ_OP_GATHER, (vq_type[]){ x, x }, 2, &(vq_attr){ .axis = { 1 } },
		"operand 2 is f32[2,3,4], expected i64 or i32");
	good(f, VQ_OP_PAD, &u, 1, &(vq_attr){ .pad = { { 1 }, { 2 }, 0 } }, T(VQ_U8, 8));
	bad(f, VQ_OP_PAD, &u, 1, &(vq_attr){ .pad = { { -1 }, { 2 }, 0 } }, "padding of dimension 0 is -1 before");
}

static void products(void **state)
{
	fixture *f = *state;
	vq_type x = T(VQ_F32, 3, 197, 64), y = T(VQ_F32, 5, 1, 64, 10), w = T(VQ_F32, 384, 64), b = T(VQ_F32, 384);
	vq_type img = T(VQ_F32, 1, 4, 9, 9), k = T(VQ_F32, 6, 2, 3, 3);
	vq_attr conv = { .conv = { { 2, 2 }, { 1, 2 }, { 1, 1 }, { 1, 1 }, 2 } };

	good(f, VQ_OP_LINEAR, (vq_type[]){ x, w, b }, 3, NULL, T(VQ_F32, 3, 197, 384));
	bad(f, VQ_OP_LINEAR, (vq_type[]){ x, T(VQ_F32, 384, 65) }, 2, NULL, "weights are 384x65 (outputs x inputs)");
	bad(f, VQ_OP_LINEAR, (vq_type[]){ x, w, T(VQ_F32, 64) }, 3, NULL, "the bias is 64, expected 384");
	good(f, VQ_OP_MATMUL, (vq_type[]){ T(VQ_F32, 3, 197, 64), y }, 2, NULL, T(VQ_F32, 5, 3, 197, 10));
	good(f, VQ_OP_MATMUL, (vq_type[]){ x, x }, 2, &(vq_attr){ .matmul = { false, true } }, T(VQ_F32, 3, 197, 197));
	bad(f, VQ_OP_MATMUL, (vq_type[]){ x, x }, 2, NULL,
		"inner dimensions differ: left is 3x197x64, right is 3x197x64");
	bad(f, VQ_OP_MATMUL, (vq_type[]){ x, T(VQ_F32, 64) }, 2, NULL, "expected at least 2");
	good(f, VQ_OP_CONV, (vq_type[]){ img, k }, 2, &conv, T(VQ_F32, 1, 6, 5, 4));
	conv.conv.group = 1;
	bad(f, VQ_OP_CONV, (vq_type[]){ img, k }, 2, &conv,
		"channels differ: operand is 1x4x9x9, weights are 6x2x3x3, 1 groups");
	conv = (vq_attr){ .conv = { { 2, 2 }, { 9, 2 }, { 1, 1 }, { 1, 1 }, 2 } };
	bad(f, VQ_OP_CONV, (vq_type[]){ img, k }, 2, &conv, "does not fit spatial dimension 0");
	good(f, VQ_OP_ATTENTION, (vq_type[]){ x, x, x }, 3, &(vq_attr){ .attention = { 4, 1.0f } }, x);
	good(f, VQ_OP_ATTENTION, (vq_type[]){ x, x, x, T(VQ_F32, 4, 1, 197) }, 4,
		&(vq_attr){ .attention = { 4, 1.0f } }, x);
	bad(f, VQ_OP_ATTENTION, (vq_type[]){ x, x, x, T(VQ_F32, 3, 1, 197) }, 4, &(vq_attr){ .attention = { 4, 1.0f } },
		"the bias is 3x1x197, expected a shape that broadcasts to 3x4x197x197");
	bad(f, VQ_OP_ATTENTION, (vq_type[]){ x, x, x }, 3, &(vq_attr){ .attention = { 5, 1.0f } },
		"5 heads do not divide");
	good(f, VQ_OP_REDUCE_MEAN, &x, 1, &(vq_attr){ .reduce = { 1 << 2, true } }, T(VQ_F32, 3, 197, 1));
	good(f, VQ_OP_REDUCE_SUM, &x, 1, &(vq_attr){ .reduce = { 5, false } }, T(VQ_F32, 197));
	bad(f, VQ_OP_REDUCE_SUM, &x, 1, &(vq_attr){ .reduce = { 8, false } }, "the set of axes 0x8");
	good(f, VQ_OP_LAYERNORM, (vq_type[]){ x, T(VQ_F32, 64), T(VQ_F32, 64) }, 3, &(vq_attr){ .norm = { 1e-6f } }, x);
	bad(f, VQ_OP_LAYERNORM, (vq_type[]){ x, T(VQ_F32, 64), T(VQ_F32, 63) }, 3, NULL, "beta is 63, expected 64");
}

/* n scales 1, 2, 3 ... along axis */
static uint32_t entry(fixture *f, int32_t axis, uint32_t n)
{
	float scale[16];
	int32_t zero[16] = { 0 };

	for (uint32_t i = 0; i < 16; i++)
		scale[i] = (float)(i + 1);
	return vq_quant_add(&f->g,
		&(vq_quant){ .bits = 8, .lo = -127, .hi = 127, .axis = axis, .n = n, .scale = scale, .zero = zero });
}

static void scales_move(void **state)
{
	fixture *f = *state;
	vq_type t = T(VQ_S8, 1, 5, 12), u, w;

	t.quant = entry(f, 2, 3);
	/* heads split off, brought in front, and back */
	assert_null(vq_infer_add(
		&f->g, VQ_OP_RESHAPE, &t, 1, &(vq_attr){ .shape = { .dim = { 1, 5, 3, 4 }, .rank = 4 } }, &u));
	assert_int_equal(vq_quant_of(&f->g, &u)->axis, 2);
	assert_int_equal(vq_quant_of(&f->g, &u)->n, 3);
	assert_null(vq_infer_add(&f->g, VQ_OP_TRANSPOSE, &u, 1, &(vq_attr){ .perm = { { 0, 2, 1, 3 } } }, &w));
	assert_int_equal(vq_quant_of(&f->g, &w)->axis, 1);
	assert_null(
		vq_infer_add(&f->g, VQ_OP_RESHAPE, &u, 1, &(vq_attr){ .shape = { .dim = { 5, 12 }, .rank = 2 } }, &w));
	assert_int_equal(vq_quant_of(&f->g, &w)->axis, 1);
	assert_int_equal(vq_quant_of(&f->g, &w)->n, 3);
	/* one head, two heads */
	assert_null(vq_infer_add(
		&f->g, VQ_OP_SLICE, &t, 1, &(vq_attr){ .slice = { { 0, 0, 4 }, { 1, 1, 1 }, { 1, 5, 4 } } }, &w));
	assert_int_equal(vq_quant_of(&f->g, &w)->axis, -1);
	assert_true(vq_quant_of(&f->g, &w)->scale[0] == 2.0f);
	assert_null(vq_infer_add(
		&f->g, VQ_OP_SLICE, &t, 1, &(vq_attr){ .slice = { { 0, 0, 4 }, { 1, 1, 1 }, { 1, 5, 8 } } }, &w));
	assert_int_equal(vq_quant_of(&f->g, &w)->n, 2);
	assert_true(vq_quant_of(&f->g, &w)->scale[1] == 3.0f);
	/* mixed with another dimension, or cut across heads: refused */
	bad(f, VQ_OP_RESHAPE, &t, 1, &(vq_attr){ .shape = { .dim = { 60 }, .rank = 1 } }, "more than one dimension");
	bad(f, VQ_OP_SLICE, &t, 1, &(vq_attr){ .slice = { { 0, 0, 2 }, { 1, 1, 1 }, { 1, 5, 4 } } },
		"more than one dimension");
	bad(f, VQ_OP_CONCAT, (vq_type[]){ t, t }, 2, &(vq_attr){ .axis = { 2 } }, "concat along dimension 2");
	good(f, VQ_OP_CONCAT, (vq_type[]){ t, t }, 2, &(vq_attr){ .axis = { 0 } },
		(vq_type){ VQ_S8, 3, { 2, 5, 12 }, t.quant });
	/* everything else reads values */
	good(f, VQ_OP_ADD, (vq_type[]){ t, T(VQ_F32, 12) }, 2, NULL, T(VQ_F32, 1, 5, 12));
	good(f, VQ_OP_DEQUANTIZE, &t, 1, NULL, T(VQ_F32, 1, 5, 12));
	bad(f, VQ_OP_QUANTIZE, &t, 1, &(vq_attr){ .quant = { 1 } }, "not quantized");
	bad(f, VQ_OP_QUANTIZE, &(vq_type){ .elem = VQ_F32 }, 1, &(vq_attr){ .quant = { 99 } }, "quantization #99");
}

static uint32_t random_below(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % n;
}

/* Whatever view is accepted: each element of the result must keep the scale it had in the operand. */
static void scales_agree_with_elements(void **state)
{
	static const int64_t size[] = { 1, 2, 3, 4, 6 };
	fixture *f = *state;
	uint32_t accepted = 0, seed = 1;

	for (int round = 0; round < 20000; round++) {
		vq_type t = { .elem = VQ_S8, .rank = 3 }, u;
		vq_attr attr = { .view = { .rank = 2 } };
		uint32_t axis = random_below(&seed, 3), n;
		const vq_quant *from, *to;
		int64_t block;

		for (int i = 0; i < 3; i++)
			t.dim[i] = size[random_below(&seed, 5)];
		n = (uint32_t)t.dim[axis] / (t.dim[axis] % 2 == 0 ? 1 + random_below(&seed, 2) : 1);
		t.quant = entry(f, (int32_t)axis, n);
		for (int i = 0; i < 2; i++) {
			attr.view.dim[i] = size[random_below(&seed, 5)];
			attr.view.stride[i] = (int64_t)random_below(&seed, 15) - 2;
		}
		attr.view.offset = random_below(&seed, (uint32_t)vq_type_count(&t));
		if (vq_infer_add(&f->g, VQ_OP_VIEW, &t, 1, &attr, &u))
			continue;
		accepted++;
		from = &f->g.quant[t.quant];
		to = &f->g.quant[u.quant];
		block = t.dim[axis] / n;
		for (uint32_t i = axis + 1; i < 3; i++)
			block *= t.dim[i];
		for (int64_t i = 0; i < u.dim[0]; i++)
			for (int64_t j = 0; j < u.dim[1]; j++) {
				int64_t at = attr.view.offset + i * attr.view.stride[0] + j * attr.view.stride[1];
				int64_t c = to->axis < 0 ? 0 : (to->axis ? j : i) / (u.dim[to->axis] / to->n);

				assert_true(to->scale[c] == from->scale[at / block % n]);
			}
	}
	assert_true(accepted > 1000);
}

static void building(void **state)
{
	fixture *f = *state;
	vq_type t = T(VQ_F32, 2, 3);
	vq_value x = vq_add_input(&f->g, "x", &t), y;
	vq_attr junk;

	assert_true(vq_same(vq_build_reshape(&f->g, NULL, x, 2, t.dim), x));
	assert_true(vq_same(vq_build_transpose(&f->g, NULL, x, (int64_t[]){ 0, 1 }), x));
	assert_true(vq_same(vq_build_slice(&f->g, NULL, x, 1, 0, 3), x));
	assert_true(vq_same(vq_build(&f->g, NULL, VQ_OP_CAST, &x, 1, &(vq_attr){ .cast = { VQ_F32 } }), x));
	assert_true(vq_same(
		vq_build(&f->g, NULL, VQ_OP_VIEW, &x, 1, &(vq_attr){ .view = { 0, { 2, 3 }, { 3, 1 }, 2 } }), x));
	assert_int_equal(f->g.n_nodes, 1);
	y = vq_build_transpose(&f->g, NULL, x, (int64_t[]){ 1, 0 });
	assert_int_equal(vq_type_of(&f->g, y)->dim[0], 3);
	/* what the attribute does not use is cleared, so that equal nodes compare equal */
	memset(&junk, 0x55, sizeof junk);
	junk.perm.perm[0] = 1;
	junk.perm.perm[1] = 0;
	y = vq_build(&f->g, NULL, VQ_OP_TRANSPOSE, &x, 1, &junk);
	assert_memory_equal(&f->g.node[1].attr, &f->g.node[2].attr, sizeof(vq_attr));
	assert_int_equal(vq_build2(&f->g, NULL, VQ_OP_ADD, x, y).id, 0);
	assert_int_equal(f->diag.errors, 1);
	assert_string_equal(f->diag.item[0].where, "add");
	assert_string_equal(f->diag.item[0].text, "shapes do not broadcast: left is 2x3, right is 3x2");
	/* an operand missing because of that error is not reported again */
	assert_int_equal(vq_build1(&f->g, NULL, VQ_OP_NEG, VQ_NO_VALUE).id, 0);
	assert_int_equal(f->diag.errors, 1);
	assert_int_equal(vq_build_slice(&f->g, "node 's' (Slice)", x, 1, 2, 2).id, 0);
	assert_string_equal(f->diag.item[1].where, "node 's' (Slice)");
}

static void folding(void **state)
{
	fixture *f = *state;
	vq_value a = vq_const_i64s(&f->g, (int64_t[]){ 2, 3, 4 }, 3), b = vq_const_i64s(&f->g, (int64_t[]){ 5 }, 1), c;
	uint32_t q = vq_quant_per_tensor(&f->g, 0.5f, 0, -127, 127);

	c = vq_build_reshape(&f->g, NULL, a, 2, (int64_t[]){ 3, 1 });
	assert_true(vq_is_const(&f->g, c));
	assert_int_equal(vq_type_of(&f->g, c)->rank, 2);
	/* quantize and dequantize of constants stay: they carry the parameters */
	c = vq_build_dequantize(&f->g, NULL, vq_build_quantize(&f->g, NULL, vq_const_f32(&f->g, 1.0f), q));
	assert_int_equal(vq_def_op(&f->g, c), VQ_OP_DEQUANTIZE);
	c = vq_build2(&f->g, NULL, VQ_OP_MUL, a, b);
	assert_true(vq_is_const(&f->g, c));
	assert_memory_equal(f->g.value[c.id].data, ((int64_t[]){ 10, 15, 20 }), 24);
	assert_int_equal(f->diag.errors, 0);
	/* an index outside at folding time is an error of the input */
	c = vq_build(&f->g, NULL, VQ_OP_GATHER, (vq_value[]){ a, b }, 2, &(vq_attr){ .axis = { 0 } });
	assert_int_equal(c.id, 0);
	assert_int_equal(f->diag.errors, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(elementwise, setup, teardown),
		cmocka_unit_test_setup_teardown(sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(movement, setup, teardown),
		cmocka_unit_test_setup_teardown(products, setup, teardown),
		cmocka_unit_test_setup_teardown(scales_move, setup, teardown),
		cmocka_unit_test_setup_teardown(scales_agree_with_elements, setup, teardown),
		cmocka_unit_test_setup_teardown(building, setup, teardown),
		cmocka_unit_test_setup_teardown(folding, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
