/* SPDX-License-Identifier: MIT */
/* Target of libFuzzer: the text of a graph through parser, verifier and passes; what was read is printed and read again. */
#include "tests/fuzz/promises.h"

#include "ir/text.h"
#include "passes/pass.h"

#include <stdio.h>
#include <stdlib.h>

/* Printing what was parsed gives a text that is parsed again. */
static void read_again(const vq_graph *g)
{
	vq_arena a = { 0 };
	vq_diag d;
	vq_graph again;
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n), *side = fopen("/dev/null", "w");

	if (!f || !side)
		abort();
	vq_diag_init(&d, &a, "again.vir");
	vq_print_graph(g, f, side, "none");
	fclose(side);
	if (fclose(f))
		abort();
	/* constants in the sidecar are not there: an error, and not a crash */
	keep_promises(&d, vq_parse_graph(&again, &a, &d, text, n, "/nonexistent"));
	free(text);
	vq_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	vq_arena a = { 0 };
	vq_diag d;
	vq_graph g;
	vq_settings set = { .weight_mse = true, .verify = true };
	vq_report report = { .arena = &a };
	vq_pass p = { .g = &g, .set = &set, .report = &report };
	bool good;

	set.scheme = vq_hash(data, size) % 2 ? VQ_SCHEME_NONE : VQ_SCHEME_W8A8_DYNAMIC;
	vq_diag_init(&d, &a, "graph.vir");
	good = vq_parse_graph(&g, &a, &d, (const char *)data, size, "/nonexistent");
	if (good) {
		keep_promises(&d, true);
		read_again(&g);
		good = vq_verify(&g, "parse") && vq_pipeline(&p, NULL, NULL);
	}
	keep_promises(&d, good);
	vq_arena_free(&a);
	return 0;
}
