/* SPDX-License-Identifier: MIT */
/* The graph's inputs: element types, and static shapes from the options -dim and -shape. */
#include "frontend/onnx_names.h"

#include <inttypes.h>
#include <string.h>

/* a symbolic dimension with its value */
typedef struct symbol {
	const char *name;
	int64_t value;
	bool option; /* from -dim, not from a -shape */
	bool used;
} symbol;

/* -shape */
typedef struct given {
	const char *name;
	uint32_t rank;
	int64_t dim[VQ_MAX_RANK];
	bool used;
} given;

typedef struct shapes {
	vq_onnx *o;
	symbol *symbol;
	uint32_t n_symbols, cap_symbols;
	given *given;
	uint32_t n_givens;
	const char *known; /* names of the model's symbolic dimensions, for a hint */
} shapes;

enum { DIM_LIMIT = 1 << 30 };

/* digits from *text on; 0 if there are none or the number is not in [1, DIM_LIMIT] */
static int64_t parse_dim(const char **text)
{
	int64_t v = 0;

	for (; **text >= '0' && **text <= '9'; ++*text)
		v = v > DIM_LIMIT ? v : v * 10 + (**text - '0');
	return v > DIM_LIMIT ? 0 : v;
}

static symbol *find_symbol(shapes *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_symbols; i++)
		if (!strcmp(s->symbol[i].name, name))
			return &s->symbol[i];
	return NULL;
}

static void add_symbol(shapes *s, const char *name, int64_t value, bool option)
{
	s->symbol = vq_arena_grow(s->o->arena, s->symbol, &s->cap_symbols, s->n_symbols + 1, sizeof *s->symbol);
	s->symbol[s->n_symbols++] = (symbol){ .name = name, .value = value, .option = option };
}

static void read_dim_option(shapes *s, const char *text)
{
	const char *equals = strrchr(text, '='), *at = equals ? equals + 1 : text;
	const char *where = vq_arena_printf(s->o->arena, "option -dim %s", text);
	int64_t value = equals ? parse_dim(&at) : 0;
	const char *name;
	symbol *old;

	if (!equals || equals == text || value < 1 || *at) {
		vq_error(s->o->diag, where, "expected NAME=VALUE with a value from 1 to %d", DIM_LIMIT);
		return;
	}
	name = vq_arena_strndup(s->o->arena, text, (size_t)(equals - text));
	old = find_symbol(s, name);
	if (old && old->value != value)
		vq_error(s->o->diag, where, "dimension '%s' was already given as %" PRId64, name, old->value);
	else if (!old)
		add_symbol(s, name, value, true);
}

static void read_shape_option(shapes *s, const char *text)
{
	const char *equals = strrchr(text, '='), *at = equals ? equals + 1 : text;
	const char *where = vq_arena_printf(s->o->arena, "option -shape %s", text);
	given *g = &s->given[s->n_givens];
	bool ok = equals && equals != text;

	*g = (given){ 0 };
	while (ok && *at) {
		ok = g->rank < VQ_MAX_RANK && (g->dim[g->rank] = parse_dim(&at)) > 0;
		g->rank++;
		if (ok && *at == 'x' && at[1])
			at++;
		else
			ok = ok && !*at;
	}
	if (!ok) {
		vq_error(s->o->diag, where, "expected INPUT=1x3x224x224 with at most %d dimensions, each at least 1",
			VQ_MAX_RANK);
		return;
	}
	g->name = vq_arena_strndup(s->o->arena, text, (size_t)(equals - text));
	s->n_givens++;
}

static const given *find_given(const shapes *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_givens; i++)
		if (!strcmp(s->given[i].name, name))
			return &s->given[i];
	return NULL;
}

static const Onnx__TensorShapeProto *shape_of(const Onnx__ValueInfoProto *v)
{
	if (!v->type || v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !v->type->tensor_type)
		return NULL;
	return v->type->tensor_type->shape;
}

/* NULL unless the dimension is symbolic and has a name; "?", which PaddlePaddle's exporter writes everywhere, is none */
static const char *param_of(const Onnx__TensorShapeProto__Dimension *d)
{
	if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM || !d->dim_param || !*d->dim_param ||
		!strcmp(d->dim_param, "?"))
		return NULL;
	return d->dim_param;
}

/* the fixed size, 0 if there is none (old exporters write 0 or -1 for an unknown one) */
static int64_t fixed_of(const Onnx__TensorShapeProto__Dimension *d)
{
	if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE || d->dim_value < 1)
		return 0;
	return d->dim_value;
}

