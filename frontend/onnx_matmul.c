/* SPDX-License-Identifier: MIT */
/* Importers of matrix products. */
#include "frontend/onnx_matmul.h"

#include <string.h>

static vq_value product(vq_onnx *o, vq_value a, vq_value b, bool trans_a, bool trans_b)
{
	return vq_onnx_build(o, VQ_OP_MATMUL, (vq_value[]){ a, b }, 2,
		&(vq_attr){ .matmul = { .trans_a = trans_a, .trans_b = trans_b } });
}

/* x with a dimension 1 inserted before axis */
static vq_value insert_one(vq_onnx *o, vq_value x, uint32_t axis)
{
	const vq_type *t = vq_type_of(o->g, x);
	int64_t dim[VQ_MAX_RANK + 1];

	for (uint32_t i = 0; i <= t->rank; i++)
		dim[i] = i == axis ? 1 : t->dim[i - (i > axis)];
	return vq_onnx_reshape(o, x, t->rank + 1, dim);
}

/* x without dimension axis, which is 1 */
static vq_value drop_one(vq_onnx *o, vq_value x, uint32_t axis)
{
	int64_t dim[VQ_MAX_RANK];
	uint32_t rank = 0;

	if (!x.id)
		return x;
	for (uint32_t i = 0; i < vq_type_of(o->g, x)->rank; i++)
		if (i != axis)
			dim[rank++] = vq_type_of(o->g, x)->dim[i];
	return vq_onnx_reshape(o, x, rank, dim);
}

vq_value vq_onnx_matmul(vq_onnx *o, vq_value a, vq_value b)
{
	bool row, column;
	vq_value y;

	if (!a.id || !b.id)
		return VQ_NO_VALUE;
	if (!vq_type_of(o->g, a)->rank || !vq_type_of(o->g, b)->rank) {
		vq_onnx_refuse(o, "an input is a scalar, expected vectors or matrices");
		return VQ_NO_VALUE;
	}
	row = vq_type_of(o->g, a)->rank == 1;
	column = vq_type_of(o->g, b)->rank == 1;
	if (row)
		a = insert_one(o, a, 0);
	if (column)
		b = insert_one(o, b, 1);
	y = product(o, a, b, false, false);
	if (column && y.id)
		y = drop_one(o, y, vq_type_of(o->g, y)->rank - 1);
	if (row && y.id)
		y = drop_one(o, y, vq_type_of(o->g, y)->rank - (column ? 1 : 2));
	return y;
}

bool vq_import_matmul(vq_onnx *o) { return vq_onnx_out(o, 0, vq_onnx_matmul(o, vq_onnx_in(o, 0), vq_onnx_in(o, 1))); }

/* x, or with swap x whose first dimension stands behind those of the batch */
static vq_value batch_first(vq_onnx *o, vq_value x, bool swap)
{
	int64_t perm[VQ_MAX_RANK];
	uint32_t rank = x.id ? vq_type_of(o->g, x)->rank : 0;

	if (!swap || rank < 3)
		return x;
	for (uint32_t i = 0; i < rank; i++)
		perm[i] = i + 2 < rank ? i + 1 : i + 2 == rank ? 0 : i;
	return vq_onnx_transpose(o, x, perm);
}

/* ONNX Runtime's own: transposes and a factor */
bool vq_import_fused_matmul(vq_onnx *o)
{
	bool trans_a, trans_b, batch_a, batch_b;
	float alpha;
	vq_value a, y;

	if (!vq_onnx_attr_bool(o, "transA", false, &trans_a) || !vq_onnx_attr_bool(o, "transB", false, &trans_b) ||
		!vq_onnx_attr_bool(o, "transBatchA", false, &batch_a) ||
		!vq_onnx_attr_bool(o, "transBatchB", false, &batch_b) || !vq_onnx_attr_float(o, "alpha", 1, &alpha))
		return false;
	a = batch_first(o, vq_onnx_in(o, 0), batch_a);
	y = product(o, a, batch_first(o, vq_onnx_in(o, 1), batch_b), trans_a, trans_b);
	if (alpha != 1)
		y = vq_onnx_2(o, VQ_OP_MUL, y, vq_onnx_scalar(o, alpha));
	return vq_onnx_out(o, 0, y);
}

