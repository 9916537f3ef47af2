/* SPDX-License-Identifier: MIT */
/* The verifier accepts what the builder makes and finds each single violation; test_text.c gives it random graphs. */
#include "ir/build.h"
#include "ir/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

typedef struct fixture {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	vq_value x, w, h, q, y; /* y = dequantize(q = quantize(h = linear(x, w))) */
} fixture;

static int setup(void **state)
{
	static const float weights[12] = { 1, 2, 3 };
	fixture *f = vq_alloc(sizeof *f);
	vq_type x = vq_type_make(VQ_F32, 2, (int64_t[]){ 3, 4 }), w = vq_type_make(VQ_F32, 2, (int64_t[]){ 3, 4 });
	float scale[3] = { 1, 2, 4 };
	int32_t zero[3] = { 0, 1, -2 };

	vq_diag_init(&f->diag, &f->arena, NULL);
	vq_graph_init(&f->g, &f->arena, &f->diag, "f");
	f->x = vq_add_input(&f->g, "x", &x);
	f->w = vq_add_const(&f->g, &w, weights, "w");
	f->h = vq_build2(&f->g, NULL, VQ_OP_LINEAR, f->x, f->w);
	f->q = vq_build_quantize(&f->g, NULL, f->h,
		vq_quant_add(&f->g,
			&(vq_quant){
				.bits = 8, .lo = -127, .hi = 127, .axis = 1, .n = 3, .scale = scale, .zero = zero }));
	f->y = vq_build_dequantize(&f->g, NULL, f->q);
	vq_add_output(&f->g, "y", f->y);
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

static void valid(void **state)
{
	fixture *f = *state;

	assert_true(vq_verify(&f->g, "test"));
	assert_int_equal(f->diag.n, 0);
}

static void finds(fixture *f, const char *want)
{
	assert_false(vq_verify(&f->g, "pass test"));
	assert_true(f->diag.errors > 0);
	for (uint32_t i = 0; i < f->diag.n; i++) {
		assert_non_null(strstr(f->diag.item[i].text, "internal error after pass test: "));
		if (strstr(f->diag.item[i].text, want))
			return;
	}
	fail_msg("got '%s', expected '%s'", f->diag.item[0].text, want);
}

static vq_node_info *node_of(fixture *f, vq_value v) { return &f->g.node[vq_def_of(&f->g, v).id]; }

static vq_quant *entry_of(fixture *f) { return &f->g.quant[f->g.value[f->q.id].type.quant]; }

/* one test function per violation, made by writing into the graph behind the builder's back */
#define VIOLATION(name, damage, want)  \
	static void name(void **state) \
	{                              \
		fixture *f = *state;   \
		damage;                \
		finds(f, want);        \
	}

VIOLATION(wrong_shape, f->g.value[f->h.id].type.dim[1] = 5, "the result is f32[3,5], expected f32[3,3]")
VIOLATION(wrong_elem, f->g.value[f->h.id].type.elem = VQ_I32, "the result is i32[3,3], expected f32[3,3]")
VIOLATION(wrong_entry, f->g.value[f->q.id].type.quant = vq_quant_per_tensor(&f->g, 1, 0, -128, 127),
	"the result's quantization is #2, expected #1")
VIOLATION(dequantize_to_codes, f->g.value[f->y.id].type = f->g.value[f->q.id].type,
	"the result is s8[3,3], expected f32[3,3]")
VIOLATION(empty_dimension, f->g.value[f->x.id].type.dim[0] = 0, "dimension 0 of the value is 0")
VIOLATION(huge_rank, f->g.value[f->x.id].type.rank = 9, "the value has 9 dimensions, at most 8 are supported")
VIOLATION(unknown_elem, f->g.value[f->x.id].type.elem = VQ_ELEM_COUNT, "the element type is unknown")
VIOLATION(entry_missing, f->g.value[f->q.id].type.quant = 7, "has quantization #7 of 1")
VIOLATION(entry_on_f32, f->g.value[f->h.id].type.quant = 1, "f32[3,3] has quantization #1")
VIOLATION(entry_does_not_divide, entry_of(f)->n = 2, "2 scales along dimension 1 do not divide s8[3,3]")
VIOLATION(entry_axis, entry_of(f)->axis = 2, "3 scales along dimension 2 do not divide")
VIOLATION(entry_axis_out_of_range, entry_of(f)->axis = -2, "3 scales along dimension -2")
VIOLATION(entry_bits, entry_of(f)->bits = 4, "with 4 bits")
VIOLATION(entry_codes, entry_of(f)->lo = -129, "code range -129:127")
VIOLATION(entry_code_order, entry_of(f)->hi = -128, "code range -127:-128")
VIOLATION(scale_small, ((float *)entry_of(f)->scale)[1] = 0x1p-101f, "scale 1 is 3.9443e-31")
VIOLATION(scale_nan, ((float *)entry_of(f)->scale)[1] = NAN, "expected 2^-100 to 2^100")
VIOLATION(scale_negative, ((float *)entry_of(f)->scale)[1] = -1, "scale 1 is -1")
VIOLATION(zero_large, ((int32_t *)entry_of(f)->zero)[2] = -4194049, "zero point 2 is -4194049")
VIOLATION(zero_lowest, ((int32_t *)entry_of(f)->zero)[2] = INT32_MIN, "zero point 2 is -2147483648")
VIOLATION(arity, node_of(f, f->h)->n_in = 1, "linear has 1 operands, expected 2 to 3")
VIOLATION(operand_none, node_of(f, f->h)->in[0] = VQ_NO_VALUE, "uses value 0 of 5")
VIOLATION(operand_outside, node_of(f, f->h)->in[0].id = 99, "uses value 99 of 5")
VIOLATION(operand_later, node_of(f, f->h)->in[0] = f->y, "uses value 5 before it is computed")
VIOLATION(operand_itself, node_of(f, f->h)->in[0] = f->h, "before it is computed")
VIOLATION(operand_deleted, node_of(f, f->h)->op = VQ_OP_NONE, "uses value 3 before it is computed")
VIOLATION(unknown_operator, node_of(f, f->h)->op = VQ_OP_COUNT, "unknown operator")
VIOLATION(result_of_another, node_of(f, f->h)->out = f->q, "its result is not a value that it defines")
VIOLATION(constant_without_data, f->g.value[f->w.id].data = NULL, "a constant without data")
VIOLATION(undefined_value, f->g.value[f->w.id].def = VQ_DEF_NONE, "is defined by nothing")
VIOLATION(input_index, f->g.value[f->x.id].index = 1, "says it is an input that is another value")
VIOLATION(input_is_constant, f->g.input[0].value = f->w, "is not an input value")
VIOLATION(output_missing, f->g.output[0].value = VQ_NO_VALUE, "output 0: uses value 0")
VIOLATION(no_output, f->g.n_outputs = 0, "the graph has no output")
VIOLATION(output_named_twice, vq_add_output(&f->g, "y", f->h), "output 1: its name 'y' is taken")
VIOLATION(output_unnamed, f->g.output[0].name = NULL, "has no name")
VIOLATION(wrong_attribute, node_of(f, f->q)->attr.quant.id = 0, "quantization #0 is not in the table of 1")

/* every violation is reported, not the first alone; the place is named */
static void all_are_reported(void **state)
{
	fixture *f = *state;

	node_of(f, f->h)->n_in = 1;
	node_of(f, f->y)->n_in = 0;
	node_of(f, f->y)->name = "out/Dequantize";
	assert_false(vq_verify(&f->g, "x"));
	assert_int_equal(f->diag.errors, 2);
	assert_string_equal(f->diag.item[0].where, "%1 (linear)");
	assert_string_equal(f->diag.item[1].where, "node 'out/Dequantize' (dequantize)");
}

/* the integer form: any f32 result may be quantized */
static void quantized_results(void **state)
{
	fixture *f = *state;
	vq_type t = *vq_type_of(&f->g, f->q);

	f->g.value[f->h.id].type = t;
	node_of(f, f->q)->op = VQ_OP_NONE;
	node_of(f, f->y)->in[0] = f->h;
	vq_graph_sweep(&f->g);
	assert_true(vq_verify(&f->g, "test"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(valid),
		T(wrong_shape),
		T(wrong_elem),
		T(wrong_entry),
		T(dequantize_to_codes),
		T(empty_dimension),
		T(huge_rank),
		T(unknown_elem),
		T(entry_missing),
		T(entry_on_f32),
		T(entry_does_not_divide),
		T(entry_axis),
		T(entry_axis_out_of_range),
		T(entry_bits),
		T(entry_codes),
		T(entry_code_order),
		T(scale_small),
		T(scale_nan),
		T(scale_negative),
		T(zero_large),
		T(zero_lowest),
		T(arity),
		T(operand_none),
		T(operand_outside),
		T(operand_later),
		T(operand_itself),
		T(operand_deleted),
		T(unknown_operator),
		T(result_of_another),
		T(constant_without_data),
		T(undefined_value),
		T(input_index),
		T(input_is_constant),
		T(output_missing),
		T(no_output),
		T(output_named_twice),
		T(output_unnamed),
		T(wrong_attribute),
		T(all_are_reported),
		T(quantized_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
