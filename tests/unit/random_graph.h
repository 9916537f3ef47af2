/* SPDX-License-Identifier: MIT */
/* Random graphs over all operators, from a seed: for properties that must hold of any graph. */
#ifndef TESTS_RANDOM_GRAPH_H
#define TESTS_RANDOM_GRAPH_H

#include "ir/build.h"

#include <string.h>

typedef struct random_graph {
	vq_graph *g;
	uint32_t seed;
	bool had[VQ_OP_COUNT]; /* operators that occurred in any graph made with this */
} random_graph;

static uint32_t pick(random_graph *r, uint32_t n)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (r->seed >> 12) % n;
}

static vq_type pick_type(random_graph *r, vq_elem e)
{
	static const int64_t size[] = { 1, 1, 2, 2, 3, 4, 6 };
	vq_type t = { .elem = e, .rank = pick(r, 5) };

	for (uint32_t i = 0; i < t.rank; i++)
		t.dim[i] = size[pick(r, 7)];
	return t;
}

static vq_value pick_const(random_graph *r, const vq_type *t)
{
	size_t bytes = vq_type_bytes(t);
	unsigned char *data = vq_arena_alloc(r->g->arena, bytes);

	/* any bits: f32 takes infinities, nans and denormals this way */
	for (size_t i = 0; i < bytes; i++)
		data[i] = (unsigned char)(t->elem == VQ_BOOL ? pick(r, 2) : pick(r, 256));
	return vq_add_const(r->g, t, data, NULL);
}

static uint32_t pick_entry(random_graph *r, const vq_type *t)
{
	float scale[1000];
	int32_t zero[1000], axis = t->rank && pick(r, 2) ? (int32_t)pick(r, t->rank) : -1;
	uint32_t n = axis < 0 ? 1 : (uint32_t)t->dim[axis];

	if (axis >= 0 && n % 2 == 0 && pick(r, 2))
		n /= 2;
	for (uint32_t i = 0; i < n; i++) {
		scale[i] = (float)(1 + pick(r, 1000)) / 700.0f;
		zero[i] = (int32_t)pick(r, 300) - 150;
	}
	return vq_quant_add(r->g,
		&(vq_quant){ .bits = 8,
			.lo = pick(r, 2) ? -128 : -127,
			.hi = 127,
			.axis = axis,
			.n = n,
			.scale = scale,
			.zero = zero });
}

/* a value of the graph, or a constant */
static vq_value pick_value(random_graph *r)
{
	vq_type t;

	if (r->g->n_values > 1 && pick(r, 4))
		return (vq_value){ 1 + pick(r, r->g->n_values - 1) };
	t = pick_type(r, (vq_elem)pick(r, VQ_ELEM_COUNT));
	if (t.elem == VQ_S8 && pick(r, 2))
		t.quant = pick_entry(r, &t);
	return pick_const(r, &t);
}

static vq_value const_of(random_graph *r, uint32_t rank, const int64_t *dim)
{
	vq_type t = vq_type_make(VQ_F32, rank, dim);

	return pick_const(r, &t);
}

