/* SPDX-License-Identifier: MIT */
/* The channel transform: what it must not change, what it must, and when it must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "passes/transform.h"
#include "small_vit.h"

#include "passes/stats.h"

/* largest difference of the logits of two graphs over all samples, relative to the largest logit */
static double difference(const vq_graph *a, const vq_graph *b, const small_vit *s, uint32_t output)
{
	float one[2][256], two[2][256];
	float *to_one[] = { one[0], one[1] }, *to_two[] = { two[0], two[1] };
	double worst = 0, largest = 0;

	for (uint32_t i = 0; i < SV_SAMPLES; i++) {
		assert_true(sv_run(a, s->image[i], to_one, NULL, 0, NULL, NULL));
		assert_true(sv_run(b, s->image[i], to_two, NULL, 0, NULL, NULL));
		for (uint32_t k = 0; k < SV_CLASSES; k++) {
			worst = fmax(worst, fabs((double)one[output][k] - (double)two[output][k]));
			largest = fmax(largest, fabs((double)one[output][k]));
		}
	}
	assert_true(largest > 0.1);
	return worst / largest;
}

static const vq_site *site_of(const small_vit *s, const char *name)
{
	for (uint32_t i = 0; i < s->report.n; i++)
		if (s->report.site[i].name && !strcmp(s->report.site[i].name, name))
			return &s->report.site[i];
	return NULL;
}

/* What transform says of a value after it is what calibration says of the transformed graph. */
static void check_statistics(small_vit *s, const char *reader)
{
	vq_stats said = *vq_stats_find(&s->p, vq_operand(&s->g, sv_find(&s->g, reader), 0));
	const vq_stats *is;

	assert_true(vq_pass_calibrate(&s->p));
	is = vq_stats_find(&s->p, vq_operand(&s->g, sv_find(&s->g, reader), 0));
	assert_int_equal(said.rows, is->rows);
	for (uint32_t c = 0; c < said.channels; c++) {
		double peak = fmax(fabs((double)is->lo[c]), fabs((double)is->hi[c])) + 1e-3, rows = (double)is->rows;

		assert_true(fabs((double)said.lo[c] - (double)is->lo[c]) <= 1e-3 * peak);
		assert_true(fabs((double)said.hi[c] - (double)is->hi[c]) <= 1e-3 * peak);
		assert_true(fabs(said.sum[c] - is->sum[c]) <= 1e-3 * peak * rows);
		assert_true(fabs(said.square[c] - is->square[c]) <= 1e-3 * peak * peak * rows);
	}
}

static void check_identity_with(const small_vit_options *o, vq_granularity granularity)
{
	small_vit *s = sv_make(o);
	vq_graph before;

	s->set.granularity = granularity;
	vq_graph_copy(&before, &s->g, &s->arena, &s->diag);
	if (!vq_pass_calibrate(&s->p) || !vq_pass_transform(&s->p))
		fail_msg("%s", sv_problem(s));
	assert_true(difference(&before, &s->g, s, before.n_outputs - 1) <= 1e-5);
	/*
	 * and it did something: the ranges of the channels are equal now (constant channels and the
	 * class site excepted)
	 */
	if (granularity != VQ_GRANULARITY_TOKEN && !o->norm_is_output && !o->norm_is_added) {
		const vq_stats *t = vq_stats_find(&s->p, vq_operand(&s->g, sv_find(&s->g, "fc1"), 0));

		assert_non_null(t);
		assert_true(t->scale > 0);
		for (uint32_t c = 0; c < SV_DIM; c++)
			if (!(o->constant_channel && c == 2))
				assert_float_equal((t->hi[c] - t->lo[c]) / t->scale, 255 / VQ_REPQ_ROOM, 0.01);
	}
	assert_true((vq_stats_find(&s->p, vq_operand(&s->g, sv_find(&s->g, "q"), 0))->row_better > 0) ==
		(granularity == VQ_GRANULARITY_TOKEN));
	check_statistics(s, "q");
	check_statistics(s, "fc1");
	sv_free(s);
}

