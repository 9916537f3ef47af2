/* SPDX-License-Identifier: MIT */
/* Planning of linear and linear_dynamic, and what all products share. */
#include "backend/planner.h"
#include "ir/contract.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIRECT_ROWS =
		256, /* rows per task where A is read in place: they and one panel of B share the second-level cache */
	PACKED_TILES = 8, /* register tiles of rows per task where A is packed first: B is read once per task */
	MANY_TASKS = 16,  /* few rows: columns are split into about this many tasks instead */
	RESULT_BYTES = 96
		<< 10, /* f32 results in scratch, where a task quantizes whole rows: beside B in the second-level cache */
};

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

void vq_product_tasks(vq_gemm *d, const vq_tile *t)
{
	uint32_t panels = (d->n + vq_tile_nr(t) - 1) / vq_tile_nr(t);
	uint32_t most = t->pack_a ? t->mr * PACKED_TILES : DIRECT_ROWS;
	uint32_t blocks = (d->m + most - 1) / most;

	d->row_block = (uint32_t)round_up((d->m + blocks - 1) / blocks, t->mr);
	if (d->row_block > d->m)
		d->row_block = d->m;
	d->col_block = t->pack_a ? panels : 1;
	if (t->pack_a && blocks * d->batch[0] * d->batch[1] < 4)
		d->col_block = (panels + MANY_TASKS / 4 - 1) / (MANY_TASKS / 4);
}

/*
 * Operand A as rows with contiguous elements: up to two batch dimensions and one of rows. w must have the elements of a row in its last dimension.
 */
static bool as_rows(vq_window w, uint64_t bytes, vq_gemm *d)
{
	uint32_t last = w.rank - 1;
	int64_t k = w.dim[last];
	vq_window lead = w;

	if (k > 1 && w.stride[last] != 1)
		return false;
	lead.rank = last;
	vq_window_squeeze(&lead);
	if (lead.rank > 3)
		return false;
	d->batch[0] = d->batch[1] = d->m = 1;
	d->a_row = (int64_t)((uint64_t)k * bytes);
	d->a_batch[0] = d->a_batch[1] = 0;
	for (uint32_t i = 0; i < lead.rank; i++) {
		uint32_t n = (uint32_t)lead.dim[i];
		int64_t step = lead.stride[i] * (int64_t)bytes;

		if (i + 1 == lead.rank) {
			d->m = n;
			d->a_row = step;
		} else {
			d->batch[2 - lead.rank + 1 + i] = n;
			d->a_batch[2 - lead.rank + 1 + i] = step;
		}
	}
	return true;
}

/* A for a linear: in place if possible, else a dense copy (as f32 if the product is in f32) */
static vq_ref linear_rows(vq_planner *s, vq_value x, bool f32, vq_gemm *d, vq_node node)
{
	const vq_type *t = vq_type_of(s->g, x);
	uint64_t bytes = f32 ? 4 : 1;
	vq_window w = vq_planner_window(s, x);
	vq_home h = vq_planner_home(s, w.root);
	vq_ref ref;

	s->left[w.root.id]--;
	d->a_u8 = h.u8;
	if ((t->elem == VQ_F32) == f32 && as_rows(w, bytes, d))
		return vq_ref_at(h.ref, w.offset * (int64_t)bytes);
	ref = vq_planner_dense(s, x, f32, node);
	d->a_u8 = false;
	d->batch[0] = d->batch[1] = 1;
	d->m = (uint32_t)(vq_type_count(t) / d->k);
	d->a_row = (int64_t)(d->k * bytes);
	return ref;
}

void vq_product_dense(vq_gemm *d)
{
	d->c_row = (int64_t)d->n * (d->epilogue.store == VQ_STORE_F32 ? 4 : 1);
	d->c_batch[1] = d->c_row * d->m;
	d->c_batch[0] = d->c_batch[1] * d->batch[1];
}

