/* SPDX-License-Identifier: MIT */
/*
 * A hand-built ViT of one block for the tests of the quantizing passes: random weights, optional
 * traps.
 */
#ifndef SMALL_VIT_H
#define SMALL_VIT_H

#include "ir/build.h"
#include "ir/eval.h"
#include "passes/pass.h"

#include <math.h>
#include <string.h>

enum { SV_TOKENS = 5, SV_DIM = 16, SV_HEADS = 2, SV_HIDDEN = 32, SV_CLASSES = 10, SV_IMAGE = 64, SV_SAMPLES = 24 };

typedef struct small_vit_options {
	float outlier;         /* factor of channels 3 and 7 of every LayerNorm; 0: none */
	bool negative_gamma;   /* gamma of channel 5 is negative */
	bool constant_channel; /* gamma of channel 2 is 0 */
	bool shared_gamma;     /* both LayerNorms of the block use the same constants */
	bool no_bias;          /* fc1 has none */
	bool norm_is_output;   /* the result of the second LayerNorm is a graph output, too */
	bool norm_is_added;    /* … feeds the residual sum instead of what came before it */
} small_vit_options;

typedef struct small_vit {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	vq_report report;
	vq_settings set;
	vq_samples samples;
	vq_pass p;
	uint32_t seed;
	float image[SV_SAMPLES][SV_IMAGE];
} small_vit;

static inline float sv_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return (float)(*seed >> 8) * 0x1p-23f - 1;
}

/* sum of four uniform numbers: tails like those of weights */
static inline float sv_normal(uint32_t *seed)
{
	return (sv_random(seed) + sv_random(seed) + sv_random(seed) + sv_random(seed)) * 0.87f;
}

static inline vq_value sv_const(small_vit *s, uint32_t rank, const int64_t *dim, float size)
{
	vq_type t = vq_type_make(VQ_F32, rank, dim);
	float *data = VQ_ARRAY(&s->arena, (size_t)vq_type_count(&t), float);

	for (int64_t i = 0; i < vq_type_count(&t); i++)
		data[i] = sv_normal(&s->seed) * size;
	return vq_add_const(&s->g, &t, data, NULL);
}

static inline void sv_name(small_vit *s, const char *name) { s->g.node[s->g.n_nodes - 1].name = name; }

static inline vq_value sv_linear(small_vit *s, const char *name, vq_value x, int64_t n, bool bias, float outlier)
{
	const vq_type *t = vq_type_of(&s->g, x);
	int64_t k = t->dim[t->rank - 1];
	vq_value w = sv_const(s, 2, (int64_t[]){ n, k }, 1 / sqrtf((float)k));
	float *data = (float *)(uintptr_t)s->g.value[w.id].data;
	vq_value in[3] = { x, w };

	for (int64_t i = 0; outlier > 0 && i < n; i++) {
		data[i * k + 3] /= outlier;
		data[i * k + 7] /= -outlier;
	}
	if (bias)
		in[2] = sv_const(s, 1, &n, 0.1f);
	x = vq_build(&s->g, name, VQ_OP_LINEAR, in, bias ? 3 : 2, NULL);
	sv_name(s, name);
	return x;
}

static inline vq_value sv_norm(small_vit *s, const char *name, vq_value x, const small_vit_options *o, vq_value *params)
{
	int64_t dim = SV_DIM;

	if (!params[0].id) {
		vq_value gamma = sv_const(s, 1, &dim, 0.2f), beta = sv_const(s, 1, &dim, 0.3f);
		float *a = (float *)(uintptr_t)s->g.value[gamma.id].data,
		      *b = (float *)(uintptr_t)s->g.value[beta.id].data;

		for (int64_t i = 0; i < dim; i++)
			a[i] += 1;
		if (o->negative_gamma)
			a[5] = -a[5];
		if (o->constant_channel)
			a[2] = 0;
		if (o->outlier > 0) {
			a[3] *= o->outlier;
			b[3] *= o->outlier;
			a[7] *= -o->outlier;
			b[7] *= -o->outlier;
		}
		params[0] = gamma;
		params[1] = beta;
	}
	x = vq_build(&s->g, name, VQ_OP_LAYERNORM, (vq_value[]){ x, params[0], params[1] }, 3,
		&(vq_attr){ .norm.epsilon = 1e-6f });
	sv_name(s, name);
	return x;
}

static inline vq_value sv_embed(small_vit *s, vq_value image)
{
	vq_value x, in[2];

	/* 4x4 patches of an 8x8 image */
	x = vq_build_reshape(&s->g, "patches", image, 6, (int64_t[]){ 1, 1, 2, 4, 2, 4 });
	x = vq_build_transpose(&s->g, "patches", x, (int64_t[]){ 0, 2, 4, 1, 3, 5 });
	x = vq_build_reshape(&s->g, "patches", x, 3, (int64_t[]){ 1, 4, 16 });
	x = sv_linear(s, "embed", x, SV_DIM, true, 0);
	in[0] = sv_const(s, 3, (int64_t[]){ 1, 1, SV_DIM }, 1);
	in[1] = x;
	x = vq_build(&s->g, "tokens", VQ_OP_CONCAT, in, 2, &(vq_attr){ .axis.axis = 1 });
	return vq_build2(&s->g, "position", VQ_OP_ADD, x, sv_const(s, 3, (int64_t[]){ 1, SV_TOKENS, SV_DIM }, 0.3f));
}

