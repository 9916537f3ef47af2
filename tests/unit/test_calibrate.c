/* SPDX-License-Identifier: MIT */
/* Observers, calibration and the file of statistics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "passes/observe.h"
#include "passes/stats.h"
#include "small_vit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void entries_of_ranges(void **state)
{
	float scale;
	int32_t zero;

	(void)state;
	vq_entry_asymmetric((vq_range){ -1, 1.55 }, &scale, &zero);
	assert_float_equal(scale, 0.01f, 1e-7);
	assert_int_equal(zero, -28);
	vq_entry_asymmetric((vq_range){ 2, 5.1 }, &scale, &zero); /* 0 is taken in */
	assert_float_equal(scale, 0.02f, 1e-7);
	assert_int_equal(zero, -128);
	vq_entry_asymmetric((vq_range){ -5.1, -2 }, &scale, &zero);
	assert_int_equal(zero, 127);
	vq_entry_asymmetric((vq_range){ 0, 0 }, &scale, &zero);
	assert_true(scale > 0 && zero == 0);
	vq_entry_asymmetric((vq_range){ 0, 1e-38 }, &scale, &zero);
	assert_true(scale >= 0x1p-60f);
	assert_true(vq_entry_symmetric(12.7) == 0.1f);
	assert_true(vq_entry_symmetric(0) > 0);
}

/* 100 000 numbers in [-1, 1] and one of 1000 */
static void fill(small_vit *s, vq_stats *t, bool outlier)
{
	static float data[100000];
	uint32_t seed = 7;

	for (int i = 0; i < 100000; i++)
		data[i] = sv_random(&seed);
	vq_stats_init(t, &s->arena, (vq_value){ 1 }, 1, true);
	assert_true(vq_stats_add(t, data, 100000));
	if (outlier)
		assert_true(vq_stats_add(t, &(float){ 1000 }, 1));
}

static void observers_and_outliers(void **state)
{
	small_vit *s = sv_new();
	vq_stats t;
	vq_range r;

	(void)state;
	fill(s, &t, true);
	s->set.observer = VQ_OBSERVE_MINMAX;
	assert_true(vq_stats_range(&t, &s->set).hi == 1000);
	s->set.observer = VQ_OBSERVE_PERCENTILE;
	s->set.percentile = 99.99;
	r = vq_stats_range(&t, &s->set);
	/*
	 * bins are 2^-7 wide, relative; a share of 1e-4 of a uniform [-1, 1] lies outside of 0.9998
	 */
	assert_true(r.hi <= 1.01 && r.hi >= 0.99 && r.lo >= -1.01 && r.lo <= -0.99);
	s->set.percentile = 100;
	assert_true(vq_stats_range(&t, &s->set).hi == 1000);
	fill(s, &t, false);
	s->set.observer = VQ_OBSERVE_MSE;
	r = vq_stats_range(&t, &s->set);
	assert_true(r.hi > 0.97 && r.lo < -0.97); /* uniform data: clipping never pays */
	s->set.observer = VQ_OBSERVE_PERCENTILE;
	s->set.percentile = 75; /* a quarter on either side */
	r = vq_stats_range(&t, &s->set);
	assert_true(fabs(r.hi - 0.5) < 0.02 && fabs(r.lo + 0.5) < 0.02);
	sv_free(s);
}

/* ranges of rows contain 0; noise goes with their squares */
static void rows_are_measured(void **state)
{
	static const float data[] = { 1, 3, -1, 0.5f, 2, 4, 0, 0, 0 };
	vq_arena a = { 0 };
	vq_stats s;

	(void)state;
	vq_stats_init(&s, &a, (vq_value){ 1 }, 3, false);
	assert_true(vq_stats_row_gain(&s) == 1);
	assert_true(vq_stats_add(&s, data, 3));
	/* 4, 4 and 0; -1 to 4 together; mean squares 11 / 3, 20.25 / 3, none */
	assert_true(s.row_square == 32);
	assert_true(fabs(vq_stats_row_noise(&s) - 25.0 / (255 * 255 * 12) * (3 / 11.0 + 3 / 20.25) / 3) < 1e-12);
	assert_true(fabs(vq_stats_row_gain(&s) - 25.0 * 3 / 32) < 1e-12);
	vq_arena_free(&a);
}