/* A dead f32 extra of the result's shape gives its place to the result: the residual is updated where it stands. */
static bool reuse_extra(
	vq_planner *s, const vq_group *group, const vq_epilogue *e, const vq_ref *extra, const vq_ref *a, vq_value out)
{
	if (e->store != VQ_STORE_F32 || s->uses[out.id] == 0)
		return false;
	for (uint32_t i = 0; i < s->g->n_outputs; i++)
		if (vq_same(s->g->output[i].value, out))
			return false;
	for (uint32_t i = 1; i < group->n; i++) {
		const vq_node_info *n = &s->g->node[group->node[i].id];

		for (uint32_t k = 0; k < n->n_in; k++) {
			vq_window w = vq_window_find(s->g, n->in[k], NULL, NULL);
			vq_home h = s->home[w.root.id];
			bool whole = w.offset == 0 && vq_window_contiguous(&w) &&
				vq_type_count(vq_type_of(s->g, w.root)) == vq_type_count(vq_type_of(s->g, out));

			if (k == group->through[i] || !h.set || h.ref.kind != VQ_REF_BUFFER || !whole ||
				s->left[w.root.id] || s->watched[w.root.id] ||
				vq_type_of(s->g, w.root)->elem != VQ_F32 ||
				(a->kind == VQ_REF_BUFFER && a->index == h.ref.index))
				continue;
			for (uint32_t j = 0; j < e->n_extras; j++)
				if (extra[j].kind == VQ_REF_BUFFER && extra[j].index == h.ref.index &&
					e->extra[j].index == VQ_X_FULL) {
					s->home[out.id] = (vq_home){ .set = true, .ref = h.ref };
					return true;
				}
		}
	}
	return false;
}

vq_ref vq_product_result(
	vq_planner *s, const vq_group *group, const vq_epilogue *e, const vq_ref *extra, const vq_ref *a)
{
	vq_value out = s->g->node[group->node[group->n - 1].id].out;

	if (reuse_extra(s, group, e, extra, a, out))
		return s->home[out.id].ref;
	return vq_planner_result(s, out);
}

/* Whole rows per task: their results are in scratch until the row's range is known. */
static void split_whole_rows(vq_gemm *d, const vq_tile *t)
{
	uint32_t most = t->mr * PACKED_TILES, blocks;

	while (most > 2 * t->mr && 4 * (uint64_t)most * d->n > RESULT_BYTES)
		most -= t->mr;
	blocks = (d->m + most - 1) / most;
	if (blocks * d->batch[0] * d->batch[1] < 4)
		blocks = d->m / t->mr < 4 ? d->m / t->mr : 4;
	d->row_block = (uint32_t)round_up((d->m + blocks - 1) / blocks, t->mr);
	if (d->row_block > d->m)
		d->row_block = d->m;
	d->col_block = (d->n + vq_tile_nr(t) - 1) / vq_tile_nr(t);
}

/*
 * Tasks and the place of the result: codes and scales of rows where quantize_dynamic is all that reads it and there are rows enough,
 * so that not splitting columns leaves work for several threads; else the group's value.
 */
static void place_product(
	vq_planner *s, const vq_group *group, const vq_tile *t, vq_gemm *d, vq_ref *arg, uint32_t *n_args)
{
	vq_value out = s->g->node[group->node[group->n - 1].id].out;
	vq_ref codes, rows;

	if (d->epilogue.store == VQ_STORE_F32 && (uint64_t)d->m * d->batch[0] * d->batch[1] >= 4 * (uint64_t)t->mr &&
		d->m >= t->mr && vq_planner_row_codes(s, out, &codes, &rows, &d->row_codes_u8).id) {
		split_whole_rows(d, t);
		d->row_codes = *n_args;
		arg[(*n_args)++] = codes;
		arg[(*n_args)++] = rows;
		arg[3] = (vq_ref){ .kind = VQ_REF_NONE };
	} else {
		vq_product_tasks(d, t);
		arg[3] = vq_product_result(s, group, &d->epilogue, arg + 4, &arg[0]);
	}
}

void vq_product_by_rows(vq_planner *s, const vq_group *group, const vq_tile *t, vq_kernel *kernel, vq_ref *arg,
	uint32_t n_args, vq_ref rows)
{
	vq_gemm *d = &kernel->u.gemm;
	vq_step *step;

	place_product(s, group, t, d, arg, &n_args);
	d->rows = n_args;
	arg[n_args++] = rows;
	vq_product_dense(d);
	step = vq_planner_step(s, kernel, arg, n_args, group->node[group->n - 1]);
	step->integer = true;
	step->macs = (int64_t)d->batch[0] * d->batch[1] * d->m * d->n * d->k;
}

