/* SPDX-License-Identifier: MIT */
#include "ir/attrs.h"

#include <assert.h>
#include <string.h>

const vq_attr_field vq_attr_fields[] = {
#define VQ_ATTR(attr, member, kind) { VQ_ATTR_##attr, #member, VQ_FIELD_##kind, offsetof(vq_attr, member) },
#include "ir/attrs.def"
};
const uint32_t vq_n_attr_fields = sizeof vq_attr_fields / sizeof *vq_attr_fields;

const char *vq_field_name(const vq_attr_field *f) { return strchr(f->member, '.') + 1; }

bool vq_field_from_type(const vq_attr_field *f)
{
	return f->kind == VQ_FIELD_QUANTID || (f->kind == VQ_FIELD_OUTDIMS && !strcmp(vq_field_name(f), "dim"));
}

uint32_t vq_field_items(vq_field_kind kind, uint32_t in_rank, uint32_t out_rank)
{
	switch (kind) {
	case VQ_FIELD_DIMS: return in_rank;
	case VQ_FIELD_OUTDIMS: return out_rank;
	case VQ_FIELD_SPATIAL: return in_rank < 2 ? 0 : in_rank > 5 ? 3 : in_rank - 2;
	default: return 1;
	}
}

/* of one item */
static size_t item_bytes(vq_field_kind kind)
{
	switch (kind) {
	case VQ_FIELD_I64:
	case VQ_FIELD_DIMS:
	case VQ_FIELD_OUTDIMS: return sizeof(int64_t);
	case VQ_FIELD_F32: return sizeof(float);
	case VQ_FIELD_BOOL: return sizeof(bool);
	case VQ_FIELD_ELEM: return sizeof(vq_elem);
	default: return sizeof(int32_t);
	}
}

vq_attr vq_attr_normal(vq_attr_kind kind, const vq_attr *from, uint32_t in_rank, uint32_t out_rank)
{
	vq_attr to;

	assert(in_rank <= VQ_MAX_RANK && out_rank <= VQ_MAX_RANK);
	memset(&to, 0, sizeof to);
	for (uint32_t i = 0; from && i < vq_n_attr_fields; i++) {
		const vq_attr_field *f = &vq_attr_fields[i];

		if (f->attr == kind)
			memcpy((char *)&to + f->at, (const char *)from + f->at,
				vq_field_items(f->kind, in_rank, out_rank) * item_bytes(f->kind));
	}
	/* the lists of these two carry their own length */
	if (kind == VQ_ATTR_SHAPE)
		to.shape.rank = out_rank;
	if (kind == VQ_ATTR_VIEW)
		to.view.rank = out_rank;
	return to;
}