static void check_identity(const small_vit_options *o)
{
	check_identity_with(o, VQ_GRANULARITY_TENSOR);
	check_identity_with(o, VQ_GRANULARITY_TOKEN);
}

static void off_quant_identity(void **state)
{
	(void)state;
	check_identity(&(small_vit_options){ 0 });
	check_identity(&(small_vit_options){ .outlier = 40 });
	check_identity(&(small_vit_options){ .outlier = 1000 });
	check_identity(&(small_vit_options){ .negative_gamma = true, .outlier = 30 });
	check_identity(&(small_vit_options){ .constant_channel = true });
	check_identity(&(small_vit_options){ .no_bias = true, .outlier = 30 });
	check_identity(&(small_vit_options){ .shared_gamma = true, .outlier = 30 });
	check_identity(&(small_vit_options){ .norm_is_output = true });
	check_identity(&(small_vit_options){ .norm_is_added = true });
}

static void all_consumers_and_only_copies(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ .shared_gamma = true, .no_bias = true });
	vq_value shared = vq_operand(&s->g, sv_find(&s->g, "norm1"), 1);
	const float *data = s->g.value[shared.id].data;
	float first = data[0];
	static const char *const names[] = { "q", "k", "v", "fc1" };
	const void *w[4];

	(void)state;
	assert_true(vq_same(shared, vq_operand(&s->g, sv_find(&s->g, "norm2"), 1)));
	for (int i = 0; i < 4; i++)
		w[i] = s->g.value[vq_operand(&s->g, sv_find(&s->g, names[i]), 1).id].data;
	assert_int_equal(s->g.node[sv_find(&s->g, "fc1").id].n_in, 2);
	assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p));
	for (int i = 0; i < 4; i++) {
		vq_node n = sv_find(&s->g, names[i]);

		assert_ptr_not_equal(w[i], s->g.value[vq_operand(&s->g, n, 1).id].data);
		assert_int_equal(s->g.node[n.id].n_in, 3);
	}
	assert_true(data[0] == first);
	assert_false(
		vq_same(vq_operand(&s->g, sv_find(&s->g, "norm1"), 1), vq_operand(&s->g, sv_find(&s->g, "norm2"), 1)));
	sv_free(s);
}

static void check_refused(const small_vit_options *o, const char *why)
{
	small_vit *s = sv_make(o);
	const void *gamma = s->g.value[vq_operand(&s->g, sv_find(&s->g, "norm2"), 1).id].data;
	const void *w = s->g.value[vq_operand(&s->g, sv_find(&s->g, "fc1"), 1).id].data;

	assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p));
	assert_ptr_equal(gamma, s->g.value[vq_operand(&s->g, sv_find(&s->g, "norm2"), 1).id].data);
	assert_ptr_equal(w, s->g.value[vq_operand(&s->g, sv_find(&s->g, "fc1"), 1).id].data);
	assert_non_null(site_of(s, "norm2"));
	assert_non_null(site_of(s, "norm2")->why);
	assert_non_null(strstr(site_of(s, "norm2")->why, why));
	assert_null(site_of(s, "norm1")->why);
	sv_free(s);
}

static void refuses_with_a_reason(void **state)
{
	(void)state;
	check_refused(&(small_vit_options){ .norm_is_output = true }, "output 'normed'");
	check_refused(&(small_vit_options){ .norm_is_added = true }, "also read by");
}

static void naive_baseline_changes_nothing(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ .outlier = 100 });
	vq_graph before;

	(void)state;
	vq_graph_copy(&before, &s->g, &s->arena, &s->diag);
	s->set.fold = VQ_FOLD_NONE;
	assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p));
	assert_true(difference(&before, &s->g, s, 0) == 0);
	assert_int_equal(s->report.n, 0);
	sv_free(s);
}