static vq_attr pick_attr(random_graph *r, vq_op op, const vq_type *x)
{
	vq_attr a = { 0 };
	int64_t n = vq_type_count(x);
	uint32_t i;

	switch (vq_ops[op].attr) {
	case VQ_ATTR_AXIS: a.axis.axis = (int32_t)pick(r, x->rank + 1); break;
	case VQ_ATTR_CAST: a.cast.to = (vq_elem)pick(r, VQ_ELEM_COUNT); break;
	case VQ_ATTR_SHAPE:
		for (i = 0; i < x->rank; i++)
			a.shape.dim[i] = x->dim[x->rank - 1 - i];
		if (op == VQ_OP_EXPAND)
			for (i = 0; i < x->rank; i++)
				a.shape.dim[i] = x->dim[i] == 1 ? 1 + pick(r, 3) : x->dim[i];
		a.shape.rank = x->rank;
		break;
	case VQ_ATTR_PERM:
		for (i = 0; i < x->rank; i++)
			a.perm.perm[i] = i;
		for (i = 1; i < x->rank; i++) {
			uint32_t j = pick(r, i + 1);
			int64_t p = a.perm.perm[i];

			a.perm.perm[i] = a.perm.perm[j];
			a.perm.perm[j] = p;
		}
		break;
	case VQ_ATTR_SLICE:
		for (i = 0; i < x->rank; i++) {
			a.slice.start[i] = pick(r, (uint32_t)x->dim[i]);
			a.slice.step[i] = pick(r, 2) ? 1 : -1;
			a.slice.count[i] = 1 + pick(r, (uint32_t)x->dim[i] - (uint32_t)a.slice.start[i]);
		}
		break;
	case VQ_ATTR_VIEW:
		a.view.rank = pick(r, 3);
		a.view.offset = pick(r, (uint32_t)n);
		for (i = 0; i < a.view.rank; i++) {
			a.view.dim[i] = 1 + pick(r, 3);
			a.view.stride[i] = (int64_t)pick(r, 5) - 1;
		}
		break;
	case VQ_ATTR_PAD:
		for (i = 0; i < x->rank; i++) {
			a.pad.before[i] = pick(r, 2);
			a.pad.after[i] = pick(r, 2);
		}
		a.pad.value = (float)pick(r, 100) / 7.0f;
		break;
	case VQ_ATTR_REDUCE:
		a.reduce.axes = x->rank ? 1 + pick(r, (1u << x->rank) - 1) : 0;
		a.reduce.keepdims = pick(r, 2);
		break;
	case VQ_ATTR_NORM: a.norm.epsilon = 1e-6f; break;
	case VQ_ATTR_MATMUL:
		a.matmul.trans_a = pick(r, 2);
		a.matmul.trans_b = pick(r, 2);
		break;
	case VQ_ATTR_CONV:
		for (i = 0; i < 3; i++) {
			a.conv.stride[i] = 1 + (int32_t)pick(r, 2);
			a.conv.dilation[i] = 1;
			a.conv.before[i] = (int32_t)pick(r, 2);
			a.conv.after[i] = (int32_t)pick(r, 2);
		}
		a.conv.group = 1;
		break;
	case VQ_ATTR_ATTENTION:
		a.attention.heads = 1 + (int32_t)pick(r, 2);
		a.attention.scale = 0.125f;
		break;
	case VQ_ATTR_DYNAMIC:
		a.dynamic.groups = (int32_t)pick(r, 3);
		a.dynamic.span = (int32_t)pick(r, 2);
		a.dynamic.symmetric = pick(r, 2);
		break;
	case VQ_ATTR_QUANT: a.quant.id = pick_entry(r, x); break;
	default: break;
	}
	return a;
}

/* in[0] as codes and rows, weights and a bias */
static void pick_dynamic(random_graph *r, int64_t last, vq_value *in)
{
	vq_type x = *vq_type_of(r->g, in[0]), w = vq_type_make(VQ_S8, 2, (int64_t[]){ 5, last });
	float scale[5] = { 1, 0.5f, 3, 1, 0.1f };
	int32_t zero[5] = { 0 };
	vq_node n;

	x.elem = VQ_S8;
	n = vq_def_of(r->g, vq_add_node(r->g, VQ_OP_QUANTIZE_DYNAMIC, in, 1, NULL, &x));
	r->had[VQ_OP_QUANTIZE_DYNAMIC] = true;
	w.quant = vq_quant_add(
		r->g, &(vq_quant){ .bits = 8, .lo = -127, .hi = 127, .axis = 0, .n = 5, .scale = scale, .zero = zero });
	in[0] = r->g->node[n.id].out;
	in[1] = r->g->node[n.id].out2;
	in[2] = pick_const(r, &w);
	in[3] = const_of(r, 1, (int64_t[]){ 5 });
}

/* in[0] by itself, as codes and rows */
static void pick_dynamic_matmul(random_graph *r, vq_attr *a, vq_value *in)
{
	vq_type x = *vq_type_of(r->g, in[0]), type;
	vq_attr d;

	memset(&d, 0, sizeof d);
	a->matmul.trans_a = false;
	for (uint32_t i = 2; i-- > 0;) {
		d.dynamic.symmetric = i > 0;
		d.dynamic.span = i > 0 && !a->matmul.trans_b;
		if (vq_infer(r->g, VQ_OP_QUANTIZE_DYNAMIC, &x, 1, &d, &type))
			return;
		in[2 * i] = vq_add_node(r->g, VQ_OP_QUANTIZE_DYNAMIC, in, 1, &d, &type);
		in[2 * i + 1] = r->g->node[vq_def_of(r->g, in[2 * i]).id].out2;
	}
}

/* q, k and v, one value, as codes and rows */
static void pick_dynamic_heads(random_graph *r, const vq_attr *a, vq_value *in)
{
	vq_type x = *vq_type_of(r->g, in[0]), type;
	vq_attr d;

	memset(&d, 0, sizeof d);
	d.dynamic.groups = a->attention.heads;
	d.dynamic.symmetric = true;
	for (uint32_t i = 3; i-- > 0;) {
		d.dynamic.span = i > 0;
		if (vq_infer(r->g, VQ_OP_QUANTIZE_DYNAMIC, &x, 1, &d, &type))
			return;
		in[2 * i] = vq_add_node(r->g, VQ_OP_QUANTIZE_DYNAMIC, in, 1, &d, &type);
		in[2 * i + 1] = r->g->node[vq_def_of(r->g, in[2 * i]).id].out2;
	}
}

