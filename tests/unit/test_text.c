/* SPDX-License-Identifier: MIT */
/* Printer and parser of .vir. */
#include "ir/attrs.h"
#include "ir/text.h"
#include "random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SIDECAR "test_text.vir.bin"

typedef struct parsed {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	bool ok;
} parsed;

static parsed *parse_bytes(const char *text, size_t length)
{
	parsed *p = vq_alloc(sizeof *p);

	vq_diag_init(&p->diag, &p->arena, "test.vir");
	p->ok = vq_parse_graph(&p->g, &p->arena, &p->diag, text, length, TEST_BUILD);
	return p;
}

static parsed *parse(const char *text) { return parse_bytes(text, strlen(text)); }

static void release(parsed *p)
{
	vq_arena_free(&p->arena);
	vq_free(p);
}

/* the text, to be freed; the sidecar goes to TEST_BUILD/SIDECAR unless without */
static char *print(const vq_graph *g, bool without)
{
	char *text = NULL;
	size_t length;
	FILE *f = open_memstream(&text, &length), *sidecar = without ? NULL : fopen(TEST_BUILD "/" SIDECAR, "wb");

	assert_true(vq_print_graph(g, f, sidecar, "somewhere/" SIDECAR));
	fclose(f);
	if (sidecar)
		fclose(sidecar);
	return text;
}

static void accepts(const char *text, const char *want)
{
	parsed *p = parse(text);
	char *got;

	if (!p->ok)
		fail_msg("%s", vq_message_text(&p->diag, &p->diag.item[0]));
	got = print(&p->g, false);
	assert_string_equal(got, want);
	free(got);
	release(p);
}

static void rejects(const char *text, const char *want)
{
	parsed *p = parse(text);

	if (p->ok)
		fail_msg("accepted: %s", text);
	assert_int_equal(p->diag.errors, 1);
	if (!strstr(vq_message_text(&p->diag, &p->diag.item[0]), want))
		fail_msg("got '%s', expected '%s'", vq_message_text(&p->diag, &p->diag.item[0]), want);
	release(p);
}

static void written_by_hand(void **state)
{
	(void)state;
	accepts("# a comment\n"
		"graph f(x: f32[1,2,4], \"1\": i64[1]) { # another\n"
		"  quant #7 = axis 0 [0x1p-6, 0.5] [0, 3] -127:127\n"
		"const @w : s8<#7>[4,4] = inline [1,2,3,4, -1,-2,-3,-128, 0,0,0,0, 127,0,0,0]\n"
		"  %h = linear %x, @w : s8<0x1p-4,-4>[1,2,4]\n"
		"  %t = transpose %h perm=[0,2,1]\n" /* no type: inferred */
		"  %0 = gather %t, %\"1\" axis=1\n"
		"  %1 = relu %x\n" /* dead */
		"  return %0, %t as \"second one\", %\"x\" as x\n"
		"}\n",
		"quant #1 = axis 0 [0x1p-6, 0x1p-1] [0, 3] -127:127\n"
		"graph f(x: f32[1,2,4], \"1\": i64[1]) {\n"
		"  const @0 : s8<#1>[4,4] = inline [1, 2, 3, 4, -1, -2, -3, -128, 0, 0, 0, 0, 127, "
		"0, 0, 0]\n"
		"  %1 = linear %x, @0 : s8<0x1p-4,-4>[1,2,4]\n"
		"  %2 = transpose %1 perm=[0,2,1] : s8<0x1p-4,-4>[1,4,2]\n"
		"  %3 = gather %2, %\"1\" axis=1 : s8<0x1p-4,-4>[1,1,2]\n"
		"  return %3 as \"output0\", %2 as \"second one\", %x as \"x\"\n"
		"}\n");
	accepts("graph \"a b\"() { const @0 : f32[] = inline [1.5] %1 = neg @0 return %1 as "
		"\"\\x09\\\"\\\\\" }",
		"graph \"a b\"() {\n  const @0 : f32[] = inline [0x1.8p+0]\n  %1 = neg @0 : f32[]\n"
		"  return %1 as \"\\x09\\\"\\\\\"\n}\n");
}

