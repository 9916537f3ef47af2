/* SPDX-License-Identifier: MIT */
/*
 * Real exports, where the zoo stands beside the repository (else the tests skip): after the fuse
 * passes all exports of one model, whatever the opset, folded or not, dynamic or not, are the same
 * graph with the same weights, bit for bit, and it computes what the model did.
 */
#include "pass_fixture.h"

#include "frontend/onnx_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ZOO TEST_ROOT "/../shared/zoo/"

static bool (*const fuse_passes[])(vq_pass *p) = {
	vq_pass_canonicalize,
	vq_pass_fuse_layernorm,
	vq_pass_fuse_activation,
	vq_pass_fuse_linear,
	vq_pass_fuse_attention,
};

static bool fuse(vq_pass *p)
{
	for (size_t i = 0; i < sizeof fuse_passes / sizeof *fuse_passes; i++)
		if (!fuse_passes[i](p))
			return false;
	return true;
}

/* a model of the zoo and the sizes of its symbolic dimensions */
typedef struct export { const char *path, *dims[2]; }
export;

static void import(fixture *f, const export *e)
{
	char path[512];
	uint32_t n = e->dims[0] ? e->dims[1] ? 2 : 1 : 0;

	snprintf(path, sizeof path, "%s%s.onnx", ZOO, e->path);
	if (access(path, R_OK))
		skip();
	f->diag.file = e->path;
	if (!vq_import_onnx(
		    &f->g, &f->arena, &f->diag, path, &(vq_import_options){ .dims = e->dims, .n_dims = n }, NULL))
		fail_msg("%s", vq_message_text(&f->diag, &f->diag.item[0]));
}

/* the graph as text, constants by hash; free() it */
static char *text_of(const vq_graph *g)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	assert_true(vq_print_graph(g, f, NULL, NULL));
	fclose(f);
	return text;
}

static void inputs_of(fixture *f, const void **in)
{
	for (uint32_t i = 0; i < f->g.n_inputs; i++) {
		const vq_type *t = vq_type_of(&f->g, f->g.input[i].value);
		void *data = vq_arena_alloc(&f->arena, vq_type_bytes(t));

		for (int64_t k = 0; k < vq_type_count(t); k++)
			if (t->elem == VQ_F32)
				((float *)data)[k] = 2 * noise_f32(f);
			else if (t->elem == VQ_I64)
				((int64_t *)data)[k] = noise(f) % 2; /* token ids, types and masks alike */
			else
				fail_msg("input %u is of a type the test has no values for", (unsigned)i);
		in[i] = data;
	}
}

/* the first output, before and after the passes */
static void computes_the_same(fixture *f)
{
	const void **in = VQ_ARRAY(&f->arena, f->g.n_inputs, const void *);
	int64_t n = vq_type_count(vq_type_of(&f->g, f->g.output[0].value));
	const float *was, *is;
	double most = 0;

	inputs_of(f, in);
	was = evaluate(f, &f->before, in);
	is = evaluate(f, &f->g, in);
	for (int64_t i = 0; i < n; i++)
		most = fmax(most, fabs((double)was[i]));
	for (int64_t i = 0; i < n; i++) /* f32 sums of a few hundred terms in another order */
		if (fabs((double)was[i] - (double)is[i]) > 1e-5 * most)
			fail_msg("%s: element %lld: got %.9g, expected %.9g", f->diag.file, (long long)i, (double)is[i],
				(double)was[i]);
}

static void are_one_graph(const export *e, size_t n)
{
	char *first = NULL;

	for (size_t i = 0; i < n; i++) {
		fixture one = { .seed = 5 };
		char *text;

		vq_diag_init(&one.diag, &one.arena, "");
		import(&one, &e[i]);
		run(&one, fuse);
		computes_the_same(&one);
		text = text_of(&one.g);
		if (first && strcmp(first, text))
			fail_msg("%s and %s end in different graphs:\n%s\n%s", e[0].path, e[i].path, first, text);
		if (i == 0)
			first = text;
		else
			free(text);
		vq_arena_free(&one.arena);
	}
	free(first);
}

#define ONE_GRAPH(...) are_one_graph((const export[]){ __VA_ARGS__ }, sizeof(export[]){ __VA_ARGS__ } / sizeof(export))

static void exports_of_timm_vit(void **state)
{
	(void)state;
	ONE_GRAPH({ "models/vit_s2_op11", { 0 } }, { "models/vit_s2_op13", { 0 } }, { "models/vit_s2_op14", { 0 } },
		{ "models/vit_s2_op17", { 0 } }, { "models/vit_s2_op17_nofold", { 0 } },
		{ "models/vit_s2_op17_dyn", { "batch=2" } }, { "models/vit_s2_op13_dyn_nofold", { "batch=2" } });
}

static void exports_of_distilled_deit(void **state)
{
	(void)state;
	ONE_GRAPH({ "models/deit_dist_s2_op13", { 0 } }, { "models/deit_dist_s2_op17", { 0 } });
}