/* ---- linear ---- */

typedef struct columns {
	int32_t *comp;
	float *mult, *add;
	int32_t *sums;  /* with scales per row, else NULL */
	int32_t *zeros; /* of the weights, one per column, else NULL */
	int8_t *zeros8; /* instead, where all are bytes */
	uint32_t np;
} columns;

static vq_ref pack_columns(vq_planner *s, const columns *c)
{
	const void *part[] = { c->comp, c->mult, c->add, c->sums, c->zeros };
	size_t bytes = c->np * sizeof(float), at = 0;
	unsigned char *block = VQ_ARRAY(s->a, sizeof part / sizeof *part * bytes, unsigned char);

	for (size_t i = 0; i < sizeof part / sizeof *part; i++)
		if (part[i]) {
			memcpy(block + at, part[i], bytes);
			at += bytes;
		}
	if (c->zeros8) {
		memcpy(block + at, c->zeros8, c->np);
		at += c->np;
	}
	return vq_pack_bytes(s->p, block, at);
}

static columns new_columns(vq_planner *s, uint32_t np)
{
	return (columns){
		.comp = VQ_ARRAY(s->a, np, int32_t),
		.mult = VQ_ARRAY(s->a, np, float),
		.add = VQ_ARRAY(s->a, np, float),
		.np = np,
	};
}

/*
 * Zero points of the weights, into the columns even if there is only one: so layers share the kernel. a_zero is that of the rows, or
 * 0 where they bring their own.
 */
static void weight_zeros(vq_planner *s, const vq_quant *q, int32_t a_zero, vq_gemm *d, columns *c)
{
	bool none = true, bytes = true;

	for (uint32_t i = 0; i < q->n; i++) {
		none &= q->zero[i] == 0;
		bytes &= q->zero[i] >= INT8_MIN && q->zero[i] <= INT8_MAX;
	}
	d->a_zero = none ? 0 : a_zero; /* else only the initial accumulators know it */
	if (none)
		return;
	d->b_zeros = bytes ? 1 : 4;
	if (bytes)
		c->zeros8 = VQ_ARRAY(s->a, c->np, int8_t);
	else
		c->zeros = VQ_ARRAY(s->a, c->np, int32_t);
	for (uint32_t i = 0; i < d->n; i++) {
		int32_t zero = q->zero[i / (d->n / q->n)];

		if (bytes)
			c->zeros8[i] = (int8_t)zero;
		else
			c->zeros[i] = zero;
	}
}

/* scale of channel i of n along the last axis */
static double channel_scale(const vq_quant *q, int64_t i, int64_t n)
{
	return q ? (double)q->scale[q->n == 1 ? 0 : i / (n / q->n)] : 1.0;
}

vq_tile vq_product_tile(const vq_planner *s, const vq_quant *qx, const vq_quant *qw)
{
	return s->s8.pairs_s16 && qx->lo == -128 && qw->lo == -128 ? s->wide : s->s8;
}

bool vq_product_bounded(const vq_epilogue *e, double most)
{
	for (uint32_t i = 0; i < e->n_eops; i++)
		switch (e->eop[i].op) {
		case VQ_OP_GELU:
		case VQ_OP_GELU_TANH:
		case VQ_OP_GELU_QUICK:
		case VQ_OP_SILU:
		case VQ_OP_RELU:
		case VQ_OP_NEG:
		case VQ_OP_ABS:
		case VQ_OP_NONE: break;
		default: return false;
		}
	return (most + 1) * (e->scaled ? (double)e->inv : 1) < 0x1p30;
}

