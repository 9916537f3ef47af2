/* SPDX-License-Identifier: MIT */
/* Prints a graph as .vir text; docs/ir.md has the grammar. The text depends on nothing but the graph. */
#include "ir/text.h"

#include "ir/attrs.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum {
	INLINE_ELEMENTS = 16,
	SIDECAR_ALIGN = 64, /* so that a mapped sidecar can be used in place */
};

typedef struct printer {
	const vq_graph *g;
	FILE *text, *sidecar;
	const char *sidecar_name; /* last component */
	vq_arena scratch;
	uint32_t *constant; /* number of the constant + 1, by value id */
	uint32_t *order;    /* value ids of constants by number */
	uint32_t n_constants;
	uint32_t *entry;  /* number of the per-axis entry, by entry id */
	uint64_t written; /* bytes in the sidecar */
} printer;

/* ---- words ---- */

static bool is_word(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '_' && *s != '.')
			return false;
	return true;
}

static void put_quoted(printer *p, const char *s)
{
	fputc('"', p->text);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			fprintf(p->text, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(p->text, "\\x%02x", c);
		else
			fputc(c, p->text);
	}
	fputc('"', p->text);
}

static void put_name(printer *p, const char *s)
{
	if (is_word(s))
		fputs(s, p->text);
	else
		put_quoted(p, s);
}

/* what "%a" gives, the same on every C library */
static void put_f32(printer *p, float f)
{
	uint32_t bits, mantissa;
	int exponent, digits = 6;

	memcpy(&bits, &f, sizeof bits);
	mantissa = bits & 0x7fffff;
	exponent = (int)(bits >> 23 & 0xff);
	if (exponent == 0xff && mantissa) {
		/* any payload survives */
		fprintf(p->text, "nan:0x%08" PRIx32, bits);
		return;
	}
	if (bits >> 31)
		fputc('-', p->text);
	if (exponent == 0xff) {
		fputs("inf", p->text);
		return;
	}
	if (!exponent && !mantissa) {
		fputs("0x0p+0", p->text);
		return;
	}
	if (!exponent) {
		for (exponent = 1; !(mantissa & 0x800000); exponent--)
			mantissa <<= 1;
		mantissa &= 0x7fffff;
	}
	mantissa <<= 1; /* 24 bits: six digits */
	while (digits && !(mantissa & 15)) {
		mantissa >>= 4;
		digits--;
	}
	if (digits)
		fprintf(p->text, "0x1.%0*" PRIx32 "p%+d", digits, mantissa, exponent - 127);
	else
		fprintf(p->text, "0x1p%+d", exponent - 127);
}

static void put_quant(printer *p, uint32_t id)
{
	const vq_quant *q = &p->g->quant[id];

	if (q->axis >= 0) {
		fprintf(p->text, "<#%" PRIu32 ">", p->entry[id]);
		return;
	}
	fputc('<', p->text);
	put_f32(p, q->scale[0]);
	fprintf(p->text, ",%" PRId32, q->zero[0]);
	if (q->lo != -128 || q->hi != 127)
		fprintf(p->text, ",%" PRId32 ":%" PRId32, q->lo, q->hi);
	fputc('>', p->text);
}

static void put_type(printer *p, const vq_type *t)
{
	fputs(vq_elem_name(t->elem), p->text);
	if (t->quant)
		put_quant(p, t->quant);
	fputc('[', p->text);
	for (uint32_t i = 0; i < t->rank; i++)
		fprintf(p->text, "%s%" PRId64, i ? "," : "", t->dim[i]);
	fputc(']', p->text);
}

static void put_value(printer *p, vq_value v)
{
	const vq_value_info *i = &p->g->value[v.id];

	switch (i->def) {
	case VQ_DEF_INPUT:
		fputc('%', p->text);
		put_name(p, p->g->input[i->index].name);
		break;
	case VQ_DEF_CONST: fprintf(p->text, "@%" PRIu32, p->constant[v.id] - 1); break;
	default:
		fprintf(p->text, "%%%" PRIu32, i->index);
		if (vq_same(v, p->g->node[i->index].out2))
			fputs(".rows", p->text);
	}
}

/* ---- attributes ---- */

static void put_list(printer *p, const char *item, vq_field_kind kind, uint32_t n)
{
	fputc('[', p->text);
	for (uint32_t i = 0; i < n; i++) {
		int64_t wide = 0;
		int32_t narrow = 0;

		if (kind == VQ_FIELD_SPATIAL)
			memcpy(&narrow, item + i * sizeof narrow, sizeof narrow);
		else
			memcpy(&wide, item + i * sizeof wide, sizeof wide);
		fprintf(p->text, "%s%" PRId64, i ? "," : "", kind == VQ_FIELD_SPATIAL ? narrow : wide);
	}
	fputc(']', p->text);
}

