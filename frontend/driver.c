/* SPDX-License-Identifier: MIT */
#include "frontend/driver.h"

#include "frontend/emit.h"
#include "frontend/file.h"
#include "frontend/folder.h"
#include "frontend/look.h"
#include "frontend/onnx_import.h"
#include "frontend/output.h"
#include "frontend/print_diag.h"
#include "frontend/report.h"
#include "frontend/samples.h"
#include "frontend/sizes.h"
#include "ir/eval.h"
#include "ir/text.h"

#include <protobuf-c/protobuf-c.h>
#include <string.h>
#include <unistd.h>

typedef struct driver {
	const vq_options *o;
	vq_arena *arena;
	vq_diag diag;       /* of the model */
	vq_sizes sizes;     /* of a dimension; usually one */
	vq_kept_stats kept; /* of the first size, for the others */
	vq_graph g, qdq;    /* the graph in work; a copy of its QDQ form for -emit=onnx */
	bool have_qdq;
	vq_graph imported, reference; /* -compare: as it was read; in float, with every fold made */
	bool have_reference;
	vq_op_counts ops; /* -analyze */
	vq_diag aside;    /* of these two: that they cannot be run is no error yet */
	vq_settings settings;
	vq_executor jit; /* with the workers of -j */
	vq_samples samples;
	vq_report report;
	vq_results results;
	vq_bar bar;
	bool stopped; /* at -stop */
	bool scales;  /* the model brought scales of activations, or finds them at run time */
} driver;

/* ---- reading the model ---- */

static void keep(vq_strings *list, vq_arena *arena, const char *path)
{
	list->item = vq_arena_grow(arena, list->item, &list->cap, list->n + 1, sizeof *list->item);
	list->item[list->n++] = path;
}

/* A file of external data: each once, tensor by tensor they are opened again and again. */
static void opened(void *user, const char *path)
{
	driver *d = user;

	for (uint32_t i = 0; i < d->results.read.n; i++)
		if (strcmp(d->results.read.item[i], path) == 0)
			return;
	keep(&d->results.read, d->arena, path);
}

static void count_node(void *user, const char *domain, const char *type, vq_import_fate fate)
{
	driver *d = user;

	vq_look_count(&d->ops, d->arena, domain, type, fate);
}

static bool read_vir(driver *d)
{
	vq_file f;
	bool good;

	if (d->o->dims.n || d->o->shapes.n)
		return vq_error(&d->diag, d->o->dims.n ? "option -dim" : "option -shape",
			"the shapes of a .vir file are fixed");
	if (!vq_file_open(&f, &d->diag, NULL, d->o->model))
		return false;
	d->results.model_hash = vq_hash(f.data, f.bytes);
	good = vq_parse_graph(
		&d->g, d->arena, &d->diag, (const char *)f.data, f.bytes, vq_path_folder(d->arena, d->o->model));
	vq_file_close(&f);
	for (uint32_t n = 1; good && n < d->g.n_nodes; n++)
		vq_look_count(&d->ops, d->arena, "", vq_ops[d->g.node[n].op].text, VQ_NODE_IMPORTED);
	return good;
}

static bool import(driver *d, vq_graph *g, vq_diag *diag, const vq_size_choice *size, bool first)
{
	vq_import_options i = { .dims = size->dims.item,
		.n_dims = size->dims.n,
		.shapes = d->o->shapes.item,
		.n_shapes = d->o->shapes.n,
		.opened = opened,
		.node = d->o->analyze && first ? count_node : NULL,
		.user = d };

	return vq_import_onnx(g, d->arena, diag, d->o->model, &i, &d->results.model_hash);
}

/* Do the samples of -run or -compare fit the graph? */
static bool samples_fit(driver *d, const vq_graph *g)
{
	vq_samples samples;
	vq_strings files = { .item = NULL };
	vq_diag aside;
	bool fit;

	vq_diag_init(&aside, d->arena, NULL);
	fit = vq_samples_open(
		&samples, d->arena, &aside, g, d->o->run ? d->o->run : d->o->compare, 1, &d->o->image, &files);
	vq_samples_close(&samples);
	return fit;
}

/* The first size, or for -run and -compare the first that the samples fit. */
static bool read_model(driver *d)
{
	keep(&d->results.read, d->arena, d->o->model);
	if (vq_path_ends(d->o->model, ".vir"))
		return read_vir(d);
	if (d->sizes.n == 1 || !(d->o->run || d->o->compare))
		return import(d, &d->g, &d->diag, d->sizes.item, true);
	for (uint32_t i = 0; i < d->sizes.n; i++) {
		if (!import(d, &d->g, &d->diag, &d->sizes.item[i], false))
			return false;
		if (samples_fit(d, &d->g))
			return true;
	}
	return import(d, &d->g, &d->diag, d->sizes.item, true);
}