static inline void sv_build(small_vit *s, const small_vit_options *o)
{
	vq_type t = vq_type_make(VQ_F32, 4, (int64_t[]){ 1, 1, 8, 8 });
	vq_value params[2] = { { 0 } }, other[2] = { { 0 } }, last[2] = { { 0 } }, x, y, q, k, v;

	x = sv_embed(s, vq_add_input(&s->g, "image", &t));
	y = sv_norm(s, "norm1", x, o, params);
	q = sv_linear(s, "q", y, SV_DIM, true, o->outlier);
	k = sv_linear(s, "k", y, SV_DIM, true, o->outlier);
	v = sv_linear(s, "v", y, SV_DIM, true, o->outlier);
	y = vq_build(&s->g, "attention", VQ_OP_ATTENTION, (vq_value[]){ q, k, v }, 3,
		&(vq_attr){ .attention = { SV_HEADS, 1 / sqrtf((float)SV_DIM / (float)SV_HEADS) } });
	sv_name(s, "attention");
	y = sv_linear(s, "proj", y, SV_DIM, true, 0);
	x = vq_build2(&s->g, "residual", VQ_OP_ADD, x, y);
	y = sv_norm(s, "norm2", x, o, o->shared_gamma ? params : other);
	if (o->norm_is_added)
		x = y;
	if (o->norm_is_output)
		vq_add_output(&s->g, "normed", y);
	y = sv_linear(s, "fc1", y, SV_HIDDEN, !o->no_bias, o->outlier);
	y = vq_build1(&s->g, "gelu", VQ_OP_GELU, y);
	y = sv_linear(s, "fc2", y, SV_DIM, true, 0);
	x = vq_build2(&s->g, "residual", VQ_OP_ADD, x, y);
	x = vq_build_slice(&s->g, "class", x, 1, 0, 1);
	x = vq_build_reshape(&s->g, "class", x, 2, (int64_t[]){ 1, SV_DIM });
	y = sv_norm(s, "norm3", x, o, last);
	vq_add_output(&s->g, "logits", sv_linear(s, "head", y, SV_CLASSES, true, o->outlier));
	vq_graph_sweep(&s->g);
}

static inline bool sv_sample(void *self, uint32_t sample, void *const *in)
{
	memcpy(in[0], ((small_vit *)self)->image[sample], sizeof(float) * SV_IMAGE);
	return true;
}

/* An empty graph with samples and settings. */
static inline small_vit *sv_new(void)
{
	small_vit *s = vq_alloc(sizeof *s);

	vq_diag_init(&s->diag, &s->arena, "test");
	vq_graph_init(&s->g, &s->arena, &s->diag, "test");
	s->seed = 12345;
	for (uint32_t i = 0; i < SV_SAMPLES; i++)
		for (uint32_t j = 0; j < SV_IMAGE; j++)
			s->image[i][j] = sv_random(&s->seed);
	s->samples = (vq_samples){ .self = s, .n = SV_SAMPLES / 2, .get = sv_sample };
	s->report.arena = &s->arena;
	s->set = (vq_settings){
		.scheme = VQ_SCHEME_W8A8, .weight_mse = true, .samples = &s->samples, .executor = &vq_evaluator
	};
	s->p = (vq_pass){ .g = &s->g, .set = &s->set, .report = &s->report };
	return s;
}

static inline small_vit *sv_make(const small_vit_options *o)
{
	small_vit *s = sv_new();

	sv_build(s, o);
	return s;
}

static inline void sv_free(small_vit *s)
{
	vq_arena_free(&s->arena);
	vq_free(s);
}

static inline const char *sv_problem(small_vit *s)
{
	return s->diag.n ? vq_message_text(&s->diag, &s->diag.item[0]) : "no message";
}

/* Runs g on an image; out: one buffer per output. */
static inline bool sv_run(const vq_graph *g, const float *image, float *const *out, const vq_value *observed,
	uint32_t n, vq_observe *observe, void *user)
{
	vq_exec *e = vq_evaluator.prepare(&vq_evaluator, g, observed, n);
	const void *in[1] = { image };
	bool ok = e && vq_evaluator.run(e, in, (void *const *)out, observe, user);

	if (e)
		vq_evaluator.dispose(e);
	return ok;
}

static inline vq_node sv_find(const vq_graph *g, const char *name)
{
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (g->node[i].name && !strcmp(g->node[i].name, name))
			return (vq_node){ i };
	return VQ_NO_NODE;
}

static inline uint32_t sv_count(const vq_graph *g, vq_op op)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < g->n_nodes; i++)
		n += g->node[i].op == op;
	return n;
}

#endif
