/* SPDX-License-Identifier: MIT */
#include "frontend/emit.h"

#include "frontend/folder.h"
#include "frontend/onnx_export.h"
#include "frontend/output.h"
#include "frontend/report.h"
#include "ir/text.h"

#include <ctype.h>
#include <string.h>

/* ---- names ---- */

/* Path without its extension: of -o, else of the model in the current directory. */
static const char *stem_of(const vq_options *o, vq_arena *arena)
{
	const char *path = o->out && strcmp(o->out, "-") != 0 ? o->out : vq_path_base(o->model);
	const char *base = vq_path_base(path), *dot = strrchr(base, '.');

	return dot && dot != base ? vq_arena_strndup(arena, path, (size_t)(dot - path)) : path;
}

const char *vq_prefix_of(const vq_options *o, vq_arena *arena, vq_diag *diag)
{
	const char *from = o->prefix ? o->prefix : vq_path_base(stem_of(o, arena));
	char *name = vq_arena_printf(arena, "%s", from);

	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) || (unsigned char)*c >= 128)
			*c = '_';
	if (!isalpha((unsigned char)*name) || strncmp(name, "vitq_", 5) == 0 || strcmp(name, "vitq") == 0)
		name = vq_arena_printf(arena, "m%s%s", *name == '_' || !*name ? "" : "_", name);
	if (o->prefix && strcmp(name, o->prefix) != 0) {
		vq_error(diag, "option -prefix",
			"'%s' cannot start a C name: expected a letter, then letters, digits and "
			"underscores, not vitq",
			o->prefix);
		vq_hint(diag, "'%s' could be used", name);
		return NULL;
	}
	return name;
}

/* Name of one kind of output: -o itself if it is the only one. */
static const char *name_of(const vq_results *r, uint32_t kind, const char *extension)
{
	if (r->o->out && r->o->emit == kind)
		return r->o->out;
	return vq_arena_printf(r->arena, "%s%s", stem_of(r->o, r->arena), extension);
}

static FILE *open_output(const vq_results *r, const char *path)
{
	if (strcmp(path, r->o->model) == 0) {
		vq_error(r->diag, NULL, "the output '%s' would overwrite the model", path);
		return NULL;
	}
	return vq_output_open(r->arena, r->diag, path);
}

static bool write_bytes(const vq_results *r, const char *path, const void *bytes, size_t n)
{
	FILE *f = open_output(r, path);

	return f && (fwrite(bytes, 1, n, f) == n || vq_error(r->diag, NULL, "cannot write '%s'", path));
}

/* ---- kinds of output ---- */

static bool emit_vir(const vq_results *r)
{
	const char *path = name_of(r, VQ_EMIT_VIR, ".vir"), *side = vq_arena_printf(r->arena, "%s.bin", path);
	FILE *text = open_output(r, path), *sidecar = NULL;

	if (!text)
		return false;
	if (strcmp(path, "-") == 0 || strncmp(path, "/dev/", 5) == 0)
		return vq_print_graph(r->g, text, NULL, NULL);
	sidecar = open_output(r, side);
	if (!sidecar || !vq_print_graph(r->g, text, sidecar, vq_path_base(side)))
		return false;
	if (ftell(sidecar) == 0)
		vq_output_drop_last(); /* all constants stand in the text */
	return true;
}

static bool emit_onnx(const vq_results *r)
{
	FILE *f = open_output(r, name_of(r, VQ_EMIT_ONNX, ".onnx"));

	return f && vq_export_onnx(r->qdq ? r->qdq : r->g, r->diag, f);
}

static bool compile(const vq_results *r, vq_artifact what, const char *prefix, vq_object *object)
{
	vq_emit_options e = { .target = r->target,
		.prefix = prefix,
		.scheme = r->scheme,
		.tool = "vitqc " VQ_VERSION,
		.model_hash = r->model_hash,
		.weights_section = r->o->weights_section,
		.weights_file = r->o->emit_weights != NULL,
		.more = r->more,
		.n_more = r->n_more,
		.instrument = r->o->instrument,
		.strict = r->strict };

	*object = (vq_object){ .arena = r->arena };
	return vq_compile(r->g, &e, what, object);
}

/* -Werror=float-fallback, and a warning without it: products that the plan left in float. */
static bool check_fallback(const vq_results *r, const vq_object *o)
{
	uint32_t n = 0, products = 0;
	int64_t macs = 0;

	if (!r->strict)
		return true;
	for (uint32_t i = 0; i < o->n_lines; i++) {
		const vq_plan_line *l = &o->line[i];

		if (l->suffix) /* what is so at one size is so at all */
			continue;
		products += l->macs > 0;
		if (l->macs == 0 || l->integer)
			continue;
		n++;
		macs += l->macs;
		if (r->o->werror_fallback)
			vq_error(r->diag, l->node ? vq_arena_printf(r->arena, "node '%s'", l->node) : NULL,
				"its product stays in float (-Werror=float-fallback): %s",
				vq_float_reason(r->report, l->node));
	}
	if (n && !r->o->werror_fallback) {
		vq_warning(r->diag, NULL, "%u of %u products stay in float: %.1f %% of the multiply-accumulates",
			(unsigned)n, (unsigned)products, 100.0 * (double)macs / (double)(o->macs ? o->macs : 1));
		vq_hint(r->diag,
			"-report=- lists them with the reasons, -Werror=float-fallback "
			"forbids them");
	}
	return n == 0 || !r->o->werror_fallback;
}

