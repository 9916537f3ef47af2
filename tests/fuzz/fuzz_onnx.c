/* SPDX-License-Identifier: MIT */
/* Target of libFuzzer: the bytes of an ONNX model through import, verifier and passes. mutate_onnx.c changes them. */
#include "tests/fuzz/promises.h"

#include "frontend/onnx_import.h"
#include "ir/text.h"
#include "passes/pass.h"

#include <stdlib.h>

/* One of so many inputs goes through the passes of w8a8-dynamic, the others through those of -quant=none. */
enum { DYNAMIC = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	vq_arena a = { 0 };
	vq_diag d;
	vq_graph g;
	vq_settings set = { .weight_mse = true, .verify = true };
	vq_report report = { .arena = &a };
	vq_pass p = { .g = &g, .set = &set, .report = &report };
	bool good;

	set.scheme = vq_hash(data, size) % DYNAMIC ? VQ_SCHEME_NONE : VQ_SCHEME_W8A8_DYNAMIC;
	vq_diag_init(&d, &a, "model.onnx");
	good = vq_import_onnx_bytes(&g, &a, &d, "/nonexistent/model.onnx", data, size, NULL, NULL);
	if (good) {
		keep_promises(&d, true);
		good = vq_verify(&g, "import") && vq_pipeline(&p, NULL, NULL);
	}
	keep_promises(&d, good);
	vq_arena_free(&a);
	return 0;
}
