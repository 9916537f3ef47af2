/* SPDX-License-Identifier: MIT */
/* Inputs and outputs of the node being imported, and building of IR operators. */
#include "frontend/onnx_names.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool vq_onnx_refuse(vq_onnx *o, const char *format, ...)
{
	va_list args;
	const char *text;

	va_start(args, format);
	text = vq_arena_vprintf(o->arena, format, args);
	va_end(args);
	return vq_error(o->diag, o->where, "%s", text);
}

/* ---- inputs ---- */

uint32_t vq_onnx_inputs(const vq_onnx *o) { return (uint32_t)o->node->n_input; }

bool vq_onnx_has(const vq_onnx *o, uint32_t i) { return i < o->node->n_input && *o->node->input[i]; }

vq_onnx_name *vq_onnx_input_name(vq_onnx *o, uint32_t i)
{
	return vq_onnx_has(o, i) ? &o->name[vq_onnx_find(o, o->node->input[i])] : NULL;
}

bool vq_onnx_empty(vq_onnx *o, uint32_t i)
{
	const vq_onnx_name *n = vq_onnx_input_name(o, i);

	return n && n->state == VQ_ONNX_NOTHING;
}

vq_value vq_onnx_in(vq_onnx *o, uint32_t i)
{
	const vq_onnx_name *n = vq_onnx_input_name(o, i);

	return n && n->state == VQ_ONNX_VALUE ? n->value : VQ_NO_VALUE;
}

const vq_type *vq_onnx_in_type(vq_onnx *o, uint32_t i) { return vq_type_of(o->g, vq_onnx_in(o, i)); }

const void *vq_onnx_data_of(const vq_onnx *o, vq_value v, vq_elem elem)
{
	const vq_value_info *i = &o->g->value[v.id];

	return v.id && i->def == VQ_DEF_CONST && i->type.elem == elem && !i->type.quant ? i->data : NULL;
}

static bool not_constant(vq_onnx *o, uint32_t i, const char *what)
{
	const vq_onnx_name *n = vq_onnx_input_name(o, i);

	vq_onnx_refuse(o, "input %u (%s) must be a constant, but '%s' is computed at run time", (unsigned)i, what,
		n ? n->name : "");
	if (n && n->node)
		vq_note(o->diag, "'%s' comes from %s", n->name, n->node);
	return vq_onnx_not_static(o);
}

bool vq_onnx_not_static(vq_onnx *o)
{
	return vq_hint(o->diag,
		"shapes are fixed when the model is compiled: export it with fixed sizes, without operators "
		"whose result is as large as the data say");
}

bool vq_onnx_ints(vq_onnx *o, uint32_t i, const char *what, int64_t *v, uint32_t most, uint32_t *n)
{
	vq_value in = vq_onnx_in(o, i);
	vq_type t;

	*n = 0;
	if (vq_onnx_empty(o, i))
		return true;
	if (!in.id)
		return vq_onnx_refuse(o, "input %u (%s) is missing", (unsigned)i, what);
	t = *vq_type_of(o->g, in);
	if (!vq_is_const(o->g, in))
		return not_constant(o, i, what);
	if (t.rank > 1 || (t.elem != VQ_I64 && t.elem != VQ_I32))
		return vq_onnx_refuse(o, "input %u (%s) is %s, expected a list of integers", (unsigned)i, what,
			vq_type_text(o->arena, &t));
	if (vq_type_count(&t) > most)
		return vq_onnx_refuse(o, "input %u (%s) has %" PRId64 " entries, expected at most %u", (unsigned)i,
			what, vq_type_count(&t), (unsigned)most);
	*n = (uint32_t)vq_type_count(&t);
	for (uint32_t k = 0; k < *n; k++)
		v[k] = t.elem == VQ_I64 ? ((const int64_t *)o->g->value[in.id].data)[k]
					: ((const int32_t *)o->g->value[in.id].data)[k];
	return true;
}

bool vq_onnx_int(vq_onnx *o, uint32_t i, const char *what, int64_t *v)
{
	uint32_t n;

	if (!vq_onnx_ints(o, i, what, v, 1, &n))
		return false;
	return n == 1 || vq_onnx_refuse(o, "input %u (%s) has no elements, expected one", (unsigned)i, what);
}

bool vq_onnx_float(vq_onnx *o, uint32_t i, const char *what, float *v)
{
	vq_value in = vq_onnx_in(o, i);
	const float *data = vq_onnx_data_of(o, in, VQ_F32);

	if (in.id && !vq_is_const(o->g, in))
		return not_constant(o, i, what);
	if (!data || vq_type_count(vq_type_of(o->g, in)) != 1)
		return vq_onnx_refuse(o, "input %u (%s) is %s, expected one float", (unsigned)i, what,
			in.id ? vq_type_text(o->arena, vq_type_of(o->g, in)) : "missing");
	*v = *data;
	return true;
}

