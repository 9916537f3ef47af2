/* SPDX-License-Identifier: MIT */
/* Gathers and scatters, and the place of the largest element. */
#include "onnx_model.h"

static const float ramp[] = { 0, 1, 2, 3, 4, 5 };

static void gathers(void **state)
{
	model *m = one(13, "2,3", "GatherElements", "x i");

	(void)state;
	attr_i(m, "axis", 1);
	INTS(m, "i", "2,2", 2, 0, -1, 1);
	EXPECT(RUN(m, ramp), 2, 0, 5, 4);
	m = one(13, "2,3", "GatherND", "x i");
	attr_i(m, "batch_dims", 1);
	INTS(m, "i", "2,1", 2, -3);
	EXPECT(RUN(m, ramp), 2, 3);
	m = one(13, "2,3", "GatherND", "x i");
	attr_i(m, "batch_dims", 1);
	input(m, "i", DT(INT64), "2,1");
	must_refuse(m, "expected a constant where there are batch dimensions");
	m = one(13, "2,3", "GatherND", "x i");
	input(m, "i", DT(INT64), "2,3");
	must_refuse(m, "indices are tuples of 3, but data has 2 dimensions");
	m = one(13, "2,3", "GatherND", "x i");
	input(m, "i", DT(INT64), "");
	must_refuse(m, "indices are tuples of 0, but data has 2 dimensions");
	m = one(13, "2,3", "GatherElements", "x i");
	INTS(m, "i", "1,1", 2);
	must_refuse(m, "index 2 is outside of dimension 0 of size 2");
	m = one(13, "2,3", "GatherElements", "x i");
	INTS(m, "i", "1", 0);
	must_refuse(m, "indices are i64[1], which is not within f32[2,3]");
	m = one(13, "2,3", "GatherElements", "x i");
	input(m, "i", DT(INT64), "3,3");
	attr_i(m, "axis", 1);
	must_refuse(m, "indices computed at run time are i64[3,3] for data of f32[2,3], expected integers within it");
}

static void gathers_at_run_time(void **state)
{
	static const int64_t rows[] = { 1, 0, 1, 0, 0, 1 }, columns[] = { 2, 0, 1, 1 };
	model *m = one(13, "2,3", "GatherElements", "x i");

	(void)state;
	input(m, "i", DT(INT64), "2,3");
	EXPECT(RUN(m, ramp, rows), 3, 1, 5, 0, 1, 5);
	m = one(13, "2,3", "GatherElements", "x i");
	attr_i(m, "axis", 1);
	input(m, "i", DT(INT64), "2,2");
	EXPECT(RUN(m, ramp, columns), 2, 0, 4, 4);
}

static model *scatter(const char *reduction)
{
	model *m = one(18, "2,3", "ScatterElements", "x i u");

	attr_i(m, "axis", 1);
	attr_s(m, "reduction", reduction);
	INTS(m, "i", "1,3", 1, -1, 1);
	FLOATS(m, "u", "1,3", 10, 20, 30);
	return m;
}

static void scatters(void **state)
{
	model *m;

	(void)state;
	EXPECT(RUN(scatter("none"), ramp), 0, 30, 20, 3, 4, 5); /* the last one counts */
	EXPECT(RUN(scatter("add"), ramp), 0, 41, 22, 3, 4, 5);
	EXPECT(RUN(scatter("mul"), ramp), 0, 300, 40, 3, 4, 5);
	EXPECT(RUN(scatter("max"), ramp), 0, 30, 20, 3, 4, 5);
	EXPECT(RUN(scatter("min"), ramp), 0, 1, 2, 3, 4, 5);
	must_refuse(scatter("mean"), "attribute 'reduction' is 'mean'");
	m = one(13, "2,3", "ScatterND", "x i u"); /* rows, with updates of run time */
	INTS(m, "i", "1,1", 1);
	input(m, "u", DT(FLOAT), "1,3");
	EXPECT(RUN(m, ramp, ((float[]){ 7, 8, 9 })), 0, 1, 2, 7, 8, 9);
}

static model *scatter_at_run_time(const char *reduction)
{
	model *m = one(18, "2,3", "ScatterElements", "x i u");

	attr_i(m, "axis", 1);
	attr_s(m, "reduction", reduction);
	input(m, "i", DT(INT64), "2,2");
	FLOATS(m, "u", "2,2", 10, 20, 30, 40);
	return m;
}

static void scatters_at_run_time(void **state)
{
	static const int64_t at[] = { 1, -1, 0, 0 }, beyond[] = { 3, 0, -4, 2 };
	model *m;

	(void)state;
	EXPECT(RUN(scatter_at_run_time("none"), ramp, at), 0, 10, 20, 40, 4, 5);
	EXPECT(RUN(scatter_at_run_time("add"), ramp, at), 0, 11, 22, 73, 4, 5);
	EXPECT(RUN(scatter_at_run_time("none"), ramp, beyond), 20, 1, 2, 3, 4, 40);
	m = one(18, "2,3", "ScatterElements", "x i u");
	input(m, "i", DT(INT64), "1,3");
	input(m, "u", DT(FLOAT), "1,3");
	attr_i(m, "axis", 1);
	must_refuse(m, "indices computed at run time are i64[1,3] for data of f32[2,3]");
}

static void places(void **state)
{
	static const float x[] = { 1, 7, 7, 4, 0, 4 };
	model *m = one(13, "2,3", "ArgMax", "x");
	const int64_t *y;

	(void)state;
	attr_i(m, "axis", 1);
	y = RUN(m, x);
	expect_shape(m, "i64[2,1]");
	assert_true(y[0] == 1 && y[1] == 0);
	attr_i(m, "select_last_index", 1);
	attr_i(m, "keepdims", 0);
	y = RUN(m, x);
	expect_shape(m, "i64[2]");
	assert_true(y[0] == 2 && y[1] == 2);
	m = one(13, "2,3", "ArgMin", "x");
	y = RUN(m, x);
	assert_true(y[0] == 0 && y[1] == 1 && y[2] == 1);
	m = one(13, "2,3", "Hardmax", "x");
	EXPECT(RUN(m, x), 0, 1, 0, 1, 0, 0);
	m = one(13, "2", "OneHot", "x depth values");
	INTS(m, "depth", "", 3);
	FLOATS(m, "values", "2", 5, 6);
	EXPECT(RUN(m, ((float[]){ 2, -3 })), 5, 5, 6, 6, 5, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gathers),
		cmocka_unit_test(gathers_at_run_time),
		cmocka_unit_test(scatters),
		cmocka_unit_test(scatters_at_run_time),
		cmocka_unit_test(places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