vq_value vq_onnx_gemm(vq_onnx *o)
{
	bool trans_a, trans_b;
	float alpha, beta;
	vq_value y, c = vq_onnx_in(o, 2);
	vq_type t;

	if (!vq_onnx_attr_bool(o, "transA", false, &trans_a) || !vq_onnx_attr_bool(o, "transB", false, &trans_b) ||
		!vq_onnx_attr_float(o, "alpha", 1, &alpha) || !vq_onnx_attr_float(o, "beta", 1, &beta))
		return VQ_NO_VALUE;
	if (vq_onnx_in_type(o, 0)->rank != 2 || vq_onnx_in_type(o, 1)->rank != 2) {
		vq_onnx_refuse(o, "operands have ranks %u and %u, expected two matrices",
			(unsigned)vq_onnx_in_type(o, 0)->rank, (unsigned)vq_onnx_in_type(o, 1)->rank);
		return VQ_NO_VALUE;
	}
	y = product(o, vq_onnx_in(o, 0), vq_onnx_in(o, 1), trans_a, trans_b);
	if (alpha != 1)
		y = vq_onnx_2(o, VQ_OP_MUL, y, vq_onnx_scalar(o, alpha));
	if (!y.id || !c.id || beta == 0)
		return y;
	if (beta != 1)
		c = vq_onnx_2(o, VQ_OP_MUL, c, vq_onnx_scalar(o, beta));
	t = *vq_type_of(o->g, y);
	y = vq_onnx_2(o, VQ_OP_ADD, y, c);
	if (!y.id || vq_same_shape(&t, vq_type_of(o->g, y)))
		return y;
	vq_onnx_refuse(o, "input 2 does not broadcast to the product's shape %s", vq_type_text(o->arena, &t));
	return VQ_NO_VALUE;
}

bool vq_import_gemm(vq_onnx *o) { return vq_onnx_out(o, 0, vq_onnx_gemm(o)); }

/* ---- Einsum ---- */

/* one operand of an equation: a label per dimension */
typedef struct term {
	char label[VQ_MAX_RANK + 1]; /* letters; dimensions under an ellipsis are '0', '1' … from the right */
	uint32_t n;
	vq_value value;
} term;

static bool term_has(const term *t, char label) { return memchr(t->label, label, t->n) != NULL; }

static bool push(vq_onnx *o, term *t, char label)
{
	if (t->n == VQ_MAX_RANK)
		return vq_onnx_refuse(o, "the equation has a term of more than %d dimensions", VQ_MAX_RANK);
	t->label[t->n++] = label;
	return true;
}

/* Reads letters and an ellipsis up to stop; the ellipsis stands for dots dimensions. */
static bool read_term(vq_onnx *o, const char **text, uint32_t dots, term *t)
{
	for (; **text && **text != ',' && !(**text == '-' && (*text)[1] == '>'); ++*text) {
		char c = **text;

		if (c == ' ')
			continue;
		if (!strncmp(*text, "...", 3)) {
			for (uint32_t i = dots; i--;)
				if (term_has(t, (char)('0' + i)) || !push(o, t, (char)('0' + i)))
					return vq_onnx_refuse(
						o, "a term of the equation is too long or has two ellipses");
			*text += 2;
		} else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
			if (term_has(t, c))
				return vq_onnx_refuse(
					o, "label '%c' stands twice in one term, which is not supported", c);
			if (!push(o, t, c))
				return false;
		} else {
			return vq_onnx_refuse(o, "the equation has an unexpected character '%c'", c);
		}
	}
	return true;
}

/* how many dimensions the ellipsis of the term at text stands for, given the operand's rank */
static bool count_dots(vq_onnx *o, const char *text, uint32_t rank, uint32_t *dots)
{
	uint32_t letters = 0;
	bool ellipsis = false;

	for (; *text && *text != ',' && *text != '-'; text++) {
		letters += *text != '.' && *text != ' ';
		ellipsis |= *text == '.';
	}
	*dots = ellipsis && rank > letters ? rank - letters : 0;
	if (letters + *dots != rank)
		return vq_onnx_refuse(
			o, "an operand has %u dimensions, but %u labels", (unsigned)rank, (unsigned)letters);
	return true;
}

/* without "->": the ellipsis, then the labels that stand once, in order */
static bool implicit_result(vq_onnx *o, const term *in, uint32_t n_in, uint32_t dots, term *out)
{
	for (uint32_t i = dots; i--;)
		if (!push(o, out, (char)('0' + i)))
			return false;
	for (char c = 'A'; c <= 'z'; c++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < n_in; i++)
			n += ((c <= 'Z' || c >= 'a') && term_has(&in[i], c)) ? 1 : 0;
		if (n == 1 && !push(o, out, c))
			return false;
	}
	return true;
}

static bool read_equation(vq_onnx *o, term *in, uint32_t n_in, term *out)
{
	const char *text;
	uint32_t most = 0, dots;

	if (!vq_onnx_attr_string(o, "equation", "", &text))
		return false;
	for (uint32_t i = 0; i < n_in; i++) {
		in[i].value = vq_onnx_in(o, i);
		if (!count_dots(o, text, vq_onnx_in_type(o, i)->rank, &dots) || !read_term(o, &text, dots, &in[i]))
			return false;
		most = dots > most ? dots : most;
		if (*text == ',' && i + 1 < n_in)
			text++;
		else if (i + 1 < n_in)
			return vq_onnx_refuse(o, "the equation has fewer terms than there are inputs");
	}
	if (*text == ',')
		return vq_onnx_refuse(o, "the equation has more terms than there are inputs");
	if (!*text)
		return implicit_result(o, in, n_in, most, out);
	text += 2;
	if (!read_term(o, &text, most, out))
		return false;
	return !*text || vq_onnx_refuse(o, "the equation does not end after its result");
}

static int64_t size_of(vq_onnx *o, const term *t, char label)
{
	const char *at = memchr(t->label, label, t->n);

	return at ? vq_type_of(o->g, t->value)->dim[at - t->label] : 1;
}