static bool linear_s8(vq_planner *s, const vq_group *group, vq_kernel *kernel)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[group->node[0].id];
	const vq_type *wt = vq_type_of(g, n->in[1]);
	const vq_quant *qx = vq_quant_of(g, vq_type_of(g, n->in[0])), *qw = vq_quant_of(g, wt), *qo;
	vq_gemm *d = &kernel->u.gemm;
	vq_tile t = vq_product_tile(s, qx, qw);
	const int8_t *w = g->value[n->in[1].id].data;
	int64_t *sums = VQ_ARRAY(s->a, d->n, int64_t), n_bias = 0;
	const float *bias = n->n_in > 2 ? vq_planner_const_f32(s, n->in[2], &n_bias) : NULL;
	double worst = 0;
	vq_ref arg[VQ_MAX_ARGS];
	uint32_t n_args = 4;
	columns c = new_columns(s, (uint32_t)round_up(d->n, vq_tile_nr(&t)));
	int64_t reach = qx->zero[0] - qx->lo > qx->hi - qx->zero[0] ? qx->zero[0] - qx->lo : qx->hi - qx->zero[0];

	d->wide = t.pairs_s16 != s->s8.pairs_s16;
	weight_zeros(s, qw, qx->zero[0], d, &c);
	arg[0] = linear_rows(s, n->in[0], false, d, group->node[0]);
	arg[1] = vq_pack_weights_s8(s->p, &t, w, d->n, d->k, sums);
	qo = group->n == 1 ? vq_quant_of(g, vq_type_of(g, n->out)) : NULL;
	for (uint32_t i = 0; i < d->n; i++) {
		double so = channel_scale(qo, i, d->n), sum = 0;
		uint32_t entry = i / (d->n / qw->n);

		c.comp[i] = (int32_t)(uint32_t)(uint64_t)(-(qx->zero[0] + (t.a == VQ_A_U8 ? 128 : 0)) * sums[i]);
		c.mult[i] = (float)((double)qx->scale[0] * (double)qw->scale[entry] / so);
		c.add[i] = bias ? vq_c_merge_bias(bias[i], (float)so) : 0.0f;
		for (uint32_t k = 0; k < d->k; k++)
			sum += fabs((double)w[(size_t)i * d->k + k] - qw->zero[entry]);
		sum *= (double)reach;
		if (sum >= 0x1p31)
			return vq_planner_refuse(s, group->node[0], "the accumulator can exceed 32 bits");
		worst = fmax(worst, sum * (double)c.mult[i] + fabs((double)c.add[i]));
	}
	if (!vq_plan_epilogue(s, group, 1, true, &d->epilogue, arg, &n_args))
		return false;
	d->epilogue.bounded = vq_product_bounded(&d->epilogue, worst);
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	arg[2] = pack_columns(s, &c);
	place_product(s, group, &t, d, arg, &n_args);
	vq_product_dense(d);
	vq_step *step = vq_planner_step(s, kernel, arg, n_args, group->node[0]);
	step->integer = true;
	step->macs = (int64_t)d->batch[0] * d->batch[1] * d->m * d->n * d->k;
	return true;
}

/*
 * Codes with a scale per row: nothing but the weights' scales is known here. Of codes and zero points only their range is: a term
 * is at most 255 times a weight.
 */