/* checks a -shape against the declared shape and learns symbols from it */
static void match_given(shapes *s, const given *g, const Onnx__TensorShapeProto *shape)
{
	const char *where = vq_arena_printf(s->o->arena, "input '%s'", g->name);

	if (!shape)
		return;
	if (shape->n_dim != g->rank) {
		vq_error(s->o->diag, where, "-shape gives %u dimensions, the model has %zu", (unsigned)g->rank,
			shape->n_dim);
		return;
	}
	for (uint32_t i = 0; i < g->rank; i++) {
		const char *param = param_of(shape->dim[i]);
		int64_t fixed = fixed_of(shape->dim[i]);
		symbol *known = param ? find_symbol(s, param) : NULL;

		if (fixed && fixed != g->dim[i])
			vq_error(s->o->diag, where,
				"-shape gives %" PRId64 " for dimension %u, the model fixes it at %" PRId64, g->dim[i],
				(unsigned)i, fixed);
		else if (known && known->value != g->dim[i])
			vq_error(s->o->diag, where,
				"-shape gives %" PRId64 " for dimension %u ('%s'), which is %" PRId64 " elsewhere",
				g->dim[i], (unsigned)i, param, known->value);
		else if (param && !known)
			add_symbol(s, param, g->dim[i], false);
		if (known)
			known->used = true;
	}
}

/* "1x3xAxB": what a -shape must say, letters for what the model leaves open behind the batch */
static const char *template_of(shapes *s, const Onnx__TensorShapeProto *shape)
{
	const char *text = "";
	char letter = 'A';

	for (size_t i = 0; i < shape->n_dim; i++) {
		const char *param = param_of(shape->dim[i]);
		symbol *known = param ? find_symbol(s, param) : NULL;
		int64_t n = known ? known->value : fixed_of(shape->dim[i]);

		if (n || !i)
			text = vq_arena_printf(s->o->arena, "%s%s%" PRId64, text, i ? "x" : "", n ? n : 1);
		else
			text = vq_arena_printf(s->o->arena, "%sx%c", text, letter++);
	}
	return text;
}

static bool resolve_dim(
	shapes *s, const char *input, const char *where, uint32_t i, const Onnx__TensorShapeProto *shape, int64_t *dim)
{
	const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
	const char *param = param_of(d);
	symbol *known = param ? find_symbol(s, param) : NULL;
	vq_diag *diag = s->o->diag;

	*dim = fixed_of(d);
	if (*dim)
		return true;
	if (known) {
		known->used = true;
		*dim = known->value;
		return true;
	}
	if (param) {
		vq_error(
			diag, where, "dimension %u ('%s') has no size; shapes are static in vitqc", (unsigned)i, param);
		vq_hint(diag, "give it a size: -dim %s=1", param);
	} else {
		if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
			vq_error(diag, where, "dimension %u is %" PRId64 ", expected at least 1", (unsigned)i,
				d->dim_value);
		else
			vq_error(diag, where, "dimension %u has neither size nor name", (unsigned)i);
		vq_hint(diag, "give the whole shape, with numbers for letters: -shape %s=%s", input,
			template_of(s, shape));
	}
	return false;
}

static bool resolve_shape(shapes *s, const char *input, const char *where, const Onnx__ValueInfoProto *v, vq_type *type)
{
	const given *g = find_given(s, input);
	const Onnx__TensorShapeProto *shape = shape_of(v);
	int64_t n = 1;
	bool ok = true;

	if (g) {
		type->rank = g->rank;
		memcpy(type->dim, g->dim, sizeof type->dim);
	} else if (!shape) {
		vq_error(s->o->diag, where, "the model gives it no shape");
		vq_hint(s->o->diag, "give one: -shape %s=1x3x224x224", input);
		return false;
	} else if (shape->n_dim > VQ_MAX_RANK) {
		return vq_error(
			s->o->diag, where, "it has %zu dimensions, expected at most %d", shape->n_dim, VQ_MAX_RANK);
	} else {
		type->rank = (uint32_t)shape->n_dim;
		for (uint32_t i = 0; i < type->rank; i++)
			ok &= resolve_dim(s, input, where, i, shape, &type->dim[i]);
	}
	for (uint32_t i = 0; ok && i < type->rank; i++) {
		if (type->dim[i] > INT32_MAX / n)
			return vq_error(s->o->diag, where, "its shape has more than 2^31 elements");
		n *= type->dim[i];
	}
	return ok;
}