/* ---- building ---- */

vq_value vq_onnx_build(vq_onnx *o, vq_op op, const vq_value *in, uint32_t n, const vq_attr *attr)
{
	for (uint32_t i = 0; i < n; i++)
		if (!in[i].id)
			return VQ_NO_VALUE;
	return vq_build(o->g, o->where, op, in, n, attr);
}

vq_value vq_onnx_1(vq_onnx *o, vq_op op, vq_value a) { return vq_onnx_build(o, op, &a, 1, NULL); }

vq_value vq_onnx_2(vq_onnx *o, vq_op op, vq_value a, vq_value b)
{
	return vq_onnx_build(o, op, (vq_value[]){ a, b }, 2, NULL);
}

vq_value vq_onnx_3(vq_onnx *o, vq_op op, vq_value a, vq_value b, vq_value c)
{
	return vq_onnx_build(o, op, (vq_value[]){ a, b, c }, 3, NULL);
}

vq_value vq_onnx_scalar(vq_onnx *o, float v) { return vq_const_f32(o->g, v); }

vq_value vq_onnx_number(vq_onnx *o, vq_value like, double v)
{
	vq_type t = vq_type_make(vq_type_of(o->g, like)->elem, 0, NULL);

	if ((t.elem == VQ_I64 || t.elem == VQ_I32) && !(fabs(v) <= INT32_MAX && v == (double)(int32_t)v)) {
		vq_onnx_refuse(o, "elements of %s cannot be computed with %g, expected f32", vq_elem_name(t.elem), v);
		return VQ_NO_VALUE;
	}
	switch (t.elem) {
	case VQ_I64: return vq_add_const_copy(o->g, &t, &(int64_t){ (int64_t)v }, NULL);
	case VQ_I32: return vq_add_const_copy(o->g, &t, &(int32_t){ (int32_t)v }, NULL);
	default: return vq_const_f32(o->g, (float)v);
	}
}

vq_value vq_onnx_places(vq_onnx *o, int64_t n)
{
	vq_type t = vq_type_make(VQ_I64, 1, &n);
	int64_t *v;

	if (n > VQ_FOLD_LIMIT) {
		vq_onnx_refuse(o, "a dimension of %" PRId64 " is too large, expected at most %d", n, VQ_FOLD_LIMIT);
		return VQ_NO_VALUE;
	}
	v = VQ_ARRAY(o->arena, (size_t)n, int64_t);
	for (int64_t i = 0; i < n; i++)
		v[i] = i;
	return vq_add_const(o->g, &t, v, NULL);
}

static vq_value with_shape(vq_onnx *o, vq_op op, vq_value x, uint32_t rank, const int64_t *dim)
{
	vq_attr attr = { .shape = { .rank = rank } };

	if (rank > VQ_MAX_RANK) {
		vq_onnx_refuse(
			o, "a tensor of rank %u is needed, at most %d are supported", (unsigned)rank, VQ_MAX_RANK);
		return VQ_NO_VALUE;
	}
	for (uint32_t i = 0; i < rank; i++)
		attr.shape.dim[i] = dim[i];
	return vq_onnx_build(o, op, &x, 1, &attr);
}

vq_value vq_onnx_reshape(vq_onnx *o, vq_value x, uint32_t rank, const int64_t *dim)
{
	return with_shape(o, VQ_OP_RESHAPE, x, rank, dim);
}

vq_value vq_onnx_expand(vq_onnx *o, vq_value x, uint32_t rank, const int64_t *dim)
{
	return with_shape(o, VQ_OP_EXPAND, x, rank, dim);
}

vq_value vq_onnx_transpose(vq_onnx *o, vq_value x, const int64_t *perm)
{
	vq_attr attr = { 0 };

	for (uint32_t i = 0; x.id && i < vq_type_of(o->g, x)->rank; i++)
		attr.perm.perm[i] = perm[i];
	return vq_onnx_build(o, VQ_OP_TRANSPOSE, &x, 1, &attr);
}

vq_value vq_onnx_slice(vq_onnx *o, vq_value x, uint32_t axis, int64_t start, int64_t step, int64_t count)
{
	vq_attr attr = { 0 };

	for (uint32_t i = 0; x.id && i < vq_type_of(o->g, x)->rank; i++) {
		attr.slice.start[i] = i == axis ? start : 0;
		attr.slice.step[i] = i == axis && count > 1 ? step : 1;
		attr.slice.count[i] = i == axis ? count : vq_type_of(o->g, x)->dim[i];
	}
	return vq_onnx_build(o, VQ_OP_SLICE, &x, 1, &attr);
}

