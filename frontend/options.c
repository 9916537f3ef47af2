/* SPDX-License-Identifier: MIT */
#include "frontend/options.h"

#include "ir/nearest.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_kind { FLAG, TEXT, LIST, APPEND, COUNT, MODE, CUSTOM } option_kind;

typedef struct parser {
	vq_options *o;
	vq_arena *arena;
	vq_diag *diag;
	const char *option; /* "option -quant", for messages */
} parser;

typedef struct choice {
	const char *name; /* ends the list if NULL */
	int value;        /* of the enum; -1: known, not built yet */
} choice;

static void append(vq_arena *a, vq_strings *s, const char *text)
{
	s->item = vq_arena_grow(a, s->item, &s->cap, s->n + 1, sizeof *s->item);
	s->item[s->n++] = text;
}

/* Appends the comma-separated items of text. */
static bool append_items(parser *p, vq_strings *s, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, ",");

		if (n == 0)
			return vq_error(p->diag, p->option, "empty item in the list");
		append(p->arena, s, vq_arena_strndup(p->arena, text, n));
		text += n + (text[n] == ',');
	}
	return true;
}

/* One of the choices; lists them if it is none. */
static bool choose(parser *p, const choice *list, const char *text, int *value)
{
	const char *all = "";
	vq_nearest near;

	vq_nearest_start(&near, text, strlen(text));
	for (const choice *c = list; c->name; c++) {
		if (strcmp(c->name, text) == 0) {
			if (c->value < 0)
				return vq_error(p->diag, p->option, "'%s' is not built yet", text);
			*value = c->value;
			return true;
		}
		if (c->value < 0)
			continue;
		vq_nearest_offer(&near, c->name);
		all = vq_arena_printf(p->arena, "%s%s%s", all, *all ? ", " : "", c->name);
	}
	vq_error(p->diag, p->option, "got '%s', expected one of: %s", text, all);
	if (near.best)
		vq_hint(p->diag, "did you mean '%s'?", near.best);
	return false;
}

static bool parse_number(parser *p, const char *text, size_t n, double *value)
{
	char copy[64], *end;

	if (n == 0 || n >= sizeof copy)
		return vq_error(p->diag, p->option, "expected a number, got '%.*s'", (int)n, text);
	memcpy(copy, text, n);
	copy[n] = 0;
	*value = strtod(copy, &end);
	if (*end == '/') { /* 1/255 */
		char *second = end + 1;
		double divisor = strtod(second, &end);

		*value = end == second ? NAN : *value / divisor;
	}
	if (*end || !isfinite(*value))
		return vq_error(p->diag, p->option, "expected a number, got '%s'", copy);
	return true;
}

static bool parse_count(parser *p, const char *text, uint32_t *value)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || v == 0 || v > 0x7fffffffu)
		return vq_error(p->diag, p->option, "expected a whole number of at least 1, got '%s'", text);
	*value = (uint32_t)v;
	return true;
}

static bool parse_numbers(parser *p, vq_numbers *s, const char *text)
{
	s->n = 0;
	do {
		size_t n = strcspn(text, ",");
		double v = 0;

		if (!parse_number(p, text, n, &v))
			return false;
		s->item = vq_arena_grow(p->arena, s->item, &s->cap, s->n + 1, sizeof *s->item);
		s->item[s->n++] = (float)v;
		text += n;
	} while (*text++ == ',');
	return true;
}

/* "256x224": width x height; "256": height 0 */
static bool parse_size(parser *p, vq_size *s, const char *text)
{
	unsigned w = 0, h = 0;
	int used = 0;

	if (sscanf(text, "%ux%u%n", &w, &h, &used) == 2 && !text[used] && w && h && w <= 65535 && h <= 65535) {
		*s = (vq_size){ w, h };
		return true;
	}
	h = 0;
	if (sscanf(text, "%u%n", &w, &used) == 1 && !text[used] && w && w <= 65535) {
		*s = (vq_size){ w, 0 };
		return true;
	}
	return vq_error(p->diag, p->option, "expected a size such as 256 or 320x240 (width x height), got '%s'", text);
}

/* ---- options with their own syntax ---- */