/* Scales of products are all found at run time. */
static bool is_dynamic(const vq_graph *g)
{
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		const vq_node_info *n = &g->node[i];

		if (n->op && vq_ops[n->op].class_ == VQ_CLASS_DOT && !vq_is_dynamic(n->op) &&
			vq_type_of(g, n->in[0])->quant)
			return false;
	}
	return vq_has_row_scales(g);
}

/* ---- settings of the passes ---- */

static bool choose_executor(driver *d)
{
	const char *reason = NULL;
	const vq_executor *jit = d->o->executor == VQ_EXECUTOR_EVALUATOR ? NULL : vq_jit(&reason);

	if (!jit && d->o->executor == VQ_EXECUTOR_JIT)
		return vq_error(
			&d->diag, "option -calib-executor", "there is no jit: %s", reason ? reason : "unknown reason");
	d->settings.executor = &vq_evaluator;
	if (jit) {
		long cpus = d->o->jobs ? (long)d->o->jobs : sysconf(_SC_NPROCESSORS_ONLN);

		d->jit = *jit;
		d->jit.workers = cpus > 1 ? (uint32_t)cpus : 1;
		d->settings.executor = &d->jit;
	} else if (reason) {
		vq_warning(&d->diag, NULL, "the evaluator runs the samples: %s", reason);
		vq_note(&d->diag,
			"the results are the same, the time is much longer; -calib-count=N takes fewer samples");
	}
	return true;
}

static bool open_calibration(driver *d)
{
	const vq_options *o = d->o;

	if (o->calib_stats && o->calib) {
		d->settings.stats_out = vq_output_name(d->arena, &d->diag, o->calib_stats);
		if (!d->settings.stats_out)
			return false;
	} else if (o->calib_stats) {
		d->settings.stats_in = o->calib_stats;
		keep(&d->results.read, d->arena, o->calib_stats);
	}
	if (!o->calib)
		return true;
	if (!vq_samples_open(
		    &d->samples, d->arena, &d->diag, &d->g, o->calib, o->calib_count, &o->image, &d->results.read))
		return false;
	d->settings.samples = &d->samples;
	return choose_executor(d);
}

/* Without -quant: scales of the model's own or from samples if there are any, else scales at run time. */
static vq_scheme choose_scheme(const vq_options *o, bool scales)
{
	switch (o->quant) {
	case VQ_QUANT_NONE: return VQ_SCHEME_NONE;
	case VQ_QUANT_DYNAMIC: return VQ_SCHEME_W8A8_DYNAMIC;
	case VQ_QUANT_W8A8: return VQ_SCHEME_W8A8;
	default:
		return scales || o->calib || o->calib_stats || o->granularity || o->emit & VQ_EMIT_ONNX
			? VQ_SCHEME_W8A8
			: VQ_SCHEME_W8A8_DYNAMIC;
	}
}

/* ... which is said, for a user who gave nothing may expect anything. */
static void tell_choice(driver *d)
{
	if (d->o->quant != VQ_QUANT_DEFAULT || d->o->quiet || d->settings.scheme != VQ_SCHEME_W8A8_DYNAMIC ||
		!vq_has_row_scales(&d->g))
		return;
	vq_bar_clear(&d->bar);
	fputs("vitqc: note: int8 with scales found at run time (-quant=w8a8-dynamic); -calib=SAMPLES gives w8a8, "
	      "-quant=none float\n",
		stderr);
}

