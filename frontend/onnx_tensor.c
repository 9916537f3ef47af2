/* SPDX-License-Identifier: MIT */
/* TensorProto to arrays of the IR's element types. */
#include "frontend/onnx_load.h"

#include <string.h>

#define T(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

typedef enum field { FIELD_FLOAT, FIELD_INT32, FIELD_INT64, FIELD_DOUBLE, FIELD_UINT64 } field;

/* indexed by DataType */
static const struct kind {
	const char *name;
	uint32_t bytes; /* per element in raw_data; 0: cannot be imported */
	field typed;    /* which typed field holds it if raw_data does not */
	vq_elem elem;   /* after import */
} kinds[] = {
	[T(FLOAT)] = { "float32", 4, FIELD_FLOAT, VQ_F32 },
	[T(UINT8)] = { "uint8", 1, FIELD_INT32, VQ_U8 },
	[T(INT8)] = { "int8", 1, FIELD_INT32, VQ_S8 },
	[T(UINT16)] = { "uint16", 2, FIELD_INT32, VQ_I32 },
	[T(INT16)] = { "int16", 2, FIELD_INT32, VQ_I32 },
	[T(INT32)] = { "int32", 4, FIELD_INT32, VQ_I32 },
	[T(INT64)] = { "int64", 8, FIELD_INT64, VQ_I64 },
	[T(STRING)] = { .name = "string" },
	[T(BOOL)] = { "bool", 1, FIELD_INT32, VQ_BOOL },
	[T(FLOAT16)] = { "float16", 2, FIELD_INT32, VQ_F32 },
	[T(DOUBLE)] = { "float64", 8, FIELD_DOUBLE, VQ_F32 },
	[T(UINT32)] = { "uint32", 4, FIELD_UINT64, VQ_I64 },
	[T(UINT64)] = { "uint64", 8, FIELD_UINT64, VQ_I64 },
	[T(COMPLEX64)] = { .name = "complex64" },
	[T(COMPLEX128)] = { .name = "complex128" },
	[T(BFLOAT16)] = { "bfloat16", 2, FIELD_INT32, VQ_F32 },
	[T(FLOAT8E4M3FN)] = { .name = "float8e4m3fn" },
	[T(FLOAT8E4M3FNUZ)] = { .name = "float8e4m3fnuz" },
	[T(FLOAT8E5M2)] = { .name = "float8e5m2" },
	[T(FLOAT8E5M2FNUZ)] = { .name = "float8e5m2fnuz" },
	[T(UINT4)] = { .name = "uint4" },
	[T(INT4)] = { .name = "int4" },
	[T(FLOAT4E2M1)] = { .name = "float4e2m1" },
};

static const struct kind *kind_of(int32_t data_type)
{
	if (data_type <= 0 || (size_t)data_type >= sizeof kinds / sizeof *kinds)
		return NULL;
	return &kinds[data_type];
}

const char *vq_onnx_type_name(vq_arena *a, int32_t data_type)
{
	const struct kind *k = kind_of(data_type);

	return k ? k->name : vq_arena_printf(a, "type %d", (int)data_type);
}

bool vq_onnx_elem(int32_t data_type, vq_elem *elem)
{
	const struct kind *k = kind_of(data_type);

	if (!k || !k->bytes)
		return false;
	*elem = k->elem;
	return true;
}

/* ---- conversion of one element ---- */

static uint64_t little_endian(const unsigned char *p, uint32_t bytes)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

static float float_of_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

static double double_of_bits(uint64_t bits)
{
	double d;

	memcpy(&d, &bits, sizeof d);
	return d;
}

static float half_to_float(uint32_t h)
{
	uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;

	if (exponent == 31)
		return float_of_bits(sign | 0x7f800000u | fraction << 13);
	if (exponent)
		return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
	/* zero and subnormals: fraction * 2^-24, exact */
	return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
}

/* element i of the typed fields as raw bits of the tensor's type */
static uint64_t typed_bits(const Onnx__TensorProto *t, field f, size_t i)
{
	uint32_t single;
	uint64_t bits = 0;

	switch (f) {
	case FIELD_FLOAT:
		memcpy(&single, &t->float_data[i], sizeof single);
		bits = single;
		break;
	case FIELD_INT32: bits = (uint32_t)t->int32_data[i]; break;
	case FIELD_INT64: bits = (uint64_t)t->int64_data[i]; break;
	case FIELD_DOUBLE: memcpy(&bits, &t->double_data[i], sizeof bits); break;
	case FIELD_UINT64: bits = t->uint64_data[i]; break;
	}
	return bits;
}

static size_t typed_count(const Onnx__TensorProto *t, field f)
{
	switch (f) {
	case FIELD_FLOAT: return t->n_float_data;
	case FIELD_INT32: return t->n_int32_data;
	case FIELD_INT64: return t->n_int64_data;
	case FIELD_DOUBLE: return t->n_double_data;
	case FIELD_UINT64: return t->n_uint64_data;
	}
	return 0;
}

/* false if the value does not fit (uint64 beyond int64) */
static bool store(int32_t data_type, uint64_t bits, void *data, size_t i)
{
	switch (data_type) {
	case T(FLOAT): ((float *)data)[i] = float_of_bits((uint32_t)bits); break;
	case T(FLOAT16): ((float *)data)[i] = half_to_float((uint32_t)bits & 0xffff); break;
	case T(BFLOAT16): ((float *)data)[i] = float_of_bits((uint32_t)bits << 16); break;
	case T(DOUBLE): ((float *)data)[i] = (float)double_of_bits(bits); break;
	case T(BOOL): ((uint8_t *)data)[i] = (bits & 0xff) != 0; break;
	case T(UINT8):
	case T(INT8): ((uint8_t *)data)[i] = (uint8_t)bits; break;
	case T(UINT16): ((int32_t *)data)[i] = (int32_t)(bits & 0xffff); break;
	case T(INT16): ((int32_t *)data)[i] = (int16_t)(uint16_t)bits; break;
	case T(INT32): ((int32_t *)data)[i] = (int32_t)(uint32_t)bits; break;
	case T(UINT32): ((int64_t *)data)[i] = (int64_t)(bits & 0xffffffffu); break;
	case T(UINT64):
		if (bits > INT64_MAX)
			return false;
		((int64_t *)data)[i] = (int64_t)bits;
		break;
	default: ((int64_t *)data)[i] = (int64_t)bits; break;
	}
	return true;
}

