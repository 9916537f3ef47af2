/* SPDX-License-Identifier: MIT */
/* Rows of a table by index (embeddings): copies of a constant number of bytes. */
#include "backend/kernels/kernel.h"

/* Bounds were checked before; the clamp keeps a caller that changes the indices meanwhile from reading elsewhere. */
static vq_ll row_of(vq_codegen *c, const vq_gather *d, vq_ll index)
{
	LLVMTypeRef t = LLVMTypeOf(index);
	vq_ll last = LLVMConstInt(t, d->axis - 1, 0);
	vq_ll row = LLVMBuildSelect(c->b, LLVMBuildICmp(c->b, LLVMIntULT, index, last, ""), index, last, "");

	if (t == c->word)
		return row;
	return LLVMGetIntTypeWidth(t) > LLVMGetIntTypeWidth(c->word) ? LLVMBuildTrunc(c->b, row, c->word, "")
								     : LLVMBuildZExt(c->b, row, c->word, "");
}

void vq_build_gather(vq_codegen *c, const vq_gather *d, vq_kernel_args *a)
{
	int64_t inner = (int64_t)d->inner_bytes;
	uint32_t align = inner % 4 == 0 ? 4 : inner % 2 == 0 ? 2 : 1;
	vq_loop outer, l;

	vq_loop_begin(c, &outer, vq_cword(c, 0), vq_cword(c, d->outer), vq_cword(c, 1), NULL, 0);
	vq_ll data = vq_offset(c, a->arg[0], vq_mul_const(c, outer.i, (int64_t)d->axis * inner));
	vq_ll result = vq_offset(c, a->arg[2], vq_mul_const(c, outer.i, (int64_t)d->n * inner));

	vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, d->n), vq_cword(c, 1), NULL, 0);
	vq_ll index = vq_load_lanes(
		c, vq_elem_type(c, d->index), (uint32_t)vq_elem_bytes(d->index), a->arg[1], l.i, 1, 1);
	vq_ll from = vq_offset(c, data, vq_mul_const(c, row_of(c, d, index), inner));

	vq_copy_bytes(c, vq_offset(c, result, vq_mul_const(c, l.i, inner)), from, d->inner_bytes, align);
	vq_loop_end(c, &l);
	vq_loop_end(c, &outer);
}