static bool prepare(driver *d)
{
	const vq_options *o = d->o;

	d->scales = vq_carries_scales(&d->g) || vq_has_row_scales(&d->g); /* they are used, whatever -quant says */
	d->settings = (vq_settings){
		.scheme = choose_scheme(o, d->scales),
		.observer = o->observer,
		.percentile = o->percentile,
		.granularity = o->emit & VQ_EMIT_ONNX ? VQ_GRANULARITY_TENSOR : o->granularity,
		.fold = o->fold,
		.weight_mse = !o->weight_max,
		.verify = o->verify,
		.measure = o->report != NULL && !o->compare,
		.progress = vq_bar_progress,
		.progress_user = &d->bar,
		.keep = d->sizes.n > 1 ? &d->kept : NULL,
	};
	if (d->scales && (o->quant == VQ_QUANT_NONE || o->quant == VQ_QUANT_DYNAMIC)) {
		vq_warning(&d->diag, "option -quant", "the model brings scales of its own, which are used");
	} else if (d->scales && (o->calib || o->calib_stats)) {
		vq_warning(&d->diag, "option -calib",
			"the model brings scales of its own, which are used: nothing is "
			"calibrated");
		return true;
	} else if (!d->scales && d->settings.scheme == VQ_SCHEME_W8A8 && !o->calib && !o->calib_stats && !o->stop &&
		!o->passes.n) {
		vq_error(&d->diag, NULL, "w8a8 needs samples to calibrate with, or a model that brings scales");
		return vq_hint(&d->diag,
			"give -calib=FOLDER, LIST, FILE.npy or FILE.npz; or "
			"-quant=w8a8-dynamic, which needs none; or -quant=none for "
			"an object in float");
	}
	return open_calibration(d);
}

/* ---- passes ---- */

static void say(driver *d, const char *what, const char *name)
{
	if (!d->o->verbose)
		return;
	vq_bar_clear(&d->bar);
	fprintf(stderr, "vitqc: %s %s\n", what, name);
}

/* -dump=WHEN:PASS */
static void dump(driver *d, const char *when, const char *pass)
{
	const char *point = vq_arena_printf(d->arena, "%s:%s", when, pass);

	for (uint32_t i = 0; i < d->o->dump.n; i++) {
		const char *s = d->o->dump.item[i];

		if (strcmp(s, point) != 0 &&
			(strncmp(s, when, strlen(when)) != 0 || strcmp(strchr(s, ':') + 1, "all") != 0))
			continue;
		vq_bar_clear(&d->bar);
		fprintf(stderr, "# %s %s\n", when, pass);
		vq_print_graph(&d->g, stderr, NULL, NULL);
		return;
	}
}

/* The float graph from a graph with scales of its own: what rounds to codes and back is left out. */
static void drop_rounding(vq_graph *g)
{
	for (uint32_t i = 1; i < g->n_nodes; i++) {
		vq_value x;

		if (g->node[i].op != VQ_OP_DEQUANTIZE)
			continue;
		x = g->node[i].in[0];
		if (vq_def_op(g, x) == VQ_OP_QUANTIZE)
			vq_replace(g, g->node[i].out, vq_operand(g, vq_def_of(g, x), 0));
	}
	vq_graph_sweep(g);
}

/* What -compare compares with: the graph with every fold made and before anything is rounded. */
static void keep_reference(driver *d, const char *next)
{
	bool scales = strcmp(next, "cancel_qdq") == 0;

	if (!d->o->compare || d->have_reference || (!scales && strcmp(next, "quantize_weights") != 0))
		return;
	vq_graph_copy(&d->reference, &d->g, d->arena, &d->aside);
	d->have_reference = true;
	if (scales)
		drop_rounding(&d->reference);
}

/* Weights are most of the memory, and every pass that rewrites them leaves the old ones behind. */
static void release(driver *d, const vq_pass *p)
{
	const vq_graph *all[5];
	uint32_t n = 0;

	all[n++] = &d->g;
	if (d->have_qdq)
		all[n++] = &d->qdq;
	if (d->have_reference)
		all[n++] = &d->reference;
	if (d->o->compare)
		all[n++] = &d->imported;
	if (p->reference)
		all[n++] = p->reference;
	vq_graph_release(all, n);
}

static bool hook(void *user, vq_pass *p, const vq_pass_info *pass, bool after)
{
	driver *d = user;

	if (after)
		release(d, p);
	if (!after) {
		say(d, "pass", pass->name);
		keep_reference(d, pass->name);
	}
	dump(d, after ? "after" : "before", pass->name);
	if (after && strcmp(pass->name, "cancel_qdq") == 0 && d->o->emit & VQ_EMIT_ONNX) {
		vq_graph_copy(&d->qdq, &d->g, d->arena, &d->diag);
		d->have_qdq = true;
	}
	d->stopped = after && d->o->stop && strcmp(d->o->stop, pass->name) == 0;
	return !d->stopped;
}

static bool run_listed(driver *d, vq_pass *p)
{
	for (uint32_t i = 0; i < d->o->passes.n; i++) {
		const char *name = d->o->passes.item[i];
		const vq_pass_info *pass = vq_pass_find(name, strlen(name));

		hook(d, p, pass, false);
		if (!pass->run(p) || (d->o->verify && !vq_verify(&d->g, pass->name)))
			return false;
		if (!hook(d, p, pass, true))
			return true;
	}
	return true;
}

