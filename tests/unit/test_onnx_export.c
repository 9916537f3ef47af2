/* SPDX-License-Identifier: MIT */
/*
 * -emit=onnx: what is written is read back by our importer and computes the same. (Other tools:
 * tests/onnx.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frontend/onnx_export.h"
#include "frontend/onnx_import.h"
#include "small_vit.h"

#include <stdio.h>
#include <stdlib.h>

/* s->g written and read back into *to */
static void round_trip(small_vit *s, vq_graph *to)
{
	char *bytes = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&bytes, &n);
	void *kept;

	assert_non_null(f);
	if (!vq_export_onnx(&s->g, &s->diag, f))
		fail_msg("%s", sv_problem(s));
	assert_int_equal(fclose(f), 0);
	kept = vq_arena_alloc(&s->arena, n);
	memcpy(kept, bytes, n);
	free(bytes);
	if (!vq_import_onnx_bytes(to, &s->arena, &s->diag, "exported.onnx", kept, n, NULL, NULL))
		fail_msg("%s", sv_problem(s));
}

static double difference(const vq_graph *a, const vq_graph *b, const small_vit *s)
{
	static float one[4096], two[4096];
	size_t n = (size_t)vq_type_count(vq_type_of(a, a->output[0].value));
	double worst = 0, largest = 0;

	assert_true(n <= 4096);
	assert_int_equal(a->n_outputs, b->n_outputs);
	assert_string_equal(a->output[0].name, b->output[0].name);
	assert_string_equal(a->input[0].name, b->input[0].name);
	assert_true(vq_same_shape(vq_type_of(a, a->output[0].value), vq_type_of(b, b->output[0].value)));
	for (uint32_t i = 0; i < SV_SAMPLES; i++) {
		assert_true(sv_run(a, s->image[i], (float *[]){ one }, NULL, 0, NULL, NULL));
		assert_true(sv_run(b, s->image[i], (float *[]){ two }, NULL, 0, NULL, NULL));
		for (size_t k = 0; k < n; k++) {
			worst = fmax(worst, fabs((double)one[k] - (double)two[k]));
			largest = fmax(largest, fabs((double)one[k]));
		}
	}
	assert_true(largest > 0.1);
	return worst / largest;
}

static void float_form(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ .no_bias = true });
	vq_graph back;

	(void)state;
	round_trip(s, &back);
	assert_true(difference(&s->g, &back, s) <= 1e-5); /* attention is decomposed: other orders of summation */
	sv_free(s);
}

static void qdq_form(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ .outlier = 20 });
	vq_graph back;

	(void)state;
	assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p) && vq_pass_quantize_weights(&s->p) &&
		vq_pass_insert_qdq(&s->p) && vq_pass_cancel_qdq(&s->p));
	round_trip(s, &back);
	/* the written form quantizes probabilities to 8 bits, ours does so in integer form only */
	assert_true(difference(&s->g, &back, s) <= 0.02);
	/* one pair per site, one dequantize per weight; softmax adds a pair */
	assert_int_equal(sv_count(&back, VQ_OP_QUANTIZE), sv_count(&s->g, VQ_OP_QUANTIZE) + 1);
	assert_int_equal(sv_count(&back, VQ_OP_DEQUANTIZE), sv_count(&s->g, VQ_OP_DEQUANTIZE) + 1);
	sv_free(s);
}

static void integer_form_is_refused(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ 0 });
	FILE *f = tmpfile();

	(void)state;
	assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p) && vq_pass_quantize_weights(&s->p) &&
		vq_pass_insert_qdq(&s->p) && vq_pass_cancel_qdq(&s->p) && vq_pass_absorb_qdq(&s->p));
	assert_false(vq_export_onnx(&s->g, &s->diag, f));
	assert_non_null(strstr(s->diag.item[0].text, "integer form"));
	assert_int_equal(ftell(f), 0);
	fclose(f);
	sv_free(s);
}

static vq_value image(small_vit *s)
{
	vq_type t = vq_type_make(VQ_F32, 2, (int64_t[]){ 8, 8 });

	return vq_add_input(&s->g, "t_image", &t); /* a name like those the writer makes */
}