static void exports_of_swin(void **state)
{
	(void)state;
	ONE_GRAPH({ "models/swin_s_op11", { 0 } }, { "models/swin_s_op13", { 0 } }, { "models/swin_s_op17", { 0 } },
		{ "models/swin_s_op17_nofold", { 0 } }, { "models/swin_s_op17_dyn", { "batch=2" } });
}

static void exports_of_torchvision_vit(void **state)
{
	(void)state;
	ONE_GRAPH({ "models/tv_vit_s2_op13", { 0 } }, { "models/tv_vit_s2_op17", { 0 } },
		{ "models/tv_vit_s2_op17_nofold", { 0 } }, { "models/tv_vit_s2_op17_dyn", { "batch=2" } });
}

static void exports_of_huggingface_vit(void **state)
{
	(void)state;
	ONE_GRAPH({ "models/hfvit_s2_op13", { 0 } }, { "models/hfvit_s2_op17", { 0 } },
		{ "models/hfvit_s2_op17_dyn", { "batch=2" } });
}

static void exports_of_torch_encoder(void **state)
{
	(void)state;
	ONE_GRAPH({ "models/torchenc_s2_op13", { 0 } }, { "models/torchenc_s2_op17", { 0 } });
}

static void exports_of_bert(void **state)
{
	(void)state;
	ONE_GRAPH({ "models/bert_gelu_op11", { 0 } }, { "models/bert_gelu_op13", { 0 } },
		{ "models/bert_gelu_op17", { 0 } }, { "models/bert_gelu_op13_dyn_nofold", { "batch=2", "seq=32" } });
}

static void exports_of_fashion_vit(void **state)
{
	(void)state;
	ONE_GRAPH({ "fm/vit_fm_op13", { 0 } }, { "fm/vit_fm_op17", { 0 } }, { "fm/vit_fm_op13_dyn", { "batch=1" } },
		{ "fm/vit_fm_op17_dyn", { "batch=1" } });
}

/* operators a ViT block may still have; anything else is a pattern that was missed */
static void nothing_is_left_unfused(void **state)
{
	static const export models[] = {
		{ "models/vit_s2_op13", { 0 } },
		{ "models/tv_vit_s2_op13", { 0 } },
		{ "models/hfvit_s2_op13", { 0 } },
		{ "models/torchenc_s2_op13", { 0 } },
		{ "models/deit3_s2_op17", { 0 } },
		{ "fm/vit_fm_outlier_op17", { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
		fixture one = { .seed = 5 };

		vq_diag_init(&one.diag, &one.arena, "");
		import(&one, &models[i]);
		run(&one, fuse);
		computes_the_same(&one);
		for (uint32_t k = 1; k < one.g.n_nodes; k++) {
			vq_op op = one.g.node[k].op;

			if (op != VQ_OP_VIEW && op != VQ_OP_RESHAPE && op != VQ_OP_LINEAR && op != VQ_OP_CONCAT &&
				op != VQ_OP_ADD && op != VQ_OP_LAYERNORM && op != VQ_OP_ATTENTION && op != VQ_OP_GELU &&
				op != VQ_OP_REDUCE_MEAN)
				fail_msg("%s: %s is left", models[i].path, vq_ops[op].text);
		}
		/* the patches; and the class token, of the last block's residual and of its q */
		assert_true(count_op(&one.g, VQ_OP_VIEW) <= 3);
		assert_true(count_op(&one.g, VQ_OP_RESHAPE) <= 2);
		vq_arena_free(&one.arena);
	}
}

/*
 * scales and codes stay: quantized once before the split, q, k and v are quantized apart; weights
 * are constants of codes
 */
static void quantized_exports_are_split(void **state)
{
	static const export models[] = { { "fm/vit_fm_qat_op13", { 0 } }, { "fm/vit_fm_qdq_op17", { "batch=1" } } };

	(void)state;
	for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
		fixture one = { .seed = 5 };

		vq_diag_init(&one.diag, &one.arena, "");
		import(&one, &models[i]);
		run(&one, fuse);
		/*
		 * codes may differ by rounding of what a linear sums in another order: none does in
		 * these
		 */
		computes_the_same(&one);
		assert_int_equal(
			count_op(&one.g, VQ_OP_LINEAR), 38); /* 6 blocks of q, k, v, proj, fc1, fc2; patches; head */
		for (uint32_t k = 1; k < one.g.n_nodes; k++)
			if (one.g.node[k].op == VQ_OP_LINEAR) {
				assert_int_equal(vq_def_op(&one.g, one.g.node[k].in[1]), VQ_OP_DEQUANTIZE);
				assert_true(vq_is_const(
					&one.g, vq_operand(&one.g, vq_def_of(&one.g, one.g.node[k].in[1]), 0)));
			}
		vq_arena_free(&one.arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_of_timm_vit),
		cmocka_unit_test(exports_of_distilled_deit),
		cmocka_unit_test(exports_of_swin),
		cmocka_unit_test(exports_of_torchvision_vit),
		cmocka_unit_test(exports_of_huggingface_vit),
		cmocka_unit_test(exports_of_torch_encoder),
		cmocka_unit_test(exports_of_bert),
		cmocka_unit_test(exports_of_fashion_vit),
		cmocka_unit_test(nothing_is_left_unfused),
		cmocka_unit_test(quantized_exports_are_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