vq_value vq_onnx_cast(vq_onnx *o, vq_value x, vq_elem to)
{
	return vq_onnx_build(o, VQ_OP_CAST, &x, 1, &(vq_attr){ .cast = { .to = to } });
}

vq_value vq_onnx_reduce(vq_onnx *o, vq_op op, vq_value x, uint32_t axes, bool keepdims)
{
	return axes ? vq_onnx_build(o, op, &x, 1, &(vq_attr){ .reduce = { .axes = axes, .keepdims = keepdims } }) : x;
}

vq_value vq_onnx_softmax(vq_onnx *o, vq_value x, uint32_t axis)
{
	return vq_onnx_build(o, VQ_OP_SOFTMAX, &x, 1, &(vq_attr){ .axis = { .axis = (int32_t)axis } });
}

vq_value vq_onnx_gather(vq_onnx *o, vq_value x, uint32_t axis, const int64_t *index, uint32_t n)
{
	return vq_onnx_build(o, VQ_OP_GATHER, (vq_value[]){ x, vq_const_i64s(o->g, index, n) }, 2,
		&(vq_attr){ .axis = { .axis = (int32_t)axis } });
}

vq_value vq_onnx_layernorm(vq_onnx *o, vq_value x, vq_value gamma, vq_value beta, float epsilon)
{
	return vq_onnx_build(
		o, VQ_OP_LAYERNORM, (vq_value[]){ x, gamma, beta }, 3, &(vq_attr){ .norm = { .epsilon = epsilon } });
}

vq_value vq_onnx_filled(vq_onnx *o, float v, int64_t n) { return vq_onnx_expand(o, vq_onnx_scalar(o, v), 1, &n); }

/* ---- outputs ---- */

static bool has_output(const vq_onnx *o, uint32_t i) { return i < o->node->n_output && *o->node->output[i]; }

bool vq_onnx_wants(vq_onnx *o, uint32_t i)
{
	return has_output(o, i) && o->name[vq_onnx_name_id(o, o->node->output[i])].uses;
}

bool vq_onnx_out(vq_onnx *o, uint32_t i, vq_value v)
{
	vq_onnx_name *n;

	if (!v.id)
		return false;
	if (!has_output(o, i))
		return true;
	n = &o->name[vq_onnx_name_id(o, o->node->output[i])];
	n->state = VQ_ONNX_VALUE;
	n->value = v;
	n->data_type = 0;
	if (!o->g->value[v.id].name)
		o->g->value[v.id].name = n->name;
	return true;
}

bool vq_onnx_out_empty_list(vq_onnx *o, uint32_t i, vq_elem elem)
{
	return vq_onnx_out_empty(o, i, &(vq_type){ .elem = elem, .rank = 1 });
}

bool vq_onnx_out_empty(vq_onnx *o, uint32_t i, const vq_type *t)
{
	vq_onnx_name *n;

	if (!has_output(o, i))
		return true;
	n = &o->name[vq_onnx_name_id(o, o->node->output[i])];
	n->state = VQ_ONNX_NOTHING;
	n->empty = *t;
	n->empty.quant = 0;
	return true;
}

bool vq_onnx_out_id(vq_onnx *o, uint32_t i, uint32_t id)
{
	vq_onnx_name from;
	uint32_t to;

	if (!has_output(o, i))
		return true;
	if (id && o->name[id].state == VQ_ONNX_STORED)
		vq_onnx_load_stored(o, id);
	if (!id || (o->name[id].state != VQ_ONNX_VALUE && o->name[id].state != VQ_ONNX_NOTHING))
		return vq_onnx_refuse(o, "tensor '%s' is not computed", id ? o->name[id].name : "");
	from = o->name[id];
	to = vq_onnx_name_id(o, o->node->output[i]);
	o->name[to].state = from.state;
	o->name[to].value = from.value;
	o->name[to].empty = from.empty;
	o->name[to].data_type = from.data_type;
	return true;
}

bool vq_onnx_out_same(vq_onnx *o, uint32_t i, uint32_t k)
{
	return vq_onnx_out_id(o, i, vq_onnx_find(o, o->node->input[k]));
}

bool vq_onnx_out_tensor(vq_onnx *o, uint32_t i, const Onnx__TensorProto *t)
{
	const void *data;
	vq_type type;

	switch (vq_onnx_tensor(o->model, t, o->where, &type, &data)) {
	case VQ_ONNX_BAD: return false;
	case VQ_ONNX_EMPTY:
		if (!vq_onnx_out_empty(o, i, &type))
			return false;
		break;
	case VQ_ONNX_DATA:
		if (!vq_onnx_out(o, i, vq_add_const(o->g, &type, data, NULL)))
			return false;
		break;
	}
	if (has_output(o, i))
		o->name[vq_onnx_name_id(o, o->node->output[i])].data_type = t->data_type;
	return true;
}
