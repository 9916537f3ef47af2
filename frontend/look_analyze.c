/* SPDX-License-Identifier: MIT */
/*
 * -analyze: imports the model and plans it under every scheme, without samples and without code.
 * Ranges are guessed, which decides scales and nothing that is counted here.
 */
#include "frontend/analysis.h"

#include "frontend/folder.h"
#include "frontend/report.h"
#include "ir/text.h"
#include "passes/qdq.h"

#include <string.h>

void vq_look_count(vq_op_counts *c, vq_arena *arena, const char *domain, const char *type, vq_import_fate fate)
{
	uint32_t i = 0;

	while (i < c->n && (strcmp(c->item[i].type, type) != 0 || strcmp(c->item[i].domain, domain) != 0))
		i++;
	if (i == c->n) {
		c->item = vq_arena_grow(arena, c->item, &c->cap, c->n + 1, sizeof *c->item);
		c->item[c->n++] = (vq_op_count){ .domain = domain, .type = type };
	}
	c->item[i].n++;
	c->item[i].refused += fate == VQ_NODE_REFUSED;
	c->item[i].behind += fate == VQ_NODE_BEHIND;
}

/* By domain and name: the order of the model's nodes says little about its operators. */
static vq_op_counts sorted(vq_arena *a, const vq_op_counts *ops)
{
	vq_op_counts s = { .item = VQ_ARRAY(a, ops->n, vq_op_count), .n = ops->n };

	for (uint32_t i = 0; i < ops->n; i++) {
		uint32_t j = i;

		for (; j > 0; j--) {
			int d = strcmp(s.item[j - 1].domain, ops->item[i].domain);

			if (d < 0 || (d == 0 && strcmp(s.item[j - 1].type, ops->item[i].type) < 0))
				break;
			s.item[j] = s.item[j - 1];
		}
		s.item[j] = ops->item[i];
	}
	return s;
}

static void count_parameters(vq_analysis *f)
{
	const vq_graph *g = f->g;

	for (uint32_t i = 1; i < g->n_values; i++) {
		const vq_type *t = &g->value[i].type;

		if (g->value[i].def != VQ_DEF_CONST || (t->elem != VQ_F32 && t->elem != VQ_S8))
			continue;
		f->parameters += (uint64_t)vq_type_count(t);
		f->parameter_bytes += vq_type_bytes(t);
	}
}

static void count_products(vq_analysis *f, const vq_graph *g)
{
	static const vq_op kinds[VQ_PRODUCT_KINDS] = { VQ_OP_LINEAR, VQ_OP_ATTENTION, VQ_OP_MATMUL, VQ_OP_CONV };

	for (uint32_t k = 0; k < VQ_PRODUCT_KINDS; k++) {
		f->product[k] = (vq_product_count){ .op = vq_ops[kinds[k]].text };
		for (uint32_t i = 1; i < g->n_nodes; i++) {
			if (g->node[i].op != kinds[k])
				continue;
			f->product[k].n++;
			f->product[k].macs += (uint64_t)vq_product_macs(g, (vq_node){ i });
		}
	}
}

/* What the passes fuse into; a hook that stops before anything is quantized. */
static bool until_fused(void *user, vq_pass *p, const vq_pass_info *pass, bool after)
{
	(void)p;
	*(bool *)user = after && strcmp(pass->name, "fuse_attention") == 0;
	return !*(bool *)user;
}

static void count_fused(const vq_look *l, vq_analysis *f)
{
	vq_settings set = { .scheme = VQ_SCHEME_NONE };
	vq_arena scratch = { .block = NULL };
	vq_report sites = { .arena = &scratch };
	vq_diag aside;
	vq_graph g;
	vq_pass p = { .g = &g, .set = &set, .report = &sites };
	bool stopped = false;

	vq_diag_init(&aside, &scratch, l->o->model);
	vq_graph_copy(&g, f->g, &scratch, &aside);
	if (vq_pipeline(&p, until_fused, &stopped) || stopped)
		count_products(f, &g);
	vq_arena_free(&scratch);
}

static uint32_t count_kernels(const vq_object *o)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < o->n_lines; i++) {
		uint32_t k = 0;

		while (k < i && strcmp(o->line[k].kernel, o->line[i].kernel) != 0)
			k++;
		n += k == i;
	}
	return n;
}

