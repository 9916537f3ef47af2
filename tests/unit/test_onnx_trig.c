/* SPDX-License-Identifier: MIT */
/* Trigonometric functions and powers against libm: constants are folded by the same operations as objects do. */
#include "onnx_model.h"

/* the largest error over [lo, hi], relative to max(1, |y|) */
static double worst(const char *op, double (*f)(double), float lo, float hi)
{
	enum { N = 4096 };
	static float x[N];
	model *m = one(13, "4096", op, "x");
	const float *y;
	double most = 0;

	for (int i = 0; i < N; i++)
		x[i] = lo + (hi - lo) * (float)i / (N - 1);
	y = RUN(m, x);
	for (int i = 0; i < N; i++) {
		double want = f((double)x[i]), error = fabs((double)y[i] - want) / fmax(1, fabs(want));

		most = error <= most ? most : error;
	}
	return most;
}

static void at_most(const char *op, double (*f)(double), float lo, float hi, double bound)
{
	double error = worst(op, f, lo, hi);

	if (!(error <= bound)) {
		print_message("%s: %g apart, expected at most %g\n", op, error, bound);
		fail();
	}
}

/* one unit of the last place of 1 is 1.2e-7 */
static void functions(void **state)
{
	(void)state;
	at_most("Sin", sin, -6, 6, 1.2e-7);
	at_most("Cos", cos, -6, 6, 1.2e-7);
	at_most("Sin", sin, -4096, 4096, 2e-7); /* positions of rotary embeddings */
	at_most("Cos", cos, -4096, 4096, 2e-7);
	at_most("Tan", tan, -1.5f, 1.5f, 5e-7);
	at_most("Atan", atan, -20, 20, 2.5e-7);
	at_most("Asin", asin, -1, 1, 3e-7);
	at_most("Acos", acos, -1, 1, 5e-7);
	at_most("Sinh", sinh, -10, 10, 5e-7);
	at_most("Cosh", cosh, -10, 10, 5e-7);
	at_most("Asinh", asinh, -100, 100, 5e-7);
	at_most("Acosh", acosh, 1, 100, 5e-7);
	at_most("Atanh", atanh, -0.999f, 0.999f, 1e-6);
}

static void powers(void **state)
{
	float x[] = { -2, 0, 3 };
	model *m = one(13, "3", "Pow", "x e");
	const float *y;

	(void)state;
	FLOATS(m, "e", "", 5);
	EXPECT(RUN(m, x), -32, 0, 243);
	m = one(13, "3", "Pow", "x e");
	FLOATS(m, "e", "1,1", -4);
	EXPECT(RUN(m, (float[]){ -2, 1, 3 }), 0.0625f, 1, 1 / 81.0f);
	expect_shape(m, "f32[1,3]");
	m = one(13, "3", "Pow", "x e");
	FLOATS(m, "e", "", 2.5f);
	y = RUN(m, x);
	assert_true(isnan(y[0]) && y[1] == 0 && fabsf(y[2] - 15.588457f) < 1e-4f);
	/* exponents of run time */
	m = one(13, "3", "Pow", "x e");
	input(m, "e", DT(FLOAT), "3");
	EXPECT(RUN(m, x, ((float[]){ 3, 2, 0 })), -8, 0, 1);
	EXPECT(RUN(m, x, ((float[]){ 2, 0, 1 })), 4, 1, 3);
}

/* x mod b with the sign of b, and with that of x */
static void remainders(void **state)
{
	float x[] = { -5.5f, 5.5f, -3 };
	model *m = one(13, "3", "Mod", "x b");

	(void)state;
	FLOATS(m, "b", "3", 2, -2, -INFINITY);
	EXPECT(RUN(m, x), 0.5f, -0.5f, -3);
	m = one(13, "3", "Mod", "x b");
	attr_i(m, "fmod", 1);
	FLOATS(m, "b", "3", 2, -2, INFINITY);
	EXPECT(RUN(m, x), -1.5f, 1.5f, -3);
}

static void bytes_wrap(void **state)
{
	static const uint8_t x[] = { 200, 100 };
	model *m = model_new(14);
	const uint8_t *y;

	(void)state;
	input(m, "x", DT(UINT8), "2");
	BYTES(m, "b", UINT8, "2", 100, 100);
	node(m, "Add", "x b", "y");
	output(m, "y");
	y = RUN(m, x);
	assert_true(y[0] == 44 && y[1] == 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions),
		cmocka_unit_test(powers),
		cmocka_unit_test(remainders),
		cmocka_unit_test(bytes_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
