/* SPDX-License-Identifier: MIT */
/* The pipeline: which passes run, in which order, and who may stop it. */
#include "pass_fixture.h"

typedef struct trace {
	const char *name[64]; /* passes the hook saw, before each */
	uint32_t n;
	const char *stop; /* refuse to go on after this pass; NULL: never */
} trace;

static bool note(void *user, vq_pass *p, const vq_pass_info *pass, bool after)
{
	trace *l = user;

	assert_non_null(p->g);
	if (!after)
		l->name[l->n++] = pass->name;
	else
		assert_string_equal(l->name[l->n - 1], pass->name);
	return !(after && l->stop && !strcmp(l->stop, pass->name));
}

static bool pipeline(fixture *f, trace *l)
{
	vq_settings set = { .scheme = VQ_SCHEME_NONE, .verify = true };
	vq_report report = { .arena = &f->arena };
	vq_pass p = { .g = &f->g, .set = &set, .report = &report };

	return vq_pipeline(&p, note, l);
}

static void ran(const trace *l, const char *const *want, uint32_t n)
{
	assert_int_equal(l->n, n);
	for (uint32_t i = 0; i < n; i++)
		assert_string_equal(l->name[i], want[i]);
}

#define RAN(l, ...) ran(l, (const char *const[]){ __VA_ARGS__ }, sizeof(const char *[]){ __VA_ARGS__ } / sizeof(char *))

static void a_float_model_stops_after_fusing(void **state)
{
	fixture *f = *state;
	trace l = { 0 };

	output(f, matmul(f, input(f, "x", DIMS(2, 3)), constant(f, DIMS(3, 4))));
	assert_true(pipeline(f, &l));
	RAN(&l, "canonicalize", "fuse_layernorm", "fuse_activation", "fuse_linear", "fuse_attention");
	assert_int_equal(count_op(&f->g, VQ_OP_LINEAR), 1);
}

static void a_model_with_scales_is_not_calibrated(void **state)
{
	fixture *f = *state;
	trace l = { 0 };
	vq_value v = vq_build_quantize(
		&f->g, NULL, input(f, "x", DIMS(2, 3)), vq_quant_per_tensor(&f->g, 0.1f, 0, -128, 127));

	output(f, op1(f, VQ_OP_TANH, vq_build_dequantize(&f->g, NULL, v)));
	assert_true(pipeline(f, &l));
	RAN(&l, "canonicalize", "fuse_layernorm", "fuse_activation", "fuse_linear", "fuse_attention", "cancel_qdq",
		"absorb_qdq");
}

static void the_hook_may_stop_it(void **state)
{
	fixture *f = *state;
	trace l = { .stop = "fuse_layernorm" };

	output(f, op1(f, VQ_OP_TANH, input(f, "x", DIMS(2, 3))));
	assert_false(pipeline(f, &l));
	RAN(&l, "canonicalize", "fuse_layernorm");
	assert_int_equal(f->diag.errors, 0);
}

static void passes_are_found_by_name(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < vq_n_passes; i++)
		assert_ptr_equal(vq_pass_find(vq_passes[i].name, strlen(vq_passes[i].name)), &vq_passes[i]);
	assert_null(vq_pass_find("fuse", 4));
	assert_ptr_equal(vq_pass_find("canonicalize,x", 12), &vq_passes[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_float_model_stops_after_fusing),
		TEST(a_model_with_scales_is_not_calibrated),
		TEST(the_hook_may_stop_it),
		TEST(passes_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
