/* SPDX-License-Identifier: MIT */
/* The file of weights that an object without weights is called with: a vitq_weights, then the weights as they stand in other objects. */
#include "backend/little_endian.h"
#include "backend/module.h"
#include "ir/text.h"

#include "runtime/vitq.h"

#include <string.h>

_Static_assert(sizeof(vitq_weights) == 64 && offsetof(vitq_weights, model_hash) == 8 * VQ_WEIGHTS_CHECKED,
	"the words of a vitq_weights");

uint64_t vq_weights_hash(const vq_plan *p)
{
	uint64_t h = vq_hash(p->weights, p->weight_bytes);

	return h ? h : 1; /* 0 in vitq_info says that there is no file */
}

void vq_weights_words(const vq_plan *p, uint64_t hash, uint64_t model_hash, uint64_t word[VQ_WEIGHTS_WORDS])
{
	const uint64_t head[VQ_WEIGHTS_WORDS] = {
		0x5354475751544956, /* VITQ_WEIGHTS_MAGIC */
		VITQ_WEIGHTS_VERSION | (uint64_t)sizeof(vitq_weights) << 32,
		p->weight_bytes,
		hash,
		model_hash,
	};

	memcpy(word, head, sizeof head);
}

void vq_weights_file(vq_plan *p, const vq_emit_options *e, uint64_t hash, vq_object *o)
{
	uint64_t word[VQ_WEIGHTS_WORDS];
	unsigned char *all = vq_resize(p->weights, sizeof word + p->weight_bytes);

	p->weights = NULL; /* moved, not copied: they may be larger than all else */
	memmove(all + sizeof word, all, p->weight_bytes);
	vq_weights_words(p, hash, e->model_hash, word);
	for (uint32_t i = 0; i < VQ_WEIGHTS_WORDS; i++)
		vq_put(all + 8 * i, word[i], 8);
	o->weights_file = vq_arena_adopt(o->arena, all);
	o->weights_file_bytes = sizeof word + p->weight_bytes;
}
