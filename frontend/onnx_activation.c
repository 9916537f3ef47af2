/* SPDX-License-Identifier: MIT */
/* Importers of activations, and of products that ONNX Runtime has fused with one. */
#include "frontend/onnx_conv.h"
#include "frontend/onnx_matmul.h"

#include <float.h>
#include <string.h>

static vq_value in(vq_onnx *o, uint32_t i) { return vq_onnx_in(o, i); }

static vq_value mul(vq_onnx *o, vq_value x, float by)
{
	return x.id ? vq_onnx_2(o, VQ_OP_MUL, x, vq_onnx_number(o, x, by)) : x;
}

static vq_value add(vq_onnx *o, vq_value x, float by)
{
	return x.id ? vq_onnx_2(o, VQ_OP_ADD, x, vq_onnx_number(o, x, by)) : x;
}

static vq_value at_least(vq_onnx *o, vq_value x, float limit)
{
	return vq_onnx_2(o, VQ_OP_MAX, x, vq_onnx_scalar(o, limit));
}

static vq_value at_most(vq_onnx *o, vq_value x, float limit)
{
	return vq_onnx_2(o, VQ_OP_MIN, x, vq_onnx_scalar(o, limit));
}

/* x < 0 ? negative : positive */
static vq_value by_sign(vq_onnx *o, vq_value x, vq_value negative, vq_value positive)
{
	return vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, x, vq_onnx_number(o, x, 0)), negative, positive);
}

bool vq_import_gelu(vq_onnx *o)
{
	const char *approximate;

	if (!vq_onnx_attr_string(o, "approximate", "none", &approximate))
		return false;
	if (!strcmp(approximate, "none"))
		return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_GELU, in(o, 0)));
	if (!strcmp(approximate, "tanh"))
		return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_GELU_TANH, in(o, 0)));
	return vq_onnx_refuse(o, "attribute 'approximate' is '%s', expected 'none' or 'tanh'", approximate);
}

/* contrib operators: activation(x + bias) */
bool vq_import_biased(vq_onnx *o)
{
	vq_value x = in(o, 0);

	if (vq_onnx_has(o, 1))
		x = vq_onnx_2(o, VQ_OP_ADD, x, in(o, 1));
	return vq_onnx_out(o, 0, vq_onnx_1(o, o->op->ir, x));
}

bool vq_import_quick_gelu(vq_onnx *o)
{
	float alpha;

	if (!vq_onnx_attr_float(o, "alpha", 1.702f, &alpha))
		return false;
	if (alpha == 1.702f)
		return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_GELU_QUICK, in(o, 0)));
	if (alpha == 1.0f)
		return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_SILU, in(o, 0)));
	return vq_onnx_out(
		o, 0, vq_onnx_2(o, VQ_OP_MUL, in(o, 0), vq_onnx_1(o, VQ_OP_SIGMOID, mul(o, in(o, 0), alpha))));
}

bool vq_import_swish(vq_onnx *o)
{
	float alpha;

	if (!vq_onnx_attr_float(o, "alpha", 1.0f, &alpha))
		return false;
	if (alpha == 1.0f)
		return vq_onnx_out(o, 0, vq_onnx_1(o, VQ_OP_SILU, in(o, 0)));
	return vq_onnx_out(
		o, 0, vq_onnx_2(o, VQ_OP_MUL, in(o, 0), vq_onnx_1(o, VQ_OP_SIGMOID, mul(o, in(o, 0), alpha))));
}

bool vq_import_prelu(vq_onnx *o)
{
	return vq_onnx_out(o, 0, by_sign(o, in(o, 0), vq_onnx_2(o, VQ_OP_MUL, in(o, 0), in(o, 1)), in(o, 0)));
}

/* ---- those with parameters, as operators of their own and fused into products ---- */

/* p: the parameters of its row below */
typedef vq_value make_activation(vq_onnx *o, vq_value x, const float *p);

static vq_value relu(vq_onnx *o, vq_value x, const float *p)
{
	(void)p;
	return vq_onnx_1(o, VQ_OP_RELU, x);
}

static vq_value sigmoid(vq_onnx *o, vq_value x, const float *p)
{
	(void)p;
	return vq_onnx_1(o, VQ_OP_SIGMOID, x);
}

static vq_value tanh_of(vq_onnx *o, vq_value x, const float *p)
{
	(void)p;
	return vq_onnx_1(o, VQ_OP_TANH, x);
}