static bool resolve_elem(shapes *s, const char *where, const Onnx__ValueInfoProto *v, vq_elem *elem)
{
	int32_t t;

	if (!v->type || v->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !v->type->tensor_type)
		return vq_error(s->o->diag, where, "it is not a tensor (a sequence, map or optional?)");
	t = v->type->tensor_type->elem_type;
	switch (t) {
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16:
	case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16:
	case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE:
		vq_warning(s->o->diag, where, "it is %s in the model; the compiled model takes float32",
			vq_onnx_type_name(s->o->arena, t));
		*elem = VQ_F32;
		return true;
	case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT64:
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT32:
	case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8:
	case ONNX__TENSOR_PROTO__DATA_TYPE__INT8:
	case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: return vq_onnx_elem(t, elem);
	default:
		return vq_error(s->o->diag, where,
			"its elements are %s, expected float32, int64, int32, uint8, int8 or bool",
			vq_onnx_type_name(s->o->arena, t));
	}
}

static void add_input(shapes *s, const Onnx__ValueInfoProto *v)
{
	vq_onnx *o = s->o;
	const char *where = vq_arena_printf(o->arena, "input '%s'", v->name);
	uint32_t id = vq_onnx_name_id(o, v->name);
	vq_type type = { 0 };
	bool ok;

	if (o->name[id].node) {
		vq_error(o->diag, where, "the name is used twice: also by %s", o->name[id].node);
		return;
	}
	o->name[id].node = where;
	ok = resolve_elem(s, where, v, &type.elem);
	ok = resolve_shape(s, v->name, where, v, &type) && ok;
	o->name[id].state = ok ? VQ_ONNX_VALUE : VQ_ONNX_POISONED;
	if (ok) {
		vq_value value = vq_add_input(o->g, v->name, &type);

		o->name[id].value = value;
	}
}

static void collect_known(shapes *s, const Onnx__ValueInfoProto *v)
{
	const Onnx__TensorShapeProto *shape = shape_of(v);

	for (size_t i = 0; shape && i < shape->n_dim && i < VQ_MAX_RANK; i++) {
		const char *param = param_of(shape->dim[i]);

		if (param && strlen(s->known) < 200)
			s->known = vq_arena_printf(
				s->o->arena, "%s%s'%s' of '%s'", s->known, *s->known ? ", " : "", param, v->name);
	}
}

static bool is_initializer(const vq_onnx *o, const char *name)
{
	uint32_t id = vq_onnx_find(o, name);

	return id && o->name[id].state == VQ_ONNX_STORED;
}

static void check_unused(const shapes *s)
{
	for (uint32_t i = 0; i < s->n_symbols; i++) {
		if (s->symbol[i].used || !s->symbol[i].option)
			continue;
		vq_error(s->o->diag,
			vq_arena_printf(s->o->arena, "option -dim %s=%" PRId64, s->symbol[i].name, s->symbol[i].value),
			"no input has a dimension of this name without a size");
		if (*s->known)
			vq_hint(s->o->diag, "the model has %s", s->known);
		else
			vq_hint(s->o->diag, "all dimensions of the inputs have sizes in this model");
	}
	for (uint32_t i = 0; i < s->n_givens; i++) {
		if (s->given[i].used)
			continue;
		vq_error(s->o->diag, vq_arena_printf(s->o->arena, "option -shape %s", s->given[i].name),
			"the model has no input of this name");
		for (uint32_t k = 0; k < s->o->g->n_inputs && k < 8; k++)
			vq_hint(s->o->diag, "it has '%s'", s->o->g->input[k].name);
	}
}

void vq_onnx_add_inputs(vq_onnx *o, const Onnx__GraphProto *graph, const vq_import_options *options)
{
	vq_import_options none = { 0 };
	shapes s = { .o = o, .known = "" };

	options = options ? options : &none;
	s.given = VQ_ARRAY(o->arena, options->n_shapes, given);
	for (uint32_t i = 0; i < options->n_dims; i++)
		read_dim_option(&s, options->dims[i]);
	for (uint32_t i = 0; i < options->n_shapes; i++)
		read_shape_option(&s, options->shapes[i]);
	for (size_t i = 0; i < graph->n_input; i++) {
		const Onnx__ValueInfoProto *v = graph->input[i];

		if (!v->name || !*v->name) {
			vq_error(o->diag, vq_arena_printf(o->arena, "input %zu", i), "it has no name");
			continue;
		}
		if (is_initializer(o, v->name))
			continue;
		collect_known(&s, v);
		for (uint32_t k = 0; k < s.n_givens; k++)
			if (!strcmp(s.given[k].name, v->name)) {
				if (s.given[k].used)
					vq_error(o->diag, vq_arena_printf(o->arena, "option -shape %s", v->name),
						"given twice");
				s.given[k].used = true;
				match_given(&s, &s.given[k], shape_of(v));
			}
	}
	/* old IR versions list initializers among the inputs: those are constants */
	for (size_t i = 0; i < graph->n_input; i++)
		if (graph->input[i]->name && *graph->input[i]->name && !is_initializer(o, graph->input[i]->name))
			add_input(&s, graph->input[i]);
	check_unused(&s);
}
