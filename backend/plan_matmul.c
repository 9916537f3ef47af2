/* SPDX-License-Identifier: MIT */
/* Planning of products of two tensors: matmul and matmul_dynamic. */
#include "backend/planner.h"
#include "ir/contract.h"

#include <math.h>
#include <string.h>

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

static vq_window transposed(vq_window w)
{
	int64_t d = w.dim[w.rank - 1], st = w.stride[w.rank - 1];

	w.dim[w.rank - 1] = w.dim[w.rank - 2];
	w.stride[w.rank - 1] = w.stride[w.rank - 2];
	w.dim[w.rank - 2] = d;
	w.stride[w.rank - 2] = st;
	return w;
}

/* Batch dimensions of a and b against the result's, merged to at most two. */
static bool batches(
	const vq_window *a, const vq_window *b, const vq_type *c, uint32_t batch[2], int64_t sa[2], int64_t sb[2])
{
	uint32_t n = 0;
	int64_t dim[VQ_MAX_RANK] = { 0 }, pa[VQ_MAX_RANK] = { 0 }, pb[VQ_MAX_RANK] = { 0 };

	for (uint32_t i = 0; i + 2 < c->rank; i++) {
		int64_t la = (int64_t)i - (int64_t)(c->rank - a->rank), lb = (int64_t)i - (int64_t)(c->rank - b->rank);
		int64_t da = la < 0 || a->dim[la] == 1 ? 0 : a->stride[la],
			db = lb < 0 || b->dim[lb] == 1 ? 0 : b->stride[lb];

		if (c->dim[i] == 1)
			continue;
		if (n && pa[n - 1] == da * c->dim[i] && pb[n - 1] == db * c->dim[i]) {
			dim[n - 1] *= c->dim[i];
			pa[n - 1] = da;
			pb[n - 1] = db;
			continue;
		}
		dim[n] = c->dim[i];
		pa[n] = da;
		pb[n++] = db;
	}
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t from = n + i;

		batch[i] = from >= 2 ? (uint32_t)dim[from - 2] : 1;
		sa[i] = from >= 2 ? pa[from - 2] : 0;
		sb[i] = from >= 2 ? pb[from - 2] : 0;
	}
	return n <= 2;
}

/* w with all of the result's batch dimensions; what broadcasts steps by 0 */
static void repeat_batches(vq_window *w, const vq_type *c)
{
	vq_window r = { .root = w->root, .rank = c->rank };
	uint32_t lead = c->rank - w->rank;

	for (uint32_t i = 0; i < c->rank; i++) {
		bool batch = i + 2 < c->rank, there = i >= lead;

		r.dim[i] = batch ? c->dim[i] : w->dim[i - lead];
		r.stride[i] = there && (!batch || w->dim[i - lead] != 1) ? w->stride[i - lead] : 0;
	}
	*w = r;
}

/* copies what w shows, whose first element is at *base: row-major then */
static void copy_dense(vq_planner *s, vq_window *w, vq_ref *base, uint32_t bytes, vq_node node)
{
	vq_ref to = vq_planner_buffer(s, (uint64_t)vq_window_count(w) * bytes);

	vq_plan_move(s, *base, w, bytes, to, NULL, node);
	vq_planner_row_major(w->stride, w->dim, w->rank);
	*base = to;
}

/* A product's operands as they are read: A [..., M, K], B [..., K, N]. */
typedef struct operands {
	vq_window w[2];
	vq_ref base[2];    /* of their first elements */
	int64_t b_step[2]; /* elements between batch elements of B */
	vq_ref b_scales;   /* matmul_dynamic: pairs of floats, for all batch elements of the result */
	int64_t b_pairs;   /* their number in one batch element: 1 or N */
} operands;

