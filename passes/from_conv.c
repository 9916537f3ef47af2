/* SPDX-License-Identifier: MIT */
#include "passes/from_conv.h"

#include "passes/match.h"

#include <math.h>

enum {
	MOST_GROUPS = 64, /* operands of concat */
	MOST_TAPS = 256,  /* of a convolution of single channels: each is a pass over the result */
};

/* A convolution and its operand, already padded. */
typedef struct conv {
	vq_graph *g;
	vq_node_info i;
	vq_node n;
	vq_value x;         /* padded */
	vq_type in, w, out; /* of x, the weights, the result */
	uint32_t spatial;
	int64_t places, taps; /* results per channel, weights per channel of a group */
	int64_t plane;        /* elements of one channel of x */
} conv;

static vq_value padded(conv *c)
{
	vq_attr a = { 0 };
	bool any = false;

	for (uint32_t k = 0; k < c->spatial; k++) {
		a.pad.before[2 + k] = c->i.attr.conv.before[k];
		a.pad.after[2 + k] = c->i.attr.conv.after[k];
		any |= c->i.attr.conv.before[k] || c->i.attr.conv.after[k];
	}
	return any ? vq_build(c->g, vq_where(c->g, c->n), VQ_OP_PAD, c->i.in, 1, &a) : c->i.in[0];
}

/* x, its channels from first on, as [batch, place..., channel, tap...] */
static vq_value windows(const conv *c, int64_t first, int64_t channels)
{
	uint32_t s = c->spatial;
	vq_attr a = { .view = { .rank = 2 + 2 * s, .offset = first * c->plane } };
	int64_t step = 1;

	for (uint32_t k = s; k-- > 0;) {
		a.view.dim[1 + k] = c->out.dim[2 + k];
		a.view.stride[1 + k] = step * c->i.attr.conv.stride[k];
		a.view.dim[2 + s + k] = c->w.dim[2 + k];
		a.view.stride[2 + s + k] = step * c->i.attr.conv.dilation[k];
		step *= c->in.dim[2 + k];
	}
	a.view.dim[1 + s] = channels;
	a.view.stride[1 + s] = step;
	a.view.dim[0] = c->in.dim[0];
	a.view.stride[0] = step * c->in.dim[1];
	return vq_build(c->g, vq_where(c->g, c->n), VQ_OP_VIEW, &c->x, 1, &a);
}

/* groups of several channels: a linear operator each, [batch, places, channels] */
static vq_value by_groups(const conv *c)
{
	vq_graph *g = c->g;
	int64_t groups = c->i.attr.conv.group, inputs = c->in.dim[1] / groups;
	int64_t outputs = c->w.dim[0] / groups, k = inputs * c->taps;
	vq_value part[MOST_GROUPS], w;

	w = vq_build_reshape(g, NULL, c->i.in[1], 2, (int64_t[]){ c->w.dim[0], k });
	for (int64_t j = 0; j < groups; j++) {
		vq_value in[3] = { windows(c, j * inputs, inputs), w };

		in[0] = vq_build_reshape(g, NULL, in[0], 3, (int64_t[]){ c->in.dim[0], c->places, k });
		if (groups > 1)
			in[1] = vq_build_slice(g, NULL, w, 0, j * outputs, outputs);
		if (c->i.n_in > 2)
			in[2] = groups == 1 ? c->i.in[2] : vq_build_slice(g, NULL, c->i.in[2], 0, j * outputs, outputs);
		part[j] = vq_build(g, vq_where(g, c->n), VQ_OP_LINEAR, in, c->i.n_in, NULL);
		if (!part[j].id)
			return part[j];
		vq_inherit(g, part[j], c->n);
	}
	return groups == 1 ? part[0]
			   : vq_build(g, NULL, VQ_OP_CONCAT, part, (uint32_t)groups, &(vq_attr){ .axis = { 2 } });
}

/*
 * Single channels: the sum over the taps of x moved by the tap times its weights, in the layout of
 * the result, [batch, channel, place...].
 */