/* The pipeline and the planner on a copy of the graph, of which nothing is kept but the facts. */
static vq_scheme_facts plan(
	const vq_look *l, const vq_graph *from, vq_scheme scheme, const char *name, const vq_target *t)
{
	vq_arena scratch = { .block = NULL };
	vq_settings set = { .scheme = scheme, .fold = l->o->fold, .granularity = l->o->granularity, .guess = true };
	vq_scheme_facts s = { .scheme = name, .object = { .arena = l->arena } };
	vq_report sites = { .arena = &scratch };
	vq_emit_options e = { .target = t,
		.prefix = "analysis",
		.scheme = name,
		.tool = "vitqc " VQ_VERSION,
		.strict = strcmp(name, "none") != 0 };
	vq_diag aside;
	vq_graph g;
	vq_pass p = { .g = &g, .set = &set, .report = &sites };

	vq_diag_init(&aside, &scratch, l->o->model);
	vq_graph_copy(&g, from, &scratch, &aside);
	s.good = vq_pipeline(&p, NULL, NULL) && vq_verify(&g, "the pipeline") &&
		vq_compile(&g, &e, VQ_ARTIFACT_PLAN, &s.object);
	vq_diag_take(l->diag, &aside, vq_arena_printf(l->arena, "under -quant=%s", name));
	s.kernels = count_kernels(&s.object);
	s.why = VQ_ARRAY(l->arena, s.object.n_lines, const char *);
	for (uint32_t i = 0; i < s.object.n_lines; i++) {
		const vq_plan_line *line = &s.object.line[i];

		if (!line->macs || line->integer)
			continue;
		s.why[i] = vq_arena_printf(l->arena, "%s", vq_float_reason(&sites, line->node));
		s.n_float++;
	}
	vq_arena_free(&scratch);
	return s;
}

/* -Werror=float-fallback */
static bool check_float(const vq_look *l, const vq_scheme_facts *s)
{
	bool good = true;

	if (!l->o->werror_fallback || strcmp(s->scheme, "none") == 0)
		return true;
	for (uint32_t i = 0; i < s->object.n_lines; i++) {
		const vq_plan_line *p = &s->object.line[i];

		if (s->why[i])
			good = vq_error(l->diag, p->node ? vq_arena_printf(l->arena, "node '%s'", p->node) : NULL,
				"its product stays in float (-Werror=float-fallback): %s", s->why[i]);
	}
	return good;
}

bool vq_look_analyze(const vq_look *l, const vq_op_counts *ops, const vq_graph *g, const vq_target *target)
{
	static const struct {
		vq_quant_choice choice;
		vq_scheme scheme;
		const char *name;
	} all[] = {
		{ VQ_QUANT_W8A8, VQ_SCHEME_W8A8, "w8a8" },
		{ VQ_QUANT_DYNAMIC, VQ_SCHEME_W8A8_DYNAMIC, "w8a8-dynamic" },
		{ VQ_QUANT_NONE, VQ_SCHEME_NONE, "none" },
	};
	vq_op_counts in_order = sorted(l->arena, ops);
	vq_scheme_facts scheme[3];
	vq_analysis f = { .model = l->o->model,
		.model_hash = l->model_hash,
		.target = vq_target_triple(target),
		.ops = &in_order,
		.g = g,
		.scheme = scheme };
	bool json = l->o->report && vq_path_ends(l->o->report, ".json"), good = g != NULL;
	FILE *out;

	if (g) {
		count_parameters(&f);
		count_fused(l, &f);
		for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
			bool own = vq_carries_scales(g) || vq_has_row_scales(g);

			if (own ? i > 0 : l->o->quant != VQ_QUANT_DEFAULT && l->o->quant != all[i].choice)
				continue;
			scheme[f.n_schemes] = plan(l, g, all[i].scheme, own ? "its own" : all[i].name, target);
			good = scheme[f.n_schemes].good && check_float(l, &scheme[f.n_schemes]) && good;
			f.n_schemes++;
		}
	}
	out = vq_look_open(l);
	if (!out)
		return false;
	if (!(json ? vq_analysis_json(out, l->arena, &f) : vq_analysis_text(out, l->arena, &f)))
		return vq_error(l->diag, NULL, "cannot write '%s'", l->o->report ? l->o->report : "-");
	return good;
}