static bool run_passes(driver *d)
{
	vq_pass p = { .g = &d->g, .set = &d->settings, .report = &d->report };
	bool good;

	dump(d, "after", "import");
	if (d->o->stop && strcmp(d->o->stop, "import") == 0)
		return true;
	d->report = (vq_report){ .arena = d->arena };
	good = d->o->passes.n ? run_listed(d, &p) : vq_pipeline(&p, hook, d);
	vq_bar_clear(&d->bar);
	if (d->settings.samples)
		vq_samples_close(&d->samples);
	return good || (d->stopped && d->diag.errors == 0);
}

/*
 * The other sizes, by the same passes and with the ranges that the first was calibrated with: they
 * give the same codes for the same weights, which then stand in the object once.
 */
static bool make_sizes(driver *d)
{
	vq_variant *more = VQ_ARRAY(d->arena, d->sizes.n - 1, vq_variant);
	vq_settings set = d->settings;

	set.samples = NULL;
	set.stats_in = set.stats_out = NULL;
	set.measure = false;
	set.keep = NULL;
	set.like = &d->kept;
	for (uint32_t i = 1; i < d->sizes.n; i++) {
		vq_graph *g = VQ_NEW(d->arena, vq_graph);
		vq_diag *aside = VQ_NEW(d->arena, vq_diag);
		vq_pass p = { .g = g, .set = &set };

		say(d, "size", d->sizes.item[i].text);
		vq_diag_init(aside, d->arena, d->o->model);
		if (!import(d, g, aside, &d->sizes.item[i], false) || !vq_pipeline(&p, NULL, NULL) ||
			!vq_verify(g, "the pipeline")) {
			vq_diag_take(&d->diag, aside, vq_arena_printf(d->arena, "with -dim %s", d->sizes.item[i].text));
			return false;
		}
		g->diag = &d->diag; /* the backend's messages name nodes */
		more[i - 1] = (vq_variant){ .g = g, .suffix = d->sizes.item[i].suffix };
	}
	d->results.more = more;
	d->results.n_more = d->sizes.n - 1;
	return true;
}

/* ---- -run, -compare and -analyze ---- */

static bool look(driver *d)
{
	vq_look l = { .o = d->o,
		.arena = d->arena,
		.diag = &d->diag,
		.bar = &d->bar,
		.scheme = d->results.scheme,
		.model_hash = d->results.model_hash };

	if (d->o->analyze)
		return vq_look_analyze(&l, &d->ops, d->diag.errors ? NULL : &d->g, d->results.target);
	if (!choose_executor(d))
		return false;
	l.executor = d->settings.executor;
	if (d->o->run)
		return vq_look_run(&l, &d->g);
	return vq_look_compare(&l, &d->imported, d->have_reference ? &d->reference : NULL, &d->g);
}

/* ---- the whole ---- */

/* -Werror=float-fallback before anything is compiled, with reasons. */
static bool check_products(driver *d)
{
	bool good = true;

	if (!d->o->werror_fallback)
		return true;
	for (uint32_t i = 1; i < d->g.n_nodes; i++) {
		vq_op op = d->g.node[i].op;

		if (op == VQ_OP_NONE || vq_ops[op].class_ != VQ_CLASS_DOT || vq_is_dynamic(op) ||
			vq_type_of(&d->g, d->g.node[i].in[0])->quant)
			continue;
		good = vq_error(&d->diag, vq_where(&d->g, (vq_node){ i }),
			"its product stays in float (-Werror=float-fallback): %s",
			vq_float_reason(&d->report, d->g.node[i].name));
	}
	return good;
}

/* A folder that is not there is said now, not when everything has been compiled. */
static bool check_outputs(driver *d)
{
	const vq_options *o = d->o;
	const char *const path[] = { o->out, o->header, o->report, o->emit_weights };
	bool good = true;

	for (size_t i = 0; i < sizeof path / sizeof *path; i++)
		good = (!path[i] || vq_output_check(d->arena, &d->diag, path[i])) && good;
	return good;
}