/* Class-token sites get a scale, never a shift. */
static void class_site_is_not_shifted(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ .outlier = 100 });
	const float *b = s->g.value[vq_operand(&s->g, sv_find(&s->g, "head"), 2).id].data;
	const float *to, *gamma;

	(void)state;
	assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p));
	to = s->g.value[vq_operand(&s->g, sv_find(&s->g, "head"), 2).id].data;
	for (int i = 0; i < SV_CLASSES; i++)
		assert_true(b[i] == to[i]);
	assert_string_equal(site_of(s, "norm3")->scheme, "scale of channels folded");
	/* the outlier channels, 100 times larger before, are not any more */
	gamma = s->g.value[vq_operand(&s->g, sv_find(&s->g, "norm3"), 1).id].data;
	assert_true(fabsf(gamma[3]) < 20 * fabsf(gamma[0]));
	sv_free(s);
}

/*
 * The key identity of RepQ: with an integer Z the codes of the common quantizer are those of the
 * quantizers per channel. Ties are left out (the two divisions round differently there). With the
 * unrounded mean as Z the codes would not even be integers apart.
 */
static void layer_codes_are_channel_codes(void **state)
{
	enum { N = 24, POINTS = 500 };
	vq_arena scratch = { 0 };
	float lo[N], hi[N];
	double d[N], t[N], square[N] = { 0 }, below[N], above[N], mean = 0;
	vq_channels c = { .n = N, .lo = lo, .hi = hi, .square = square, .scratch = &scratch };
	vq_change change = { d, t, 0, 0 };
	uint32_t seed = 99, fractional = 0;

	(void)state;
	for (int i = 0; i < N; i++) {
		float middle = sv_random(&seed) * 2, half = expf(3 * sv_random(&seed));

		lo[i] = middle - half;
		hi[i] = middle + half;
	}
	vq_choose_repq(&c, &change);
	assert_in_range(change.zero + 128, 0, 255);
	for (int i = 0; i < N; i++) { /* the ranges of the quantizers per channel */
		double half = ((double)hi[i] - (double)lo[i]) / 2 * (VQ_REPQ_ROOM - 1);

		below[i] = (double)lo[i] - half;
		above[i] = (double)hi[i] + half;
		mean += nearbyint(-128 - below[i] / ((above[i] - below[i]) / 255)) / (double)N;
	}
	assert_int_equal(change.zero, (int)nearbyint(fmin(fmax(mean, -128), 127)));
	for (int i = 0; i < N; i++) {
		double s = (above[i] - below[i]) / 255, z = nearbyint(-128 - below[i] / s);

		assert_true(d[i] > 0);
		for (int k = 0; k < POINTS; k++) {
			double x = below[i] + (above[i] - below[i]) * k / (POINTS - 1);
			double moved = (x - t[i]) / d[i] / (double)change.scale;
			double with_fraction = moved + (change.zero - mean);

			if (fabs(moved - floor(moved) - 0.5) < 1e-6)
				continue;
			assert_true(nearbyint(moved) + change.zero == nearbyint(x / s) + z);
			fractional += nearbyint(with_fraction) + mean != nearbyint(x / s) + z;
		}
	}
	assert_true(fractional > 0);
	vq_arena_free(&scratch);
}

/*
 * Scales per row: of the divisors between width^0 and width^1 those with the least error of the outputs. Channels a thousand times
 * wider than others have to be made alike; channels that differ little are left alone if their weights are what differs.
 */