/* What was compiled as object, text or both: the weights are the same in all of them, and written once. */
static bool emit_weights(const vq_results *r, const vq_object *o, bool *done)
{
	if (!r->o->emit_weights || *done)
		return true;
	*done = true;
	return write_bytes(r, r->o->emit_weights, o->weights_file, o->weights_file_bytes);
}

static bool emit_object(const vq_results *r, const vq_object *o)
{
	const char *path = name_of(r, VQ_EMIT_OBJ, ".o");
	const char *header = r->o->header ? r->o->header : vq_arena_printf(r->arena, "%s.h", stem_of(r->o, r->arena));

	return write_bytes(r, path, o->elf, o->elf_bytes) && write_bytes(r, header, o->header, strlen(o->header));
}

/* ---- dependencies ---- */

/* A name as make reads it. */
static void put_name(FILE *f, const char *name)
{
	for (; *name; name++) {
		if (*name == '$')
			fputc('$', f);
		else if (*name == ' ' || *name == '#')
			fputc('\\', f);
		fputc(*name, f);
	}
}

static const char *first_output(const vq_results *r)
{
	static const struct {
		uint32_t kind;
		const char *extension;
	} kinds[] = { { VQ_EMIT_OBJ, ".o" }, { VQ_EMIT_ASM, ".s" }, { VQ_EMIT_LLVM, ".ll" }, { VQ_EMIT_VIR, ".vir" },
		{ VQ_EMIT_ONNX, ".onnx" } };

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (r->o->emit & kinds[i].kind)
			return name_of(r, kinds[i].kind, kinds[i].extension);
	return "";
}

static bool emit_dependencies(const vq_results *r)
{
	const char *path = r->o->depend_file ? r->o->depend_file
					     : vq_arena_printf(r->arena, "%s.d", stem_of(r->o, r->arena));
	FILE *f = open_output(r, path);

	if (!f)
		return false;
	put_name(f, r->o->depend_target ? r->o->depend_target : first_output(r));
	if (r->o->emit_weights && !r->o->depend_target) {
		fputc(' ', f);
		put_name(f, r->o->emit_weights);
	}
	fputc(':', f);
	for (uint32_t i = 0; i < r->read.n; i++) {
		fputs(" \\\n  ", f);
		put_name(f, r->read.item[i]);
	}
	fputc('\n', f);
	for (uint32_t i = 0; i < r->read.n && r->o->depend_phony; i++) {
		fputc('\n', f);
		put_name(f, r->read.item[i]);
		fputs(":\n", f);
	}
	return true;
}

static bool emit_report(const vq_results *r, const char *prefix, const vq_object *object)
{
	vq_report_facts facts = { .model = r->o->model,
		.model_hash = r->model_hash,
		.scheme = r->scheme,
		.target = r->target ? vq_target_triple(r->target) : NULL,
		.sites = r->report,
		.prefix = prefix,
		.weights_file = r->o->emit_weights,
		.object = object };
	FILE *f = open_output(r, r->o->report);

	if (!f)
		return false;
	return (vq_path_ends(r->o->report, ".json") ? vq_report_json(f, &facts) : vq_report_text(f, &facts)) ||
		vq_error(r->diag, NULL, "cannot write '%s'", r->o->report);
}

bool vq_emit(const vq_results *r)
{
	uint32_t emit = r->o->emit;
	const char *prefix = NULL;
	vq_object object, text;
	bool compiled = false, weights = false;

	if (emit & (VQ_EMIT_OBJ | VQ_EMIT_ASM | VQ_EMIT_LLVM)) {
		prefix = vq_prefix_of(r->o, r->arena, r->diag);
		if (!prefix)
			return false;
	}
	if (emit & VQ_EMIT_VIR && !emit_vir(r))
		return false;
	if (emit & VQ_EMIT_ONNX && !emit_onnx(r))
		return false;
	if (emit & VQ_EMIT_OBJ) {
		compiled = compile(r, VQ_ARTIFACT_OBJECT, prefix, &object);
		if (!compiled || !check_fallback(r, &object) || !emit_object(r, &object) ||
			!emit_weights(r, &object, &weights))
			return false;
	}
	if (emit & VQ_EMIT_ASM) {
		if (!compile(r, VQ_ARTIFACT_ASM, prefix, &text) ||
			!write_bytes(r, name_of(r, VQ_EMIT_ASM, ".s"), text.elf, text.elf_bytes) ||
			!emit_weights(r, &text, &weights))
			return false;
	}
	if (emit & VQ_EMIT_LLVM) {
		if (!compile(r, VQ_ARTIFACT_LLVM, prefix, &text) ||
			!write_bytes(r, name_of(r, VQ_EMIT_LLVM, ".ll"), text.elf, text.elf_bytes) ||
			!emit_weights(r, &text, &weights))
			return false;
	}
	if (r->o->depend && !emit_dependencies(r))
		return false;
	return !r->o->report || emit_report(r, prefix, compiled ? &object : NULL);
}