/* operands that suit op; in[0] is chosen */
static uint32_t pick_operands(random_graph *r, vq_op op, vq_value *in, vq_attr *a)
{
	vq_type x = *vq_type_of(r->g, in[0]);
	uint32_t n = vq_ops[op].least + (vq_ops[op].most > vq_ops[op].least ? pick(r, 2) : 0);
	int64_t last = x.rank ? x.dim[x.rank - 1] : 1;
	vq_type index = { .elem = VQ_I64, .rank = pick(r, 3), .dim = { 2, 1 } };

	index.dim[1] = index.rank > 1;
	index.dim[0] = index.rank ? 2 : 0;
	x.quant = 0;
	for (uint32_t i = 1; i < n; i++)
		in[i] = pick(r, 3) ? in[0] : pick_value(r);
	switch (op) {
	case VQ_OP_LINEAR:
		in[1] = const_of(r, 2, (int64_t[]){ 5, last });
		in[2] = const_of(r, 1, (int64_t[]){ 5 });
		break;
	case VQ_OP_LINEAR_DYNAMIC:
		if (x.rank && x.elem == VQ_F32)
			pick_dynamic(r, last, in);
		break;
	case VQ_OP_ATTENTION_DYNAMIC:
		if (x.rank == 3 && x.elem == VQ_F32 && !vq_type_of(r->g, in[0])->quant)
			pick_dynamic_heads(r, a, in);
		n = 6;
		break;
	case VQ_OP_MATMUL_DYNAMIC:
		if (x.rank >= 2 && x.elem == VQ_F32 && !vq_type_of(r->g, in[0])->quant)
			pick_dynamic_matmul(r, a, in);
		break;
	case VQ_OP_LAYERNORM: in[1] = in[2] = const_of(r, 1, &last); break;
	case VQ_OP_CONV:
		if (x.rank >= 3)
			in[1] = const_of(r, x.rank, (int64_t[]){ 3, x.dim[1], 1, 1, 1 });
		in[2] = const_of(r, 1, (int64_t[]){ 3 });
		break;
	case VQ_OP_MATMUL:
		if (in[1].id == in[0].id)
			a->matmul.trans_b = !a->matmul.trans_a;
		break;
	case VQ_OP_ATTENTION:
		in[1] = in[2] = in[0];
		in[3] = const_of(r, 0, NULL);
		break;
	case VQ_OP_GATHER: in[1] = pick_const(r, &index); break;
	case VQ_OP_WHERE:
		in[0] = pick_const(r, &(vq_type){ .elem = VQ_BOOL });
		in[2] = in[1];
		break;
	default: break;
	}
	return n;
}

/* g is initialised; afterwards it is swept, with all unused results as outputs, the last at least */
static void make_random_graph(random_graph *r, vq_graph *g, uint32_t nodes)
{
	uint32_t *uses, outputs = 0;
	vq_arena scratch = { 0 };

	r->g = g;
	for (uint32_t i = 0; i < 3; i++) {
		static const char *const name[] = { "x", "input.1", "1 odd \"name\"\\\n" };
		vq_type t = pick_type(r, i ? (vq_elem)pick(r, VQ_ELEM_COUNT) : VQ_F32);

		vq_add_input(g, name[i], &t);
	}
	for (uint32_t tries = 0; g->n_nodes <= nodes && tries < 100 * nodes; tries++) {
		vq_op op = (vq_op)(1 + pick(r, VQ_OP_COUNT - 1));
		vq_value in[64] = { pick_value(r) };
		vq_attr a = pick_attr(r, op, vq_type_of(g, in[0]));
		uint32_t n = pick_operands(r, op, in, &a);
		vq_type t[64], out;

		for (uint32_t i = 0; i < n; i++)
			t[i] = *vq_type_of(g, in[i]);
		if (vq_infer_add(g, op, t, n, &a, &out) || vq_type_count(&out) > 1000)
			continue;
		/* the integer form: a result of f32 arithmetic, quantized */
		if (out.elem == VQ_F32 && op != VQ_OP_DEQUANTIZE && !pick(r, 3)) {
			out.elem = VQ_S8;
			out.quant = pick_entry(r, &out);
		}
		vq_add_node(g, op, in, n, &a, &out);
		r->had[op] = true;
	}
	uses = vq_use_counts(g, &scratch);
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (!uses[g->node[i].out.id] || i == g->n_nodes - 1)
			vq_add_output(g, vq_arena_printf(g->arena, "out %u", (unsigned)outputs++), g->node[i].out);
	vq_arena_free(&scratch);
	vq_graph_sweep(g);
}

#endif