/* Windows of every kind: cut and permuted, sliced, repeated, reversed, overlapping. */
static void views(void **state)
{
	static const struct {
		int64_t offset;
		uint32_t rank;
		int64_t dim[4], stride[4];
	} views[] = {
		{ 0, 4, { 2, 2, 4, 4 }, { 32, 4, 8, 1 } },                         /* patches */
		{ 0, 2, { 8, 8 }, { 1, 8 } },                                      /* transpose */
		{ 24, 2, { 1, 8 }, { 8, 1 } },                                     /* one row */
		{ 26, 3, { 3, 2, 1 }, { 8, 2, 1 } },                               /* a window, every other element */
		{ 3, 2, { 4, 1 }, { 16, 5 } }, { 0, 3, { 4, 3, 2 }, { 0, 8, 1 } }, /* repeated */
		{ 63, 1, { 64 }, { -1 } },                                         /* reversed */
		{ 0, 2, { 6, 3 }, { 8, 1 } }, { 0, 2, { 20, 3 }, { 3, 1 } }, /* rows of 3 in 64: does not divide */
		{ 0, 2, { 7, 16 }, { 8, 1 } },                               /* overlapping */
		{ 9, 0, { 0 }, { 0 } },                                      /* one element */
	};

	(void)state;
	for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
		small_vit *s = sv_new();
		vq_attr attr = { .view = { .offset = views[i].offset, .rank = views[i].rank } };
		vq_value x = image(s);
		vq_graph back;

		memcpy(attr.view.dim, views[i].dim, sizeof views[i].dim);
		memcpy(attr.view.stride, views[i].stride, sizeof views[i].stride);
		x = vq_build(&s->g, NULL, VQ_OP_VIEW, &x, 1, &attr);
		if (!x.id)
			fail_msg("view %zu: %s", i, sv_problem(s));
		vq_add_output(&s->g, "y", x);
		vq_graph_sweep(&s->g);
		round_trip(s, &back);
		if (difference(&s->g, &back, s) != 0)
			fail_msg("view %zu is written wrongly", i);
		sv_free(s);
	}
}

static void other_operators(void **state)
{
	small_vit *s = sv_new();
	vq_value x = image(s), y, in[3];
	vq_graph back;

	(void)state;
	y = vq_build1(&s->g, NULL, VQ_OP_GELU_TANH, x);
	y = vq_build2(&s->g, NULL, VQ_OP_ADD, y, vq_build1(&s->g, NULL, VQ_OP_GELU_QUICK, x));
	y = vq_build2(&s->g, NULL, VQ_OP_MUL, y, vq_build1(&s->g, NULL, VQ_OP_SILU, x));
	in[0] = vq_build2(&s->g, NULL, VQ_OP_LESS, x, vq_const_f32(&s->g, 0.1f));
	in[1] = y;
	in[2] = vq_build1(&s->g, NULL, VQ_OP_NEG, x);
	y = vq_build(&s->g, NULL, VQ_OP_WHERE, in, 3, NULL);
	y = vq_build(&s->g, NULL, VQ_OP_PAD, &y, 1,
		&(vq_attr){ .pad = { .before = { 1, 0 }, .after = { 0, 2 }, .value = 0.5f } });
	y = vq_build(&s->g, NULL, VQ_OP_SLICE, &y, 1,
		&(vq_attr){ .slice = { .start = { 8, 0 }, .step = { -2, 3 }, .count = { 5, 4 } } });
	in[0] = y;
	in[1] = vq_build(&s->g, NULL, VQ_OP_REDUCE_SUM, &y, 1, &(vq_attr){ .reduce = { 1, true } });
	in[2] = vq_build(&s->g, NULL, VQ_OP_REDUCE_MAX, &y, 1, &(vq_attr){ .reduce = { 1, true } });
	y = vq_build(&s->g, NULL, VQ_OP_CONCAT, in, 3, &(vq_attr){ .axis.axis = 0 });
	in[0] = y;
	in[1] = y;
	y = vq_build(&s->g, NULL, VQ_OP_MATMUL, in, 2, &(vq_attr){ .matmul.trans_b = true });
	y = vq_build(&s->g, NULL, VQ_OP_SOFTMAX, &y, 1, &(vq_attr){ .axis.axis = 0 });
	vq_add_output(&s->g, "y", y);
	vq_graph_sweep(&s->g);
	round_trip(s, &back);
	assert_true(difference(&s->g, &back, s) <= 1e-5);
	sv_free(s);
}

/*
 * Zero points that int8 does not hold: the shift moves out of the operators, codes stay what they
 * are.
 */
static void wide_zero_points(void **state)
{
	small_vit *s = sv_new();
	vq_value x = image(s), y;
	float scale[] = { 0.5f, 0.25f, 0.125f, 1 };
	int32_t zero[] = { -300, 5, 200, 0 };
	vq_graph back;

	(void)state;
	x = vq_build2(&s->g, NULL, VQ_OP_ADD, x, vq_const_f32(&s->g, 3));
	x = vq_build2(&s->g, NULL, VQ_OP_MUL, x, vq_const_f32(&s->g, 20));
	y = vq_build_dequantize(
		&s->g, NULL, vq_build_quantize(&s->g, NULL, x, vq_quant_per_tensor(&s->g, 0.25f, -300, -128, 127)));
	y = vq_build_dequantize(&s->g, NULL,
		vq_build_quantize(&s->g, NULL, y,
			vq_quant_add(&s->g,
				&(vq_quant){ .bits = 8,
					.lo = -128,
					.hi = 127,
					.axis = 1,
					.n = 4,
					.scale = scale,
					.zero = zero })));
	vq_add_output(&s->g, "y", y);
	vq_graph_sweep(&s->g);
	round_trip(s, &back);
	/* scales and shifts are exact in f32 here, so the written form computes the same numbers */
	assert_true(difference(&s->g, &back, s) == 0);
	sv_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(float_form),
		cmocka_unit_test(qdq_form),
		cmocka_unit_test(integer_form_is_refused),
		cmocka_unit_test(views),
		cmocka_unit_test(other_operators),
		cmocka_unit_test(wide_zero_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