/* Finds the operands and describes A in d, which knows its type already. */
static operands find_operands(vq_planner *s, const vq_value in[2], vq_node node, vq_gemm *d)
{
	const vq_graph *g = s->g;
	const vq_attr *attr = &g->node[node.id].attr;
	const vq_type *ct = vq_type_of(g, g->node[node.id].out);
	uint32_t bytes = d->f32 ? 4 : 1;
	int64_t a_step[2];
	operands o = { 0 };

	for (int i = 0; i < 2; i++) {
		vq_home h;

		o.w[i] = vq_planner_window(s, in[i]);
		h = vq_planner_home(s, o.w[i].root);
		s->left[o.w[i].root.id]--;
		if ((vq_type_of(g, in[i])->elem == VQ_F32) != d->f32 || (i == 1 && h.u8)) {
			o.base[i] = vq_planner_dense(s, in[i], d->f32, node);
			o.w[i] = vq_window_of(g, in[i]);
		} else {
			o.base[i] = vq_ref_at(h.ref, o.w[i].offset * bytes);
			d->a_u8 = i == 0 ? h.u8 : d->a_u8;
		}
		if (i ? attr->matmul.trans_b : attr->matmul.trans_a)
			o.w[i] = transposed(o.w[i]);
	}
	if (o.w[0].dim[o.w[0].rank - 1] > 1 && o.w[0].stride[o.w[0].rank - 1] != 1)
		copy_dense(s, &o.w[0], &o.base[0], bytes, node);
	if (!batches(&o.w[0], &o.w[1], ct, d->batch, a_step, o.b_step)) {
		for (int i = 0; i < 2; i++) {
			repeat_batches(&o.w[i], ct);
			copy_dense(s, &o.w[i], &o.base[i], bytes, node);
		}
		batches(&o.w[0], &o.w[1], ct, d->batch, a_step, o.b_step); /* one, now that both step alike */
	}
	d->m = (uint32_t)o.w[0].dim[o.w[0].rank - 2];
	d->k = (uint32_t)o.w[0].dim[o.w[0].rank - 1];
	d->n = (uint32_t)o.w[1].dim[o.w[1].rank - 1];
	d->a_row = o.w[0].stride[o.w[0].rank - 2] * bytes;
	for (int i = 0; i < 2; i++)
		d->a_batch[i] = a_step[i] * bytes;
	return o;
}

/* Packs B for d. Codes begin with -(zero + what the tile adds to A) times their column sums. */
static vq_ref pack_b(vq_planner *s, const vq_tile *t, const operands *o, int32_t a_zero, vq_gemm *d, vq_node node)
{
	const vq_window *w = &o->w[1];
	uint64_t np = round_up(d->n, vq_tile_nr(t));
	uint32_t n_args = 2;
	vq_kernel kernel;
	vq_pack *p = &kernel.u.pack;
	vq_ref arg[3] = { o->base[1] };

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_PACK;
	p->f32 = d->f32;
	p->wide = d->wide;
	p->n = d->n;
	p->k = d->k;
	p->n_stride = w->stride[w->rank - 1];
	p->k_stride = w->stride[w->rank - 2];
	p->add = -(a_zero + (t->a == VQ_A_U8 ? 128 : 0));
	for (uint32_t i = 0; i < 2; i++) {
		p->batch[i] = d->batch[i];
		p->batch_stride[i] = o->b_step[i];
	}
	p->batch_bytes = (int64_t)vq_pack_batch_bytes(t, d->n, d->k, d->f32);
	if (o->b_pairs) {
		p->pairs = (uint32_t)o->b_pairs;
		p->batch_bytes = (int64_t)round_up((uint64_t)p->batch_bytes + 8 * np, 64);
		arg[n_args++] = o->b_scales;
	}
	arg[1] = vq_planner_buffer(s, (uint64_t)p->batch_bytes * d->batch[0] * d->batch[1]);
	d->b_batch[1] = p->batch_bytes;
	d->b_batch[0] = p->batch_bytes * d->batch[1];
	vq_planner_step(s, &kernel, arg, n_args, node);
	return arg[1];
}

