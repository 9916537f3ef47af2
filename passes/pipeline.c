/* SPDX-License-Identifier: MIT */
/* The pipeline: the table of passes and the flat list of calls. */
#include "passes/pass.h"

#include "ir/text.h"

#include <string.h>

const vq_pass_info vq_passes[] = {
#define VQ_PASS(id, summary) { #id, vq_pass_##id, summary },
#include "passes/passes.def"
};
const uint32_t vq_n_passes = sizeof vq_passes / sizeof *vq_passes;

const vq_pass_info *vq_pass_find(const char *name, size_t length)
{
	for (uint32_t i = 0; i < vq_n_passes; i++)
		if (strlen(vq_passes[i].name) == length && !memcmp(vq_passes[i].name, name, length))
			return &vq_passes[i];
	return NULL;
}

/* What every call of the pipeline shares. */
typedef struct run {
	vq_pass *p;
	vq_pass_hook *hook; /* may be NULL */
	void *user;         /* of the hook */
} run;

static bool call(run *r, const char *name)
{
	const vq_pass_info *pass = vq_pass_find(name, strlen(name));

	if (r->hook && !r->hook(r->user, r->p, pass, false))
		return false;
	if (!pass->run(r->p))
		return false;
	if (r->p->set->verify && !vq_verify(r->p->g, pass->name))
		return false;
	return !r->hook || r->hook(r->user, r->p, pass, true);
}

bool vq_carries_scales(const vq_graph *g)
{
	for (uint32_t i = 1; i < g->n_values; i++)
		if (g->value[i].type.quant && g->value[i].def != VQ_DEF_CONST)
			return true;
	return false;
}

bool vq_has_row_scales(const vq_graph *g)
{
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (vq_is_dynamic(g->node[i].op))
			return true;
	return false;
}

static bool has_codes(const vq_graph *g)
{
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (g->node[i].op == VQ_OP_DEQUANTIZE)
			return true;
	return false;
}

static bool fuse(run *r)
{
	return call(r, "canonicalize") && call(r, "fuse_layernorm") && call(r, "fuse_activation") &&
		call(r, "fuse_linear") && call(r, "fuse_attention");
}

/* from the float form to the QDQ form */
static bool quantize(run *r)
{
	return call(r, "calibrate") && call(r, "transform") && call(r, "quantize_weights") && call(r, "insert_qdq");
}

/* from the float form to the integer form, without samples */
static bool quantize_dynamic(run *r)
{
	return call(r, "assume_ranges") && call(r, "transform") && call(r, "quantize_weights") &&
		call(r, "insert_dynamic");
}

bool vq_pipeline(vq_pass *p, vq_pass_hook *hook, void *user)
{
	run r = { p, hook, user };

	if (!fuse(&r))
		return false;
	/* whatever -quant says: its values are those of its scales */
	if (vq_has_row_scales(p->g))
		return call(&r, "insert_dynamic") && call(&r, "cancel_qdq") && call(&r, "absorb_qdq");
	if (vq_carries_scales(p->g))
		return call(&r, "cancel_qdq") && call(&r, "absorb_qdq");
	if (p->set->scheme == VQ_SCHEME_W8A8)
		return quantize(&r) && call(&r, "cancel_qdq") && call(&r, "absorb_qdq");
	if (p->set->scheme == VQ_SCHEME_W8A8_DYNAMIC && !quantize_dynamic(&r))
		return false;
	return !has_codes(p->g) || call(&r, "cancel_qdq"); /* tables that the model holds as codes stay codes */
}
