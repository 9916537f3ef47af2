/* SPDX-License-Identifier: MIT */
/* What the tests of the evaluator share: a graph for its quantization table, tensors, and one call. */
#ifndef VQ_TESTS_EVAL_TEST_H
#define VQ_TESTS_EVAL_TEST_H

#include "ir/eval.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct bench {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
} bench;

static inline int bench_begin(void **state)
{
	static bench b;

	memset(&b, 0, sizeof b);
	vq_diag_init(&b.diag, &b.arena, NULL);
	vq_graph_init(&b.g, &b.arena, &b.diag, "test");
	*state = &b;
	return 0;
}

static inline int bench_end(void **state)
{
	vq_arena_free(&((bench *)*state)->arena);
	return 0;
}

/* A tensor with a copy of data (NULL: zeros); dimensions end with 0 */
static inline vq_tensor tensor(bench *b, vq_elem elem, const void *data, ...)
{
	vq_tensor t = { .type = { .elem = elem } };
	va_list args;
	int d;

	va_start(args, data);
	while ((d = va_arg(args, int)) != 0)
		t.type.dim[t.type.rank++] = d;
	va_end(args);
	t.data = vq_arena_alloc(&b->arena, vq_type_bytes(&t.type));
	if (data)
		memcpy(t.data, data, vq_type_bytes(&t.type));
	return t;
}

static inline vq_tensor codes(vq_tensor t, uint32_t quant)
{
	t.type.quant = quant;
	return t;
}

/* op(in[0..n)) into out; NULL or the error */
static inline const char *compute(
	bench *b, vq_op op, const vq_attr *attr, const vq_tensor *in, uint32_t n, vq_tensor *out)
{
	vq_node_info node = { .op = op, .n_in = n };

	if (attr)
		node.attr = *attr;
	return vq_eval_node(&b->g, &node, in, out, &b->arena);
}

#define F32(...) ((const float[]){ __VA_ARGS__ })
#define I64(...) ((const int64_t[]){ __VA_ARGS__ })
#define I32(...) ((const int32_t[]){ __VA_ARGS__ })
#define U8(...) ((const uint8_t[]){ __VA_ARGS__ })
#define S8(...) ((const int8_t[]){ __VA_ARGS__ })

#define assert_f32(t, ...)                                                \
	do {                                                              \
		const float want_[] = { __VA_ARGS__ };                    \
		assert_int_equal(vq_type_bytes(&(t).type), sizeof want_); \
		assert_memory_equal((t).data, want_, sizeof want_);       \
	} while (0)
#define assert_ints(t, kind, ...)                                         \
	do {                                                              \
		const kind want_[] = { __VA_ARGS__ };                     \
		assert_int_equal(vq_type_bytes(&(t).type), sizeof want_); \
		assert_memory_equal((t).data, want_, sizeof want_);       \
	} while (0)

/* Numbers that every host makes alike. */
static inline uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static inline float random_f32(uint32_t *seed, float range)
{
	return ((float)next_random(seed) * 0x1p-23f - 1.0f) * range;
}

#endif
