/* SPDX-License-Identifier: MIT */
/* Types, the table of operators and the quantization table. */
#include "ir/ir.h"

#include <assert.h>
#include <string.h>

const vq_op_info vq_ops[VQ_OP_COUNT] = {
	{ "none", 0, 0, 0, VQ_ATTR_NONE, VQ_CLASS_ELT },
#define VQ_OP(id, text, least, most, results, attr, class, rule) \
	{ text, least, most, results, VQ_ATTR_##attr, VQ_CLASS_##class },
#include "ir/ops.def"
};

/* clang-format off */
static const struct { const char *name; size_t bytes; } elems[] = {
	[VQ_F32] = { "f32", 4 }, [VQ_I64] = { "i64", 8 }, [VQ_I32] = { "i32", 4 },
	[VQ_BOOL] = { "bool", 1 }, [VQ_U8] = { "u8", 1 }, [VQ_S8] = { "s8", 1 },
};
_Static_assert(sizeof elems / sizeof *elems == VQ_ELEM_COUNT, "one row per element type");
/* clang-format on */

size_t vq_elem_bytes(vq_elem e) { return elems[e].bytes; }

const char *vq_elem_name(vq_elem e) { return elems[e].name; }

bool vq_elem_parse(const char *name, size_t length, vq_elem *e)
{
	for (int i = 0; i < VQ_ELEM_COUNT; i++)
		if (strlen(elems[i].name) == length && !memcmp(elems[i].name, name, length)) {
			*e = (vq_elem)i;
			return true;
		}
	return false;
}

vq_op vq_op_parse(const char *text, size_t length)
{
	for (int i = 1; i < VQ_OP_COUNT; i++)
		if (strlen(vq_ops[i].text) == length && !memcmp(vq_ops[i].text, text, length))
			return (vq_op)i;
	return VQ_OP_NONE;
}

int64_t vq_type_count(const vq_type *t)
{
	int64_t n = 1;

	for (uint32_t i = 0; i < t->rank; i++)
		n *= t->dim[i];
	return n;
}

size_t vq_type_bytes(const vq_type *t) { return (size_t)vq_type_count(t) * vq_elem_bytes(t->elem); }

bool vq_same_shape(const vq_type *a, const vq_type *b)
{
	return a->rank == b->rank && !memcmp(a->dim, b->dim, a->rank * sizeof *a->dim);
}

bool vq_same_type(const vq_type *a, const vq_type *b)
{
	return a->elem == b->elem && a->quant == b->quant && vq_same_shape(a, b);
}

vq_type vq_type_make(vq_elem elem, uint32_t rank, const int64_t *dim)
{
	vq_type t = { .elem = elem, .rank = rank };

	assert(rank <= VQ_MAX_RANK);
	for (uint32_t i = 0; i < rank; i++)
		t.dim[i] = dim[i];
	return t;
}

const char *vq_type_text(vq_arena *a, const vq_type *t)
{
	const char *dims = "";

	for (uint32_t i = 0; i < t->rank; i++)
		dims = vq_arena_printf(a, "%s%s%lld", dims, i ? "," : "", (long long)t->dim[i]);
	return vq_arena_printf(a, "%s[%s]", vq_elem_name(t->elem), dims);
}

const vq_quant *vq_quant_of(const vq_graph *g, const vq_type *t) { return t->quant ? &g->quant[t->quant] : NULL; }

static bool same_quant(const vq_quant *a, const vq_quant *b)
{
	return a->encoding == b->encoding && a->bits == b->bits && a->lo == b->lo && a->hi == b->hi &&
		a->axis == b->axis && a->n == b->n && !memcmp(a->scale, b->scale, a->n * sizeof *a->scale) &&
		!memcmp(a->zero, b->zero, a->n * sizeof *a->zero);
}

uint32_t vq_quant_find(const vq_graph *g, const vq_quant *q)
{
	for (uint32_t i = 1; i < g->n_quants; i++)
		if (same_quant(&g->quant[i], q))
			return i;
	return 0;
}

uint32_t vq_quant_add(vq_graph *g, const vq_quant *q)
{
	uint32_t old = vq_quant_find(g, q);
	float *scale;
	int32_t *zero;

	if (old)
		return old;
	scale = VQ_ARRAY(g->arena, q->n, float);
	zero = VQ_ARRAY(g->arena, q->n, int32_t);
	memcpy(scale, q->scale, q->n * sizeof *scale);
	memcpy(zero, q->zero, q->n * sizeof *zero);
	g->quant = vq_arena_grow(g->arena, g->quant, &g->cap_quants, g->n_quants + 1, sizeof *g->quant);
	g->quant[g->n_quants] = *q;
	g->quant[g->n_quants].scale = scale;
	g->quant[g->n_quants].zero = zero;
	return g->n_quants++;
}

uint32_t vq_quant_per_tensor(vq_graph *g, float scale, int32_t zero, int32_t lo, int32_t hi)
{
	return vq_quant_add(g,
		&(vq_quant){
			.bits = 8,
			.lo = lo,
			.hi = hi,
			.axis = -1,
			.n = 1,
			.scale = &scale,
			.zero = &zero,
		});
}