static void attributes(void **state)
{
	(void)state;
	accepts("graph f(x: f32[1,2,8,8]) {\n"
		"  const @0 : f32[2,1,2,2] = inline [1,1,1,1,1,1,1,1]\n"
		"  %1 = conv %x, @0 group=2 stride=[2,2] dilation=[1,1] before=[1,1] after=[0,0] : "
		"f32[1,2,4,4]\n"
		"  %2 = reduce_max %1 axes=[1,3] keepdims\n"
		"  %3 = matmul %1, %1 trans_b\n"
		"  %4 = pad %2 before=[0,0,1,0] after=[0,0,0,0] value=-inf\n"
		"  %5 = cast %4 to=i32\n"
		"  %6 = view %3 offset=31 stride=[-1] : f32[32]\n"
		"  %7 = quantize %6 : s8<0x1p-7,0,-127:127>[32]\n"
		"  %8 = reshape %7 : s8<0x1p-7,0,-127:127>[4,8]\n"
		"  return %5, %8\n}\n",
		"graph f(x: f32[1,2,8,8]) {\n"
		"  const @0 : f32[2,1,2,2] = inline [0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, "
		"0x1p+0, 0x1p+0, 0x1p+0]\n"
		"  %1 = conv %x, @0 stride=[2,2] dilation=[1,1] before=[1,1] after=[0,0] group=2 : "
		"f32[1,2,4,4]\n"
		"  %2 = reduce_max %1 axes=[1,3] keepdims : f32[1,1,4,1]\n"
		"  %3 = pad %2 before=[0,0,1,0] after=[0,0,0,0] value=-inf : f32[1,1,5,1]\n"
		"  %4 = cast %3 to=i32 : i32[1,1,5,1]\n"
		"  %5 = matmul %1, %1 trans_b : f32[1,2,4,4]\n"
		"  %6 = view %5 offset=31 stride=[-1] : f32[32]\n"
		"  %7 = quantize %6 : s8<0x1p-7,0,-127:127>[32]\n"
		"  %8 = reshape %7 : s8<0x1p-7,0,-127:127>[4,8]\n"
		"  return %4 as \"output0\", %8 as \"output1\"\n}\n");
}

