/* SPDX-License-Identifier: MIT */
/* Parses .vir text; docs/ir.md has the grammar. Recursive descent, one token ahead, stops at the first error. */
#include "ir/parse.h"

#include "ir/attrs.h"
#include "ir/build.h"
#include "ir/text.h"
#include "ir/verify.h"

#include <stdarg.h>
#include <string.h>

/* ---- tokens ---- */

bool vq_parse_error(vq_parser *p, const vq_token *t, const char *format, ...)
{
	va_list args;

	if (p->failed)
		return false;
	p->failed = true;
	va_start(args, format);
	vq_error(p->g->diag, vq_arena_printf(&p->scratch, "line %u, column %u", (unsigned)t->line, (unsigned)t->column),
		"%s", t->kind == VQ_TOKEN_WRONG ? t->text : vq_arena_vprintf(&p->scratch, format, args));
	va_end(args);
	return false;
}

void vq_next(vq_parser *p) { p->token = vq_lex(&p->lexer); }

static bool at_mark(const vq_parser *p, char mark)
{
	return p->token.kind == VQ_TOKEN_MARK && p->token.text[0] == mark;
}

bool vq_at_word(const vq_parser *p, const char *word)
{
	return p->token.kind == VQ_TOKEN_WORD && !strcmp(p->token.text, word);
}

bool vq_accept(vq_parser *p, char mark)
{
	if (!at_mark(p, mark))
		return false;
	vq_next(p);
	return true;
}

bool vq_accept_word(vq_parser *p, const char *word)
{
	if (!vq_at_word(p, word))
		return false;
	vq_next(p);
	return true;
}

bool vq_expect(vq_parser *p, char mark)
{
	return vq_accept(p, mark) || vq_parse_error(p, &p->token, "expected '%c', got '%s'", mark, p->token.text);
}

static bool at_name(const vq_parser *p) { return p->token.kind == VQ_TOKEN_WORD || p->token.kind == VQ_TOKEN_STRING; }

/* copy of the current name in the graph's arena, then the next token */
static const char *take_name(vq_parser *p)
{
	const char *name = vq_arena_strndup(p->g->arena, p->token.text, p->token.length);

	vq_next(p);
	return name;
}

/* ---- symbols ---- */