static vq_value clip(vq_onnx *o, vq_value x, const float *p) { return at_most(o, at_least(o, x, p[0]), p[1]); }

static vq_value hard_sigmoid(vq_onnx *o, vq_value x, const float *p)
{
	return at_most(o, at_least(o, add(o, mul(o, x, p[0]), p[1]), 0), 1);
}

static vq_value hard_swish(vq_onnx *o, vq_value x, const float *p)
{
	(void)p;
	return vq_onnx_2(o, VQ_OP_MUL, x, hard_sigmoid(o, x, (float[]){ 1.0f / 6, 0.5f }));
}

/* max(x, 0) + log(1 + exp(-|x|)): no overflow */
static vq_value softplus(vq_onnx *o, vq_value x, const float *p)
{
	vq_value tail = vq_onnx_1(o, VQ_OP_EXP, vq_onnx_1(o, VQ_OP_NEG, vq_onnx_1(o, VQ_OP_ABS, x)));

	(void)p;
	tail = vq_onnx_1(o, VQ_OP_LOG, add(o, tail, 1));
	return vq_onnx_2(o, VQ_OP_ADD, vq_onnx_1(o, VQ_OP_RELU, x), tail);
}

static vq_value mish(vq_onnx *o, vq_value x, const float *p)
{
	return vq_onnx_2(o, VQ_OP_MUL, x, vq_onnx_1(o, VQ_OP_TANH, softplus(o, x, p)));
}

static vq_value softsign(vq_onnx *o, vq_value x, const float *p)
{
	(void)p;
	return vq_onnx_2(o, VQ_OP_DIV, x, add(o, vq_onnx_1(o, VQ_OP_ABS, x), 1));
}

static vq_value leaky_relu(vq_onnx *o, vq_value x, const float *p) { return by_sign(o, x, mul(o, x, p[0]), x); }

/* exp(min(x, 0) / divisor) - 1: the branch not taken must not overflow */
static vq_value exp_minus_1(vq_onnx *o, vq_value x, float divisor)
{
	x = at_most(o, x, 0);
	if (divisor != 1)
		x = vq_onnx_2(o, VQ_OP_DIV, x, vq_onnx_scalar(o, divisor));
	return add(o, vq_onnx_1(o, VQ_OP_EXP, x), -1);
}

static vq_value elu(vq_onnx *o, vq_value x, const float *p)
{
	return by_sign(o, x, mul(o, exp_minus_1(o, x, 1), p[0]), x);
}

static vq_value celu(vq_onnx *o, vq_value x, const float *p)
{
	return by_sign(o, x, mul(o, exp_minus_1(o, x, p[0]), p[0]), x);
}

static vq_value selu(vq_onnx *o, vq_value x, const float *p) { return mul(o, elu(o, x, p), p[1]); }

static vq_value thresholded_relu(vq_onnx *o, vq_value x, const float *p)
{
	vq_value above = vq_onnx_2(o, VQ_OP_LESS, vq_onnx_scalar(o, p[0]), x);

	return vq_onnx_3(o, VQ_OP_WHERE, above, x, vq_onnx_scalar(o, 0));
}

static const struct activation {
	const char *type;
	make_activation *make;
	const char *name[2]; /* of the parameters; NULL: not so many */
	float standard[2];
} activations[] = {
	/* clang-format off */
	{ "Relu",            relu,             { NULL, NULL },       { 0, 0 } },
	{ "Sigmoid",         sigmoid,          { NULL, NULL },       { 0, 0 } },
	{ "Tanh",            tanh_of,          { NULL, NULL },       { 0, 0 } },
	{ "Clip",            clip,             { "min", "max" },     { -FLT_MAX, FLT_MAX } }, /* fused: limits that are inputs otherwise */
	{ "HardSigmoid",     hard_sigmoid,     { "alpha", "beta" },  { 0.2f, 0.5f } },
	{ "HardSwish",       hard_swish,       { NULL, NULL },       { 0, 0 } },
	{ "Mish",            mish,             { NULL, NULL },       { 0, 0 } },
	{ "Softplus",        softplus,         { NULL, NULL },       { 0, 0 } },
	{ "Softsign",        softsign,         { NULL, NULL },       { 0, 0 } },
	{ "LeakyRelu",       leaky_relu,       { "alpha", NULL },    { 0.01f, 0 } },
	{ "Elu",             elu,              { "alpha", NULL },    { 1, 0 } },
	{ "Celu",            celu,             { "alpha", NULL },    { 1, 0 } },
	{ "Selu",            selu,             { "alpha", "gamma" }, { 1.67326319217681884765625f, 1.05070102214813232421875f } },
	{ "ThresholdedRelu", thresholded_relu, { "alpha", NULL },    { 1, 0 } },
	/* clang-format on */
};