/* ---- whole tensors ---- */

static bool host_is_little_endian(void)
{
	uint16_t one = 1;
	unsigned char first;

	memcpy(&first, &one, 1);
	return first == 1;
}

/* the stored bits are those of the IR's element */
static bool same_bits(int32_t data_type)
{
	return data_type == T(FLOAT) || data_type == T(INT32) || data_type == T(INT64) || data_type == T(INT8) ||
		data_type == T(UINT8);
}

/* shape and element; *count is the number of elements */
static bool read_type(vq_onnx_model *m, const Onnx__TensorProto *t, const char *where, vq_type *type, uint64_t *count)
{
	const struct kind *k = kind_of(t->data_type);
	vq_elem elem;
	uint64_t n = 1;
	bool empty = false;

	if (!vq_onnx_elem(t->data_type, &elem)) {
		vq_error(m->diag, where, "elements are %s, which is not supported",
			vq_onnx_type_name(m->arena, t->data_type));
		vq_hint(m->diag,
			"supported are float32, float16, bfloat16, float64, bool and integers of 8 bits or more");
		if (t->data_type == T(UINT4) || t->data_type == T(INT4))
			vq_hint(m->diag,
				"weights of 4 bits: give vitqc the float model, or one with MatMulNBits "
				"(quant_format=QOperator of ONNX Runtime's tool)");
		return false;
	}
	if (t->segment)
		return vq_error(m->diag, where, "the tensor is stored in segments, which is not supported");
	*type = (vq_type){ .elem = elem };
	if (t->n_dims > VQ_MAX_RANK)
		return vq_error(m->diag, where, "rank is %zu, expected at most %d", t->n_dims, VQ_MAX_RANK);
	type->rank = (uint32_t)t->n_dims;
	for (size_t i = 0; i < t->n_dims; i++) {
		int64_t d = t->dims[i];

		if (d < 0)
			return vq_error(m->diag, where, "dimension %zu is %lld", i, (long long)d);
		type->dim[i] = d;
		empty |= d == 0;
	}
	for (size_t i = 0; i < t->n_dims && !empty; i++) {
		if ((uint64_t)t->dims[i] > (uint64_t)INT64_MAX / k->bytes / 8 / n)
			return vq_error(m->diag, where, "the shape has too many elements");
		n *= (uint64_t)t->dims[i];
	}
	*count = empty ? 0 : n;
	return true;
}

/* The stored bytes (raw_data or external); NULL with *typed set if they stand in a typed field. */
static const unsigned char *stored(
	vq_onnx_model *m, const Onnx__TensorProto *t, const char *where, uint64_t count, bool *typed)
{
	const struct kind *k = kind_of(t->data_type);
	uint64_t need = count * k->bytes;

	*typed = false;
	if (t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
		return vq_onnx_external(m, t, where, need);
	if (t->has_raw_data && (t->raw_data.len || !typed_count(t, k->typed))) {
		if (t->raw_data.len == need)
			return t->raw_data.data;
		vq_error(m->diag, where, "raw data has %zu bytes, expected %llu for %llu elements of %s",
			t->raw_data.len, (unsigned long long)need, (unsigned long long)count, k->name);
		return NULL;
	}
	if (typed_count(t, k->typed) != count) {
		vq_error(m->diag, where, "data has %zu elements, expected %llu", typed_count(t, k->typed),
			(unsigned long long)count);
		return NULL;
	}
	*typed = true;
	return NULL;
}

vq_onnx_data vq_onnx_tensor(
	vq_onnx_model *m, const Onnx__TensorProto *t, const char *where, vq_type *type, const void **data)
{
	const unsigned char *raw;
	const struct kind *k;
	uint64_t count = 0;
	bool typed;
	void *converted;

	if (!read_type(m, t, where, type, &count))
		return VQ_ONNX_BAD;
	if (!count)
		return VQ_ONNX_EMPTY;
	k = kind_of(t->data_type);
	raw = stored(m, t, where, count, &typed);
	if (!raw && !typed)
		return VQ_ONNX_BAD;
	if (raw && same_bits(t->data_type) && host_is_little_endian() && (uintptr_t)raw % 16 == 0) {
		*data = raw;
		return VQ_ONNX_DATA;
	}
	if (typed && t->data_type == T(FLOAT) && (uintptr_t)t->float_data % 16 == 0) {
		*data = t->float_data;
		return VQ_ONNX_DATA;
	}
	/* the stored bytes bound count, so this is at most eight times the file */
	converted = vq_arena_array(m->arena, (size_t)count, vq_elem_bytes(type->elem));
	for (uint64_t i = 0; i < count; i++) {
		uint64_t bits = raw ? little_endian(raw + i * k->bytes, k->bytes) : typed_bits(t, k->typed, (size_t)i);

		if (!store(t->data_type, bits, converted, (size_t)i)) {
			vq_error(m->diag, where, "element %llu is %llu, which does not fit 64 bits with sign",
				(unsigned long long)i, (unsigned long long)bits);
			return VQ_ONNX_BAD;
		}
	}
	*data = converted;
	return VQ_ONNX_DATA;
}