static bool work(driver *d)
{
	bool whole = !d->o->stop && !d->o->passes.n;

	if (!check_outputs(d))
		return false;
	if (!read_model(d))
		return d->o->analyze && d->ops.n && look(d);
	if (d->o->analyze)
		return look(d);
	if (d->o->compare)
		vq_graph_copy(&d->imported, &d->g, d->arena, &d->aside);
	if (!prepare(d) || !run_passes(d))
		return false;
	if (!vq_verify(&d->g, whole ? "the pipeline" : "the last pass"))
		return false;
	tell_choice(d);
	d->results.g = &d->g;
	d->results.qdq = d->have_qdq ? &d->qdq : NULL;
	d->results.report = &d->report;
	d->results.strict = d->settings.scheme != VQ_SCHEME_NONE || d->scales;
	d->results.scheme = !d->results.strict ? "none" : is_dynamic(&d->g) ? "w8a8-dynamic" : "w8a8";
	if (d->o->run || d->o->compare)
		return look(d);
	if (whole && d->sizes.n > 1 && !make_sizes(d))
		return false;
	return (!whole || check_products(d)) && vq_emit(&d->results);
}

static int finish(driver *d, bool good)
{
	if (good || (d->o->analyze && !d->diag.bugs)) /* what an analysis found is worth printing */
		good = vq_outputs_commit(&d->diag) && good;
	else
		vq_outputs_abandon();
	vq_print_diag(stderr, &d->diag, d->o->quiet);
	if (d->diag.bugs)
		return VQ_EXIT_BUG;
	return good ? VQ_EXIT_OK : VQ_EXIT_INPUT;
}

int vq_drive(const vq_options *o, vq_arena *arena)
{
	driver d = { .o = o, .arena = arena };
	vq_diag usage;

	vq_diag_init(&usage, arena, NULL);
	vq_sizes_parse(&d.sizes, arena, &usage, &o->dims);
	if (d.sizes.n > 1 && (o->stop || o->passes.n || o->emit & (VQ_EMIT_VIR | VQ_EMIT_ONNX)))
		vq_error(&usage, "option -dim", "a graph has one size: give one to write it as vir or onnx");
	if (o->analyze || o->emit & (VQ_EMIT_OBJ | VQ_EMIT_ASM | VQ_EMIT_LLVM)) {
		d.results.target = vq_target_resolve(arena, &usage, &o->target);
		if (o->prefix)
			vq_prefix_of(o, arena, &usage);
		if (o->weights_section)
			vq_section_check(&usage, o->weights_section);
	}
	vq_print_diag(stderr, &usage, o->quiet);
	if (usage.errors)
		return VQ_EXIT_USAGE;
	vq_diag_init(&d.diag, arena, o->model);
	vq_diag_init(&d.aside, arena, o->model);
	d.bar = vq_bar_make(!o->quiet);
	d.results.o = o;
	d.results.arena = arena;
	d.results.diag = &d.diag;
	if (o->verbose)
		fprintf(stderr, "vitqc: version " VQ_VERSION ", LLVM %s%s%s\n", vq_llvm_version(),
			d.results.target ? ", target " : "",
			d.results.target ? vq_target_triple(d.results.target) : "");
	return finish(&d, work(&d));
}

int vq_print_mode(const vq_options *o, vq_arena *arena)
{
	const vq_target *t;
	const char *name, *domain;
	vq_diag diag;
	int since;

	switch (o->mode) {
	case VQ_MODE_COMPILE: break;
	case VQ_MODE_HELP: vq_print_help(stdout); break;
	case VQ_MODE_VERSION:
		printf("vitqc " VQ_VERSION "\nLLVM %s\nprotobuf-c %s\n", vq_llvm_version(), protobuf_c_version());
		break;
	case VQ_MODE_PRINT_TARGETS: vq_print_targets(stdout); break;
	case VQ_MODE_PRINT_CPUS:
		vq_diag_init(&diag, arena, NULL);
		t = vq_target_resolve(arena, &diag, &o->target);
		vq_print_diag(stderr, &diag, o->quiet);
		if (!t)
			return VQ_EXIT_USAGE;
		vq_print_cpus(stdout, t);
		break;
	case VQ_MODE_PRINT_OPS:
		for (uint32_t i = 0; (name = vq_onnx_op_name(i, &domain, &since)) != NULL; i++)
			printf("%s%s%s, since opset %d\n", domain, *domain ? "." : "", name, since);
		break;
	case VQ_MODE_PRINT_PASSES:
		for (uint32_t i = 0; i < vq_n_passes; i++)
			printf("%-18s %s\n", vq_passes[i].name, vq_passes[i].summary);
		break;
	}
	return fflush(stdout) == 0 && !ferror(stdout) ? VQ_EXIT_OK : VQ_EXIT_INPUT;
}
