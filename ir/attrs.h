/* SPDX-License-Identifier: MIT */
/* The table made from ir/attrs.def: what printer, parser, verifier and comparison know of attributes. */
#ifndef VQ_IR_ATTRS_H
#define VQ_IR_ATTRS_H

#include "ir/ir.h"

typedef enum vq_field_kind {
	VQ_FIELD_I32,
	VQ_FIELD_I64,
	VQ_FIELD_F32,
	VQ_FIELD_BOOL,
	VQ_FIELD_COUNT,
	VQ_FIELD_ELEM,
	VQ_FIELD_DIMS,
	VQ_FIELD_OUTDIMS,
	VQ_FIELD_AXES,
	VQ_FIELD_SPATIAL,
	VQ_FIELD_QUANTID,
} vq_field_kind;

typedef struct vq_attr_field {
	vq_attr_kind attr;  /* the member of vq_attr it belongs to */
	const char *member; /* "slice.start", as in attrs.def */
	vq_field_kind kind;
	size_t at; /* offset in vq_attr, bytes */
} vq_attr_field;

extern const vq_attr_field vq_attr_fields[];
extern const uint32_t vq_n_attr_fields;

/* Its name in the text form: what follows the dot. */
const char *vq_field_name(const vq_attr_field *f);
/* true if the text form does not print it because the result's type says it: its shape, its entry. */
bool vq_field_from_type(const vq_attr_field *f);
/* Items of the field on an operand and a result of these ranks; 1 for what is no list. */
uint32_t vq_field_items(vq_field_kind kind, uint32_t in_rank, uint32_t out_rank);

/*
 * The attribute with the fields of this kind and every other byte zero, so that memcmp compares. from may be NULL
 * (all zero).
 */
vq_attr vq_attr_normal(vq_attr_kind kind, const vq_attr *from, uint32_t in_rank, uint32_t out_rank);

#endif