/* entry of q, a tensor of type t, for batch element b of a product of type ct: per tensor, or along an axis in front of the matrix */
static uint32_t batch_entry(const vq_quant *q, const vq_type *t, const vq_type *ct, int64_t b)
{
	uint32_t d = ct->rank - t->rank + (uint32_t)q->axis;

	if (q->axis < 0 || t->dim[q->axis] == 1)
		return 0;
	for (uint32_t i = ct->rank - 3; i > d; i--)
		b /= ct->dim[i];
	return (uint32_t)(b % ct->dim[d] / (t->dim[q->axis] / q->n));
}

/* Scales of operands (and the result) that the integer product can take: see matmul in docs/ir.md. */
static bool along_batch(const vq_quant *q, const vq_type *t)
{
	if (q->axis >= 0 && q->axis >= (int32_t)t->rank - 2)
		return false;
	for (uint32_t i = 1; i < q->n; i++)
		if (q->zero[i] != q->zero[0])
			return false;
	return true;
}

/* multipliers and addends of every batch element; p_batch is set if they differ */
static vq_ref matmul_columns(
	vq_planner *s, const vq_node_info *n, const vq_quant *qo, uint32_t np, vq_gemm *d, double *worst)
{
	const vq_type *ta = vq_type_of(s->g, n->in[0]), *tb = vq_type_of(s->g, n->in[1]),
		      *ct = vq_type_of(s->g, n->out);
	const vq_quant *qa = vq_quant_of(s->g, ta), *qb = vq_quant_of(s->g, tb);
	bool several = qa->n > 1 || qb->n > 1 || (qo && qo->n > 1);
	uint32_t count = several ? d->batch[0] * d->batch[1] : 1;
	float *block = VQ_ARRAY(s->a, (size_t)count * 2 * np, float);

	for (uint32_t b = 0; b < count; b++) {
		double so = qo ? (double)qo->scale[batch_entry(qo, ct, ct, b)] : 1.0;
		float m = (float)((double)qa->scale[batch_entry(qa, ta, ct, b)] *
			(double)qb->scale[batch_entry(qb, tb, ct, b)] / so);

		for (uint32_t i = 0; i < d->n; i++)
			block[(size_t)b * 2 * np + i] = m;
		*worst = fmax(*worst, (double)m);
	}
	if (several) {
		d->p_batch[1] = (int64_t)np * 8;
		d->p_batch[0] = d->p_batch[1] * d->batch[1];
	}
	return vq_pack_bytes(s->p, block, (uint64_t)count * 2 * np * sizeof *block);
}

/* the largest |code - zero point| of a tensor */
static double code_reach(const vq_quant *q)
{
	double reach = 0;

	for (uint32_t i = 0; i < q->n; i++)
		reach = fmax(reach, fmax((double)q->zero[i] - q->lo, (double)q->hi - q->zero[i]));
	return reach;
}