static void errors(void **state)
{
	(void)state;
	rejects("", "test.vir: line 1, column 1: expected 'graph', got 'end of file'");
	rejects("graph f(x: f32[2]) {\n  %1 = relu %y\n", "line 2, column 13: %y is not defined");
	rejects("graph f(x: f32[2]) {\n  %1 = rely %x\n", "line 2, column 8: expected an operator, got 'rely'");
	rejects("graph f(x: f32[2], y: f32[3]) { %1 = add %x, %y",
		"add: shapes do not broadcast: left is 2, right is 3");
	rejects("graph f(x: f32[2], x: f32[3])", "column 20: 'x' is defined twice");
	rejects("graph f(x: f32[2]) { %1 = relu %x : f32[3]", "relu: the result is f32[3], expected f32[2]");
	rejects("graph f(x: f32[2]) { %1 = softmax %x return %1 }", "softmax needs the attribute 'axis'");
	rejects("graph f(x: f32[2]) { %1 = softmax %x axes=[1] return %1 }", "softmax has no attribute 'axes'");
	rejects("graph f(x: f32[2]) { %1 = softmax %x axis=0 axis=0 return %1 }", "attribute 'axis' is given twice");
	rejects("graph f(x: f32[2]) { %1 = transpose %x perm=[0,1] return %1 }",
		"attribute 'perm' has 2 items, expected 1");
	rejects("graph f(x: f32[2]) { %1 = reshape %x return %1 }", "reshape needs a result type");
	rejects("graph f(x: f32[2]) { %1 = quantize %x : f32[2] return %1 }", "quantize needs a quantized type");
	rejects("graph f(x: s8<0x1p-101,0>[2]) {", "scale 0 is 3.9443e-31, expected 2^-100 to 2^100");
	rejects("graph f(x: s8<nan:0x7fc00000,0>[2]) {", "expected 2^-100 to 2^100");
	rejects("graph f(x: s8<1,4194049>[2]) {", "zero point 0 is 4194049");
	rejects("graph f(x: f32<1,0>[2]) {", "f32[2] has quantization #1");
	rejects("quant #1 = axis 0 [1, 1] [0, 0] 0:9 graph f(x: s8<#1>[3]) {",
		"2 scales along dimension 0 do not divide s8[3]");
	rejects("quant #1 = axis 0 [1, 1] [0] 0:9", "2 scales and 1 zero points");
	rejects("graph f(x: s8<#1>[3]) {", "entry #1 is not declared");
	rejects("graph f(x: f32[1048576,1048576,2]) {", "more than 2^40 elements");
	rejects("graph f(x: f32[0]) {", "the dimension is 0, expected an integer from 1");
	rejects("graph f(x: f32[99999999999999999999]) {", "the dimension is 99999999999999999999");
	rejects("graph f() { const @0 : f32[17] = hash 0x12 return @0 }", "printed without a sidecar file");
	rejects("graph f() { const @0 : f32[17] = file \"../x\" 0 hash 0x12 return @0 }",
		"no file in the folder of this text");
	rejects("graph f() { const @0 : f32[17] = file \"none here\" 0 hash 0x12 return @0 }",
		"cannot open 'none here'");
	rejects("graph f() { const @0 : f32[1000000] = inline [1] return @0 }", "1000000 elements inline");
	rejects("graph f() { const @0 : bool[1] = inline [2] return @0 }",
		"the element is 2, expected an integer from 0 to 1");
	rejects("graph f() { const @0 : f32[1] = inline [1e39] return @0 }", "'1e39' is no f32 number");
	rejects("graph f(x: f32[1]) { return %x, %x }", "two outputs are called 'x'");
	rejects("graph f(x: f32[1]) { return %x } more", "expected the end of the file after the graph, got 'more'");
	rejects("graph f(\"x", "the string is not closed on its line");
	rejects("graph f(\"\\q\"", "unknown escape");
	rejects("graph f($", "unexpected character 0x24");
}

static void floats(void **state)
{
	static const uint32_t hard[] = { 0, 1, 0x80000000u, 0x007fffff, 0x00800000, 0x00400000, 0x7f7fffff, 0x7f800000,
		0xff800000u, 0x7fc00000, 0x7f800001, 0xffc12345u, 0x3f800000, 0x3f800001, 0x00000203, 0xbf99999au };
	vq_arena arena = { 0 };
	vq_diag diag;
	vq_graph g;
	uint32_t seed = 5;

	(void)state;
	vq_diag_init(&diag, &arena, NULL);
	for (int round = 0; round < 200; round++) {
		vq_type t = vq_type_make(VQ_F32, 1, &(int64_t){ 16 });
		uint32_t bits[16];
		parsed *p;
		char *text;

		for (int i = 0; i < 16; i++)
			bits[i] = round ? seed = seed * 1664525u + 1013904223u : hard[i];
		vq_graph_init(&g, &arena, &diag, "f");
		vq_add_output(&g, "y", vq_add_const_copy(&g, &t, bits, NULL));
		text = print(&g, true);
		p = parse(text);
		assert_true(p->ok);
		assert_memory_equal(p->g.value[p->g.output[0].value.id].data, bits, sizeof bits);
		release(p);
		free(text);
	}
	vq_arena_free(&arena);
}

