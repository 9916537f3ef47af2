/* SPDX-License-Identifier: MIT */
/* The generated C header. */
#include "backend/module.h"

#include <ctype.h>
#include <string.h>

#include "runtime/vitq.h"

#include VQ_RUNTIME_HEADER /* vitq_text: the text of runtime/vitq.h */

/* clang-format off */
/* words a parameter must not be called, C99, C11 and C++17, and our own parameters */
static const char *const reserved[] = {
	"workspace", "workspace_bytes", "weights", "weights_bytes", "env", "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break",
	"case", "catch", "char", "class", "compl", "const", "constexpr", "const_cast", "continue", "decltype", "default", "delete",
	"do", "double", "dynamic_cast", "else", "enum", "explicit", "export", "extern", "false", "float", "for", "friend", "goto",
	"if", "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "operator", "or",
	"or_eq", "private", "protected", "public", "register", "reinterpret_cast", "restrict", "return", "short", "signed", "sizeof",
	"static", "static_assert", "static_cast", "struct", "switch", "template", "this", "thread_local", "throw", "true", "try",
	"typedef", "typeid", "typename", "typeof", "union", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while",
	"xor", "xor_eq", "size_t", "int8_t", "int32_t", "int64_t", "uint8_t", "uint32_t", "vitq_env", "linux", "unix",
};
/* clang-format on */

static bool taken(const char *name, const char *const *names, uint32_t n)
{
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		if (!strcmp(name, reserved[i]))
			return true;
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* letters, digits and underscores; other bytes become '_'; no leading digit or underscore */
static char *identifier(vq_arena *a, const char *name, const char *otherwise)
{
	char *text = vq_arena_printf(a, "%s", name);

	for (char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) || (unsigned char)*c > 127)
			*c = '_';
	while (*text == '_')
		text++;
	if (!*text)
		return vq_arena_printf(a, "%s", otherwise);
	return isdigit((unsigned char)*text) ? vq_arena_printf(a, "%s_%s", otherwise, text) : text;
}

/* C identifiers of the graph's inputs and outputs, unique among them and not keywords: [n_inputs + n_outputs] */
static const char **port_names(const vq_plan *p)
{
	const vq_graph *g = p->g;
	uint32_t n = g->n_inputs + g->n_outputs;
	const char **names = VQ_ARRAY(p->arena, n, const char *);

	for (uint32_t i = 0; i < n; i++) {
		bool in = i < g->n_inputs;
		const char *name = identifier(
			p->arena, in ? g->input[i].name : g->output[i - g->n_inputs].name, in ? "input" : "output");
		const char *unique = name;

		for (uint32_t k = 2; taken(unique, names, i); k++)
			unique = vq_arena_printf(p->arena, "%s_%u", name, k);
		names[i] = unique;
	}
	return names;
}

static const char *c_type(vq_elem e)
{
	static const char *const types[] = {
		[VQ_F32] = "float",
		[VQ_I64] = "int64_t",
		[VQ_I32] = "int32_t",
		[VQ_BOOL] = "uint8_t",
		[VQ_U8] = "uint8_t",
		[VQ_S8] = "int8_t",
	};

	return types[e];
}

