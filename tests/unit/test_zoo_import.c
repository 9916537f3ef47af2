/* SPDX-License-Identifier: MIT */
/*
 * Real exports (timm, torchvision, HuggingFace, torch.nn; opset 11 to 17, folded or not, static or dynamic): imported,
 * evaluated and compared with PyTorch's outputs. Skipped without the collection of models beside the repository.
 */
#include "frontend/file.h"
#include "frontend/npy.h"
#include "onnx_model.h"

#include <unistd.h>

#define ZOO TEST_ROOT "/../shared/zoo/"

typedef struct zoo {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
} zoo;

static zoo z;

static bool there(const char *path) { return access(path, R_OK) == 0; }

static const char *zoo_path(const char *folder, const char *name, const char *end)
{
	static char path[512]; /* outlives the arena, which an import empties */

	snprintf(path, sizeof path, ZOO "%s/%s%s", folder, name, end);
	return path;
}

static void import_zoo(const char *path, const char *batch)
{
	const char *dims[] = { batch, "seq=32" };
	vq_import_options o = { .dims = dims, .n_dims = batch ? (strstr(path, "bert") ? 2 : 1) : 0 };
	bool ok;

	vq_arena_free(&z.arena);
	vq_diag_init(&z.diag, &z.arena, path);
	ok = vq_import_onnx(&z.g, &z.arena, &z.diag, path, &o, NULL) && vq_verify(&z.g, "import");
	for (uint32_t i = 0; i < z.diag.n; i++)
		print_message("%s", vq_message_text(&z.diag, &z.diag.item[i]));
	assert_true(ok);
}

static const vq_array *array_named(const vq_array *a, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(a[i].name, name))
			return &a[i];
	return NULL;
}

/* largest |got - want| over the largest |want| */
static double error_of(const float *got, const float *want, int64_t n)
{
	double error = 0, scale = 0;

	for (int64_t i = 0; i < n; i++) {
		error = fmax(error, fabs((double)got[i] - want[i]));
		scale = fmax(scale, fabs((double)want[i]));
		if (isnan(got[i]))
			return INFINITY;
	}
	return error / scale;
}

static const float *evaluate(const void *const *in)
{
	void *out = vq_arena_alloc(&z.arena, vq_type_bytes(vq_type_of(&z.g, z.g.output[0].value)));
	vq_exec *e = vq_evaluator.prepare(&vq_evaluator, &z.g, NULL, 0);

	assert_non_null(e);
	assert_true(vq_evaluator.run(e, in, &out, NULL, NULL));
	vq_evaluator.dispose(e);
	return out;
}

/* the model with its stored inputs and output; returns how many nodes it has */
static uint32_t compare(const char *name)
{
	const char *batch = strstr(name, "_dyn") ? "batch=2" : NULL;
	const void *in[8];
	vq_array *a;
	vq_file f;
	uint32_t n;
	double error;

	import_zoo(zoo_path("models", name, ".onnx"), batch);
	assert_true(vq_file_open(&f, &z.diag, "io", zoo_path("models", name, ".io.npz")));
	assert_true(vq_npz_parse(&a, &n, &z.arena, &z.diag, "io", f.data, f.bytes));
	for (uint32_t i = 0; i < z.g.n_inputs; i++) {
		const vq_array *x = array_named(a, n, z.g.input[i].name);

		assert_non_null(x);
		assert_true(vq_same_type(&x->type, vq_type_of(&z.g, z.g.input[i].value)));
		in[i] = x->data;
	}
	error = error_of(
		evaluate(in), array_named(a, n, "output")->data, vq_type_count(vq_type_of(&z.g, z.g.output[0].value)));
	vq_file_close(&f);
	print_message("%-28s %4u nodes, error %.2g of the largest output\n", name, z.g.n_nodes - 1, error);
	/* the models' own weights give 4e-6; a wrong formula anywhere gives 1e-3 and more */
	assert_true(error <= 1e-4);
	return z.g.n_nodes - 1;
}

static void exports_of_one_model_agree(void **state)
{
	/* of each group: the same model, so the same number of nodes after import */
	static const char *const group[][5] = {
		{ "vit_s2_op11", "vit_s2_op13", "vit_s2_op14", "vit_s2_op13_dyn_nofold" },
		{ "vit_s2_op17", "vit_s2_op17_nofold", "vit_s2_op17_dyn" },
		{ "swin_s_op11", "swin_s_op13" },
		{ "swin_s_op17", "swin_s_op17_nofold", "swin_s_op17_dyn" },
		{ "tv_vit_s2_op17", "tv_vit_s2_op17_nofold", "tv_vit_s2_op17_dyn" },
		{ "hfvit_s2_op17", "hfvit_s2_op17_dyn" },
		{ "bert_gelu_op11", "bert_gelu_op13", "bert_gelu_op13_dyn_nofold" },
	};

	(void)state;
	if (!there(ZOO "models/vit_s2_op17.onnx"))
		skip();
	for (size_t i = 0; i < sizeof group / sizeof *group; i++) {
		uint32_t first = compare(group[i][0]);

		for (size_t k = 1; k < 5 && group[i][k]; k++)
			assert_int_equal(compare(group[i][k]), first);
	}
}