static void put_axes(printer *p, uint32_t axes)
{
	const char *comma = "";

	fputc('[', p->text);
	for (uint32_t i = 0; i < 32; i++)
		if (axes >> i & 1) {
			fprintf(p->text, "%s%" PRIu32, comma, i);
			comma = ",";
		}
	fputc(']', p->text);
}

static void put_field(printer *p, const vq_attr_field *f, const vq_attr *attr, uint32_t in_rank, uint32_t out_rank)
{
	const char *at = (const char *)attr + f->at;
	int64_t wide;
	int32_t narrow;
	float real;
	bool set;

	if (vq_field_from_type(f))
		return;
	if (f->kind == VQ_FIELD_BOOL) {
		memcpy(&set, at, sizeof set);
		if (set)
			fprintf(p->text, " %s", vq_field_name(f));
		return;
	}
	memcpy(&narrow, at, sizeof narrow);
	if (f->kind == VQ_FIELD_COUNT && narrow == 0)
		return;
	fprintf(p->text, " %s=", vq_field_name(f));
	switch (f->kind) {
	case VQ_FIELD_I64:
		memcpy(&wide, at, sizeof wide);
		fprintf(p->text, "%" PRId64, wide);
		break;
	case VQ_FIELD_F32:
		memcpy(&real, at, sizeof real);
		put_f32(p, real);
		break;
	case VQ_FIELD_ELEM: fputs(vq_elem_name(attr->cast.to), p->text); break;
	case VQ_FIELD_AXES: put_axes(p, attr->reduce.axes); break;
	case VQ_FIELD_I32:
	case VQ_FIELD_COUNT: fprintf(p->text, "%" PRId32, narrow); break;
	default: put_list(p, at, f->kind, vq_field_items(f->kind, in_rank, out_rank));
	}
}

/* ---- constants ---- */

static bool little_endian(void)
{
	const uint16_t one = 1;
	unsigned char first;

	memcpy(&first, &one, 1);
	return first == 1;
}

/* the bytes of a constant as they stand in the sidecar: little endian */
static const void *file_bytes(printer *p, const vq_value_info *v)
{
	size_t size = vq_elem_bytes(v->type.elem), bytes = vq_type_bytes(&v->type);
	const unsigned char *from = v->data;
	unsigned char *to;

	if (size == 1 || little_endian())
		return v->data;
	to = vq_arena_alloc(&p->scratch, bytes);
	for (size_t i = 0; i < bytes; i++)
		to[i] = from[i / size * size + size - 1 - i % size];
	return to;
}

static void put_elements(printer *p, const vq_value_info *v)
{
	int64_t n = vq_type_count(&v->type);

	fputs("inline [", p->text);
	for (int64_t i = 0; i < n; i++) {
		if (i)
			fputs(", ", p->text);
		switch (v->type.elem) {
		case VQ_F32: put_f32(p, ((const float *)v->data)[i]); break;
		case VQ_I64: fprintf(p->text, "%" PRId64, ((const int64_t *)v->data)[i]); break;
		case VQ_I32: fprintf(p->text, "%" PRId32, ((const int32_t *)v->data)[i]); break;
		case VQ_S8: fprintf(p->text, "%d", ((const int8_t *)v->data)[i]); break;
		default: fprintf(p->text, "%d", ((const uint8_t *)v->data)[i]);
		}
	}
	fputc(']', p->text);
}

static void put_constant(printer *p, uint32_t number)
{
	const vq_value_info *v = &p->g->value[p->order[number]];
	size_t bytes = vq_type_bytes(&v->type);
	const void *data;

	fprintf(p->text, "  const @%" PRIu32 " : ", number);
	put_type(p, &v->type);
	fputs(" = ", p->text);
	if (vq_type_count(&v->type) <= INLINE_ELEMENTS) {
		put_elements(p, v);
	} else {
		data = file_bytes(p, v);
		if (p->sidecar) {
			for (; p->written % SIDECAR_ALIGN; p->written++)
				fputc(0, p->sidecar);
			fwrite(data, 1, bytes, p->sidecar);
			fputs("file ", p->text);
			put_quoted(p, p->sidecar_name);
			fprintf(p->text, " %" PRIu64 " ", p->written);
			p->written += bytes;
		}
		fprintf(p->text, "hash 0x%016" PRIx64, vq_hash(data, bytes));
	}
	fputc('\n', p->text);
}

