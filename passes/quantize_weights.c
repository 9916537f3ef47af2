/* SPDX-License-Identifier: MIT */
/*
 * quantize_weights: the constant weights of linear operators become codes: symmetric, -127..127,
 * one scale per output channel, clipped where that lowers the squared error.
 *
 * Needs:   p->stats (operators whose input was not calibrated keep their weights).
 * Changes: linear x, @w, b  ->  linear x, dequantize(@w'), b with @w' : s8 per axis 0.
 * Leaves:  operators whose accumulator could overflow 32 bits; insert_qdq reports them.
 */
#include "ir/build.h"
#include "passes/observe.h"
#include "passes/qdq.h"
#include "passes/stats.h"

#include <math.h>

/* Clipping candidates: the row's maximum times 1 - step * i / candidates. */
enum { CANDIDATES = 26 };
enum { LANES = 8, BLOCK = 128 }; /* partial sums of squared errors, elements between looks at their total */
static const double candidate_step = 0.02;

/* codes are whole numbers below 2^51: adding and subtracting 1.5 * 2^52 rounds to the nearest, ties to even, and vectorizes */
static double code_of(double steps)
{
	steps = steps > -127 ? steps : -127;
	steps = steps < 127 ? steps : 127;
	return (steps + 0x1.8p52) - 0x1.8p52;
}

/*
 * Sum of squared errors of the row under that scale, in LANES partial sums; gives up once it exceeds `enough`. Most of the time of
 * a compilation without samples: a reciprocal does for the division, because where it rounds to the other code both are equally far.
 */
static double row_error(const float *w, int64_t n, double scale, double enough)
{
	double lane[LANES] = { 0 }, inverse = 1 / scale, sum = 0;
	int64_t i = 0;

	while (i < n && sum < enough) {
		int64_t end = n - i < BLOCK ? n : i + BLOCK;

		for (; i + LANES <= end; i += LANES)
			for (int l = 0; l < LANES; l++) {
				double e = code_of((double)w[i + l] * inverse) * scale - (double)w[i + l];

				lane[l] += e * e;
			}
		for (int l = 0; i < end; i++, l++) {
			double e = code_of((double)w[i] * inverse) * scale - (double)w[i];

			lane[l] += e * e;
		}
		sum = 0;
		for (int l = 0; l < LANES; l++)
			sum += lane[l];
	}
	return sum;
}

static float row_scale(const float *w, int64_t n, bool mse)
{
	double peak, least = INFINITY;
	float largest = 0, best;

	for (int64_t i = 0; i < n; i++)
		largest = fabsf(w[i]) > largest ? fabsf(w[i]) : largest;
	peak = (double)largest;
	best = vq_entry_symmetric(peak);
	for (int k = 0; mse && k < CANDIDATES; k++) {
		float scale = vq_entry_symmetric(peak * (1 - candidate_step * k));
		double e = row_error(w, n, (double)scale, least);

		if (e < least) {
			least = e;
			best = scale;
		}
	}
	return best;
}

/*
 * The codes of w, behind a new constant; VQ_NO_VALUE if an s8 input of any zero point in the code
 * range could overflow the accumulator.
 */
static vq_value quantized(vq_graph *g, vq_value w, bool mse)
{
	const vq_type *t = vq_type_of(g, w);
	const float *from = g->value[w.id].data;
	int64_t rows = t->dim[0], channels = t->dim[1];
	float *scale = VQ_ARRAY(g->arena, (size_t)rows, float);
	int32_t *zero = VQ_ARRAY(g->arena, (size_t)rows, int32_t);
	int8_t *codes = VQ_ARRAY(g->arena, (size_t)(rows * channels), int8_t);
	vq_quant q = { .bits = 8, .lo = -127, .hi = 127, .axis = 0, .n = (uint32_t)rows, .scale = scale, .zero = zero };
	const vq_quant any = {
		.bits = 8, .lo = -128, .hi = 127, .axis = -1, .n = 1, .scale = scale, .zero = &(int32_t){ -128 }
	};
	vq_type to = *t;

	for (int64_t r = 0; r < rows; r++) {
		scale[r] = row_scale(from + r * channels, channels, mse);
		for (int64_t c = 0; c < channels; c++)
			codes[r * channels + c] = (int8_t)code_of((double)from[r * channels + c] / (double)scale[r]);
	}
	if (vq_linear_bound(g->arena, &any, &q, codes, rows, channels))
		return VQ_NO_VALUE;
	to.elem = VQ_S8;
	to.quant = vq_quant_add(g, &q);
	return vq_add_const(g, &to, codes, g->value[w.id].name);
}

/* A NaN or an infinity has no code: false after an error that says where it stands. */
static bool is_finite(vq_graph *g, vq_node n, vq_value v, const char *what)
{
	const float *data = v.id && vq_is_const(g, v) && vq_type_of(g, v)->elem == VQ_F32 ? g->value[v.id].data : NULL;
	int64_t count = data ? vq_type_count(vq_type_of(g, v)) : 0, i = 0;

	while (i < count && isfinite(data[i]))
		i++;
	if (i == count)
		return true;
	vq_error(g->diag, vq_where(g, n), "%s '%s': element %lld is %s, expected a finite number", what,
		g->value[v.id].name ? g->value[v.id].name : "", (long long)i, isnan(data[i]) ? "nan" : "inf");
	return vq_hint(g->diag, "the training or the export went wrong: check the weights before converting the model");
}

bool vq_pass_quantize_weights(vq_pass *p)
{
	vq_graph *g = p->g;
	vq_arena scratch = { 0 };
	vq_value *done = VQ_ARRAY(&scratch, g->n_values, vq_value); /* by the id of the float weights */
	uint32_t n_nodes = g->n_nodes, n_values = g->n_values;
	bool ok = true;

	for (uint32_t i = 1; ok && p->n_stats && i < n_nodes; i++) {
		vq_value w = vq_operand(g, (vq_node){ i }, 1), codes;

		if (g->node[i].op != VQ_OP_LINEAR || !vq_is_const(g, w) || vq_type_of(g, w)->elem != VQ_F32 ||
			!vq_stats_find(p, g->node[i].in[0]) || w.id >= n_values)
			continue;
		ok = is_finite(g, (vq_node){ i }, w, "weights") &&
			is_finite(g, (vq_node){ i }, vq_operand(g, (vq_node){ i }, 2), "bias");
		if (!ok)
			break;
		if (!done[w.id].id) {
			codes = quantized(g, w, p->set->weight_mse);
			if (!codes.id)
				continue;
			done[w.id] = vq_build_dequantize(g, vq_where(g, (vq_node){ i }), codes);
			ok = done[w.id].id != 0;
		}
		g->node[i].in[1] = done[w.id];
		if (p->set->progress)
			p->set->progress(p->set->progress_user, "quantize weights", i, n_nodes);
	}
	vq_arena_free(&scratch);
	vq_stats_sweep(p);
	return ok;
}