/* printf's %a is the same text where the C library normalises like us */
static void floats_look_like_percent_a(void **state)
{
	static const struct {
		float value;
		const char *text;
	} row[] = {
		{ 1.0f, "0x1p+0" },
		{ -1.5f, "-0x1.8p+0" },
		{ 0.1f, "0x1.99999ap-4" },
		{ 0.0f, "0x0p+0" },
		{ 0x1p-149f, "0x1p-149" },
		{ 3.4028234664e38f, "0x1.fffffep+127" },
		{ INFINITY, "inf" },
	};
	vq_arena arena = { 0 };
	vq_diag diag;

	(void)state;
	vq_diag_init(&diag, &arena, NULL);
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		vq_graph g;
		char *text, want[64];

		vq_graph_init(&g, &arena, &diag, "f");
		vq_add_output(&g, "y", vq_const_f32(&g, row[i].value));
		text = print(&g, true);
		snprintf(want, sizeof want, "inline [%s]\n", row[i].text);
		assert_non_null(strstr(text, want));
		free(text);
	}
	vq_arena_free(&arena);
}

static char *file_bytes(size_t *length)
{
	FILE *f = fopen(TEST_BUILD "/" SIDECAR, "rb");
	char *data = vq_alloc(1 << 20);

	assert_non_null(f);
	*length = fread(data, 1, 1 << 20, f);
	fclose(f);
	return data;
}

/* print, parse, print: the same text and the same sidecar */
static void random_graphs_survive(void **state)
{
	random_graph r = { .seed = 1 };

	(void)state;
	for (int round = 0; round < 150; round++) {
		vq_arena arena = { 0 };
		vq_diag diag;
		vq_graph g;
		char *first, *second, *first_data, *second_data;
		size_t first_bytes, second_bytes;
		parsed *p;

		vq_diag_init(&diag, &arena, NULL);
		vq_graph_init(&g, &arena, &diag, "random");
		make_random_graph(&r, &g, 25);
		if (!vq_verify(&g, "making"))
			fail_msg("%s", diag.item[0].text);
		first = print(&g, false);
		first_data = file_bytes(&first_bytes);
		p = parse(first);
		if (!p->ok)
			fail_msg("round %d: %s\n%s", round, vq_message_text(&p->diag, &p->diag.item[0]), first);
		second = print(&p->g, false);
		second_data = file_bytes(&second_bytes);
		assert_string_equal(first, second);
		assert_int_equal(first_bytes, second_bytes);
		assert_memory_equal(first_data, second_data, first_bytes);
		free(first);
		free(second);
		vq_free(first_data);
		vq_free(second_data);
		release(p);
		vq_arena_free(&arena);
	}
	for (int op = 1; op < VQ_OP_COUNT; op++)
		if (!r.had[op])
			fail_msg("no random graph has %s", vq_ops[op].text);
}

/* Cut or damaged anywhere, a text gives an error message or a valid graph (parsing verifies), and reads no stray byte. */
static void damaged_text(void **state)
{
	static const char flips[] = { 1, 2, 4, 16, 64, (char)128, '0' ^ '9' };
	random_graph r = { .seed = 77 };
	vq_arena arena = { 0 };
	vq_diag diag;
	vq_graph g;
	char *text;
	size_t length;
	uint32_t good = 0;

	(void)state;
	vq_diag_init(&diag, &arena, NULL);
	vq_graph_init(&g, &arena, &diag, "damaged");
	make_random_graph(&r, &g, 12);
	text = print(&g, false);
	length = strlen(text);
	for (size_t n = 0; n < length; n++) {
		/* exactly n bytes on the heap, so that a sanitizer sees a read behind them */
		char *cut = malloc(n ? n : 1);
		parsed *p;

		memcpy(cut, text, n);
		p = parse_bytes(cut, n);
		assert_true(p->ok ? n >= length - 1 : p->diag.errors == 1);
		release(p);
		free(cut);
	}
	for (size_t at = 0; at < length; at++)
		for (size_t f = 0; f < sizeof flips; f++) {
			parsed *p;

			text[at] = (char)(text[at] ^ flips[f]);
			p = parse_bytes(text, length);
			if (!p->ok && p->diag.errors != 1)
				fail_msg("%u errors: %s", (unsigned)p->diag.errors,
					vq_message_text(&p->diag, &p->diag.item[0]));
			if (!p->ok)
				assert_null(strstr(p->diag.item[0].text, "internal error"));
			good += p->ok;
			release(p);
			text[at] = (char)(text[at] ^ flips[f]);
		}
	assert_true(good > 0);
	free(text);
	vq_arena_free(&arena);
}