static void other_exports(void **state)
{
	/* clang-format off */
	static const char *const name[] = {
		"deit_dist_s2_op13", "deit_dist_s2_op17", "deit3_s2_op17", "tv_vit_s2_op13", "hfvit_s2_op13",
		"torchenc_s2_op13", "torchenc_s2_op17", "bert_gelu_op17", "bert_gelu_new_op13", "bert_gelu_tanh_op17",
		"bert_quick_gelu_op17",
	};
	/* clang-format on */

	(void)state;
	if (!there(ZOO "models/vit_s2_op17.onnx"))
		skip();
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		compare(name[i]);
}

static const vq_array *load_array(const char *path)
{
	vq_array *a = VQ_NEW(&z.arena, vq_array);
	vq_file f; /* stays open: the array may be a view */

	assert_true(vq_file_open(&f, &z.diag, "array", path));
	assert_true(vq_npy_parse(a, &z.arena, &z.diag, "array", f.data, f.bytes));
	return a;
}

/* largest error over the first images; images whose largest logit is another one are counted */
static double compare_images(const char *name, const char *logits, uint32_t images, uint32_t *changed)
{
	const vq_array *x, *want;
	double worst = 0;

	import_zoo(zoo_path("fm", name, ".onnx"),
		strstr(name, "_dyn") || strstr(name, "qdq") || strstr(name, "qat_op17") ? "batch=1" : NULL);
	x = load_array(ZOO "data/fmnist_test_f32_256.npy");
	want = load_array(zoo_path("fm", logits, ".npy"));
	*changed = 0;
	for (uint32_t i = 0; i < images; i++) {
		const void *in = (const float *)x->data + (size_t)i * 28 * 28;
		const float *ref = (const float *)want->data + (size_t)i * 10, *got = evaluate(&in);
		int best = 0, expected = 0;

		for (int k = 1; k < 10; k++) {
			best = got[k] > got[best] ? k : best;
			expected = ref[k] > ref[expected] ? k : expected;
		}
		*changed += best != expected;
		worst = fmax(worst, error_of(got, ref, 10));
	}
	print_message("%-28s %4u nodes, error %.2g of the largest logit, %u of %u decisions differ\n", name,
		z.g.n_nodes - 1, worst, *changed, images);
	return worst;
}

static void trained_models(void **state)
{
	static const char *const name[] = {
		"vit_fm_op13",
		"vit_fm_op13_dyn",
		"vit_fm_op17",
		"vit_fm_op17_dyn",
		"vit_fm_outlier_op17",
		"vit_fm_outlier_hard_op17",
	};
	uint32_t changed;

	(void)state;
	if (!there(ZOO "fm/vit_fm_op17.onnx"))
		skip();
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		assert_true(compare_images(name[i], "vit_fm_logits_256", 4, &changed) <= 1e-4);
		assert_int_equal(changed, 0);
	}
}

/* quantized models differ from their references by the rounding of ties: bounds are what one code in a few costs */
static void quantized_models(void **state)
{
	static const char *const name[][2] = {
		{ "vit_fm_qat_op13", "vit_fm_qat_logits_256" },
		{ "vit_fm_qat_op17", "vit_fm_qat_logits_256" },
		{ "vit_fm_qdq_op13", "vit_fm_qdq_logits_256" },
		{ "vit_fm_qdq_op17", "vit_fm_qdq_logits_256" },
	};
	uint32_t changed;

	(void)state;
	if (!there(ZOO "fm/vit_fm_qat_op17.onnx"))
		skip();
	for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
		uint32_t quantize = 0, dequantize = 0;

		assert_true(compare_images(name[i][0], name[i][1], 16, &changed) <= 0.05);
		assert_true(changed <= 1);
		for (uint32_t k = 1; k < z.g.n_nodes; k++) {
			quantize += z.g.node[k].op == VQ_OP_QUANTIZE;
			dequantize += z.g.node[k].op == VQ_OP_DEQUANTIZE;
		}
		/* what the model quantizes is still there */
		assert_true(quantize >= 50 && dequantize > quantize);
	}
}

static int tidy(void **state)
{
	(void)state;
	vq_arena_free(&z.arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_of_one_model_agree),
		cmocka_unit_test(other_exports),
		cmocka_unit_test(trained_models),
		cmocka_unit_test(quantized_models),
	};

	return cmocka_run_group_tests(tests, NULL, tidy);
}