static void rows_weigh_codes_against_weights(void **state)
{
	enum { N = 32, OUT = 40 };
	vq_arena scratch = { 0 };
	double d[N], t[N], mean[N], square[N], exponent[2];
	float lo[N], hi[N], w[OUT * N];
	uint32_t seed = 7;

	(void)state;
	for (int wide = 0; wide < 2; wide++) {
		vq_consumer consumer = { { 0 }, w, OUT };
		vq_channels c = { N, lo, hi, mean, square, 1e4, &consumer, 1, &scratch };
		vq_change change = { d, t, 0, 0 };
		double least, width[N], signal;

		for (int i = 0; i < N; i++) {
			float half = wide && i < 3 ? 1000 : 1 + (float)(i % 4);

			mean[i] = 3 * (double)sv_random(&seed) * (double)half;
			lo[i] = (float)mean[i] - half;
			hi[i] = (float)mean[i] + half;
			width[i] = 2 * (double)half;
			square[i] = mean[i] * mean[i] + (double)half * (double)half / 9;
			for (int o = 0; o < OUT; o++)
				w[o * N + i] = sv_random(&seed) * (wide && i < 3 ? 1e-3f : 1);
		}
		vq_choose_rows(&c, &change);
		least = vq_channels_error(&c, &change);
		signal = vq_channels_signal(&c);
		assert_true(least > 0 && least < signal / 1000);
		exponent[wide] = log(d[0] / d[31]) / log(width[0] / width[31]);
		for (int i = 0; i < N; i++)
			assert_true(fabs(t[i] - mean[i]) <= 1e-3 * width[i]);
		assert_true(change.scale > 0);
		for (unsigned n = 0; n <= 8; n += 8) { /* the step is the one of all channels' range */
			double range = 0;

			vq_channel_divisors(&c, width, n, d);
			for (int i = 0; i < N; i++)
				range = fmax(range, width[i] / d[i]);
			change.scale = (float)(range / 255);
			assert_true(least <= 1.01 * vq_channels_error(&c, &change));
		}
	}
	assert_true(exponent[0] < 0.8);
	assert_true(exponent[1] > 0.8);
	vq_arena_free(&scratch);
}

static void constant_channels_stay_finite(void **state)
{
	vq_arena scratch = { 0 };
	float lo[] = { -1, 5, 0, -1e4f }, hi[] = { 1, 5, 0, -1e4f };
	double d[4], t[4], square[4] = { 1, 1, 1, 1 };
	vq_channels c = { .n = 4, .lo = lo, .hi = hi, .square = square, .scratch = &scratch };
	vq_change change = { d, t, 0, 0 };

	(void)state;
	vq_choose_repq(&c, &change);
	for (int i = 0; i < 4; i++) {
		assert_true(d[i] >= 0.99e-5 && d[i] <= 10);
		assert_true(isfinite(t[i]));
		/* the constant itself stays where codes are */
		assert_true(fabs(((double)lo[i] - t[i]) / d[i] / (double)change.scale) <= 256);
	}
	lo[0] = hi[0] = 1;
	vq_choose_repq(&c, &change);
	assert_true(change.scale > 0 && d[0] == 1 && isfinite(t[3]));
	vq_arena_free(&scratch);
}

/* image[1,1,8,8] as 4x4 positions of 4 channels, then LayerNorm */
static vq_value positions(small_vit *s, vq_value *norm)
{
	vq_type t = vq_type_make(VQ_F32, 4, (int64_t[]){ 1, 1, 8, 8 });
	int64_t four = 4;
	vq_value x = vq_build_reshape(&s->g, NULL, vq_add_input(&s->g, "image", &t), 4, (int64_t[]){ 1, 4, 4, 4 });
	vq_value in[3] = { x, sv_const(s, 1, &four, 3), sv_const(s, 1, &four, 1) };

	x = vq_build(&s->g, NULL, VQ_OP_LAYERNORM, in, 3, &(vq_attr){ .norm.epsilon = 1e-6f });
	sv_name(s, "norm");
	*norm = x;
	return x;
}

/*
 * Swin's shift and windows, with two positions merged into one dimension on the way; then class row
 * and mean.
 */
