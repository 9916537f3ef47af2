/* SPDX-License-Identifier: MIT */
/* Planning of attention: K and V are packed per head, then one kernel per block of queries does everything else. */
#include "backend/planner.h"
#include "ir/contract.h"

#include <math.h>
#include <string.h>

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

static double head_scale(const vq_quant *q, uint32_t h, uint32_t heads)
{
	return (double)q->scale[q->n == 1 ? 0 : h * (q->n / heads)];
}

/* zero points 0 and scales that do not vary inside a head */
static bool symmetric(const vq_quant *q, uint32_t heads)
{
	if (!q || (q->n != 1 && q->n != heads))
		return false;
	for (uint32_t i = 0; i < q->n; i++)
		if (q->zero[i])
			return false;
	return true;
}

/* the operand's rows in place, or a dense copy; strides in elements */
static vq_ref rows(vq_planner *s, vq_value v, bool f32, bool may_be_u8, vq_node node, int64_t stride[3], bool *u8)
{
	const vq_type *t = vq_type_of(s->g, v);
	vq_window w = vq_planner_window(s, v);
	vq_home h = vq_planner_home(s, w.root);

	s->left[w.root.id]--;
	*u8 = h.u8;
	if ((t->elem != VQ_F32) == f32 || w.stride[2] != 1 || (h.u8 && !may_be_u8)) {
		vq_ref r = vq_planner_dense(s, v, f32, node);

		*u8 = false;
		w = vq_window_of(s->g, v);
		memcpy(stride, w.stride, 3 * sizeof *stride);
		return r;
	}
	memcpy(stride, w.stride, 3 * sizeof *stride);
	return vq_ref_at(h.ref, w.offset * (f32 ? 4 : 1));
}

static vq_ref pack(vq_planner *s, const vq_attention *d, vq_ref from, bool keys, const int64_t stride[3], vq_node node)
{
	const vq_tile *t = d->f32 ? &s->f32 : &s->s8;
	vq_kernel kernel;
	vq_pack *p = &kernel.u.pack;
	vq_ref arg[2] = { from };

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_PACK;
	p->f32 = d->f32;
	p->batch[0] = d->batch;
	p->batch[1] = d->heads;
	p->n = keys ? d->m : d->e;
	p->k = keys ? d->d : d->m;
	p->n_stride = keys ? stride[1] : 1;
	p->k_stride = keys ? 1 : stride[1];
	p->batch_stride[0] = stride[0];
	p->batch_stride[1] = keys ? d->d : d->e;
	if (!d->f32)
		p->add = keys ? (t->a == VQ_A_U8 ? -128 : 0) : (t->a == VQ_A_S8 ? 128 : 0);
	p->batch_bytes = (int64_t)vq_pack_batch_bytes(t, p->n, p->k, p->f32);
	arg[1] = vq_planner_buffer(s, (uint64_t)p->batch_bytes * d->batch * d->heads);
	vq_planner_step(s, &kernel, arg, 2, node);
	return arg[1];
}

/* c[h] = scale * sq * sk * log2 e, then the scale of v over that of the result */
static vq_ref head_parameters(vq_planner *s, const vq_node_info *n, uint32_t heads, const vq_quant *qo)
{
	const vq_graph *g = s->g;
	const vq_quant *q = vq_quant_of(g, vq_type_of(g, n->in[0])), *k = vq_quant_of(g, vq_type_of(g, n->in[1]));
	const vq_quant *v = vq_quant_of(g, vq_type_of(g, n->in[2]));
	float *block = VQ_ARRAY(s->a, 2 * (size_t)heads, float);

	for (uint32_t h = 0; h < heads; h++) {
		block[h] = (float)((double)n->attr.attention.scale * head_scale(q, h, heads) * head_scale(k, h, heads) *
			1.4426950408889634);
		block[heads + h] = (float)(head_scale(v, h, heads) / (qo ? (double)qo->scale[0] : 1.0));
	}
	return vq_pack_bytes(s->p, block, 2 * (size_t)heads * sizeof *block);
}