static void sidecar_is_checked(void **state)
{
	vq_arena arena = { 0 };
	vq_diag diag;
	vq_graph g;
	vq_type t = vq_type_make(VQ_I32, 1, &(int64_t){ 40 });
	int32_t data[40] = { 7 };
	char *text, *hashes;
	FILE *f;
	parsed *p;

	(void)state;
	vq_diag_init(&diag, &arena, NULL);
	vq_graph_init(&g, &arena, &diag, "f");
	vq_add_output(&g, "y", vq_add_const_copy(&g, &t, data, NULL));
	hashes = print(&g, true);
	assert_non_null(strstr(hashes, "const @0 : i32[40] = hash 0x"));
	text = print(&g, false);
	assert_non_null(strstr(text, "= file \"" SIDECAR "\" 0 hash 0x"));
	p = parse(text);
	assert_true(p->ok);
	release(p);
	f = fopen(TEST_BUILD "/" SIDECAR, "r+b");
	fputc(8, f);
	fclose(f);
	rejects(text, "the hash differs");
	f = fopen(TEST_BUILD "/" SIDECAR, "wb");
	fputc(8, f);
	fclose(f);
	rejects(text, "has 1 bytes, the constant takes 160 at 0");
	free(text);
	free(hashes);
	vq_arena_free(&arena);
}

/* docs/ir.md has a row for every operator and names every attribute that is written */
static void documented(void **state)
{
	static char page[1 << 16];
	FILE *f = fopen(TEST_ROOT "/docs/ir.md", "r");
	char *table, *end;

	(void)state;
	assert_non_null(f);
	page[fread(page, 1, sizeof page - 1, f)] = 0;
	fclose(f);
	table = strstr(page, "\n## Operators\n");
	assert_non_null(table);
	end = strstr(table + 1, "\n## ");
	assert_non_null(end);
	*end = 0;
	for (int op = 1; op < VQ_OP_COUNT; op++) {
		bool found = false;

		/* in the first column, alone or among others: delimited by ` or space */
		for (char *row = strstr(table, "\n| `"); row && !found; row = strstr(row + 1, "\n| `")) {
			size_t n = strlen(vq_ops[op].text);
			char *stop = strchr(row + 4, '`');

			for (char *at = row + 3; at < stop && !found; at++)
				found = (*at == '`' || *at == ' ') && !strncmp(at + 1, vq_ops[op].text, n) &&
					(at[1 + n] == '`' || at[1 + n] == ' ');
		}
		if (!found)
			fail_msg("docs/ir.md has no row for %s", vq_ops[op].text);
	}
	for (uint32_t i = 0; i < vq_n_attr_fields; i++) {
		char quoted[64];

		snprintf(quoted, sizeof quoted, "`%s`", vq_field_name(&vq_attr_fields[i]));
		if (!vq_field_from_type(&vq_attr_fields[i]) && !strstr(table, quoted))
			fail_msg("docs/ir.md does not name the attribute %s", vq_attr_fields[i].member);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_by_hand),
		cmocka_unit_test(attributes),
		cmocka_unit_test(errors),
		cmocka_unit_test(floats),
		cmocka_unit_test(floats_look_like_percent_a),
		cmocka_unit_test(random_graphs_survive),
		cmocka_unit_test(damaged_text),
		cmocka_unit_test(sidecar_is_checked),
		cmocka_unit_test(documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