static vq_symbol *slot_of(vq_symbol *table, uint32_t cap, char space, const char *name)
{
	uint32_t i = (uint32_t)vq_hash(name, strlen(name)) & (cap - 1);

	while (table[i].name && (table[i].space != space || strcmp(table[i].name, name) != 0))
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static vq_symbol *find_symbol(vq_parser *p, char space, const char *name)
{
	vq_symbol *s = p->cap_symbols ? slot_of(p->symbol, p->cap_symbols, space, name) : NULL;

	return s && s->name ? s : NULL;
}

bool vq_add_symbol(vq_parser *p, const vq_token *t, char space, const char *name, uint32_t id)
{
	if (2 * (p->n_symbols + 1) > p->cap_symbols) {
		uint32_t cap = p->cap_symbols ? 2 * p->cap_symbols : 64;
		vq_symbol *table = VQ_ARRAY(&p->scratch, cap, vq_symbol);

		for (uint32_t i = 0; i < p->cap_symbols; i++)
			if (p->symbol[i].name)
				*slot_of(table, cap, p->symbol[i].space, p->symbol[i].name) = p->symbol[i];
		p->symbol = table;
		p->cap_symbols = cap;
	}
	if (find_symbol(p, space, name))
		return vq_parse_error(p, t, "'%s' is defined twice", name);
	*slot_of(p->symbol, p->cap_symbols, space, name) = (vq_symbol){ name, space, id };
	p->n_symbols++;
	return true;
}

/* %x and %"x" are one name, %1 and %"1" are not */
static char value_space(const vq_token *t) { return !t->quoted && t->text[0] >= '0' && t->text[0] <= '9' ? '1' : '%'; }

/* ---- types ---- */

static bool parse_quant(vq_parser *p, uint32_t *id)
{
	vq_token t = p->token;
	int64_t zero, lo = -128, hi = 127;
	float scale;
	const char *wrong;
	vq_quant q;

	if (t.kind == VQ_TOKEN_ENTRY) {
		vq_symbol *s = find_symbol(p, '#', t.text);

		if (!s)
			return vq_parse_error(p, &t, "quantization entry #%s is not declared", t.text);
		*id = s->id;
		vq_next(p);
		return vq_expect(p, '>');
	}
	if (!vq_parse_f32(p, &scale) || !vq_expect(p, ',') ||
		!vq_parse_int(p, "the zero point", INT32_MIN, INT32_MAX, &zero))
		return false;
	if (vq_accept(p, ',') &&
		(!vq_parse_int(p, "the lowest code", -128, 127, &lo) || !vq_expect(p, ':') ||
			!vq_parse_int(p, "the highest code", -128, 127, &hi)))
		return false;
	q = (vq_quant){ .bits = 8,
		.lo = (int32_t)lo,
		.hi = (int32_t)hi,
		.axis = -1,
		.n = 1,
		.scale = &scale,
		.zero = &(int32_t){ (int32_t)zero } };
	wrong = vq_quant_problem(&p->scratch, &q);
	if (wrong)
		return vq_parse_error(p, &t, "%s", wrong);
	*id = vq_quant_add(p->g, &q);
	return vq_expect(p, '>');
}

bool vq_parse_type(vq_parser *p, vq_type *type)
{
	vq_token t = p->token;
	const char *wrong;

	*type = (vq_type){ .elem = VQ_F32 };
	if (t.kind != VQ_TOKEN_WORD || !vq_elem_parse(t.text, t.length, &type->elem))
		return vq_parse_error(p, &t, "expected an element type such as f32, got '%s'", t.text);
	vq_next(p);
	if (vq_accept(p, '<') && !parse_quant(p, &type->quant))
		return false;
	if (!vq_expect(p, '['))
		return false;
	while (!at_mark(p, ']')) {
		if (type->rank == VQ_MAX_RANK)
			return vq_parse_error(p, &p->token, "more than %d dimensions", VQ_MAX_RANK);
		if (type->rank && !vq_expect(p, ','))
			return false;
		if (!vq_parse_int(p, "the dimension", 1, INT64_MAX, &type->dim[type->rank]))
			return false;
		type->rank++;
	}
	wrong = vq_type_problem(p->g, type);
	if (wrong)
		return vq_parse_error(p, &t, "%s", wrong);
	return vq_expect(p, ']');
}

/* ---- nodes ---- */

enum { MOST_FIELDS = 8, MOST_OPERANDS = 64 };

typedef struct node {
	vq_token name, op_token;
	vq_token second; /* name of the second result */
	bool pair;       /* there is one */
	vq_op op;
	vq_value in[MOST_OPERANDS];
	uint32_t n_in;
	vq_attr attr;
	bool given[MOST_FIELDS];     /* by position among the fields of the attribute */
	uint32_t items[MOST_FIELDS]; /* in a list */
} node;

static bool parse_use(vq_parser *p, vq_value *v)
{
	vq_token t = p->token;
	vq_symbol *s;

	if (t.kind != VQ_TOKEN_VALUE && t.kind != VQ_TOKEN_CONSTANT)
		return vq_parse_error(p, &t, "expected a value such as %%1 or @0, got '%s'", t.text);
	s = find_symbol(p, t.kind == VQ_TOKEN_CONSTANT ? '@' : value_space(&t), t.text);
	if (!s)
		return vq_parse_error(p, &t, "%c%s is not defined", t.kind == VQ_TOKEN_CONSTANT ? '@' : '%', t.text);
	v->id = s->id;
	vq_next(p);
	return true;
}

/* "[1, 2]" into int64_t or int32_t items */
static bool parse_list(vq_parser *p, vq_field_kind kind, char *to, uint32_t *n)
{
	uint32_t most = kind == VQ_FIELD_SPATIAL ? 3 : VQ_MAX_RANK;
	int64_t v;

	*n = 0;
	if (!vq_expect(p, '['))
		return false;
	while (!at_mark(p, ']')) {
		if (*n == most)
			return vq_parse_error(p, &p->token, "more than %u items", (unsigned)most);
		if (*n && !vq_expect(p, ','))
			return false;
		if (kind == VQ_FIELD_SPATIAL) {
			if (!vq_parse_int(p, "the item", INT32_MIN, INT32_MAX, &v))
				return false;
			memcpy(to + *n * sizeof(int32_t), &(int32_t){ (int32_t)v }, sizeof(int32_t));
		} else {
			if (!vq_parse_int(p, "the item", INT64_MIN, INT64_MAX, &v))
				return false;
			memcpy(to + *n * sizeof v, &v, sizeof v);
		}
		++*n;
	}
	vq_next(p);
	return true;
}

static bool parse_axes(vq_parser *p, uint32_t *axes)
{
	int64_t v;

	*axes = 0;
	if (!vq_expect(p, '['))
		return false;
	do {
		if (!vq_parse_int(p, "the axis", 0, VQ_MAX_RANK - 1, &v))
			return false;
		*axes |= 1u << v;
	} while (vq_accept(p, ','));
	return vq_expect(p, ']');
}

static bool parse_field(vq_parser *p, const vq_attr_field *f, vq_attr *attr, uint32_t *items)
{
	char *at = (char *)attr + f->at;
	int64_t v;

	if (f->kind == VQ_FIELD_BOOL) {
		memcpy(at, &(bool){ true }, sizeof(bool));
		return true;
	}
	if (!vq_expect(p, '='))
		return false;
	switch (f->kind) {
	case VQ_FIELD_I32:
	case VQ_FIELD_COUNT:
		if (!vq_parse_int(p, vq_field_name(f), f->kind == VQ_FIELD_COUNT ? 0 : INT32_MIN, INT32_MAX, &v))
			return false;
		memcpy(at, &(int32_t){ (int32_t)v }, sizeof(int32_t));
		return true;
	case VQ_FIELD_I64:
		if (!vq_parse_int(p, vq_field_name(f), INT64_MIN, INT64_MAX, &v))
			return false;
		memcpy(at, &v, sizeof v);
		return true;
	case VQ_FIELD_F32: return vq_parse_f32(p, (float *)at);
	case VQ_FIELD_ELEM:
		if (p->token.kind != VQ_TOKEN_WORD || !vq_elem_parse(p->token.text, p->token.length, (vq_elem *)at))
			return vq_parse_error(
				p, &p->token, "expected an element type such as f32, got '%s'", p->token.text);
		vq_next(p);
		return true;
	case VQ_FIELD_AXES: return parse_axes(p, (uint32_t *)at);
	default: return parse_list(p, f->kind, at, items);
	}
}

/* calls with the fields of the node's attribute that stand in the text; NULL past the last */
static const vq_attr_field *field_of(vq_op op, uint32_t index)
{
	for (uint32_t i = 0; i < vq_n_attr_fields; i++)
		if (vq_attr_fields[i].attr == vq_ops[op].attr && !vq_field_from_type(&vq_attr_fields[i]) &&
			index-- == 0)
			return &vq_attr_fields[i];
	return NULL;
}

static bool parse_attributes(vq_parser *p, node *n)
{
	while (p->token.kind == VQ_TOKEN_WORD && !vq_at_word(p, "return") && !vq_at_word(p, "const") &&
		!vq_at_word(p, "quant")) {
		const vq_attr_field *f;
		vq_token t = p->token;
		uint32_t i = 0;

		while ((f = field_of(n->op, i)) && strcmp(vq_field_name(f), t.text) != 0)
			i++;
		if (!f || i >= MOST_FIELDS)
			return vq_parse_error(p, &t, "%s has no attribute '%s'", vq_ops[n->op].text, t.text);
		if (n->given[i])
			return vq_parse_error(p, &t, "attribute '%s' is given twice", t.text);
		n->given[i] = true;
		vq_next(p);
		if (!parse_field(p, f, &n->attr, &n->items[i]))
			return false;
	}
	return true;
}

/* every attribute is there and every list as long as the ranks say */
static bool check_attributes(vq_parser *p, const node *n, uint32_t in_rank, uint32_t out_rank)
{
	const vq_attr_field *f;

	for (uint32_t i = 0; (f = field_of(n->op, i)); i++) {
		bool list = f->kind == VQ_FIELD_DIMS || f->kind == VQ_FIELD_OUTDIMS || f->kind == VQ_FIELD_SPATIAL;
		uint32_t want = vq_field_items(f->kind, in_rank, out_rank);

		if (!n->given[i] && f->kind != VQ_FIELD_BOOL && f->kind != VQ_FIELD_COUNT)
			return vq_parse_error(
				p, &n->op_token, "%s needs the attribute '%s'", vq_ops[n->op].text, vq_field_name(f));
		if (list && n->items[i] != want)
			return vq_parse_error(p, &n->op_token, "attribute '%s' has %u items, expected %u",
				vq_field_name(f), (unsigned)n->items[i], (unsigned)want);
	}
	return true;
}

/* what the text leaves to the result's type */
static bool take_from_type(vq_parser *p, node *n, bool typed, const vq_type *type)
{
	vq_attr_kind kind = vq_ops[n->op].attr;

	if (kind != VQ_ATTR_SHAPE && kind != VQ_ATTR_VIEW && kind != VQ_ATTR_QUANT)
		return true;
	if (!typed)
		return vq_parse_error(p, &n->op_token, "%s needs a result type", vq_ops[n->op].text);
	if (kind == VQ_ATTR_SHAPE) {
		memcpy(n->attr.shape.dim, type->dim, sizeof type->dim);
		n->attr.shape.rank = type->rank;
	} else if (kind == VQ_ATTR_VIEW) {
		memcpy(n->attr.view.dim, type->dim, sizeof type->dim);
		n->attr.view.rank = type->rank;
	} else if (type->quant) {
		n->attr.quant.id = type->quant;
	} else {
		return vq_parse_error(
			p, &n->op_token, "the result of quantize needs a quantized type such as s8<0x1p-4,0>[2,3]");
	}
	return true;
}

static bool finish_node(vq_parser *p, node *n, bool typed, vq_type type)
{
	vq_type in[MOST_OPERANDS], inferred;
	const char *wrong;
	vq_value out;

	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = *vq_type_of(p->g, n->in[i]);
	if (!take_from_type(p, n, typed, &type) || !check_attributes(p, n, n->n_in ? in[0].rank : 0, type.rank))
		return false;
	wrong = vq_infer_add(p->g, n->op, in, n->n_in, &n->attr, &inferred);
	if (!wrong && typed)
		wrong = vq_result_problem(p->g, n->op, &inferred, &type);
	if (wrong)
		return vq_parse_error(p, &n->op_token, "%s: %s", vq_ops[n->op].text, wrong);
	wrong = vq_dynamic_problem(p->g, n->op, n->in, &n->attr);
	if (wrong)
		return vq_parse_error(p, &n->op_token, "%s: %s", vq_ops[n->op].text, wrong);
	out = vq_add_node(p->g, n->op, n->in, n->n_in, &n->attr, typed ? &type : &inferred);
	if (value_space(&n->name) == '%')
		p->g->node[p->g->n_nodes - 1].name = vq_arena_strndup(p->g->arena, n->name.text, n->name.length);
	return vq_add_symbol(p, &n->name, value_space(&n->name), n->name.text, out.id) &&
		(!n->pair ||
			vq_add_symbol(p, &n->second, value_space(&n->second), n->second.text,
				p->g->node[p->g->n_nodes - 1].out2.id));
}

/* the type of the second result, which the first one's says already */
static bool parse_second_type(vq_parser *p, const vq_type *first, const vq_attr *attr)
{
	vq_token at = p->token;
	vq_type t, want;

	if (!vq_accept(p, ','))
		return true;
	if (!first->rank)
		return vq_parse_error(p, &at, "a scalar has no rows");
	want = vq_second_type(first, attr);
	if (!vq_parse_type(p, &t))
		return false;
	return vq_same_type(&t, &want) ||
		vq_parse_error(p, &at, "the second result is %s, expected %s", vq_type_text(p->g->arena, &t),
			vq_type_text(p->g->arena, &want));
}

static bool parse_node(vq_parser *p)
{
	node n = { .name = p->token };
	bool typed;
	vq_type type = { 0 };

	vq_next(p);
	n.pair = vq_accept(p, ',');
	if (n.pair) {
		n.second = p->token;
		if (n.second.kind != VQ_TOKEN_VALUE)
			return vq_parse_error(p, &n.second, "expected the second result, got '%s'", n.second.text);
		vq_next(p);
	}
	if (!vq_expect(p, '='))
		return false;
	n.op_token = p->token;
	n.op = n.op_token.kind == VQ_TOKEN_WORD ? vq_op_parse(n.op_token.text, n.op_token.length) : VQ_OP_NONE;
	if (!n.op)
		return vq_parse_error(p, &n.op_token, "expected an operator, got '%s'", n.op_token.text);
	if (n.pair != (vq_ops[n.op].results > 1))
		return vq_parse_error(
			p, &n.op_token, "%s has %u results", vq_ops[n.op].text, (unsigned)vq_ops[n.op].results);
	vq_next(p);
	do {
		if (n.n_in == MOST_OPERANDS)
			return vq_parse_error(p, &p->token, "more than %d operands", MOST_OPERANDS);
		if (!parse_use(p, &n.in[n.n_in++]))
			return false;
	} while (vq_accept(p, ','));
	if (!parse_attributes(p, &n))
		return false;
	typed = vq_accept(p, ':');
	if (typed && (!vq_parse_type(p, &type) || (n.pair && !parse_second_type(p, &type, &n.attr))))
		return false;
	return finish_node(p, &n, typed, type);
}

/* ---- the graph ---- */

static bool parse_inputs(vq_parser *p)
{
	if (!vq_expect(p, '('))
		return false;
	while (!at_mark(p, ')')) {
		vq_token t;
		const char *name;
		vq_type type;

		if (p->g->n_inputs && !vq_expect(p, ','))
			return false;
		t = p->token;
		if (!at_name(p))
			return vq_parse_error(p, &t, "expected the input's name, got '%s'", t.text);
		name = take_name(p);
		if (!vq_expect(p, ':') || !vq_parse_type(p, &type) ||
			!vq_add_symbol(p, &t, '%', name, vq_add_input(p->g, name, &type).id))
			return false;
	}
	vq_next(p);
	return true;
}

static bool parse_return(vq_parser *p)
{
	do {
		vq_value v;
		const char *name;
		vq_token t = p->token;

		if (!parse_use(p, &v))
			return false;
		if (vq_accept_word(p, "as")) {
			t = p->token;
			if (!at_name(p))
				return vq_parse_error(p, &t, "expected the output's name, got '%s'", t.text);
			name = take_name(p);
		} else {
			/* what a reader of "return %y" expects */
			name = t.kind == VQ_TOKEN_VALUE && value_space(&t) == '%'
				? vq_arena_strndup(p->g->arena, t.text, t.length)
				: vq_arena_printf(p->g->arena, "output%u", (unsigned)p->g->n_outputs);
		}
		for (uint32_t i = 0; i < p->g->n_outputs; i++)
			if (!strcmp(p->g->output[i].name, name))
				return vq_parse_error(p, &t, "two outputs are called '%s'", name);
		vq_add_output(p->g, name, v);
	} while (vq_accept(p, ','));
	return true;
}

static bool parse_text(vq_parser *p)
{
	while (vq_accept_word(p, "quant"))
		if (!vq_parse_entry(p))
			return false;
	if (!vq_accept_word(p, "graph"))
		return vq_parse_error(p, &p->token, "expected 'graph', got '%s'", p->token.text);
	if (!at_name(p))
		return vq_parse_error(p, &p->token, "expected the graph's name, got '%s'", p->token.text);
	p->g->name = take_name(p);
	if (!parse_inputs(p) || !vq_expect(p, '{'))
		return false;
	while (!vq_accept_word(p, "return")) {
		bool ok;

		if (vq_accept_word(p, "const"))
			ok = vq_parse_constant(p);
		else if (vq_accept_word(p, "quant"))
			ok = vq_parse_entry(p);
		else if (p->token.kind == VQ_TOKEN_VALUE)
			ok = parse_node(p);
		else
			ok = vq_parse_error(p, &p->token,
				"expected 'const', 'quant', 'return' or a value such as %%1, got "
				"'%s'",
				p->token.text);
		if (!ok)
			return false;
	}
	if (!parse_return(p) || !vq_expect(p, '}'))
		return false;
	if (p->token.kind != VQ_TOKEN_END)
		return vq_parse_error(
			p, &p->token, "expected the end of the file after the graph, got '%s'", p->token.text);
	return true;
}

bool vq_parse_graph(vq_graph *g, vq_arena *arena, vq_diag *diag, const char *text, size_t length, const char *folder)
{
	vq_parser p = { .g = g, .folder = folder ? folder : "." };
	bool ok;

	vq_graph_init(g, arena, diag, "");
	vq_lex_init(&p.lexer, &p.scratch, text, length);
	vq_next(&p);
	ok = parse_text(&p);
	if (p.sidecar)
		fclose(p.sidecar);
	vq_arena_free(&p.scratch);
	if (!ok)
		return false;
	vq_graph_sweep(g);
	return vq_verify(g, "parsing");
}
