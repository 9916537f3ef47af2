/* SPDX-License-Identifier: MIT */
/* Packing of constants into the weights section, in execution order. */
#include "backend/plan.h"

#include "ir/text.h"

#include <string.h>

enum { ALIGN = 64, HASHED = 4096 };

static unsigned char *reserve(vq_plan *p, uint64_t bytes, vq_ref *ref)
{
	uint64_t at = (p->weight_bytes + ALIGN - 1) / ALIGN * ALIGN;
	uint64_t need = at + bytes;

	if (need > p->cap_weights) {
		uint64_t cap = p->cap_weights ? p->cap_weights : 1 << 16;

		while (cap < need)
			cap += cap / 2;
		p->weights = vq_resize(
			p->weights, cap); /* in place, or by moving pages: large models fit in memory once */
		p->cap_weights = cap;
	}
	memset(p->weights + p->weight_bytes, 0, need - p->weight_bytes);
	p->weight_bytes = need;
	*ref = (vq_ref){ .kind = VQ_REF_WEIGHT, .offset = at };
	return p->weights + at;
}

/* The piece at the end, now filled. An equal one from before takes its place: of another size, or of a layer with the same weights. */
static vq_ref settle(vq_plan *p, vq_ref ref, uint64_t before)
{
	vq_piece new_ = { .offset = ref.offset, .bytes = p->weight_bytes - ref.offset };

	new_.hash = vq_hash(p->weights + new_.offset, new_.bytes < HASHED ? new_.bytes : HASHED);
	for (uint32_t i = 0; i < p->n_pieces; i++) {
		const vq_piece *old = &p->piece[i];

		if (old->hash != new_.hash || old->bytes != new_.bytes ||
			memcmp(p->weights + old->offset, p->weights + new_.offset, new_.bytes))
			continue;
		memset(p->weights + before, 0, p->weight_bytes - before); /* what is reserved next counts on zeros */
		p->weight_bytes = before;
		ref.offset = old->offset;
		return ref;
	}
	p->piece = vq_arena_grow(p->arena, p->piece, &p->cap_pieces, p->n_pieces + 1, sizeof *p->piece);
	p->piece[p->n_pieces++] = new_;
	return ref;
}

vq_ref vq_pack_bytes(vq_plan *p, const void *data, uint64_t bytes)
{
	uint64_t before = p->weight_bytes;
	vq_ref ref;

	memcpy(reserve(p, bytes, &ref), data, bytes);
	return settle(p, ref, before);
}

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

vq_ref vq_pack_weights_s8(vq_plan *p, const vq_tile *t, const int8_t *w, uint32_t n, uint32_t k, int64_t *sums)
{
	uint64_t nr = vq_tile_nr(t), np = round_up(n, nr), kp = round_up(k, vq_tile_ka(t)), before = p->weight_bytes;
	vq_ref ref;
	unsigned char *out = reserve(p, np * kp, &ref);

	for (uint64_t i = 0; i < n; i++) {
		unsigned char *panel = out + i / nr * nr * kp + i % nr * t->kr;
		int64_t sum = 0;

		for (uint64_t j = 0; j < k; j++) {
			int8_t code = w[i * k + j];

			panel[j / t->kr * nr * t->kr + j % t->kr] = (unsigned char)code;
			sum += code;
		}
		if (sums)
			sums[i] = sum;
	}
	return settle(p, ref, before);
}

vq_ref vq_pack_weights_f32(vq_plan *p, const vq_tile *t, const float *w, uint32_t n, uint32_t k)
{
	uint64_t nr = vq_tile_nr(t), np = round_up(n, nr), kp = round_up(k, vq_tile_ka(t)), before = p->weight_bytes;
	vq_ref ref;
	unsigned char *out = reserve(p, np * kp * sizeof(float), &ref);

	for (uint64_t i = 0; i < n; i++)
		for (uint64_t j = 0; j < k; j++) {
			uint64_t at = i / nr * nr * kp + j / t->kr * nr * t->kr + i % nr * t->kr + j % t->kr;

			memcpy(out + at * sizeof(float), &w[i * k + j], sizeof(float));
		}
	return settle(p, ref, before);
}

uint64_t vq_pack_batch_bytes(const vq_tile *t, uint64_t n, uint64_t k, bool f32)
{
	uint64_t np = round_up(n, vq_tile_nr(t)), kp = round_up(k, vq_tile_ka(t));

	return round_up(f32 ? np * kp * sizeof(float) : np * kp + np * sizeof(int32_t), ALIGN);
}