bool vq_plan_linear_dynamic(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[group->node[0].id];
	const vq_quant *qw = vq_quant_of(g, vq_type_of(g, n->in[2]));
	const vq_type *wt = vq_type_of(g, n->in[2]);
	const int8_t *w = g->value[n->in[2].id].data;
	vq_tile t = qw->lo == -128 && s->s8.pairs_s16 ? s->wide : s->s8;
	int64_t *sums, n_bias = 0;
	const float *bias = n->n_in > 3 ? vq_planner_const_f32(s, n->in[3], &n_bias) : NULL;
	vq_kernel kernel;
	vq_gemm *d = &kernel.u.gemm;
	vq_ref arg[VQ_MAX_ARGS], rows;
	uint32_t n_args = 4, np;
	columns c;

	if (!vq_is_const(g, n->in[2]) || (n->n_in > 3 && !bias))
		return vq_planner_refuse(s, group->node[0], "weights or bias are not constant");
	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_GEMM;
	d->n = (uint32_t)wt->dim[0];
	d->k = (uint32_t)wt->dim[1];
	d->wide = t.pairs_s16 != s->s8.pairs_s16;
	np = (uint32_t)round_up(d->n, vq_tile_nr(&t));
	c = new_columns(s, np);
	c.sums = VQ_ARRAY(s->a, np, int32_t);
	sums = VQ_ARRAY(s->a, d->n, int64_t);
	weight_zeros(s, qw, 0, d, &c);
	arg[0] = linear_rows(s, n->in[0], false, d, group->node[0]);
	rows = vq_planner_row_scales(
		s, n->in[1], vq_type_of(g, n->in[0]), vq_type_of(g, n->in[0])->rank - 1, group->node[0]);
	arg[1] = vq_pack_weights_s8(s->p, &t, w, d->n, d->k, sums);
	for (uint32_t i = 0; i < d->n; i++) {
		int64_t reach = 0, zero = qw->zero[i / (d->n / qw->n)];

		for (uint32_t k = 0; k < d->k; k++)
			reach += 255 * llabs((long long)w[(size_t)i * d->k + k] - zero);
		if (reach >= 0x80000000)
			return vq_planner_refuse(s, group->node[0], "the accumulator can exceed 32 bits");
		c.comp[i] = (int32_t)(t.a == VQ_A_U8 ? -128 * sums[i] : 0);
		c.sums[i] = (int32_t)(sums[i] - d->k * zero);
		c.mult[i] = qw->scale[i / (d->n / qw->n)];
		c.add[i] = bias ? vq_c_flush(bias[i]) : 0.0f;
	}
	d->epilogue.scaled = true;
	if (!vq_plan_epilogue(s, group, 1, true, &d->epilogue, arg, &n_args))
		return false;
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	arg[2] = pack_columns(s, &c);
	vq_product_by_rows(s, group, &t, &kernel, arg, n_args, rows);
	return true;
}

static bool linear_f32(vq_planner *s, const vq_group *group, vq_kernel *kernel)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[group->node[0].id];
	vq_gemm *d = &kernel->u.gemm;
	int64_t count, n_bias = 0;
	const float *w = vq_planner_const_f32(s, n->in[1], &count);
	const float *bias = n->n_in > 2 ? vq_planner_const_f32(s, n->in[2], &n_bias) : NULL;
	uint32_t np = (uint32_t)round_up(d->n, vq_tile_nr(&s->f32)), n_args = 4;
	float *column = VQ_ARRAY(s->a, np, float);
	vq_ref arg[VQ_MAX_ARGS];

	if (!w || (n->n_in > 2 && !bias))
		return vq_planner_refuse(s, group->node[0], "weights or bias are not constant");
	d->f32 = true;
	arg[0] = linear_rows(s, n->in[0], true, d, group->node[0]);
	arg[1] = vq_pack_weights_f32(s->p, &s->f32, w, d->n, d->k);
	if (bias)
		memcpy(column, bias, d->n * sizeof *bias);
	arg[2] = vq_pack_bytes(s->p, column, np * sizeof *column);
	d->epilogue.scaled = true; /* columns carry no scale here */
	if (!vq_plan_epilogue(s, group, 1, true, &d->epilogue, arg, &n_args))
		return false;
	vq_planner_share(s, &d->epilogue, arg, &n_args);
	place_product(s, group, &s->f32, d, arg, &n_args);
	vq_product_dense(d);
	vq_planner_step(s, kernel, arg, n_args, group->node[0])->macs = (int64_t)d->batch[0] * d->batch[1] * d->m *
		d->n * d->k;
	return true;
}

bool vq_plan_linear(vq_planner *s, const vq_group *group)
{
	const vq_graph *g = s->g;
	const vq_node_info *n = &g->node[group->node[0].id];
	const vq_type *x = vq_type_of(g, n->in[0]), *w = vq_type_of(g, n->in[1]);
	vq_kernel kernel;

	memset(&kernel, 0, sizeof kernel);
	kernel.kind = VQ_KERNEL_GEMM;
	kernel.u.gemm.n = (uint32_t)w->dim[0];
	kernel.u.gemm.k = (uint32_t)w->dim[1];
	if (x->quant && w->quant && vq_is_const(g, n->in[1]))
		return linear_s8(s, group, &kernel);
	return linear_f32(s, group, &kernel);
}