/* how results leave */
static bool set_store(vq_planner *s, vq_node node, vq_value v, vq_attention *d)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[node.id];
	const vq_quant *qo = vq_quant_of(g, vq_type_of(g, n->out));
	vq_epilogue *e = &d->epilogue;
	bool scaled = d->f32 || d->scales; /* else the head's factor holds the result's scale */

	if (qo && qo->n != 1)
		return vq_planner_refuse(s, node, "the result has a scale per channel");
	e->store = !qo ? VQ_STORE_F32 : s->u8[n->out.id] ? VQ_STORE_U8 : VQ_STORE_S8;
	e->flush = s->p->strict && d->f32 && !qo;
	if (!qo)
		return true;
	e->lo = qo->lo;
	e->hi = qo->hi;
	e->zero = qo->zero[0];
	e->scaled = scaled;
	e->inv = scaled ? vq_c_inverse((double)qo->scale[0]) : 1.0f;
	e->bounded = !scaled; /* a mean of values that fit */
	for (uint32_t h = 0; h < d->heads && !scaled; h++)
		e->bounded &= 128 * head_scale(vq_quant_of(g, vq_type_of(g, v)), h, d->heads) / (double)qo->scale[0] <
			0x1p30;
	return true;
}

bool vq_plan_attention(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	bool dynamic = n->op == VQ_OP_ATTENTION_DYNAMIC;
	uint32_t step_in = dynamic ? 2 : 1; /* codes and rows */
	vq_value kv = n->in[step_in], vv = n->in[2 * step_in];
	const vq_type *q = vq_type_of(g, n->in[0]), *k = vq_type_of(g, kv), *v = vq_type_of(g, vv),
		      *o = vq_type_of(g, n->out);
	const vq_quant *qo = vq_quant_of(g, o);
	uint32_t heads = (uint32_t)n->attr.attention.heads;
	vq_kernel kernel;
	vq_attention *d = &kernel.u.attention;
	int64_t qs[3], ks[3], vs[3];
	vq_ref arg[VQ_MAX_ARGS] = { { 0 } }, kr, vr;
	uint32_t n_args = 6;
	bool u8;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_ATTENTION;
	d->f32 = !dynamic &&
		!(symmetric(vq_quant_of(g, q), heads) && symmetric(vq_quant_of(g, k), heads) &&
			symmetric(vq_quant_of(g, v), heads));
	d->batch = (uint32_t)q->dim[0];
	d->heads = heads;
	d->n = (uint32_t)q->dim[1];
	d->m = (uint32_t)k->dim[1];
	d->d = (uint32_t)q->dim[2] / heads;
	d->e = (uint32_t)v->dim[2] / heads;
	d->scale = n->attr.attention.scale;
	arg[0] = rows(s, n->in[0], d->f32, true, node, qs, &d->q_u8);
	kr = rows(s, kv, d->f32, false, node, ks, &u8);
	vr = rows(s, vv, d->f32, false, node, vs, &u8);
	arg[1] = pack(s, d, kr, true, ks, node);
	arg[2] = pack(s, d, vr, false, vs, node);
	if (dynamic) {
		arg[3] = vq_planner_row_scales(s, n->in[1], q, 2, node);
		d->scales = n_args;
		arg[n_args++] = vq_planner_row_scales(s, n->in[3], k, 1, node);
		arg[n_args++] = vq_planner_row_scales(s, n->in[5], v, 1, node);
		d->scale = vq_c_score_factor(d->scale);
	} else if (!d->f32) {
		arg[3] = head_parameters(s, n, heads, qo);
	}
	d->q_batch = qs[0] * (d->f32 ? 4 : 1);
	d->q_row = qs[1] * (d->f32 ? 4 : 1);
	d->q_head = (int64_t)d->d * (d->f32 ? 4 : 1);
	if (n->n_in > 3 * step_in && !vq_plan_bias(s, n->in[3 * step_in], d, arg, &n_args, node))
		return false;
	if (!set_store(s, node, vv, d))
		return false;
	d->o_row = (int64_t)heads * d->e * (qo ? 1 : 4);
	d->o_head = (int64_t)d->e * (qo ? 1 : 4);
	d->o_batch = d->o_row * d->n;
	d->row_block = (uint32_t)round_up(d->n < 64 ? d->n : (d->n + (d->n + 63) / 64 - 1) / ((d->n + 63) / 64), 2);
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	arg[4] = vq_planner_result(s, n->out);
	vq_step *step = vq_planner_step(s, &kernel, arg, n_args, node);
	step->integer = !d->f32;
	step->macs = (int64_t)d->batch * heads * d->n * d->m * (d->d + d->e);
	return true;
}