/* sums over the labels that neither keep needs */
static void sum_rest(vq_onnx *o, term *t, const term *keep1, const term *keep2)
{
	uint32_t axes = 0, n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (!term_has(keep1, t->label[i]) && !(keep2 && term_has(keep2, t->label[i])))
			axes |= 1u << i;
	t->value = vq_onnx_reduce(o, VQ_OP_REDUCE_SUM, t->value, axes, false);
	for (uint32_t i = 0; i < t->n; i++)
		if (!(axes & 1u << i))
			t->label[n++] = t->label[i];
	t->n = n;
}

/* brings t's dimensions into the order of labels, all of which it has */
static vq_value permute(vq_onnx *o, const term *t, const char *label)
{
	int64_t perm[VQ_MAX_RANK];

	for (uint32_t i = 0; i < t->n; i++)
		perm[i] = (const char *)memchr(t->label, label[i], t->n) - t->label;
	return vq_onnx_transpose(o, t->value, perm);
}

/* the labels of one product: shared by all three, of left and result, of right and result, summed */
typedef struct split_labels {
	term batch, left, right, sum;
} split_labels;

static int64_t volume(vq_onnx *o, const term *labels, const term *of)
{
	int64_t n = 1;

	for (uint32_t i = 0; i < labels->n; i++)
		n *= size_of(o, of, labels->label[i]);
	return n;
}

/* t as [batch…, first, second] with the labels of each group side by side and the groups flattened */
static vq_value as_matrix(vq_onnx *o, const term *t, const term *batch, const term *first, const term *second)
{
	char label[3 * VQ_MAX_RANK];
	int64_t dim[VQ_MAX_RANK + 2];
	uint32_t n = 0;

	memcpy(label, batch->label, batch->n);
	memcpy(label + batch->n, first->label, first->n);
	memcpy(label + batch->n + first->n, second->label, second->n);
	for (; n < batch->n; n++)
		dim[n] = size_of(o, t, label[n]);
	dim[n++] = volume(o, first, t);
	dim[n++] = volume(o, second, t);
	return vq_onnx_reshape(o, permute(o, t, label), n, dim);
}

static bool classify(vq_onnx *o, const term *a, const term *b, const term *out, split_labels *s)
{
	for (uint32_t i = 0; i < a->n; i++) {
		char c = a->label[i];

		if (term_has(b, c) && size_of(o, a, c) != size_of(o, b, c))
			return vq_onnx_refuse(o, "label '%c' is %lld on the left and %lld on the right", c,
				(long long)size_of(o, a, c), (long long)size_of(o, b, c));
		push(o, !term_has(b, c) ? &s->left : term_has(out, c) ? &s->batch : &s->sum, c);
	}
	for (uint32_t i = 0; i < b->n; i++)
		if (!term_has(a, b->label[i]))
			push(o, &s->right, b->label[i]);
	return true;
}

static vq_value einsum_product(vq_onnx *o, term *a, term *b, const term *out)
{
	split_labels s = { 0 };
	term y = { 0 };
	int64_t dim[3 * VQ_MAX_RANK];
	vq_value left, right;
	const term *groups[] = { &s.batch, &s.left, &s.right };

	sum_rest(o, a, b, out);
	sum_rest(o, b, a, out);
	if (!a->value.id || !b->value.id || !classify(o, a, b, out, &s))
		return VQ_NO_VALUE;
	left = as_matrix(o, a, &s.batch, &s.left, &s.sum);
	right = as_matrix(o, b, &s.batch, &s.sum, &s.right);
	y.value = product(o, left, right, false, false);
	for (uint32_t k = 0; k < 3; k++)
		for (uint32_t i = 0; i < groups[k]->n; i++) {
			char c = groups[k]->label[i];

			if (y.n == VQ_MAX_RANK) {
				vq_onnx_refuse(o, "the result has more than %d dimensions", VQ_MAX_RANK);
				return VQ_NO_VALUE;
			}
			dim[y.n] = size_of(o, term_has(a, c) ? a : b, c);
			y.label[y.n++] = c;
		}
	y.value = vq_onnx_reshape(o, y.value, y.n, dim);
	return permute(o, &y, out->label);
}

bool vq_import_einsum(vq_onnx *o)
{
	term in[2] = { { .n = 0 }, { .n = 0 } }, out = { .n = 0 };
	uint32_t n_in = vq_onnx_has(o, 1) ? 2 : 1;

	if (!read_equation(o, in, n_in, &out))
		return false;
	for (uint32_t i = 0; i < out.n; i++)
		if (!term_has(&in[0], out.label[i]) && !(n_in == 2 && term_has(&in[1], out.label[i])))
			return vq_onnx_refuse(o, "label '%c' of the result is in no operand", out.label[i]);
	if (n_in == 2)
		return vq_onnx_out(o, 0, einsum_product(o, &in[0], &in[1], &out));
	sum_rest(o, &in[0], &out, NULL);
	return vq_onnx_out(o, 0, permute(o, &in[0], out.label));
}
