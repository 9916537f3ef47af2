/* SPDX-License-Identifier: MIT */
/* The evaluator as an executor: order of observation, memory used again, errors that name the node, repeated runs. */
#include "eval_test.h"

typedef struct seen {
	uint32_t n, id[16];
	float first[16]; /* first element of each */
} seen;

static void note(void *user, vq_value v, const void *data)
{
	seen *s = user;

	s->id[s->n] = v.id;
	memcpy(&s->first[s->n++], data, sizeof(float));
}

static vq_value add(bench *b, vq_op op, vq_value x, vq_value y, const vq_type *t)
{
	return vq_add_node(&b->g, op, (vq_value[]){ x, y }, 2, NULL, t);
}

static void observes_in_order_of_execution(void **state)
{
	bench *b = *state;
	vq_type t = vq_type_make(VQ_F32, 1, (int64_t[]){ 2 });
	vq_value x = vq_add_input(&b->g, "x", &t), c = vq_add_const_copy(&b->g, &t, F32(10, 1e-40f), NULL);
	vq_value y = add(b, VQ_OP_ADD, x, c, &t), z = add(b, VQ_OP_MUL, y, x, &t);
	const void *in[1] = { F32(3, 1e-40f) };
	float out[3][2];
	void *to[3] = { out[0], out[1], out[2] };
	vq_exec *e;

	vq_add_output(&b->g, "z", z);
	vq_add_output(&b->g, "x", x);
	vq_add_output(&b->g, "again", z);
	e = vq_evaluator.prepare(&vq_evaluator, &b->g, (vq_value[]){ z, c, x }, 3);
	assert_non_null(e);
	for (int i = 0; i < 2; i++) {
		seen s = { 0 };

		memset(out, 0xff, sizeof out);
		assert_true(vq_evaluator.run(e, in, to, note, &s));
		assert_int_equal(s.n, 3);
		assert_int_equal(s.id[0], x.id);
		assert_int_equal(s.id[1], c.id);
		assert_int_equal(s.id[2], z.id);
		assert_true(s.first[0] == 3 && s.first[1] == 10 && s.first[2] == 39);
		assert_true(out[0][0] == 39 && out[2][0] == 39 && out[1][0] == 3);
		assert_true(out[0][1] == 0 && out[1][1] == 1e-40f); /* results are flushed, inputs are not */
	}
	assert_true(vq_evaluator.run(e, in, to, NULL, NULL));
	vq_evaluator.dispose(e);
}

/* A long chain in which old values are still needed: a block freed too early would be overwritten. */
static void values_live_until_their_last_use(void **state)
{
	enum { LENGTH = 40, BACK = 5 };
	bench *b = *state;
	vq_type t = vq_type_make(VQ_F32, 1, (int64_t[]){ 100 });
	vq_value v[LENGTH];
	float x[100], want[LENGTH][100], out[100];
	const void *in[1] = { x };
	void *to[1] = { out };
	vq_exec *e;

	v[0] = vq_add_input(&b->g, "x", &t);
	for (int i = 0; i < 100; i++)
		want[0][i] = x[i] = (float)(i - 50) * 0.01f;
	for (int k = 1; k < LENGTH; k++) {
		int other = k > BACK ? k - BACK : 0;

		v[k] = add(b, k % 2 ? VQ_OP_SUB : VQ_OP_ADD, v[k - 1], v[other], &t);
		for (int i = 0; i < 100; i++)
			want[k][i] = k % 2 ? want[k - 1][i] - want[other][i] : want[k - 1][i] + want[other][i];
	}
	vq_add_output(&b->g, "y", v[LENGTH - 1]);
	e = vq_evaluator.prepare(&vq_evaluator, &b->g, NULL, 0);
	for (int i = 0; i < 3; i++) {
		assert_true(vq_evaluator.run(e, in, to, NULL, NULL));
		for (int k = 0; k < 100; k++)
			assert_true(out[k] == (fabsf(want[LENGTH - 1][k]) < 0x1p-100f ? 0 : want[LENGTH - 1][k]));
	}
	vq_evaluator.dispose(e);
}

static void run_time_errors_name_the_node(void **state)
{
	bench *b = *state;
	vq_type t = vq_type_make(VQ_F32, 1, (int64_t[]){ 4 }), i = vq_type_make(VQ_I64, 1, (int64_t[]){ 1 });
	vq_type o = vq_type_make(VQ_F32, 1, (int64_t[]){ 1 });
	vq_value x = vq_add_input(&b->g, "x", &t), id = vq_add_input(&b->g, "id", &i),
		 y = add(b, VQ_OP_GATHER, x, id, &o);
	const void *good[2] = { F32(1, 2, 3, 4), I64(2) }, *bad[2] = { good[0], I64(9) };
	float out = 0;
	void *to[1] = { &out };
	vq_exec *e;

	b->g.node[1].name = "embed";
	b->g.node[1].source = "Gather";
	vq_add_output(&b->g, "y", y);
	e = vq_evaluator.prepare(&vq_evaluator, &b->g, NULL, 0);
	assert_false(vq_evaluator.run(e, bad, to, NULL, NULL));
	assert_int_equal(b->diag.errors, 1);
	assert_string_equal(b->diag.item[0].where, "node 'embed' (Gather)");
	assert_string_equal(b->diag.item[0].text, "index 9 at position 0 is outside [0, 4)");
	assert_true(vq_evaluator.run(e, good, to, NULL, NULL)); /* an error leaves the executor usable */
	assert_true(out == 3);
	vq_evaluator.dispose(e);
}

static void nodes_out_of_order_are_refused(void **state)
{
	bench *b = *state;
	vq_type t = vq_type_make(VQ_F32, 1, (int64_t[]){ 1 });
	vq_value x = vq_add_input(&b->g, "x", &t), y = add(b, VQ_OP_ADD, x, x, &t), z = add(b, VQ_OP_ADD, y, x, &t);

	b->g.node[1].in[0] = z;
	vq_add_output(&b->g, "y", y);
	assert_null(vq_evaluator.prepare(&vq_evaluator, &b->g, NULL, 0));
	assert_int_equal(b->diag.errors, 1);
	assert_string_equal(b->diag.item[0].text, "operand 0 is not computed before it is used");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_begin, bench_end)
	const struct CMUnitTest tests[] = {
		TEST(observes_in_order_of_execution),
		TEST(values_live_until_their_last_use),
		TEST(run_time_errors_name_the_node),
		TEST(nodes_out_of_order_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