static const char *upper(vq_arena *a, const char *text)
{
	char *s = vq_arena_printf(a, "%s", text);

	for (char *c = s; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return s;
}

/* the bytes of a model's name that may stand in a comment */
static const char *harmless(vq_arena *a, const char *text)
{
	char *s = vq_arena_printf(a, "%s", text);

	for (char *c = s; *c; c++)
		if (*c < ' ' || (*c == '/' && (c[1] == '*' || (c > s && c[-1] == '*'))))
			*c = '_';
	return s;
}

static const char *describe(const vq_plan *p, const char *name, const vq_port *port)
{
	const vq_type *t = vq_type_of(p->g, port->value);
	const vq_quant *q = vq_quant_of(p->g, t);
	const char *dims = "", *scale = "";

	for (uint32_t i = 0; i < t->rank; i++)
		dims = vq_arena_printf(p->arena, "%s%s%lld", dims, i ? "x" : "", (long long)t->dim[i]);
	if (q && q->n == 1)
		scale = vq_arena_printf(p->arena, ", value = (code - %d) * %.9g", q->zero[0], (double)q->scale[0]);
	return vq_arena_printf(p->arena, " *   %-16s %s %s, row-major (\"%s\" in the model)%s\n", name,
		*dims ? dims : "one", c_type(t->elem), harmless(p->arena, port->name), scale);
}

/* What one run function is called with. */
typedef struct texts {
	const char *ports;  /* lines of the comment */
	const char *params; /* parameters of the function */
	const char *counts; /* macros */
} texts;

static texts texts_of(const vq_plan *p, const char *up, const char *end)
{
	const vq_graph *g = p->g;
	vq_arena *a = p->arena;
	const char **names = port_names(p);
	texts t = { "", "", "" };

	for (uint32_t i = 0; i < g->n_inputs + g->n_outputs; i++) {
		bool in = i < g->n_inputs;
		const vq_port *port = in ? &g->input[i] : &g->output[i - g->n_inputs];
		const vq_type *type = vq_type_of(g, port->value);

		t.ports = vq_arena_printf(a, "%s%s", t.ports, describe(p, names[i], port));
		t.params = vq_arena_printf(
			a, "%s%s%s *%s, ", t.params, in ? "const " : "", c_type(type->elem), names[i]);
		t.counts = vq_arena_printf(a, "%s#define %s_%s_COUNT%s %llu\n", t.counts, up, upper(a, names[i]), end,
			(unsigned long long)vq_type_count(type));
	}
	return t;
}

static const char *workspace_text(const vq_plan *p, const char *up, const char *end)
{
	return vq_arena_printf(p->arena,
		"#define %s_WORKSPACE_BYTES%s %lluu /* one worker */\n"
		"#define %s_WORKSPACE_BYTES_FOR%s(workers) (%lluu + (workers) * (size_t)%lluu)\n",
		up, end, (unsigned long long)(p->buffer_bytes + p->scratch_bytes), up, end,
		(unsigned long long)p->buffer_bytes, (unsigned long long)p->scratch_bytes);
}

/* the parameters of a run function behind its tensors */
static const char *last_params(const vq_emit_options *o)
{
	return o->weights_file ? "const void *weights, size_t weights_bytes, void *workspace, size_t workspace_bytes, "
				 "const vitq_env *env"
			       : "void *workspace, size_t workspace_bytes, const vitq_env *env";
}

/* The same network at another size: a function, facts and macros of its own. */
static const char *variant_text(const vq_plan *p, const vq_emit_options *o, const char *suffix)
{
	vq_arena *a = p->arena;
	const char *up = upper(a, o->prefix), *end = vq_arena_printf(a, "_%s", upper(a, suffix));
	texts t = texts_of(p, up, end);

	return vq_arena_printf(a,
		"%s%s\n"
		"/*\n"
		" * The same network, with the same weights, on other shapes:\n"
		"%s"
		" *   workspace        %s_WORKSPACE_BYTES_FOR%s(env->workers) bytes, %s_WORKSPACE_ALIGN-aligned\n"
		" * Everything else as %s_run.\n"
		" */\n"
		"int %s_run_%s(%s%s);\n"
		"extern const vitq_info %s_info_%s;\n\n",
		workspace_text(p, up, end), t.counts, t.ports, up, end, up, o->prefix, o->prefix, suffix, t.params,
		last_params(o), o->prefix, suffix);
}

const char *vq_header_text(const vq_plan *p, const vq_emit_options *o, uint64_t stack_bytes, uint64_t weights_hash)
{
	vq_arena *a = p->arena;
	const char *up = upper(a, o->prefix), *more = "", *stack = "", *weights = "", *weights_line = "";
	texts t = texts_of(p, up, "");

	if (stack_bytes)
		stack = vq_arena_printf(a,
			"#define %s_STACK_BYTES %lluu /* of a call, and of each worker; env's functions not counted */\n",
			up, (unsigned long long)stack_bytes);
	if (o->weights_file) {
		weights = vq_arena_printf(a,
			"/* the file of weights, which begins with a vitq_weights of this hash */\n"
			"#define %s_WEIGHTS_BYTES %lluu\n"
			"#define %s_WEIGHTS_ALIGN 64u\n"
			"#define %s_WEIGHTS_HASH UINT64_C(0x%016llx)\n",
			up, (unsigned long long)(p->weight_bytes + sizeof(vitq_weights)), up, up,
			(unsigned long long)weights_hash);
		weights_line = vq_arena_printf(a,
			" *   weights          the contents of that file, %s_WEIGHTS_BYTES or more, %s_WEIGHTS_ALIGN-aligned; only read\n",
			up, up);
	}
	for (uint32_t i = 0; i < o->n_more; i++)
		more = vq_arena_printf(a, "%s%s", more, variant_text(&p[i + 1], o, o->more[i].suffix));
	return vq_arena_printf(a,
		"/* Made by %s for %s (%s, %s, %s). Do not edit. */\n"
		"#ifndef VITQC_%s_H\n"
		"#define VITQC_%s_H\n\n"
		"%s\n"
		"#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
		"%s"
		"#define %s_WORKSPACE_ALIGN 64u\n"
		"%s%s"
		"/* elements of each input and output */\n"
		"%s\n"
		"/*\n"
		" * Runs the network once.\n"
		" *\n"
		" * Inputs are neither changed nor kept; outputs are written and overlap nothing else:\n"
		"%s%s"
		" *   workspace        %s_WORKSPACE_BYTES_FOR(env->workers) bytes, %s_WORKSPACE_ALIGN-aligned; undefined afterwards\n"
		" *   env              may be NULL: one worker, the calling thread\n"
		" *\n"
		" * Returns 0 or a VITQ_E_ code; nothing is written before all arguments were checked.\n"
		" * Re-entrant with one workspace per call. Allocates nothing.\n"
		" */\n"
		"int %s_run(%s%s);\n\n"
		"/* Facts about the model; %s_info.bytes of it, of which the struct is the beginning. */\n"
		"extern const vitq_info %s_info;\n\n"
		"%s"
		"#ifdef __cplusplus\n}\n#endif\n#endif\n",
		o->tool, p->target->name, p->target->triple, p->target->cpu,
		*p->target->features ? p->target->features : "no extra features", up, up, vitq_text,
		workspace_text(p, up, ""), up, stack, weights, t.counts, t.ports, weights_line, up, up, o->prefix,
		t.params, last_params(o), o->prefix, o->prefix, more);
}
