/* SPDX-License-Identifier: MIT */
/* Attributes of the node being imported, with type checks, and the axes that operators take as attribute or input. */
#include "frontend/onnx_node.h"

#include <inttypes.h>
#include <string.h>

#define A(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

/* clang-format off */
static const char *const type_names[] = {
	"undefined", "float", "int", "string", "tensor", "graph", "floats", "ints", "strings", "tensors", "graphs",
	"sparse tensor", "sparse tensors", "type", "types",
};
/* clang-format on */

const Onnx__AttributeProto *vq_onnx_attr(vq_onnx *o, const char *name)
{
	for (size_t i = 0; i < o->node->n_attribute; i++) {
		const Onnx__AttributeProto *a = o->node->attribute[i];

		if (a->name && !strcmp(a->name, name)) {
			o->attr_seen[i] = true;
			return a;
		}
	}
	return NULL;
}

void vq_onnx_attr_ignore(vq_onnx *o, const char *name) { vq_onnx_attr(o, name); }

bool vq_onnx_attr_check(vq_onnx *o)
{
	bool ok = true;

	for (size_t i = 0; i < o->node->n_attribute; i++) {
		const char *name = o->node->attribute[i]->name;

		if (!o->attr_seen[i])
			ok = vq_onnx_refuse(o, "attribute '%s' is not known", name ? name : "");
	}
	return ok;
}

/* finds the attribute and checks its type; *a stays NULL if it is absent */
static bool find(vq_onnx *o, const char *name, int type, const Onnx__AttributeProto **a)
{
	size_t known = sizeof type_names / sizeof *type_names;

	*a = vq_onnx_attr(o, name);
	if (!*a)
		return true;
	if ((*a)->ref_attr_name && *(*a)->ref_attr_name)
		return vq_onnx_refuse(
			o, "attribute '%s' refers to attribute '%s' of a model function", name, (*a)->ref_attr_name);
	/* early exporters left the type out */
	if (!(*a)->has_type || (*a)->type == A(UNDEFINED) || (int)(*a)->type == type)
		return true;
	return vq_onnx_refuse(o, "attribute '%s' is of type %s, expected %s", name,
		(size_t)(*a)->type < known ? type_names[(*a)->type] : "unknown", type_names[type]);
}

bool vq_onnx_attr_int(vq_onnx *o, const char *name, int64_t standard, int64_t *v)
{
	const Onnx__AttributeProto *a;

	if (!find(o, name, A(INT), &a))
		return false;
	*v = a ? a->i : standard;
	return true;
}

bool vq_onnx_attr_bool(vq_onnx *o, const char *name, bool standard, bool *v)
{
	int64_t i;

	if (!vq_onnx_attr_int(o, name, standard, &i))
		return false;
	if (i != 0 && i != 1)
		return vq_onnx_refuse(o, "attribute '%s' is %" PRId64 ", expected 0 or 1", name, i);
	*v = i == 1;
	return true;
}

bool vq_onnx_attr_float(vq_onnx *o, const char *name, float standard, float *v)
{
	const Onnx__AttributeProto *a;

	if (!find(o, name, A(FLOAT), &a))
		return false;
	*v = a ? a->f : standard;
	return true;
}

bool vq_onnx_attr_ints(vq_onnx *o, const char *name, int64_t *v, uint32_t most, uint32_t *n)
{
	const Onnx__AttributeProto *a;

	*n = 0;
	if (!find(o, name, A(INTS), &a))
		return false;
	if (!a)
		return true;
	if (a->n_ints > most)
		return vq_onnx_refuse(
			o, "attribute '%s' has %zu entries, expected at most %u", name, a->n_ints, (unsigned)most);
	*n = (uint32_t)a->n_ints;
	for (uint32_t i = 0; i < *n; i++)
		v[i] = a->ints[i];
	return true;
}

bool vq_onnx_attr_floats(vq_onnx *o, const char *name, float *v, uint32_t most, uint32_t *n)
{
	const Onnx__AttributeProto *a;

	*n = 0;
	if (!find(o, name, A(FLOATS), &a))
		return false;
	if (!a)
		return true;
	if (a->n_floats > most)
		return vq_onnx_refuse(
			o, "attribute '%s' has %zu entries, expected at most %u", name, a->n_floats, (unsigned)most);
	*n = (uint32_t)a->n_floats;
	memcpy(v, a->floats, *n * sizeof *v);
	return true;
}

bool vq_onnx_attr_string(vq_onnx *o, const char *name, const char *standard, const char **v)
{
	const Onnx__AttributeProto *a;

	*v = standard;
	if (!find(o, name, A(STRING), &a))
		return false;
	if (a && a->has_s)
		*v = a->s.len ? vq_arena_strndup(o->arena, (const char *)a->s.data, a->s.len) : "";
	return true;
}

bool vq_onnx_axis(vq_onnx *o, int64_t axis, uint32_t rank, uint32_t *result)
{
	int64_t r = rank;

	if (axis < -r || axis >= r)
		return vq_onnx_refuse(o, "axis is %" PRId64 ", expected %" PRId64 " to %" PRId64 " for rank %u", axis,
			-r, r - 1, (unsigned)rank);
	*result = (uint32_t)(axis < 0 ? axis + r : axis);
	return true;
}

bool vq_onnx_attr_axis(vq_onnx *o, int64_t standard, uint32_t rank, uint32_t *axis)
{
	int64_t a;

	return vq_onnx_attr_int(o, "axis", standard, &a) && vq_onnx_axis(o, a, rank, axis);
}

bool vq_onnx_axes(vq_onnx *o, uint32_t i, uint32_t rank, uint32_t *set, bool *given)
{
	int64_t axis[VQ_MAX_RANK];
	uint32_t n, a = 0;

	*set = 0;
	if (vq_onnx_has(o, i)) {
		if (!vq_onnx_ints(o, i, "axes", axis, VQ_MAX_RANK, &n))
			return false;
	} else if (!vq_onnx_attr_ints(o, "axes", axis, VQ_MAX_RANK, &n)) {
		return false;
	}
	*given = n > 0;
	for (uint32_t k = 0; k < n; k++) {
		if (!vq_onnx_axis(o, axis[k], rank, &a))
			return false;
		if (*set & 1u << a)
			return vq_onnx_refuse(o, "axis %u is listed twice", (unsigned)a);
		*set |= 1u << a;
	}
	return true;
}