static bool parse_emit(parser *p, const char *text)
{
	static const choice kinds[] = { { "obj", VQ_EMIT_OBJ }, { "asm", VQ_EMIT_ASM }, { "llvm", VQ_EMIT_LLVM },
		{ "vir", VQ_EMIT_VIR }, { "onnx", VQ_EMIT_ONNX }, { NULL, 0 } };
	vq_strings items = { .item = NULL };
	bool good = append_items(p, &items, text);

	for (uint32_t i = 0; i < items.n; i++) {
		int kind = 0;

		good &= choose(p, kinds, items.item[i], &kind);
		p->o->emit |= (uint32_t)kind;
	}
	return good;
}

static bool parse_mfloat_abi(parser *p, const char *text)
{
	static const choice kinds[] = { { "hard", VQ_FLOAT_ABI_HARD }, { "softfp", VQ_FLOAT_ABI_SOFTFP },
		{ "soft", -1 }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->target.float_abi = (vq_float_abi)v;
	return good;
}

static bool parse_quant(parser *p, const char *text)
{
	static const choice kinds[] = { { "w8a8", VQ_QUANT_W8A8 }, { "none", VQ_QUANT_NONE },
		{ "w8a8-dynamic", VQ_QUANT_DYNAMIC }, { "w4a8", -1 }, { "w6a6", -1 }, { "w4a4", -1 }, { NULL, 0 } };
	size_t n = strlen(text);
	int v = 0;
	bool good;

	if (n > 5 && strcmp(text + n - 5, ".json") == 0)
		return vq_error(p->diag, p->option, "a quantization plan in a file ('%s') is not built yet", text);
	good = choose(p, kinds, text, &v);
	p->o->quant = (vq_quant_choice)v;
	return good;
}

static bool parse_calib_observer(parser *p, const char *text)
{
	static const choice kinds[] = { { "minmax", VQ_OBSERVE_MINMAX }, { "percentile", VQ_OBSERVE_PERCENTILE },
		{ "mse", VQ_OBSERVE_MSE }, { "kl", -1 }, { NULL, 0 } };
	const char *colon = strchr(text, ':');
	int v = 0;

	if (!choose(p, kinds, colon ? vq_arena_strndup(p->arena, text, (size_t)(colon - text)) : text, &v))
		return false;
	p->o->observer = (vq_observer)v;
	if (!colon)
		return true;
	if (v != VQ_OBSERVE_PERCENTILE)
		return vq_error(p->diag, p->option, "only percentile takes a number, got '%s'", text);
	if (!parse_number(p, colon + 1, strlen(colon + 1), &p->o->percentile))
		return false;
	if (p->o->percentile <= 50 || p->o->percentile > 100)
		return vq_error(
			p->diag, p->option, "expected a percentile above 50 and up to 100, got '%s'", colon + 1);
	return true;
}

static bool parse_calib_executor(parser *p, const char *text)
{
	static const choice kinds[] = { { "auto", VQ_EXECUTOR_AUTO }, { "jit", VQ_EXECUTOR_JIT },
		{ "evaluator", VQ_EXECUTOR_EVALUATOR }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->executor = (vq_executor_choice)v;
	return good;
}

static bool parse_granularity(parser *p, const char *text)
{
	static const choice kinds[] = { { "auto", VQ_GRANULARITY_AUTO }, { "tensor", VQ_GRANULARITY_TENSOR },
		{ "token", VQ_GRANULARITY_TOKEN }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->granularity = (vq_granularity)v;
	return good;
}

static bool parse_fold(parser *p, const char *text)
{
	static const choice kinds[] = { { "repq", VQ_FOLD_REPQ }, { "none", VQ_FOLD_NONE }, { "smoothquant", -1 },
		{ "awq", -1 }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->fold = (vq_fold)v;
	return good;
}

static bool parse_weight_clip(parser *p, const char *text)
{
	static const choice kinds[] = { { "mse", 0 }, { "max", 1 }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->weight_max = v;
	return good;
}

static bool parse_Werror(parser *p, const char *text)
{
	static const choice kinds[] = { { "float-fallback", 1 }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->werror_fallback |= v;
	return good;
}

static bool parse_image_resize(parser *p, const char *text) { return parse_size(p, &p->o->image.resize, text); }
static bool parse_image_mean(parser *p, const char *text) { return parse_numbers(p, &p->o->image.mean, text); }

static bool parse_image_crop(parser *p, const char *text)
{
	bool good = parse_size(p, &p->o->image.crop, text);

	if (good && !p->o->image.crop.height)
		p->o->image.crop.height = p->o->image.crop.width;
	return good;
}

static bool parse_image_filter(parser *p, const char *text)
{
	static const choice kinds[] = { { "bilinear", VQ_FILTER_BILINEAR }, { "bicubic", VQ_FILTER_BICUBIC },
		{ NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->image.filter = (vq_filter)v;
	return good;
}

static bool parse_image_std(parser *p, const char *text)
{
	if (!parse_numbers(p, &p->o->image.std, text))
		return false;
	for (uint32_t i = 0; i < p->o->image.std.n; i++)
		if (!(p->o->image.std.item[i] > 0))
			return vq_error(p->diag, p->option, "expected numbers above 0, got '%s'", text);
	return true;
}

static bool parse_image_scale(parser *p, const char *text)
{
	double v = 0;

	if (!parse_number(p, text, strlen(text), &v))
		return false;
	p->o->image.scale = (float)v;
	return true;
}

static bool parse_image_layout(parser *p, const char *text)
{
	static const choice kinds[] = { { "nchw", VQ_LAYOUT_NCHW }, { "nhwc", VQ_LAYOUT_NHWC }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->image.layout = (vq_layout)v;
	return good;
}

static bool parse_image_order(parser *p, const char *text)
{
	static const choice kinds[] = { { "rgb", VQ_ORDER_RGB }, { "bgr", VQ_ORDER_BGR }, { NULL, 0 } };
	int v = 0;
	bool good = choose(p, kinds, text, &v);

	p->o->image.order = (vq_order)v;
	return good;
}

/* ---- the table ---- */

typedef struct option_row {
	const char *name; /* without dashes; NULL: `help` is the title of a group */
	option_kind kind;
	size_t place;                               /* of the member in vq_options; MODE: the value */
	bool (*parse)(parser *p, const char *text); /* CUSTOM */
	const char *argument;                       /* as help names it; NULL: takes none */
	const char *help;                           /* NULL: not listed */
} option_row;

static const option_row rows[] = {
#define PLACE_FLAG(p) offsetof(vq_options, p), NULL
#define PLACE_TEXT(p) offsetof(vq_options, p), NULL
#define PLACE_LIST(p) offsetof(vq_options, p), NULL
#define PLACE_APPEND(p) offsetof(vq_options, p), NULL
#define PLACE_COUNT(p) offsetof(vq_options, p), NULL
#define PLACE_CUSTOM(p) 0, p
#define PLACE_MODE(p) p, NULL
#define VQ_GROUP(title) { NULL, FLAG, 0, NULL, NULL, title },
#define VQ_OPTION(name, kind, place, argument, help) { name, kind, PLACE_##kind(place), argument, help },
#include "frontend/options.def"
};

enum { N_ROWS = sizeof rows / sizeof *rows };

static const option_row *find(const char *name, size_t n)
{
	for (uint32_t i = 0; i < N_ROWS; i++)
		if (rows[i].name && strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
			return &rows[i];
	return NULL;
}

static bool apply(parser *p, const option_row *r, const char *text)
{
	void *place = (char *)p->o + r->place;

	switch (r->kind) {
	case FLAG: *(bool *)place = true; return true;
	case TEXT:
		if (!*text)
			return vq_error(p->diag, p->option, "the argument is empty");
		*(const char **)place = text;
		return true;
	case LIST: return append_items(p, place, text);
	case APPEND: append(p->arena, place, text); return true;
	case COUNT: return parse_count(p, text, place);
	case MODE: p->o->mode = (vq_mode)r->place; return true;
	case CUSTOM: break;
	}
	return r->parse(p, text);
}

static void unknown_option(parser *p, const char *argument, const char *name, size_t n)
{
	vq_nearest near;

	vq_nearest_start(&near, name, n);
	for (uint32_t i = 0; i < N_ROWS; i++)
		if (rows[i].name && rows[i].help)
			vq_nearest_offer(&near, rows[i].name);
	vq_error(p->diag, NULL, "unknown option '%s'", argument);
	if (near.best)
		vq_hint(p->diag, "did you mean '-%s'?", near.best);
}

/*
 * One argument that starts with a dash; *next is the one after it, and is taken (true) if it is the
 * option's value.
 */
static bool parse_option(parser *p, const char *argument, const char *next)
{
	const char *name = argument + 1 + (argument[1] == '-');
	const char *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const option_row *r = find(name, n);

	if (n == 1 && (*name == 'h' || *name == '?') && !equals)
		r = find("help", 4);
	if (!r && *name == 'j' && name[1] >= '0' && name[1] <= '9') { /* -j4 */
		r = find("j", 1);
		equals = name; /* the value starts after it */
	}
	if (!r) {
		unknown_option(p, argument, name, n);
		return false;
	}
	p->option = vq_arena_printf(p->arena, "option -%s", r->name);
	if (!r->argument) {
		if (equals)
			vq_error(p->diag, p->option, "takes no value, got '%s'", equals + 1);
		else
			apply(p, r, NULL);
		return false;
	}
	if (equals) {
		apply(p, r, equals + 1);
		return false;
	}
	if (!next) {
		vq_error(p->diag, p->option, "the value %s is missing", r->argument);
		return false;
	}
	apply(p, r, next);
	return true;
}

/* ---- what fits together ---- */

static bool is_pass(const char *name) { return vq_pass_find(name, strlen(name)) != NULL; }

static void unknown_pass(parser *p, const char *option, const char *name)
{
	vq_nearest near;

	vq_nearest_start(&near, name, strlen(name));
	for (uint32_t i = 0; i < vq_n_passes; i++)
		vq_nearest_offer(&near, vq_passes[i].name);
	vq_error(p->diag, option, "unknown pass '%s'", name);
	if (near.best)
		vq_hint(p->diag, "did you mean '%s'?", near.best);
	vq_hint(p->diag, "vitqc -print-passes lists them");
}

static void check_passes(parser *p)
{
	vq_options *o = p->o;

	for (uint32_t i = 0; i < o->dump.n; i++) {
		const char *s = o->dump.item[i], *pass = strchr(s, ':');

		if (strncmp(s, "before:", 7) != 0 && strncmp(s, "after:", 6) != 0)
			vq_error(p->diag, "option -dump", "expected before:PASS or after:PASS, got '%s'", s);
		else if (!is_pass(pass + 1) && strcmp(pass + 1, "all") != 0 && strcmp(pass + 1, "import") != 0)
			unknown_pass(p, "option -dump", pass + 1);
	}
	for (uint32_t i = 0; i < o->passes.n; i++)
		if (!is_pass(o->passes.item[i]))
			unknown_pass(p, "option -passes", o->passes.item[i]);
	if (o->stop && !is_pass(o->stop) && strcmp(o->stop, "import") != 0)
		unknown_pass(p, "option -stop", o->stop);
	if ((o->stop || o->passes.n) && !o->run && !o->compare && !o->analyze) {
		const char *option = o->stop ? "option -stop" : "option -passes";

		if (!o->emit)
			o->emit = VQ_EMIT_VIR;
		if (o->emit & ~(uint32_t)(VQ_EMIT_VIR | VQ_EMIT_ONNX))
			vq_error(p->diag, option,
				"a graph from the middle of the pipeline can be written as vir or "
				"onnx only");
	}
}

static bool ends(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* What belongs to outputs of the compiler means nothing to modes that look at a model. */
static void check_look(parser *p)
{
	vq_options *o = p->o;
	vq_diag *d = p->diag;
	const char *mode = o->analyze ? "-analyze" : o->compare ? "-compare" : "-run";
	const char *option = vq_arena_printf(p->arena, "option %s", mode);

	if ((o->run != NULL) + (o->compare != NULL) + o->analyze > 1)
		vq_error(d, option, "contradicts %s: give one of them", o->run ? "-run" : "-compare");
	if (o->emit)
		vq_error(d, option, "looks at the model, -emit writes it: give one of them");
	if (!o->run && o->out) {
		vq_error(d, "option -o", "%s writes no output", mode);
		vq_hint(d, "-report=FILE keeps what it prints");
	}
	if (!o->run && (o->stop || o->passes.n))
		vq_error(d, o->stop ? "option -stop" : "option -passes", "%s takes the graph after all passes", mode);
	if (o->run && o->out && !ends(o->out, ".npz") && !ends(o->out, ".npy"))
		vq_error(d, option, "expected -o FILE.npz for the outputs, got '%s'", o->out);
	if (o->run && o->report)
		vq_error(d, "option -report", "-run makes no report; -o FILE.npz keeps the outputs");
	if (o->depend || o->depend_file)
		vq_error(d, "option -MD", "there is no output to depend on anything");
	if (o->instrument)
		vq_error(d, "option -instrument", "is for objects");
	if (o->analyze && (o->calib || o->calib_stats))
		vq_error(d, "option -calib", "-analyze needs no samples");
	if (o->analyze && o->werror_fallback && (o->quant == VQ_QUANT_DEFAULT || o->quant == VQ_QUANT_NONE))
		vq_error(d, "option -Werror",
			"-analyze shows every scheme: say which must be in integers, as in "
			"-quant=w8a8");
}

static bool asks_help(const char *text) { return text && strcmp(text, "help") == 0; }

static void check_together(parser *p)
{
	vq_options *o = p->o;
	vq_diag *d = p->diag;

	if (o->mode == VQ_MODE_COMPILE && (asks_help(o->target.cpu) || asks_help(o->target.attr))) {
		o->mode = VQ_MODE_PRINT_CPUS;
		o->target.cpu = asks_help(o->target.cpu) ? NULL : o->target.cpu;
		o->target.attr = asks_help(o->target.attr) ? NULL : o->target.attr;
	}
	if (o->mode != VQ_MODE_COMPILE)
		return;
	if (!o->model) {
		vq_error(d, NULL, "no model: expected vitqc MODEL.onnx -o OUT.o");
		vq_hint(d, "vitqc --help lists the options");
	}
	check_passes(p);
	if (o->run || o->compare || o->analyze) {
		check_look(p);
	} else if (!o->emit) {
		o->emit = VQ_EMIT_OBJ;
	}
	if (o->header && !(o->emit & VQ_EMIT_OBJ))
		vq_error(d, "option -header", "a header is written only with an object (-emit=obj)");
	if (o->out && strcmp(o->out, "-") == 0 && o->emit != VQ_EMIT_ASM && o->emit != VQ_EMIT_LLVM &&
		o->emit != VQ_EMIT_VIR)
		vq_error(d, "option -o", "only one text (-emit=asm, llvm or vir) can go to the standard output");
	if (o->emit_weights && !(o->emit & (VQ_EMIT_OBJ | VQ_EMIT_ASM | VQ_EMIT_LLVM)))
		vq_error(d, "option -emit-weights",
			"there is no object whose weights it could take: needs -emit=obj, asm or llvm");
	if (o->emit_weights && (!*o->emit_weights || strcmp(o->emit_weights, "-") == 0))
		vq_error(d, "option -emit-weights", "expected the name of a file, got '%s'", o->emit_weights);
	if (o->emit_weights && o->weights_section) {
		vq_error(d, "option -emit-weights", "contradicts -weights-section: the object has no weights then");
		vq_hint(d, "a file that .incbin puts into an object can stand in any section");
	}
	if (o->depend_file)
		o->depend = true;
	if ((o->depend_target || o->depend_phony) && !o->depend)
		vq_error(d, o->depend_target ? "option -MT" : "option -MP", "needs -MD or -MF");
	if (o->depend && o->out && strcmp(o->out, "-") == 0)
		vq_error(d, "option -MD", "needs an output file");
	if (o->report && strcmp(o->report, "-") != 0 && !ends(o->report, ".json") && !ends(o->report, ".txt")) {
		if (ends(o->report, ".html"))
			vq_error(d, "option -report", "a report as HTML is not built yet");
		else
			vq_error(d, "option -report", "expected a name ending in .json or .txt, or -, got '%s'",
				o->report);
	}
	if (o->quant == VQ_QUANT_NONE && (o->calib || o->calib_stats))
		vq_error(d, "option -calib", "-quant=none does not quantize: it needs no calibration");
	if (o->quant == VQ_QUANT_DYNAMIC && (o->calib || o->calib_stats))
		vq_error(d, "option -calib",
			"-quant=w8a8-dynamic finds its scales at run time: it needs no "
			"calibration");
	if (o->granularity && (o->quant == VQ_QUANT_NONE || o->quant == VQ_QUANT_DYNAMIC))
		vq_error(d, "option -act-granularity",
			o->quant == VQ_QUANT_NONE ? "-quant=none does not quantize"
						  : "-quant=w8a8-dynamic has a scale per token everywhere");
	if (o->granularity == VQ_GRANULARITY_TOKEN && o->emit & VQ_EMIT_ONNX)
		vq_error(d, "option -emit", "ONNX has no form of scales per token at run time");
	if (o->quant == VQ_QUANT_DYNAMIC && o->emit & VQ_EMIT_ONNX)
		vq_error(d, "option -emit", "ONNX has no form of -quant=w8a8-dynamic: scales per row at run time");
	if (o->calib_count && !o->calib)
		vq_error(d, "option -calib-count", "needs -calib");
	if (o->count && !o->run && !o->compare)
		vq_error(d, "option -count", "needs -run or -compare");
	if (o->verbose && o->quiet)
		vq_error(d, "option -q", "contradicts -v");
}

bool vq_options_parse(vq_options *o, vq_arena *arena, vq_diag *diag, int argc, const char *const *argv)
{
	parser p = { .o = o, .arena = arena, .diag = diag };
	bool options = true;

	*o = (vq_options){ .percentile = 99.99, .image = { .scale = 1.0f / 255.0f } };
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (options && strcmp(a, "--") == 0) {
			options = false;
		} else if (options && a[0] == '-' && a[1]) {
			i += parse_option(&p, a, i + 1 < argc ? argv[i + 1] : NULL);
		} else if (o->model) {
			vq_error(diag, NULL, "one model at a time: got '%s' and '%s'", o->model, a);
		} else if (!*a || strcmp(a, "-") == 0) {
			vq_error(diag, NULL, "a model cannot be read from the standard input");
		} else {
			o->model = a;
		}
	}
	for (uint32_t i = 0; i < o->attrs.n; i++)
		o->target.attr = o->target.attr ? vq_arena_printf(arena, "%s,%s", o->target.attr, o->attrs.item[i])
						: o->attrs.item[i];
	if (diag->errors == 0)
		check_together(&p);
	return diag->errors == 0;
}

/* ---- help ---- */

enum { HELP_COLUMN = 28, HELP_WIDTH = 100 };

/* Words of text from the current column on, wrapped. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t column = HELP_COLUMN;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column + n > HELP_WIDTH) {
			fprintf(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		}
		fprintf(out, "%.*s", (int)n, text);
		column += n;
		text += n;
		if (*text) {
			fputc(' ', out);
			column++;
			text++;
		}
	}
	fputc('\n', out);
}

void vq_print_help(FILE *out)
{
	fprintf(out,
		"usage: vitqc MODEL.onnx -o OUT.o [options]\n\n"
		"Compiles a transformer to one relocatable object with its weights, and a C "
		"header. MODEL is an ONNX file or .vir text.\n"
		"Options may be written with one dash or two, and their values after = or as "
		"the next argument.\n");
	for (uint32_t i = 0; i < N_ROWS; i++) {
		const option_row *r = &rows[i];
		char left[64];
		int n;

		if (!r->name) {
			fprintf(out, "\n%s\n", r->help);
			continue;
		}
		if (!r->help)
			continue;
		n = snprintf(left, sizeof left, "  -%s%s%s", r->name,
			!r->argument                  ? ""
				: strlen(r->name) < 3 ? " "
						      : "=",
			r->argument ? r->argument : "");
		fputs(left, out);
		if (n >= HELP_COLUMN)
			fprintf(out, "\n%*s", HELP_COLUMN, "");
		else
			fprintf(out, "%*s", HELP_COLUMN - n, "");
		print_wrapped(out, r->help);
	}
	fprintf(out,
		"\nExit status: 0 done, 1 the input is at fault, 2 the command line is, 3 a "
		"bug in vitqc.\n");
}