static void not_finite_is_noticed(void **state)
{
	small_vit *s = sv_new();
	vq_stats t;

	(void)state;
	vq_stats_init(&t, &s->arena, (vq_value){ 1 }, 2, false);
	assert_true(vq_stats_add(&t, (float[]){ 1, 2, 3, 4 }, 2));
	assert_true(t.lo[0] == 1 && t.hi[0] == 3 && t.lo[1] == 2 && t.hi[1] == 4 && t.square[0] == 10);
	assert_false(vq_stats_add(&t, (float[]){ 1, NAN }, 1));
	vq_stats_init(&t, &s->arena, (vq_value){ 1 }, 2, false);
	assert_false(vq_stats_add(&t, (float[]){ INFINITY, 0 }, 1));
	sv_free(s);
}

static void needs_samples(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ 0 });

	(void)state;
	s->set.samples = NULL;
	assert_false(vq_pass_calibrate(&s->p));
	assert_int_equal(s->diag.errors, 1);
	assert_non_null(strstr(s->diag.item[0].text, "no samples"));
	s->set.scheme = VQ_SCHEME_NONE;
	assert_true(vq_pass_calibrate(&s->p));
	assert_int_equal(s->p.n_stats, 0);
	sv_free(s);
}

static void names_the_node_of_a_nan(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ 0 });
	float *w = (float *)(uintptr_t)s->g.value[vq_operand(&s->g, sv_find(&s->g, "norm2"), 1).id].data;

	(void)state;
	w[4] = NAN;
	assert_false(vq_pass_calibrate(&s->p));
	assert_non_null(strstr(s->diag.item[0].where, "norm2"));
	assert_non_null(strstr(s->diag.item[0].text, "sample 0"));
	sv_free(s);
}

static bool same_stats(const vq_stats *a, const vq_stats *b)
{
	size_t n = a->channels;

	return a->channels == b->channels && a->rows == b->rows && a->row_square == b->row_square &&
		a->row_inverse == b->row_inverse && !memcmp(a->lo, b->lo, n * sizeof *a->lo) &&
		!memcmp(a->hi, b->hi, n * sizeof *a->hi) && !memcmp(a->square, b->square, n * sizeof *a->square) &&
		(!a->histogram || !memcmp(a->histogram, b->histogram, sizeof *a->histogram));
}

static char *slurp(small_vit *s, const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = vq_arena_alloc(&s->arena, 1 << 22);

	assert_non_null(f);
	text[fread(text, 1, (1 << 22) - 1, f)] = 0;
	fclose(f);
	return text;
}

static void statistics_round_trip(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ .outlier = 10 });
	char path[] = "/tmp/vq_stats_XXXXXX", again[] = "/tmp/vq_stats_XXXXXX";
	vq_stats *ran;
	uint32_t n, seen = 0;

	(void)state;
	close(mkstemp(path));
	close(mkstemp(again));
	s->set.observer = VQ_OBSERVE_MSE;
	s->set.stats_out = path;
	if (!vq_pass_calibrate(&s->p))
		fail_msg("%s", sv_problem(s));
	ran = s->p.stats;
	n = s->p.n_stats;
	s->set.samples = NULL;
	s->set.stats_in = path;
	s->set.stats_out = again;
	if (!vq_pass_calibrate(&s->p))
		fail_msg("%s", sv_problem(s));
	assert_int_equal(n, s->p.n_stats);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(ran[i].channels, s->p.stats[i].channels);
		if (ran[i].channels)
			assert_true(same_stats(&ran[i], &s->p.stats[i]));
		seen += ran[i].channels > 0;
	}
	/* patches, norm1, q, k, v, context, norm2, gelu, norm3 */
	assert_int_equal(seen, 9);
	assert_string_equal(slurp(s, path), slurp(s, again));
	sv_free(s);

	/* another graph is refused, and so is a damaged file */
	s = sv_make(&(small_vit_options){ 0 });
	s->g.node[sv_find(&s->g, "norm2").id].name = "other";
	s->set.stats_in = path;
	assert_false(vq_pass_calibrate(&s->p));
	assert_non_null(strstr(s->diag.item[0].text, "another graph"));
	sv_free(s);
	s = sv_make(&(small_vit_options){ 0 });
	assert_int_equal(truncate(path, 300), 0);
	s->set.stats_in = path;
	assert_false(vq_pass_calibrate(&s->p));
	sv_free(s);
	unlink(path);
	unlink(again);
}

