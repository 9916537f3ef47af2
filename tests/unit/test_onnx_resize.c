/* SPDX-License-Identifier: MIT */
/* Resize and ConvTranspose: each form against numbers worked out by hand, and what becomes of it in the graph. */
#include "onnx_model.h"

static uint32_t count(const model *m, vq_op op)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < m->g.n_nodes; i++)
		n += m->g.node[i].op == op;
	return n;
}

/* x [1,2] to [1,size] by the given mode */
static model *resize(const char *mode, const char *transform, int64_t size)
{
	model *m = one(18, "1,2", "Resize", "x - - sizes");

	attr_s(m, "mode", mode);
	attr_s(m, "coordinate_transformation_mode", transform);
	INTS(m, "sizes", "2", 1, size);
	return m;
}

static void resizes(void **state)
{
	float x[] = { 4, 8 };
	model *m = resize("nearest", "asymmetric", 6);

	(void)state;
	EXPECT(RUN(m, x), 4, 4, 8, 8, 8, 8); /* at 0, 1/3, 2/3, 1 …: 2/3 is nearer to 1 */
	m = resize("linear", "half_pixel", 4);
	EXPECT(RUN(m, x), 4, 5, 7, 8);
	assert_int_equal(count(m, VQ_OP_LINEAR), 0);
	m = resize("linear", "align_corners", 5);
	EXPECT(RUN(m, x), 4, 5, 6, 7, 8);
	m = resize("linear", "pytorch_half_pixel", 1);
	EXPECT(RUN(m, x), 4);
	m = resize("linear", "half_pixel", 1);
	EXPECT(RUN(m, x), 6);
	/* weights at 1/4 for a = -3/4: -0.105468750, 0.87890625, 0.26171875, -0.03515625 */
	m = resize("cubic", "half_pixel", 4);
	EXPECT(RUN(m, x), 4 - 4 * 0.10546875f, 4 + 4 * (0.26171875f - 0.03515625f), 8 - 4 * (0.26171875f - 0.03515625f),
		8 + 4 * 0.10546875f);
}

static void nearest_by_a_whole_factor_is_strides(void **state)
{
	float x[] = { 4, 8 };
	model *m = one(13, "1,2", "Resize", "x - scales");

	(void)state;
	attr_s(m, "coordinate_transformation_mode", "asymmetric");
	attr_s(m, "nearest_mode", "floor");
	FLOATS(m, "scales", "2", 1, 3);
	EXPECT(RUN(m, x), 4, 4, 4, 8, 8, 8);
	assert_int_equal(count(m, VQ_OP_GATHER), 0);
}

static void antialias_and_outside(void **state)
{
	float x[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	model *m = one(18, "8", "Resize", "x - - sizes");

	(void)state;
	attr_s(m, "mode", "linear");
	attr_i(m, "antialias", 1);
	INTS(m, "sizes", "1", 4);
	/* a triangle two elements wide on each side: weights 1, 3, 3, 1 of 8, inside of the input */
	EXPECT(RUN(m, x), (3 * 0 + 3 * 1 + 2 + 0) / 8.0f, 2.5f, 4.5f, (5 + 3 * 6 + 3 * 7 + 7) / 8.0f);
	m = one(13, "2", "Resize", "x roi - sizes");
	attr_s(m, "mode", "linear");
	attr_s(m, "coordinate_transformation_mode", "tf_crop_and_resize");
	attr_f(m, "extrapolation_value", 9);
	FLOATS(m, "roi", "2", 0, 2);
	INTS(m, "sizes", "1", 3);
	EXPECT(RUN(m, x), 0, 1, 9);
}

static void resizes_constants(void **state)
{
	float x[] = { 0, 0, 0, 0 };
	model *m = model_new(13);

	(void)state;
	input(m, "x", DT(FLOAT), "4");
	FLOATS(m, "w", "2", 4, 8);
	INTS(m, "sizes", "1", 4);
	node(m, "Resize", "w - - sizes", "z");
	attr_s(m, "mode", "linear");
	node(m, "Add", "x z", "y");
	output(m, "y");
	EXPECT(RUN(m, x), 4, 5, 7, 8);
	assert_int_equal(m->g.n_nodes - 1, 1);
}

static void resize_refusals(void **state)
{
	model *m = resize("sinc", "half_pixel", 4);

	(void)state;
	must_refuse(m, "attribute 'mode' is 'sinc', expected one of nearest, linear, cubic");
	m = resize("linear", "half_pixel", 0);
	must_refuse(m, "dimension 1 would be 0");
	m = one(13, "1,2", "Resize", "x");
	must_refuse(m, "it has neither scales nor sizes, expected one of them");
	m = one(13, "2", "Resize", "x - x");
	must_refuse(m, "input 2 (scales) is not a constant, but f32[2], expected a constant list of 1 floats");
	m = one(13, "2", "Resize", "x - scales");
	FLOATS(m, "scales", "1", -1);
	must_refuse(m, "the scale of dimension 0 is -1");
}

/* ---- ConvTranspose ---- */

static void transposed_1d(void **state)
{
	float x[] = { 1, 2 };
	model *m = one(11, "1,1,2", "ConvTranspose", "x w b");

	(void)state;
	ATTR_INTS(m, "strides", 2);
	FLOATS(m, "w", "1,1,3", 1, 10, 100);
	FLOATS(m, "b", "1", 0.5f);
	EXPECT(RUN(m, x), 1.5f, 10.5f, 102.5f, 20.5f, 200.5f);
	ATTR_INTS(m, "pads", 1, 0);
	ATTR_INTS(m, "output_padding", 1);
	EXPECT(RUN(m, x), 10.5f, 102.5f, 20.5f, 200.5f, 0.5f);
	m = one(11, "1,1,2", "ConvTranspose", "x w");
	ATTR_INTS(m, "dilations", 2);
	FLOATS(m, "w", "1,1,2", 1, 10);
	EXPECT(RUN(m, x), 1, 2, 10, 20);
	m = one(11, "1,1,2", "ConvTranspose", "x w");
	ATTR_INTS(m, "strides", 2);
	attr_s(m, "auto_pad", "SAME_UPPER");
	FLOATS(m, "w", "1,1,3", 1, 10, 100);
	EXPECT(RUN(m, x), 1, 10, 102, 20);
}

static void transposed_2d_in_groups(void **state)
{
	float x[] = { 1, 2, 3, 4 };
	model *m = one(11, "1,2,1,2", "ConvTranspose", "x w");

	(void)state;
	/* two groups of one channel, each to one channel; the patch w at every element, twice as far apart in both directions */
	attr_i(m, "group", 2);
	ATTR_INTS(m, "strides", 2, 2);
	FLOATS(m, "w", "2,1,2,2", 1, 10, 100, 1000, 2, 20, 200, 2000);
	EXPECT(RUN(m, x), 1, 10, 2, 20, 100, 1000, 200, 2000, 6, 60, 8, 80, 600, 6000, 800, 8000);
	expect_shape(m, "f32[1,2,2,4]");
	m = one(11, "1,3,2", "ConvTranspose", "x w");
	FLOATS(m, "w", "1,1,1", 1);
	must_refuse(m, "input has 3 channels and weights are for 1 in 1 groups");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resizes),
		cmocka_unit_test(nearest_by_a_whole_factor_is_strides),
		cmocka_unit_test(antialias_and_outside),
		cmocka_unit_test(resizes_constants),
		cmocka_unit_test(resize_refusals),
		cmocka_unit_test(transposed_1d),
		cmocka_unit_test(transposed_2d_in_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