static void reaches_through_windows(void **state)
{
	small_vit *s = sv_new();
	vq_value norm, x = positions(s, &norm), in[2], y;
	vq_attr windows = { .view = { .rank = 4, .dim = { 2, 2, 2, 8 }, .stride = { 32, 8, 16, 1 } } };
	vq_graph before;

	(void)state;
	in[0] = vq_build_slice(&s->g, NULL, x, 1, 1, 3);
	in[1] = vq_build_slice(&s->g, NULL, x, 1, 0, 1);
	x = vq_build(&s->g, NULL, VQ_OP_CONCAT, in, 2, &(vq_attr){ .axis.axis = 1 });
	x = vq_build(&s->g, NULL, VQ_OP_VIEW, &x, 1, &windows);
	x = vq_build_transpose(&s->g, NULL, x, (int64_t[]){ 1, 0, 2, 3 });
	x = vq_build_reshape(&s->g, NULL, x, 3, (int64_t[]){ 4, 4, 4 });
	x = sv_linear(s, "windows", x, SV_CLASSES, true, 0);
	x = vq_build(&s->g, NULL, VQ_OP_REDUCE_MEAN, &x, 1, &(vq_attr){ .reduce = { 3, false } });
	y = vq_build_reshape(&s->g, NULL, norm, 2, (int64_t[]){ 16, 4 });
	y = vq_build(&s->g, NULL, VQ_OP_REDUCE_MEAN, &y, 1, &(vq_attr){ .reduce = { 1, false } });
	y = sv_linear(s, "mean", y, SV_CLASSES, false, 0);
	vq_add_output(&s->g, "y", vq_build2(&s->g, NULL, VQ_OP_ADD, x, y));
	vq_graph_sweep(&s->g);
	vq_graph_copy(&before, &s->g, &s->arena, &s->diag);
	assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p));
	assert_int_equal(s->report.n, 1);
	assert_null(s->report.site[0].why);
	assert_int_equal(s->g.node[sv_find(&s->g, "mean").id].n_in, 3); /* both consumers were rewritten */
	assert_true(difference(&before, &s->g, s, 0) <= 1e-5);
	sv_free(s);
}

/* Movement that mixes rows and channels ends the reach. */
static void broken_rows_are_refused(void **state)
{
	static const vq_attr views[] = {
		{ .view = { .rank = 3,
			  .dim = { 1, 15, 4 },
			  .stride = { 0, 4, 1 },
			  .offset = 1 } },                                             /* from channel 1 on */
		{ .view = { .rank = 3, .dim = { 1, 4, 4 }, .stride = { 0, 1, 4 } } },  /* transposed */
		{ .view = { .rank = 3, .dim = { 1, 16, 2 }, .stride = { 0, 4, 1 } } }, /* half of the channels */
	};

	(void)state;
	for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
		small_vit *s = sv_new();
		vq_value norm, x = positions(s, &norm);

		x = vq_build(&s->g, NULL, VQ_OP_VIEW, &x, 1, &views[i]);
		vq_add_output(&s->g, "y", sv_linear(s, "mixed", x, 3, true, 0));
		vq_add_output(&s->g, "z", sv_linear(s, "straight", norm, 3, true, 0));
		vq_graph_sweep(&s->g);
		assert_true(vq_pass_calibrate(&s->p) && vq_pass_transform(&s->p));
		assert_int_equal(s->report.n, 1);
		assert_non_null(s->report.site[0].why);
		sv_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_quant_identity),
		cmocka_unit_test(all_consumers_and_only_copies),
		cmocka_unit_test(refuses_with_a_reason),
		cmocka_unit_test(naive_baseline_changes_nothing),
		cmocka_unit_test(class_site_is_not_shifted),
		cmocka_unit_test(layer_codes_are_channel_codes),
		cmocka_unit_test(rows_weigh_codes_against_weights),
		cmocka_unit_test(constant_channels_stay_finite),
		cmocka_unit_test(reaches_through_windows),
		cmocka_unit_test(broken_rows_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