static vq_value by_taps(const conv *c)
{
	vq_graph *g = c->g;
	uint32_t s = c->spatial, rank = 2 + s;
	int64_t row[VQ_MAX_RANK] = { c->w.dim[0], 1, 1, 1 }, at[3] = { 0 };
	vq_value sum = VQ_NO_VALUE;

	for (int64_t tap = 0; tap < c->taps; tap++) {
		vq_attr a = { .view = { .rank = rank } };
		vq_value in[2] = { c->x, c->i.in[1] }, v;
		int64_t step = 1, rest = tap;

		for (uint32_t k = s; k-- > 0; rest /= c->w.dim[2 + k])
			at[k] = rest % c->w.dim[2 + k];
		for (uint32_t k = s; k-- > 0; step *= c->in.dim[2 + k]) {
			a.view.offset += at[k] * c->i.attr.conv.dilation[k] * step;
			a.view.dim[2 + k] = c->out.dim[2 + k];
			a.view.stride[2 + k] = step * c->i.attr.conv.stride[k];
		}
		for (uint32_t k = 0; k < s; k++)
			in[1] = vq_build_slice(g, NULL, in[1], (int32_t)(2 + k), at[k], 1);
		a.view.dim[1] = c->in.dim[1];
		a.view.stride[1] = step;
		a.view.dim[0] = c->in.dim[0];
		a.view.stride[0] = step * c->in.dim[1];
		in[0] = vq_build(g, vq_where(g, c->n), VQ_OP_VIEW, in, 1, &a);
		in[1] = vq_build_reshape(g, NULL, in[1], rank - 1, row);
		v = vq_build(g, vq_where(g, c->n), VQ_OP_MUL, in, 2, NULL);
		if (sum.id && v.id)
			v = vq_build2(g, vq_where(g, c->n), VQ_OP_ADD, sum, v);
		if (!v.id)
			return v;
		vq_inherit(g, v, c->n);
		sum = v;
	}
	if (c->i.n_in > 2)
		sum = vq_build2(g, NULL, VQ_OP_ADD, sum, vq_build_reshape(g, NULL, c->i.in[2], rank - 1, row));
	return sum;
}

/* Products of single channels have no integer form, and no operator says so later. */
static void report(const vq_pass *p, const conv *c)
{
	if (p->report && p->set->scheme != VQ_SCHEME_NONE)
		vq_report_add(p->report,
			&(vq_site){
				.name = c->i.name,
				.op = c->i.source ? c->i.source : "conv",
				.scheme = "f32",
				.why = "a convolution of each channel by itself has no integer form",
				.macs = vq_type_count(&c->out) * c->taps,
				.weight_bytes = (int64_t)vq_type_bytes(&c->w),
				.sqnr_db = (double)NAN,
			});
}

bool vq_from_conv(vq_pass *p, vq_node n)
{
	vq_graph *g = p->g;
	conv c = { .g = g, .i = g->node[n.id], .n = n, .places = 1, .taps = 1, .plane = 1 };
	bool single;
	vq_value v;

	if (c.i.op != VQ_OP_CONV || !vq_is_weight(g, c.i.in[1]) || (c.i.n_in > 2 && !vq_is_const(g, c.i.in[2])) ||
		vq_type_of(g, c.i.in[0])->quant)
		return false;
	c.w = *vq_type_of(g, c.i.in[1]);
	c.out = *vq_type_of(g, c.i.out);
	c.spatial = c.w.rank - 2;
	for (uint32_t k = 0; k < c.spatial; k++) {
		c.places *= c.out.dim[2 + k];
		c.taps *= c.w.dim[2 + k];
	}
	single = c.i.attr.conv.group > 1 && c.w.dim[0] == c.i.attr.conv.group && c.w.dim[1] == 1 && c.taps <= MOST_TAPS;
	if (!single && c.i.attr.conv.group > MOST_GROUPS)
		return false;
	c.x = padded(&c);
	if (!c.x.id)
		return false;
	c.in = *vq_type_of(g, c.x);
	for (uint32_t k = 0; k < c.spatial; k++)
		c.plane *= c.in.dim[2 + k];
	if (single) {
		v = by_taps(&c);
		if (!vq_take_over(g, n, v))
			return false;
		report(p, &c);
		return true;
	}
	v = by_groups(&c);
	if (!v.id)
		return false;
	v = vq_build_transpose(g, NULL, v, (int64_t[]){ 0, 2, 1 });
	return vq_take_over(g, n, vq_build_reshape(g, NULL, v, c.out.rank, c.out.dim));
}