/* What one size of a model was calibrated with, another takes whole; one with other operators does not. */
static void statistics_for_another_size(void **state)
{
	small_vit *s = sv_make(&(small_vit_options){ .outlier = 10 }), *t;
	vq_kept_stats kept;
	uint32_t seen = 0;

	(void)state;
	s->set.observer = VQ_OBSERVE_MSE;
	s->set.keep = &kept;
	if (!vq_pass_calibrate(&s->p))
		fail_msg("%s", sv_problem(s));
	t = sv_make(&(small_vit_options){ .outlier = 10 });
	t->set.observer = VQ_OBSERVE_MSE;
	t->set.samples = NULL;
	t->set.like = &kept;
	if (!vq_pass_calibrate(&t->p))
		fail_msg("%s", sv_problem(t));
	assert_int_equal(s->p.n_stats, t->p.n_stats);
	for (uint32_t i = 0; i < t->p.n_stats; i++) {
		if (!t->p.stats[i].channels)
			continue;
		assert_true(same_stats(&s->p.stats[i], &t->p.stats[i]));
		assert_int_equal(t->p.stats[i].value.id, i);
		seen++;
	}
	assert_int_equal(seen, kept.n);
	t->g.node[sv_find(&t->g, "norm2").id].name = "other";
	assert_false(vq_pass_calibrate(&t->p));
	assert_non_null(strstr(t->diag.item[0].text, "the first that differs is 'other'"));
	sv_free(s);
	sv_free(t);
}

/* Statistics of the first sites under one executor; NULL if it is not there. */
static vq_stats *stats_with(small_vit *s, const vq_executor *x)
{
	s->set.executor = x;
	if (!vq_pass_calibrate(&s->p))
		fail_msg("%s: %s", x->name, sv_problem(s));
	return s->p.stats;
}

/* A product that reads the input itself, one behind movement, one that reads an output. */
static void build_corners(small_vit *s)
{
	vq_type t = vq_type_make(VQ_F32, 2, (int64_t[]){ 8, 8 });
	vq_value x = vq_add_input(&s->g, "x", &t), y;

	vq_add_output(&s->g, "a", sv_linear(s, "a", x, 4, true, 0));
	y = vq_build_reshape(&s->g, NULL, x, 2, (int64_t[]){ 4, 16 });
	y = sv_linear(s, "b", y, 16, true, 0);
	vq_add_output(&s->g, "b", y);
	y = vq_build_transpose(&s->g, NULL, y, (int64_t[]){ 1, 0 });
	y = sv_linear(s, "c", y, 8, true, 0);
	y = vq_build_slice(&s->g, NULL, y, 0, 3, 2);
	vq_add_output(&s->g, "d", sv_linear(s, "d", y, 3, true, 0));
	vq_graph_sweep(&s->g);
}

static void executors_agree(void **state)
{
	const vq_executor *jit = vq_jit(NULL);

	(void)state;
	if (!jit)
		skip();
	for (int corner = 0; corner < 2; corner++) {
		small_vit *s = sv_new();
		vq_stats *one, *two;

		if (corner)
			build_corners(s);
		else
			sv_build(s, &(small_vit_options){ .outlier = 30 });
		s->set.observer = VQ_OBSERVE_PERCENTILE;
		one = stats_with(s, &vq_evaluator);
		two = stats_with(s, jit);
		for (uint32_t i = 0; i < s->p.n_stats; i++)
			if (one[i].channels && !same_stats(&one[i], &two[i]))
				fail_msg("value %u has other statistics under the jit", i);
		sv_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_of_ranges),
		cmocka_unit_test(observers_and_outliers),
		cmocka_unit_test(rows_are_measured),
		cmocka_unit_test(not_finite_is_noticed),
		cmocka_unit_test(needs_samples),
		cmocka_unit_test(names_the_node_of_a_nan),
		cmocka_unit_test(statistics_round_trip),
		cmocka_unit_test(statistics_for_another_size),
		cmocka_unit_test(executors_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