/* ---- the graph ---- */

static void number_constant(printer *p, vq_value v)
{
	if (p->g->value[v.id].def != VQ_DEF_CONST || p->constant[v.id])
		return;
	p->order[p->n_constants++] = v.id;
	p->constant[v.id] = p->n_constants;
}

static void put_node(printer *p, uint32_t id)
{
	const vq_node_info *n = &p->g->node[id];
	const vq_type *out = vq_type_of(p->g, n->out);
	uint32_t in_rank = n->n_in ? vq_type_of(p->g, n->in[0])->rank : 0;

	fputs("  ", p->text);
	put_value(p, n->out);
	if (n->out2.id) {
		fputs(", ", p->text);
		put_value(p, n->out2);
	}
	fprintf(p->text, " = %s", vq_ops[n->op].text);
	for (uint32_t i = 0; i < n->n_in; i++) {
		fputs(i ? ", " : " ", p->text);
		put_value(p, n->in[i]);
	}
	for (uint32_t i = 0; i < vq_n_attr_fields; i++)
		if (vq_attr_fields[i].attr == vq_ops[n->op].attr)
			put_field(p, &vq_attr_fields[i], &n->attr, in_rank, out->rank);
	fputs(" : ", p->text);
	put_type(p, out);
	if (n->out2.id) {
		fputs(", ", p->text);
		put_type(p, vq_type_of(p->g, n->out2));
	}
	fputc('\n', p->text);
}

static void put_entry(printer *p, uint32_t id)
{
	const vq_quant *q = &p->g->quant[id];

	fprintf(p->text, "quant #%" PRIu32 " = axis %" PRId32 " [", p->entry[id], q->axis);
	for (uint32_t i = 0; i < q->n; i++) {
		if (i)
			fputs(", ", p->text);
		put_f32(p, q->scale[i]);
	}
	fputs("] [", p->text);
	for (uint32_t i = 0; i < q->n; i++)
		fprintf(p->text, "%s%" PRId32, i ? ", " : "", q->zero[i]);
	fprintf(p->text, "] %" PRId32 ":%" PRId32 "\n", q->lo, q->hi);
}

static void put_graph(printer *p)
{
	const vq_graph *g = p->g;
	uint32_t n = 0;

	for (uint32_t i = 1; i < g->n_quants; i++)
		if (g->quant[i].axis >= 0) {
			p->entry[i] = ++n;
			put_entry(p, i);
		}
	fputs("graph ", p->text);
	put_name(p, g->name ? g->name : "");
	fputc('(', p->text);
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		fputs(i ? ", " : "", p->text);
		put_name(p, g->input[i].name);
		fputs(": ", p->text);
		put_type(p, vq_type_of(g, g->input[i].value));
	}
	fputs(") {\n", p->text);
	for (uint32_t i = 0; i < p->n_constants; i++)
		put_constant(p, i);
	for (uint32_t i = 1; i < g->n_nodes; i++)
		if (g->node[i].op)
			put_node(p, i);
	fputs("  return", p->text);
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		fputs(i ? ", " : " ", p->text);
		put_value(p, g->output[i].value);
		fputs(" as ", p->text);
		put_quoted(p, g->output[i].name);
	}
	fputs("\n}\n", p->text);
}

bool vq_print_graph(const vq_graph *g, FILE *text, FILE *sidecar, const char *sidecar_name)
{
	printer p = { .g = g, .text = text, .sidecar = sidecar, .sidecar_name = sidecar_name ? sidecar_name : "" };
	const char *slash = strrchr(p.sidecar_name, '/');

	if (slash)
		p.sidecar_name = slash + 1;
	p.constant = VQ_ARRAY(&p.scratch, g->n_values, uint32_t);
	p.order = VQ_ARRAY(&p.scratch, g->n_values, uint32_t);
	p.entry = VQ_ARRAY(&p.scratch, g->n_quants, uint32_t);
	for (uint32_t i = 1; i < g->n_nodes; i++)
		for (uint32_t j = 0; g->node[i].op && j < g->node[i].n_in; j++)
			number_constant(&p, g->node[i].in[j]);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		number_constant(&p, g->output[i].value);
	put_graph(&p);
	vq_arena_free(&p.scratch);
	if (fflush(text) || ferror(text))
		return vq_error(g->diag, NULL, "cannot write the text of graph '%s'", g->name);
	if (sidecar && (fflush(sidecar) || ferror(sidecar)))
		return vq_error(
			g->diag, NULL, "cannot write the constants of graph '%s' to '%s'", g->name, sidecar_name);
	return true;
}