static const struct activation *find_activation(const char *type)
{
	for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
		if (!strcmp(activations[i].type, type))
			return &activations[i];
	return NULL;
}

/* of input 0, parameters as the node's attributes */
static bool import_activation(vq_onnx *o, const char *type)
{
	const struct activation *a = find_activation(type);
	float p[2];

	for (uint32_t i = 0; i < 2; i++)
		if (a->name[i] && !vq_onnx_attr_float(o, a->name[i], a->standard[i], &p[i]))
			return false;
	return vq_onnx_out(o, 0, a->make(o, in(o, 0), p));
}

bool vq_import_activation(vq_onnx *o) { return import_activation(o, o->op->type); }

/* also QLinearLeakyRelu's */
bool vq_import_leaky_relu(vq_onnx *o) { return import_activation(o, "LeakyRelu"); }

/* ---- fused by ONNX Runtime: attribute 'activation' ---- */

/* The one that the node names; NULL after an error. */
static const struct activation *fused_activation(vq_onnx *o)
{
	const struct activation *a;
	const char *type;

	if (!vq_onnx_attr_string(o, "activation", "", &type))
		return NULL;
	a = find_activation(type);
	if (!a)
		vq_onnx_refuse(
			o, "attribute 'activation' is '%s', expected an activation, as 'Relu' or 'LeakyRelu'", type);
	return a;
}

/* activation(conv(x, w) + bias + input 3), parameters in a list */
bool vq_import_fused_conv(vq_onnx *o)
{
	const struct activation *a = fused_activation(o);
	uint32_t wanted, n;
	float p[2];
	vq_value y;

	if (!a || !vq_onnx_attr_floats(o, "activation_params", p, 2, &n))
		return false;
	wanted = !a->name[0] ? 0 : !a->name[1] ? 1 : 2;
	if (n != wanted)
		return vq_onnx_refuse(o, "attribute 'activation_params' has %u entries, expected %u for %s",
			(unsigned)n, (unsigned)wanted, a->type);
	y = vq_onnx_conv(o, in(o, 0), in(o, 1), in(o, 2));
	if (vq_onnx_has(o, 3))
		y = vq_onnx_2(o, VQ_OP_ADD, y, in(o, 3));
	return vq_onnx_out(o, 0, a->make(o, y, p));
}

/* activation(Gemm), parameters as attributes 'activation_alpha' … */
bool vq_import_fused_gemm(vq_onnx *o)
{
	const struct activation *a = fused_activation(o);
	float p[2];

	if (!a)
		return false;
	for (uint32_t i = 0; i < 2; i++)
		if (a->name[i] &&
			!vq_onnx_attr_float(
				o, vq_arena_printf(o->arena, "activation_%s", a->name[i]), a->standard[i], &p[i]))
			return false;
	for (size_t i = 0; i < 3; i++) /* of activations without them */
		vq_onnx_attr_ignore(
			o, (const char *[]){ "activation_alpha", "activation_beta", "activation_gamma" }[i]);
	return vq_onnx_out(o, 0, a->make(o, vq_onnx_gemm(o), p));
}

/* ---- and one that is none ---- */

/* x + bias below -lambd, x - bias above lambd, 0 between */
bool vq_import_shrink(vq_onnx *o)
{
	float bias, lambd;
	vq_value x = in(o, 0), zero, above, below;

	if (!vq_onnx_attr_float(o, "bias", 0, &bias) || !vq_onnx_attr_float(o, "lambd", 0.5f, &lambd))
		return false;
	zero = vq_onnx_scalar(o, 0);
	above = add(o, x, -bias);
	above = vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, vq_onnx_scalar(o, lambd), x), above, zero);
	below = add(o, x, bias);
	below = vq_onnx_3(o, VQ_OP_WHERE, vq_onnx_2(o, VQ_OP_LESS, x, vq_onnx_scalar(o, -lambd)), below, above);
	return vq_onnx_out(o, 0, below);
}
