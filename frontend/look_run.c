/* SPDX-License-Identifier: MIT */
/* -run: the graph in its final form on given inputs. */
#include "frontend/look.h"

#include "frontend/folder.h"
#include "frontend/npy.h"
#include "frontend/output.h"
#include "frontend/samples.h"
#include "ir/eval.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Room for the outputs of n samples; several samples stand along a first axis. */
static bool outputs_of(const vq_look *l, const vq_graph *g, uint32_t n, vq_array *out)
{
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		vq_type t = *vq_type_of(g, g->output[i].value), all = t;

		if (n > 1) {
			if (t.rank == VQ_MAX_RANK)
				return vq_error(l->diag, "option -run",
					"output '%s' has too many dimensions for several samples", g->output[i].name);
			memmove(all.dim + 1, all.dim, t.rank * sizeof *t.dim);
			all.dim[0] = n;
			all.rank++;
		}
		all.quant = 0;
		out[i] = (vq_array){
			.name = g->output[i].name, .type = all, .data = vq_arena_array(l->arena, n, vq_type_bytes(&t))
		};
	}
	return true;
}

static bool run_samples(const vq_look *l, const vq_graph *g, const vq_executor *x, vq_exec *e,
	const vq_samples *samples, const vq_array *out)
{
	void **in = VQ_ARRAY(l->arena, g->n_inputs, void *), **to = VQ_ARRAY(l->arena, g->n_outputs, void *);
	bool good = true;

	for (uint32_t i = 0; i < g->n_inputs; i++)
		in[i] = vq_arena_alloc(l->arena, vq_type_bytes(vq_type_of(g, g->input[i].value)));
	for (uint32_t s = 0; s < samples->n && good; s++) {
		vq_bar_progress(l->bar, "run", s, samples->n);
		for (uint32_t i = 0; i < g->n_outputs; i++)
			to[i] = (char *)(uintptr_t)out[i].data + s * vq_type_bytes(vq_type_of(g, g->output[i].value));
		good = samples->get(samples->self, s, in) && x->run(e, (const void *const *)in, to, NULL, NULL);
	}
	vq_bar_clear(l->bar);
	return good;
}

/* ---- printing ---- */

enum { SHOWN = 16 }; /* elements of an output of one sample */

static void print_element(FILE *f, vq_elem elem, const void *data, int64_t i)
{
	switch (elem) {
	case VQ_F32: fprintf(f, " %.6g", (double)((const float *)data)[i]); break;
	case VQ_I64: fprintf(f, " %" PRId64, ((const int64_t *)data)[i]); break;
	case VQ_I32: fprintf(f, " %" PRId32, ((const int32_t *)data)[i]); break;
	case VQ_S8: fprintf(f, " %d", ((const int8_t *)data)[i]); break;
	case VQ_BOOL:
	case VQ_U8:
	case VQ_ELEM_COUNT: fprintf(f, " %u", ((const uint8_t *)data)[i]); break;
	}
}

static int64_t largest(const float *v, int64_t n)
{
	int64_t at = 0;

	for (int64_t i = 1; i < n; i++)
		if (v[i] > v[at])
			at = i;
	return at;
}

static bool print_outputs(const vq_look *l, const vq_graph *g, const vq_array *out, uint32_t samples)
{
	FILE *f = vq_look_open(l);

	if (!f)
		return false;
	for (uint32_t s = 0; s < samples; s++)
		for (uint32_t i = 0; i < g->n_outputs; i++) {
			const vq_type *t = vq_type_of(g, g->output[i].value);
			int64_t n = vq_type_count(t), shown = n < SHOWN ? n : SHOWN;
			const char *data = (const char *)out[i].data + s * vq_type_bytes(t);

			if (samples > 1)
				fprintf(f, "sample %u  ", (unsigned)s);
			fprintf(f, "%s %s:", g->output[i].name, vq_type_text(l->arena, t));
			for (int64_t k = 0; k < shown; k++)
				print_element(f, t->elem, data, k);
			if (shown < n)
				fprintf(f, " ... (%" PRId64 " elements)", n);
			if (t->elem == VQ_F32 && n > 1) {
				int64_t at = largest((const float *)(const void *)data, n);

				fprintf(f, "; largest %.6g at %" PRId64,
					(double)((const float *)(const void *)data)[at], at);
			}
			fputc('\n', f);
		}
	return !ferror(f);
}

static bool store_outputs(const vq_look *l, const vq_graph *g, const vq_array *out)
{
	FILE *f = vq_output_open(l->arena, l->diag, l->o->out);
	bool good;

	if (!f)
		return false;
	if (vq_path_ends(l->o->out, ".npy")) {
		size_t n;
		const void *bytes = vq_npy_bytes(l->arena, out, &n);

		good = fwrite(bytes, 1, n, f) == n;
	} else {
		good = vq_npz_write(f, out, g->n_outputs);
	}
	return good || vq_error(l->diag, NULL, "cannot write '%s'", l->o->out);
}

/* A model without inputs runs once. */
static bool no_inputs(void *self, uint32_t i, void *const *in)
{
	(void)self;
	(void)i;
	(void)in;
	return true;
}

bool vq_look_run(const vq_look *l, const vq_graph *g)
{
	vq_array *out = VQ_ARRAY(l->arena, g->n_outputs, vq_array);
	vq_samples samples = { .n = 1, .get = no_inputs };
	vq_strings files = { .item = NULL };
	/* the reference, unless asked otherwise: what it computes is right by definition */
	const vq_executor *x = l->o->executor == VQ_EXECUTOR_JIT ? l->executor : &vq_evaluator;
	vq_exec *e;
	bool good;

	if (l->o->out && vq_path_ends(l->o->out, ".npy") && g->n_outputs > 1)
		return vq_error(l->diag, "option -o",
			"a .npy file holds one array, the model has %u outputs: expected a .npz",
			(unsigned)g->n_outputs);
	if (g->n_inputs &&
		!vq_samples_open(&samples, l->arena, l->diag, g, l->o->run, l->o->count, &l->o->image, &files))
		return false;
	e = x->prepare(x, g, NULL, 0);
	good = e && outputs_of(l, g, samples.n, out) && run_samples(l, g, x, e, &samples, out);
	if (e)
		x->dispose(e);
	vq_samples_close(&samples);
	if (!good)
		return false;
	return l->o->out ? store_outputs(l, g, out) : print_outputs(l, g, out, samples.n);
}