bool vq_plan_matmul(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	const vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *ct = vq_type_of(g, n->out);
	const vq_quant *qa = vq_quant_of(g, vq_type_of(g, n->in[0])), *qb = vq_quant_of(g, vq_type_of(g, n->in[1]));
	const vq_quant *qo = group->n == 1 ? vq_quant_of(g, ct) : NULL;
	bool f32 = !qa || !qb || !along_batch(qa, vq_type_of(g, n->in[0])) || !along_batch(qb, vq_type_of(g, n->in[1]));
	double worst = 0, most;
	vq_tile t = f32 ? s->f32 : vq_product_tile(s, qa, qb);
	vq_ref arg[VQ_MAX_ARGS];
	uint32_t n_args = 4, np;
	vq_kernel kernel;
	vq_gemm *d = &kernel.u.gemm;
	operands o;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_GEMM;
	d->f32 = f32;
	d->wide = !f32 && t.pairs_s16 != s->s8.pairs_s16;
	o = find_operands(s, (vq_value[]){ n->in[0], n->in[1] }, node, d);
	d->comp_with_b = !f32;
	d->b_zero = f32 ? 0 : qb->zero[0];
	d->a_zero = d->b_zero ? qa->zero[0] : 0;
	arg[0] = o.base[0];
	arg[1] = pack_b(s, &t, &o, f32 ? 0 : qa->zero[0], d, node);
	np = (uint32_t)round_up(d->n, vq_tile_nr(&t));
	if (qo && !f32 && !along_batch(qo, ct))
		return vq_planner_refuse(s, node, "the result has scales along the matrix");
	arg[2] = f32 ? vq_pack_bytes(s->p, VQ_ARRAY(s->a, np, float), np * sizeof(float))
		     : matmul_columns(s, n, qo, np, d, &worst);
	d->epilogue.scaled = f32;
	if (!vq_plan_epilogue(s, group, 1, true, &d->epilogue, arg, &n_args))
		return false;
	most = f32 ? 0 : code_reach(qa) * code_reach(qb) * d->k;
	d->epilogue.bounded = !f32 && vq_product_bounded(&d->epilogue, most * worst);
	if (most >= 0x1p31)
		return vq_planner_refuse(s, node, "the accumulator can exceed 32 bits");
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	vq_product_tasks(d, &t);
	arg[3] = vq_product_result(s, group, &d->epilogue, arg + 4, &arg[0]);
	vq_product_dense(d);
	vq_step *step = vq_planner_step(s, &kernel, arg, n_args, group->node[0]);
	step->integer = !f32;
	step->macs = (int64_t)d->batch[0] * d->batch[1] * d->m * d->n * d->k;
	return true;
}

/* Scales and zero points for every batch element of a product of type ct and, if each > 0, for each of so many rows. */
static vq_ref repeat_scales(vq_planner *s, vq_value rows, int64_t each, const vq_type *ct, vq_node node)
{
	vq_window w = vq_window_of(s->g, rows);
	vq_ref from = vq_planner_dense(s, rows, true, node), to;
	int64_t held = vq_window_count(&w);

	if (each && w.dim[w.rank - 2] != each) {
		w.dim[w.rank - 2] = each;
		w.stride[w.rank - 2] = 0;
	}
	repeat_batches(&w, ct);
	if (vq_window_count(&w) == held)
		return from;
	to = vq_planner_buffer(s, 4 * (uint64_t)vq_window_count(&w));
	vq_plan_move(s, from, &w, 4, to, NULL, node);
	return to;
}

/* Codes with scales per row of A and per column of B, or one for B: known at run time only, and packed with B. */
bool vq_plan_matmul_dynamic(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	const vq_node node = group->node[0];
	const vq_node_info *n = &g->node[node.id];
	const vq_type *ct = vq_type_of(g, n->out), *pairs = vq_type_of(g, n->in[3]);
	vq_ref arg[VQ_MAX_ARGS], rows;
	uint32_t n_args = 4;
	vq_kernel kernel;
	vq_gemm *d = &kernel.u.gemm;
	operands o;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_GEMM;
	d->comp_with_b = true;
	o = find_operands(s, (vq_value[]){ n->in[0], n->in[2] }, node, d);
	if (255.0 * 127.0 * d->k >= 0x1p31)
		return vq_planner_refuse(s, node, "the accumulator can exceed 32 bits");
	rows = repeat_scales(s, n->in[1], d->m, ct, node);
	o.b_scales = repeat_scales(s, n->in[3], 0, ct, node);
	o.b_pairs = pairs->dim[pairs->rank - 2];
	arg[0] = o.base[0];
	arg[1] = pack_b(s, &s->s8, &o, 0, d, node);
	arg[2] = (vq_ref){ .kind = VQ_REF_NONE };
	d->epilogue.scaled = true;
	if (!vq_plan_epilogue(s, group, 1, true, &d->epilogue, arg, &n_args))
		return false;
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	vq_product_by_rows(s, group, &s->s8, &kernel, arg, n_args, rows);
	return true;
}
