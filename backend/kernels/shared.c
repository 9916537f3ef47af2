/* SPDX-License-Identifier: MIT */
/* Pieces of several kernels: splitting rows into tasks, copying, the fixed 16-lane sums. */
#include "backend/kernels/kernel.h"

#include <assert.h>

void vq_task_rows(vq_codegen *c, vq_ll task, uint32_t rows, uint32_t block, vq_ll *first, vq_ll *count)
{
	if (rows <= block) {
		*first = vq_cword(c, 0);
		*count = vq_cword(c, rows);
		return;
	}
	*first = vq_mul_const(c, task, block);
	*count = vq_cword(c, block);
	if (rows % block)
		*count = vq_min_word(c, *count, LLVMBuildSub(c->b, vq_cword(c, rows), *first, ""));
}

vq_ll vq_tree16(vq_codegen *c, vq_ll v)
{
	for (uint32_t w = 8; w; w /= 2) {
		vq_ll high = vq_shuffle(c, v, w, w);

		v = vq_fadd(c, vq_shuffle(c, v, 0, w), high);
	}
	return v;
}

const vq_extra vq_extra_f32 = { .elem = VQ_F32, .index = VQ_X_FULL };

vq_ll vq_extra_load16(vq_codegen *c, const vq_extra *x, vq_ll p, vq_ll offset, uint32_t count)
{
	vq_ll v = LLVMConstNull(LLVMVectorType(c->f32, 16));
	uint32_t at = 0;

	assert(count <= 16);
	if (count == 16)
		return vq_extra_load(c, x, p, offset, 1, 16);
	for (uint32_t w = 8; w; w /= 2) {
		LLVMValueRef widen[16], merge[16];
		vq_ll part;

		if (!(count & w))
			continue;
		part = vq_extra_load(c, x, p, vq_add_word(c, offset, vq_cword(c, at)), 1, w);
		if (w == 1)
			return LLVMBuildInsertElement(c->b, v, part, vq_ci32(c, at), "");
		for (uint32_t i = 0; i < 16; i++) {
			bool inside = i >= at && i < at + w;

			widen[i] = inside ? vq_ci32(c, (int64_t)i - at) : LLVMGetPoison(c->i32);
			merge[i] = vq_ci32(c, inside ? 16 + (int64_t)i : i);
		}
		part = LLVMBuildShuffleVector(
			c->b, part, LLVMGetPoison(LLVMTypeOf(part)), LLVMConstVector(widen, 16), "");
		v = LLVMBuildShuffleVector(c->b, v, part, LLVMConstVector(merge, 16), "");
		at += w;
	}
	return v;
}

void vq_store_first(vq_codegen *c, vq_ll v, vq_ll to, uint32_t count)
{
	uint32_t lanes = vq_lanes_of(v), at = 0;
	LLVMTypeRef t = lanes > 1 ? LLVMGetElementType(LLVMTypeOf(v)) : LLVMTypeOf(v);
	uint32_t bytes = t == c->f32 ? 4 : LLVMGetIntTypeWidth(t) / 8;
	vq_ll place;

	for (uint32_t w = lanes; w; w /= 2) {
		if (!(count & w))
			continue;
		place = vq_offset_const(c, to, (int64_t)at * bytes);
		vq_store_to(c, vq_shuffle(c, v, at, w), place, bytes);
		at += w;
	}
}

vq_ll vq_first_lanes(vq_codegen *c, vq_ll v, uint32_t count, vq_ll other)
{
	LLVMValueRef mask[16];

	if (count == 16)
		return v;
	for (uint32_t i = 0; i < 16; i++)
		mask[i] = LLVMConstInt(c->i1, i < count, 0);
	return LLVMBuildSelect(c->b, LLVMConstVector(mask, 16), v, other, "");
}

vq_ll vq_fold16(vq_codegen *c, vq_ll v, bool greatest)
{
	for (uint32_t w = 8; w; w /= 2) {
		vq_ll a = vq_shuffle(c, v, 0, w), b = vq_shuffle(c, v, w, w);

		v = vq_select(c, greatest ? LLVMRealOGT : LLVMRealOLT, a, b, a, b);
	}
	return v;
}

void vq_walk16(
	vq_codegen *c, uint32_t n, uint32_t chunks, vq_pieces *piece, void *user, vq_ll *carried, uint32_t n_carried)
{
	uint32_t step = 16 * chunks, whole = n / step * step, left = (n - whole) / 16;
	vq_loop l;

	if (whole > step) {
		vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, whole), vq_cword(c, step), carried, n_carried);
		for (uint32_t k = 0; k < n_carried; k++)
			carried[k] = l.phi[k];
		piece(c, user, l.i, chunks, 16, carried);
		for (uint32_t k = 0; k < n_carried; k++)
			l.next[k] = carried[k];
		vq_loop_end(c, &l);
		for (uint32_t k = 0; k < n_carried; k++)
			carried[k] = l.phi[k];
	} else if (whole) {
		piece(c, user, vq_cword(c, 0), chunks, 16, carried);
	}
	if (left)
		piece(c, user, vq_cword(c, whole), left, 16, carried);
	whole += 16 * left;
	if (n > whole)
		piece(c, user, vq_cword(c, whole), 1, n - whole, carried);
}

static void copy_chunk(vq_codegen *c, vq_ll to, vq_ll from, uint32_t bytes, uint32_t align)
{
	LLVMTypeRef e = LLVMIntTypeInContext(c->context, 8 * align);
	vq_ll v[4];
	uint32_t size[4], n = 0;
	int64_t at = 0;

	/* the widest pieces first, down to one unit of alignment; loads before stores, so that they overlap */
	while (bytes) {
		uint32_t piece = c->lanes * 4;

		while (piece > bytes)
			piece /= 2;
		for (n = 0; n < 4 && bytes >= piece; n++, bytes -= piece) {
			size[n] = piece;
			v[n] = vq_load(
				c, vq_vec(e, piece / align), vq_offset_const(c, from, at + (int64_t)n * piece), align);
		}
		for (uint32_t i = 0; i < n; i++)
			vq_store_to(c, v[i], vq_offset_const(c, to, at + (int64_t)i * size[i]), align);
		at += (int64_t)n * piece;
	}
}

void vq_copy_bytes(vq_codegen *c, vq_ll to, vq_ll from, uint64_t bytes, uint32_t align)
{
	uint32_t unroll = c->lanes * 16;
	uint64_t whole = bytes / unroll * unroll;
	vq_ll part;
	vq_loop l;

	assert(bytes % align == 0);
	if (whole > unroll) {
		vq_loop_begin(c, &l, vq_cword(c, 0), vq_cword(c, (int64_t)whole), vq_cword(c, unroll), NULL, 0);
		part = vq_offset(c, from, l.i);
		copy_chunk(c, vq_offset(c, to, l.i), part, unroll, align);
		vq_loop_end(c, &l);
	} else {
		whole = 0;
	}
	part = vq_offset_const(c, from, (int64_t)whole);
	copy_chunk(c, vq_offset_const(c, to, (int64_t)whole), part, (uint32_t)(bytes - whole), align);
}
