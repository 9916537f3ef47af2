/* SPDX-License-Identifier: MIT */
/*
 * Whole graphs, planned, compiled and run on this machine, against the evaluator: the same bits, or a refusal that names what is
 * missing. Kernels have their own tests; these are about which kernels a graph becomes.
 */
#include "backend/backend.h"
#include "backend/plan.h"
#include "ir/eval.h"
#include "ir/text.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PORTS = 4, RUNS = 3 };

typedef struct bench {
	vq_arena arena;
	vq_diag diag;
	vq_graph g;
	void *in[PORTS], *got[PORTS], *want[PORTS];
	uint32_t seed;
} bench;

static uint32_t next(bench *b)
{
	b->seed = b->seed * 1664525u + 1013904223u;
	return b->seed >> 8;
}

/* Values in a range that quantizes to few saturated codes; indices below 4; for s8 all codes of the entry. */
static void fill(bench *b, const vq_type *t, void *data)
{
	const vq_quant *q = vq_quant_of(&b->g, t);
	int64_t n = vq_type_count(t);

	for (int64_t i = 0; i < n; i++)
		switch (t->elem) {
		case VQ_F32: ((float *)data)[i] = (float)((int32_t)(next(b) % 8001) - 4000) * 0x1p-10f; break;
		case VQ_I64: ((int64_t *)data)[i] = next(b) % 4; break;
		case VQ_I32: ((int32_t *)data)[i] = (int32_t)(next(b) % 4); break;
		case VQ_BOOL: ((uint8_t *)data)[i] = next(b) & 1; break;
		case VQ_S8:
			((int8_t *)data)[i] = (int8_t)(q ? q->lo + (int32_t)(next(b) % (uint32_t)(q->hi - q->lo + 1))
							 : (int32_t)(next(b) & 127));
			break;
		default: ((uint8_t *)data)[i] = (uint8_t)next(b); break;
		}
}

static void begin(bench *b, const char *text)
{
	memset(b, 0, sizeof *b);
	vq_diag_init(&b->diag, &b->arena, "test.vir");
	if (!vq_parse_graph(&b->g, &b->arena, &b->diag, text, strlen(text), TEST_BUILD))
		fail_msg("%s", b->diag.n ? b->diag.item[0].text : "not parsed");
	assert_true(b->g.n_inputs <= PORTS && b->g.n_outputs <= PORTS);
	for (uint32_t i = 0; i < b->g.n_inputs; i++)
		b->in[i] = vq_arena_alloc(&b->arena, vq_type_bytes(vq_type_of(&b->g, b->g.input[i].value)));
	for (uint32_t i = 0; i < b->g.n_outputs; i++) {
		b->got[i] = vq_arena_alloc(&b->arena, vq_type_bytes(vq_type_of(&b->g, b->g.output[i].value)));
		b->want[i] = vq_arena_alloc(&b->arena, vq_type_bytes(vq_type_of(&b->g, b->g.output[i].value)));
	}
}

static const vq_executor *jit(void)
{
	const char *why = NULL;
	const vq_executor *e = vq_jit(&why);

	if (!e)
		print_message("no JIT here: %s\n", why);
	return e;
}

/* of this process, where /proc says so; else 0 */
static uint32_t running_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	uint32_t n = 0;

	for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void compare(const bench *b)
{
	for (uint32_t i = 0; i < b->g.n_outputs; i++) {
		size_t bytes = vq_type_bytes(vq_type_of(&b->g, b->g.output[i].value));

		for (size_t k = 0; k < bytes; k++)
			if (((const char *)b->got[i])[k] != ((const char *)b->want[i])[k])
				fail_msg("output '%s' differs from the evaluator's at byte %zu of %zu",
					b->g.output[i].name, k, bytes);
	}
}

static void same_with(const vq_executor *compiler, const char *text, uint32_t threads)
{
	vq_exec *compiled, *reference;
	uint32_t before = running_threads();
	bench b;

	begin(&b, text);
	compiled = compiler->prepare(compiler, &b.g, NULL, 0);
	if (!compiled)
		fail_msg("%s: %s", b.diag.item[0].where ? b.diag.item[0].where : "", b.diag.item[0].text);
	assert_int_equal(running_threads() - before, threads);
	reference = vq_evaluator.prepare(&vq_evaluator, &b.g, NULL, 0);
	assert_non_null(reference);
	for (uint32_t run = 0; run < RUNS; run++) {
		for (uint32_t i = 0; i < b.g.n_inputs; i++)
			fill(&b, vq_type_of(&b.g, b.g.input[i].value), b.in[i]);
		assert_true(compiler->run(compiled, (const void *const *)b.in, b.got, NULL, NULL));
		assert_true(vq_evaluator.run(reference, (const void *const *)b.in, b.want, NULL, NULL));
		compare(&b);
	}
	compiler->dispose(compiled);
	vq_evaluator.dispose(reference);
	vq_arena_free(&b.arena);
}

static void same(const char *text)
{
	const vq_executor *compiler = jit();

	if (!compiler)
		skip();
	same_with(compiler, text, 0);
}

static void refused(const char *text, const char *why)
{
	const vq_executor *compiler = jit();
	bench b;

	if (!compiler)
		skip();
	begin(&b, text);
	assert_null(compiler->prepare(compiler, &b.g, NULL, 0));
	assert_true(b.diag.errors > 0);
	if (!strstr(b.diag.item[0].text, why))
		fail_msg("'%s' does not say '%s'", b.diag.item[0].text, why);
	vq_arena_free(&b.arena);
}

/* threads for what is large enough, and no difference */
static void workers(void **state)
{
	const vq_executor *one = jit();
	vq_executor three;

	(void)state;
	if (!one || !running_threads())
		skip();
	three = *one;
	three.workers = 3;
	same_with(&three, "graph f(a: f32[60,70], b: f32[70,80]) {\n  %1 = matmul %a, %b\n  return %1\n}\n", 0);
	same_with(&three,
		"graph f(a: f32[600,640], b: f32[640,620]) {\n"
		"  %1 = matmul %a, %b\n"
		"  %2 = gelu %1\n"
		"  %3 = softmax %2 axis=1\n"
		"  return %3\n}\n",
		2);
}

/* ---- indices of the caller ---- */

static void gather(void **state)
{
	(void)state;
	same("graph f(table: f32[4,5], i: i64[2,3], j: i32[7]) {\n"
	     "  %1 = gather %table, %i axis=0\n"
	     "  %2 = slice %j start=[1] step=[2] count=[3]\n"
	     "  %3 = gather %table, %2 axis=0\n"
	     "  return %1 as \"a\", %3 as \"b\"\n}\n");
	refused("graph f(table: f32[4,5], x: i64[4], y: i64[3]) {\n"
		"  %1 = gather %x, %y axis=0\n"
		"  %2 = gather %table, %1 axis=0\n"
		"  return %2\n}\n",
		"its indices are computed at run time from what may be anything");
	/* counts of what is not masked: at most 2 whatever the mask is */
	same("graph f(table: f32[4,5], mask: bool[3]) {\n"
	     "  %1 = cast %mask to=i64\n"
	     "  %2 = slice %1 start=[0] step=[1] count=[2]\n"
	     "  %3 = pad %2 before=[1] after=[0] value=0x0p+0\n"
	     "  %4 = add %1, %3\n"
	     "  %5 = gather %table, %4 axis=0\n"
	     "  return %5\n}\n");
	refused("graph f(table: f32[2,5], mask: bool[3]) {\n"
		"  %1 = cast %mask to=i64\n"
		"  %2 = add %1, %1\n"
		"  %3 = gather %table, %2 axis=0\n"
		"  return %3\n}\n",
		"may be 0 to 2, outside [0, 2)");
	refused("graph f(table: f32[4,5]) {\n"
		"  const @i : i64[2] = inline [3, 4]\n"
		"  %1 = gather %table, @i axis=0\n"
		"  return %1\n}\n",
		"index 4 at position 1 is outside [0, 4)");
}

/*
 * Runs text, whose last input has 4 elements and whose first is a table of two columns: good gives the rows wanted; bad, one after the
 * other, the messages, before anything is written.
 */
static void check_indices(
	const char *text, const void *good, const uint32_t *want, const void *const *bad, const char *const *message)
{
	const vq_executor *compiler = jit();
	uint32_t last;
	size_t bytes;
	vq_exec *e;
	bench b;

	if (!compiler)
		skip();
	begin(&b, text);
	e = compiler->prepare(compiler, &b.g, NULL, 0);
	if (!e)
		fail_msg("%s", b.diag.item[0].text);
	last = b.g.n_inputs - 1;
	bytes = 4 * vq_elem_bytes(vq_type_of(&b.g, b.g.input[last].value)->elem);
	fill(&b, vq_type_of(&b.g, b.g.input[0].value), b.in[0]);
	memcpy(b.in[last], good, bytes);
	assert_true(compiler->run(e, (const void *const *)b.in, b.got, NULL, NULL));
	for (uint32_t i = 0; want[i] < UINT32_MAX; i++)
		assert_memory_equal((float *)b.got[0] + 2 * i, (float *)b.in[0] + 2 * want[i], 8);
	memset(b.got[0], 0x55, 16);
	memset(b.want[0], 0x55, 16);
	for (uint32_t i = 0; bad[i]; i++) {
		memcpy(b.in[last], bad[i], bytes);
		assert_false(compiler->run(e, (const void *const *)b.in, b.got, NULL, NULL));
		assert_memory_equal(b.got[0], b.want[0], 16);
		assert_string_equal(b.diag.item[b.diag.n - 1].text, message[i]);
	}
	compiler->dispose(e);
	vq_arena_free(&b.arena);
}

/* only what is read is checked, and nothing is computed before it was */
static void indices_out_of_range(void **state)
{
	const int64_t good[] = { 3, 99, 0, -1 }, high[] = { 1, 0, 4, 0 }, low[] = { -1, 0, 0, 0 };

	(void)state;
	check_indices("graph f(table: f32[4,2], i: i64[4]) {\n"
		      "  %1 = view %i offset=0 stride=[2] : i64[2]\n"
		      "  %2 = gather %table, %1 axis=0\n"
		      "  return %2\n}\n",
		good, (uint32_t[]){ 3, 0, UINT32_MAX }, (const void *[]){ high, low, NULL },
		(const char *[]){
			"index 4 at position 1 is outside [0, 4)", "index -1 at position 0 is outside [0, 4)" });
}

static void computed_indices(void **state)
{
	const int32_t good[] = { 3, -4, 0, -1 }, high[] = { 0, 0, 4, 0 }, low[] = { 0, 0, 0, -5 };
	const int32_t shifted[] = { 0, 1, 1, 0 }, beyond[] = { 0, 2, 0, 0 }, before[] = { -3, 0, 0, 0 };
	const float floats[] = { 3, 0, 2, 1 }, nan[] = { 0, NAN, 0, 0 };

	(void)state;
	/* negative ones count from the end, as Keras writes it: (x < 0) (x + 4) + !(x < 0) x */
	check_indices("graph f(table: f32[4,2], x: i32[4]) {\n"
		      "  const @0 : f32[] = inline [0x0p+0]\n"
		      "  const @4 : i32[] = inline [4]\n"
		      "  %1 = cast %x to=f32\n"
		      "  %2 = less %1, @0\n"
		      "  %3 = not %2\n"
		      "  %4 = add %x, @4\n"
		      "  %5 = cast %2 to=i32\n"
		      "  %6 = cast %3 to=i32\n"
		      "  %7 = mul %5, %4\n"
		      "  %8 = mul %6, %x\n"
		      "  %9 = add %7, %8\n"
		      "  %10 = gather %table, %9 axis=0\n"
		      "  return %10\n}\n",
		good, (uint32_t[]){ 3, 0, 0, 3, UINT32_MAX }, (const void *[]){ high, low, NULL },
		(const char *[]){
			"index 4 at position 2 is outside [-4, 4)", "index -5 at position 3 is outside [-4, 4)" });
	/* and as a Where */
	check_indices("graph f(table: f32[4,2], x: i32[4]) {\n"
		      "  const @0 : i32[] = inline [0]\n"
		      "  const @4 : i32[] = inline [4]\n"
		      "  %1 = less %x, @0\n"
		      "  %2 = add %x, @4\n"
		      "  %3 = where %1, %2, %x\n"
		      "  %4 = gather %table, %3 axis=0\n"
		      "  return %4\n}\n",
		good, (uint32_t[]){ 3, 0, 0, 3, UINT32_MAX }, (const void *[]){ high, NULL },
		(const char *[]){ "index 4 at position 2 is outside [-4, 4)" });
	/* an offset of positions */
	check_indices("graph f(table: f32[4,2], x: i32[4]) {\n"
		      "  const @2 : i32[] = inline [2]\n"
		      "  %1 = add %x, @2\n"
		      "  %2 = gather %table, %1 axis=0\n"
		      "  return %2\n}\n",
		shifted, (uint32_t[]){ 2, 3, 3, 2, UINT32_MAX }, (const void *[]){ beyond, before, NULL },
		(const char *[]){
			"index 2 at position 1 is outside [-2, 2)", "index -3 at position 0 is outside [-2, 2)" });
	/* numbers that arrive as floats */
	check_indices("graph f(table: f32[4,2], x: f32[4]) {\n"
		      "  %1 = cast %x to=i64\n"
		      "  %2 = gather %table, %1 axis=0\n"
		      "  return %2\n}\n",
		floats, (uint32_t[]){ 3, 0, 2, 1, UINT32_MAX }, (const void *[]){ (float[]){ 4, 0, 0, 0 }, nan, NULL },
		(const char *[]){
			"index 4 at position 0 is outside [0, 4)", "index nan at position 1 is outside [0, 4)" });
	/* positions counted from a mask, which must be one: OPT */
	check_indices("graph f(table: f32[5,2], mask: i64[4]) {\n"
		      "  %1 = slice %mask start=[0] step=[1] count=[3]\n"
		      "  %2 = pad %1 before=[1] after=[0] value=0x0p+0\n"
		      "  %3 = add %mask, %2\n"
		      "  %4 = mul %3, %mask\n"
		      "  %5 = gather %table, %4 axis=0\n"
		      "  return %5\n}\n",
		(int64_t[]){ 0, 1, 1, 0 }, (uint32_t[]){ 0, 1, 2, 0, UINT32_MAX },
		(const void *[]){ (int64_t[]){ 1, 2, 0, 0 }, (int64_t[]){ 1, 1, 1, -1 }, NULL },
		(const char *[]){
			"index 2 at position 1 is outside [0, 2)", "index -1 at position 3 is outside [0, 2)" });
	/* where no single range of x says it all, and of two inputs */
	refused("graph f(table: f32[4,2], x: i32[4]) {\n"
		"  const @0 : i32[] = inline [0]\n"
		"  const @4 : i32[] = inline [4]\n"
		"  %1 = less %x, @4\n"
		"  %2 = where %1, %x, @0\n"
		"  %3 = gather %table, %2 axis=0\n"
		"  return %3\n}\n",
		"from what may be anything");
	refused("graph f(table: f32[4,2], x: i32[4], y: i32[4]) {\n"
		"  %1 = add %x, %y\n"
		"  %2 = gather %table, %1 axis=0\n"
		"  return %2\n}\n",
		"from what may be anything");
}

/* ---- elementwise ---- */

static void from_integers(void **state)
{
	(void)state;
	/* BERT's attention mask */
	same("graph f(mask: i64[2,7], scores: f32[2,3,5,7]) {\n"
	     "  const @0 : f32[] = inline [0x1p+0]\n"
	     "  const @1 : f32[] = inline [-0x1.fffffep+127]\n"
	     "  %1 = reshape %mask : i64[2,1,1,7]\n"
	     "  %2 = cast %1 to=f32\n"
	     "  %3 = sub @0, %2\n"
	     "  %4 = mul %3, @1\n"
	     "  %5 = add %scores, %4\n"
	     "  return %5\n}\n");
}

static void on_integers(void **state)
{
	(void)state;
	same("graph f(a: i64[2,3,4], b: i64[3,1], c: i32[4], m: bool[3,4]) {\n"
	     "  const @k : i64[] = inline [2]\n"
	     "  %1 = mul %a, %b\n"
	     "  %2 = sub %1, @k\n"
	     "  %3 = cast %c to=i64\n"
	     "  %4 = less %2, %3\n"
	     "  %5 = equal %a, @k\n"
	     "  %6 = or %4, %5\n"
	     "  %7 = and %6, %m\n"
	     "  %8 = not %7\n"
	     "  %9 = where %8, %2, %3\n"
	     "  %10 = neg %9\n"
	     "  %11 = cast %10 to=i32\n"
	     "  %12 = max %11, %c\n"
	     "  %13 = abs %10\n"
	     "  %14 = cast %13 to=bool\n"
	     "  return %8 as \"p\", %12 as \"q\", %14 as \"r\", %10 as \"s\"\n}\n");
}

/* what no machine does by itself: divisors 0, quotients that do not fit, numbers out of range */
static void divisions_and_truncations(void **state)
{
	(void)state;
	same("graph f(a: i64[2,1,9], b: i32[7]) {\n"
	     "  const @far : i64[9] = inline [-9223372036854775808, 9223372036854775807, -7, 7, 1, -1, 0, 1234567890123456789, 3]\n"
	     "  const @by : i64[9,1] = inline [0, -1, 1, 2, -3, 9223372036854775807, -9223372036854775808, 1000000007, -40]\n"
	     "  const @c : i32[7] = inline [0, -1, 2, -3, 2147483647, -2147483648, 5]\n"
	     "  const @one : i64[] = inline [1]\n"
	     "  %x = sub %a, @one\n" /* -1 to 2 */
	     "  %y = mul %a, @far\n"
	     "  %1 = div %y, @by\n"
	     "  %2 = mod %y, @by\n"
	     "  %3 = pow %x, @by\n"
	     "  %4 = div @far, %x\n"
	     "  %5 = mod @far, %x\n"
	     "  %6 = div @c, %b\n"
	     "  %7 = mod %b, @c\n"
	     "  %8 = pow %b, @c\n"
	     "  %9 = pow @c, %b\n"
	     "  %10 = concat %1, %2, %3 axis=0\n"
	     "  %11 = concat %4, %5 axis=0\n"
	     "  %12 = concat %6, %7, %8, %9 axis=0\n"
	     "  return %10 as \"p\", %11 as \"q\", %12 as \"r\"\n}\n");
	same("graph f(a: f32[3,12]) {\n"
	     "  const @far : f32[12] = inline [0x1p+0, 0x1.fp+3, -0x1.23p+5, 0x1p+20, -0x1.abcdeep+30, 0x1p+40, -0x1.fffffep+61, 0x1.8p+63, inf, nan:0x7fc00000, 0x1p-140, -0x1p-20]\n"
	     "  %1 = mul %a, @far\n"
	     "  %2 = cast %1 to=i64\n"
	     "  %3 = cast %1 to=u8\n"
	     "  %4 = cast %1 to=s8\n"
	     "  return %2 as \"p\", %3 as \"q\", %4 as \"r\"\n}\n");
	/* an index that Mod or Div brings into range */
	same("graph f(table: f32[4,5], i: i64[2,3]) {\n"
	     "  const @four : i64[] = inline [4]\n"
	     "  %1 = mod %i, @four\n"
	     "  %2 = gather %table, %1 axis=0\n"
	     "  return %2\n}\n");
}

/* newer exports of BERT fill by a condition */
static void conditions(void **state)
{
	(void)state;
	same("graph f(x: f32[2,3,4], y: f32[3,1], mask: i64[4]) {\n"
	     "  const @z : i64[] = inline [0]\n"
	     "  const @low : f32[] = inline [-0x1p+100]\n"
	     "  %1 = equal %mask, @z\n"
	     "  %2 = where %1, @low, %x\n"
	     "  %3 = less %x, %y\n"
	     "  %4 = cast %x to=bool\n"
	     "  %5 = cast %x to=i32\n"
	     "  return %2 as \"p\", %3 as \"q\", %4 as \"r\", %5 as \"s\"\n}\n");
	refused("graph f(x: f32[4]) {\n  const @y : f32[] = inline [0x1.8p+0]\n  %1 = pow %x, @y\n  return %1\n}\n",
		"an exponent other than the constants 0, 1, 2, 3");
}

static void scales_along_an_axis(void **state)
{
	(void)state;
	same("quant #1 = axis 1 [0x1p-5, 0x1p-6] [0, 0] -127:127\n"
	     "quant #2 = axis 2 [0x1p-5, 0x1.8p-6, 0x1p-7] [3, 3, 3] -128:127\n"
	     "graph f(x: f32[3,4,6], y: s8<#2>[2,5,6]) {\n"
	     "  %1 = gelu %x\n"
	     "  %2 = quantize %1 : s8<#1>[3,4,6]\n"
	     "  %3 = quantize %x : s8<#2>[3,4,6]\n"
	     "  %4 = dequantize %y\n"
	     "  %5 = tanh %4\n"
	     "  return %2 as \"p\", %3 as \"q\", %4 as \"r\", %5 as \"s\"\n}\n");
	same("quant #1 = axis 1 [0x1p-4, 0x1p-5] [0, 0] -127:127\n"
	     "quant #2 = axis 0 [0x1p-4, 0x1p-5] [0, 0] -127:127\n"
	     "graph f(x: f32[4,3]) {\n"
	     "  const @w : f32[4,3] = inline [0x1p-1, -0x1p+0, 0x1p-2, 0x1p+0, 0x1.8p-1, -0x1p-1, 0x1p-3, 0x1p+0, -0x1p+0, 0x1p-1, 0x1p-1, 0x1p-1]\n"
	     "  %1 = linear %x, @w\n"
	     "  %2 = gelu %1\n"
	     "  %3 = quantize %2 : s8<#1>[4,4]\n"
	     "  %4 = quantize %2 : s8<#2>[4,4]\n"
	     "  return %3 as \"p\", %4 as \"q\"\n}\n");
	refused("quant #1 = axis 0 [0x1p-4, 0x1p-5] [0, 1] -128:127\ngraph f(x: f32[4]) {\n  %1 = quantize %x : s8<#1>[4]\n  return %1\n}\n",
		"its zero points differ along an axis");
}

/* of three queries the first has no key, the second one */
static void attention_without_keys(void **state)
{
	(void)state;
	same("graph f(q: f32[1,3,4], k: f32[1,3,4], v: f32[1,3,4]) {\n"
	     "  const @b : f32[1,1,3,3] = inline [-inf, -inf, -inf, 0x0p+0, -inf, -inf, 0x0p+0, 0x1p+0, -inf]\n"
	     "  %1 = attention %q, %k, %v, @b heads=2 scale=0x1p-1\n"
	     "  return %1\n}\n");
}

/* the least f32 on all keys of the first query, on some of the second; in integers */
static void attention_masked_by_the_least_number(void **state)
{
	(void)state;
	same("graph f(q: s8<0x1p-5,0,-127:127>[1,3,4], k: s8<0x1p-5,0,-127:127>[1,3,4], v: s8<0x1p-5,0,-127:127>[1,3,4], x: f32[1,3,4]) {\n"
	     "  const @b : f32[1,1,3,3] = inline [-0x1.fffffep+127, -0x1.fffffep+127, -0x1.fffffep+127, 0x0p+0, -0x1.fffffep+127, -inf, 0x0p+0, 0x1p+0, 0x1p-3]\n"
	     "  %1 = attention %q, %k, %v, @b heads=2 scale=0x1p-1\n"
	     "  %c, %r = quantize_dynamic %x groups=2 span=1 symmetric\n"
	     "  %2 = attention_dynamic %c, %r, %c, %r, %c, %r, @b heads=2 scale=0x1p-1\n"
	     "  return %1 as \"p\", %2 as \"q\"\n}\n");
}

/* Biases of windows: a table per head plus a mask per window, for every image again; what is no such sum stays as it is. */
static void attention_of_windows(void **state)
{
	static const float masks[][2] = { { -100.0f, -100.0f }, { -100.0f, -3.25f }, { -INFINITY, -INFINITY },
		{ 0, 0 } };
	char text[8000];

	(void)state;
	for (uint32_t form = 0; form < 2 * sizeof masks / sizeof *masks; form++)
		for (uint32_t broken = 0; broken < 2; broken++) {
			const char *type = form & 1 ? "s8<0x1p-5,0>" : "f32";
			int at = snprintf(text, sizeof text,
				"graph f(q: %s[6,3,8], k: %s[6,5,8], v: %s[6,5,8]) {\n"
				"  const @b : f32[6,2,3,5] = inline [",
				type, type, type);

			for (uint32_t i = 0; i < 6 * 2 * 3 * 5; i++) {
				uint32_t element = i % 15, head = i / 15 % 2, window = i / 30 % 3;
				float v = (float)(element * 7 + head * 31) * 0x1.234p-5f - 1.5f;

				if (window && (element + window) % 3 == 0)
					v += masks[form / 2][element & 1];
				if (broken && i == 100)
					v += 1;
				at += snprintf(text + at, sizeof text - (size_t)at, "%s%a", i ? ", " : "", (double)v);
			}
			snprintf(text + at, sizeof text - (size_t)at,
				"]\n  %%1 = attention %%q, %%k, %%v, @b heads=2 scale=0x1p-1 : f32[6,3,8]\n  return %%1\n}\n");
			same(text);
		}
}

/* ---- movement ---- */

/* a reshape of moved elements, which strides do not express, read by quantize: with one scale it is read through, with several copied */
static void reshapes_that_are_quantized(void **state)
{
	(void)state;
	same("graph f(x: f32[1,4,6,2]) {\n"
	     "  %1 = view %x offset=0 stride=[1,12,2] : f32[2,4,6]\n"
	     "  %2 = reshape %1 : f32[3,16]\n"
	     "  %3 = quantize %2 : s8<0x1p-5,3>[3,16]\n"
	     "  %4 = dequantize %3\n"
	     "  return %4\n"
	     "}\n");
	same("quant #1 = axis 2 [0x1p-5, 0x1p-4] [0, 0] -127:127\n"
	     "graph f(x: f32[1,4,6,2]) {\n"
	     "  %1 = view %x offset=0 stride=[1,12,2] : f32[2,4,6]\n"
	     "  %2 = reshape %1 : f32[1,3,16]\n"
	     "  %3 = quantize %2 : s8<#1>[1,3,16]\n"
	     "  %4 = dequantize %3\n"
	     "  return %4\n"
	     "}\n");
}

static void pads(void **state)
{
	(void)state;
	same("graph f(x: f32[2,3,4], i: i32[3], b: bool[2]) {\n"
	     "  %1 = transpose %x perm=[2,0,1]\n"
	     "  %2 = pad %1 before=[1,0,2] after=[0,3,0] value=0x1.8p+1\n"
	     "  %3 = pad %i before=[2] after=[1] value=-0x1p+1\n"
	     "  %4 = pad %b before=[1] after=[1] value=0x1p+0\n"
	     "  %5 = quantize %x : s8<0x1p-4,-100>[2,3,4]\n"
	     "  %6 = pad %5 before=[0,1,1] after=[0,1,1] value=0x0p+0\n"
	     "  return %2 as \"p\", %3 as \"q\", %4 as \"r\", %6 as \"s\"\n}\n");
}

/* ---- norms, reductions, products ---- */

static void softmax_over_any_axis(void **state)
{
	(void)state;
	same("graph f(x: f32[3,5,7], y: s8<0x1p-4,3>[4,2,3]) {\n"
	     "  %1 = softmax %x axis=1\n"
	     "  %2 = softmax %x axis=0 : s8<0x1p-7,-128>[3,5,7]\n"
	     "  %3 = softmax %y axis=0\n"
	     "  %4 = transpose %x perm=[1,2,0]\n"
	     "  %5 = softmax %4 axis=0\n"
	     "  return %1 as \"p\", %2 as \"q\", %3 as \"r\", %5 as \"s\"\n}\n");
}

static void products_of_elements(void **state)
{
	(void)state;
	same("graph f(x: f32[3,5,4]) {\n"
	     "  %1 = reduce_prod %x axes=[1]\n"
	     "  %2 = reduce_prod %x axes=[0,2] keepdims\n"
	     "  return %1 as \"p\", %2 as \"q\"\n}\n");
}

static void batches(void **state)
{
	(void)state;
	same("graph f(a: f32[2,1,3,1,4,5], b: f32[3,3,2,5,6], c: s8<0x1p-4,2>[2,1,3,1,4,5], d: s8<0x1p-5,-3>[3,3,2,5,6]) {\n"
	     "  %1 = matmul %a, %b\n"
	     "  %2 = matmul %c, %d\n"
	     "  %3 = transpose %c perm=[0,1,2,3,5,4]\n"
	     "  %4 = matmul %3, %d trans_a : s8<0x1p-3,1>[2,3,3,2,4,6]\n"
	     "  return %1 as \"p\", %2 as \"q\", %4 as \"r\"\n}\n");
}

/* ---- scales at run time ---- */

/* kernels of this kind that the graph needs on AVX2 */
static uint32_t steps_of(const char *text, vq_kernel_kind kind)
{
	const vq_target_request request = { .target = "x86-64", .cpu = "x86-64-v3" };
	uint32_t n = 0;
	vq_plan p;
	bench b;

	begin(&b, text);
	assert_true(
		vq_plan_make(&p, &b.arena, &b.g, vq_target_resolve(&b.arena, &b.diag, &request), true, NULL, 0, false));
	for (uint32_t i = 0; i < p.n_steps; i++)
		n += p.kernel[p.step[i].kernel].kind == kind;
	vq_free(p.weights);
	vq_arena_free(&b.arena);
	return n;
}

/* norm, product, GELU, product on 32 rows; more: further outputs */
static const char *mlp(const char *more)
{
	static char text[9000];
	size_t at = (size_t)snprintf(text, sizeof text, "graph f(x: f32[2,16,20]) {\n");

	for (int c = 0; c < 2; c++) {
		at += (size_t)snprintf(text + at, sizeof text - at,
			"  const @%c : s8<0x1p-6,0,-127:127>[%s] = inline [", "vw"[c], c ? "5,24" : "24,20");
		for (int i = 0; i < (c ? 120 : 480); i++)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", i ? ", " : "", i * 37 % 255 - 127);
		at += (size_t)snprintf(text + at, sizeof text - at, "]\n");
	}
	at += (size_t)snprintf(text + at, sizeof text - at, "  const @g : f32[20] = inline [");
	for (int i = 0; i < 20; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s%d.5", i ? ", " : "", i % 5 - 1);
	snprintf(text + at, sizeof text - at,
		"]\n  %%n = layernorm %%x, @g, @g epsilon=0x1p-20\n  %%c, %%r = quantize_dynamic %%n : s8[2,16,20], f32[2,16,2]\n"
		"  %%1 = linear_dynamic %%c, %%r, @v\n  %%2 = gelu %%1\n  %%d, %%s = quantize_dynamic %%2 : s8[2,16,24], f32[2,16,2]\n"
		"  %%3 = linear_dynamic %%d, %%s, @w\n  return %%3 as \"y\"%s\n}\n",
		more);
	return text;
}

static void rows_quantized_where_they_are_made(void **state)
{
	(void)state;
	assert_int_equal(steps_of(mlp(""), VQ_KERNEL_ROWQUANT), 0);
	assert_int_equal(steps_of(mlp(""), VQ_KERNEL_GEMM), 2);
	same(mlp(""));
	/* what somebody else reads has to be there in f32 */
	assert_int_equal(steps_of(mlp(", %2 as \"gelu\""), VQ_KERNEL_ROWQUANT), 1);
	assert_int_equal(steps_of(mlp(", %2 as \"gelu\", %n as \"norm\""), VQ_KERNEL_ROWQUANT), 2);
	same(mlp(", %2 as \"gelu\", %n as \"norm\""));
	same(mlp(", %d as \"codes\", %s as \"rows\""));
}

/* one scale for several rows and for the whole tensor, groups, operands that are views */
static void shared_scales(void **state)
{
	static const char head[] =
		"graph f(x: f32[2,6,8], k: f32[2,8,5], bias: f32[6,5]) {\n"
		"  const @w : s8<0x1p-6,0,-127:127>[3,8] = inline [1, -2, 3, -4, 127, -127, 0, 5, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, -1, 1, 1, 1]\n"
		"  %t = transpose %k perm=[0,2,1]\n";

	(void)state;
	for (int span = 0; span < 3; span++) {
		char text[1500];

		snprintf(text, sizeof text,
			"%s  %%c, %%r = quantize_dynamic %%x span=%d\n  %%1 = linear_dynamic %%c, %%r, @w\n"
			"  %%q, %%qr = quantize_dynamic %%x groups=2 span=%d symmetric\n"
			"  %%kc, %%kr = quantize_dynamic %%t groups=2 span=%d symmetric\n"
			"  %%2 = attention_dynamic %%q, %%qr, %%kc, %%kr, %%kc, %%kr%s heads=2 scale=0x1p-1\n"
			"  return %%1 as \"y\", %%2 as \"z\"\n}\n",
			head, span, span, span ? span : 1, span == 1 ? "" : ", %bias");
		same(text);
	}
}

/* products of two tensors of codes: scales per column or per matrix, batches that broadcast, constants on either side */
static void matmul_dynamic(void **state)
{
	(void)state;
	same("graph f(a: f32[2,3,5,17], b: f32[2,3,19,17], c: f32[3,17,9], r: f32[2,3,5,19]) {\n"
	     "  %x, %xr = quantize_dynamic %a : s8[2,3,5,17], f32[2,3,5,2]\n"
	     "  %k, %kr = quantize_dynamic %b symmetric : s8[2,3,19,17], f32[2,3,19,2]\n"
	     "  %v, %vr = quantize_dynamic %c span=1 symmetric : s8[3,17,9], f32[3,1,2]\n"
	     "  %1 = matmul_dynamic %x, %xr, %k, %kr trans_b\n"
	     "  %2 = add %1, %r\n"
	     "  %3 = gelu %2\n"
	     "  %4 = matmul_dynamic %x, %xr, %v, %vr : s8<0x1p-2,3>[2,3,5,9]\n"
	     "  return %3 as \"p\", %4 as \"q\"\n}\n");
	/* one scale for all rows of A and for all columns of B; a batch of either that the other has not */
	same("graph f(a: f32[2,1,4,6], b: f32[3,7,6]) {\n"
	     "  %x, %xr = quantize_dynamic %a span=1 : s8[2,1,4,6], f32[2,1,1,2]\n"
	     "  %k, %kr = quantize_dynamic %b span=1 symmetric : s8[3,7,6], f32[3,1,2]\n"
	     "  %l, %lr = quantize_dynamic %b span=2 symmetric : s8[3,7,6], f32[1,1,2]\n"
	     "  %1 = matmul_dynamic %x, %xr, %k, %kr trans_b\n"
	     "  %2 = matmul_dynamic %x, %xr, %l, %lr trans_b\n"
	     "  return %1 as \"p\", %2 as \"q\"\n}\n");
	/* more than two batch dimensions that step differently; its rows become codes */
	same("graph f(a: f32[2,1,3,1,4,5], b: f32[3,3,2,5,6]) {\n"
	     "  %x, %xr = quantize_dynamic %a : s8[2,1,3,1,4,5], f32[2,1,3,1,4,2]\n"
	     "  %v, %vr = quantize_dynamic %b span=1 symmetric : s8[3,3,2,5,6], f32[3,3,2,1,2]\n"
	     "  %1 = matmul_dynamic %x, %xr, %v, %vr\n"
	     "  %c, %cr = quantize_dynamic %1 : s8[2,3,3,2,4,6], f32[2,3,3,2,4,2]\n"
	     "  return %c as \"p\", %cr as \"q\"\n}\n");
	same("graph f(a: f32[2,3,33,8]) {\n"
	     "  const @w : s8[3,2,8] = inline [1, -2, 3, -4, 127, -127, 0, 5, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, -1, 1, 1, 1, 1, -2, 3, -4, 127, -127, 0, 5,"
	     " 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1, -1, 1, 1, 1]\n"
	     "  const @r : f32[3,2,2] = inline [0x1p-3, 0, 0x1p-4, 0, 0.3, 0, 3, 0, 0x1p-5, 0, 0.01, 0]\n"
	     "  const @s : f32[3,2,2] = inline [0x1p-3, -128, 0x1p-4, 127, 0.3, 0, 3, 5, 0x1p-5, -7, 0.01, 1]\n"
	     "  %x, %xr = quantize_dynamic %a : s8[2,3,33,8], f32[2,3,33,2]\n"
	     "  %k, %kr = quantize_dynamic %a symmetric : s8[2,3,33,8], f32[2,3,33,2]\n"
	     "  %1 = matmul_dynamic %x, %xr, @w, @r trans_b\n"
	     "  %2 = matmul_dynamic @w, @s, %k, %kr trans_b\n"
	     "  return %1 as \"p\", %2 as \"q\"\n}\n");
}

/* a result with scales along its last axis, of every product whose multipliers do not hold them */
static void results_per_channel(void **state)
{
	(void)state;
	same("quant #1 = axis 1 [0x1p-4, 0x1.8p-6] [2, 2] -127:127\n"
	     "quant #2 = axis 0 [0x1p-6, 0x1.8p-5, 0x1p-7, 0x1p-6] [0, 0, 0, 0] -127:127\n"
	     "graph f(x: f32[5,3], k: f32[4,3]) {\n"
	     "  const @w : f32[4,3] = inline [0x1p-1, -0x1p+0, 0x1p-2, 0x1p+0, 0x1.8p-1, -0x1p-1, 0x1p-3, 0x1p+0, -0x1p+0, 0x1p-1, 0x1p-1, 0x1p-1]\n"
	     "  const @c : s8<#2>[4,3] = inline [1, -2, 3, -4, 127, -127, 0, 5, 9, 8, 7, 6]\n"
	     "  %q, %r = quantize_dynamic %x : s8[5,3], f32[5,2]\n"
	     "  %s, %t = quantize_dynamic %k symmetric : s8[4,3], f32[4,2]\n"
	     "  %1 = linear %x, @w : s8<#1>[5,4]\n"
	     "  %2 = linear_dynamic %q, %r, @c : s8<#1>[5,4]\n"
	     "  %3 = matmul_dynamic %q, %r, %s, %t trans_b : s8<#1>[5,4]\n"
	     "  %4 = matmul %x, %k trans_b : s8<#1>[5,4]\n"
	     "  return %1 as \"p\", %2 as \"q\", %3 as \"r\", %4 as \"s\"\n}\n");
	refused("quant #1 = axis 0 [0x1p-4, 0x1p-5] [0, 0] -127:127\n"
		"graph f(x: f32[2,3], k: f32[3,4]) {\n  %1 = matmul %x, %k : s8<#1>[2,4]\n  return %1\n}\n",
		"scales along another axis than its last");
}

/* The second view strides over the numbers of what the first one shows, which no strides over the input express. */
static void view_of_view(void **state)
{
	(void)state;
	same("graph f(x: f32[2,3,17]) {\n"
	     "  %1 = view %x offset=0 stride=[0,1,51,17] : f32[1,17,2,3]\n"
	     "  %2 = view %1 offset=1 stride=[0,17,0,1] : f32[6,5,3,17]\n"
	     "  return %2 as \"y\"\n}\n");
}

/* Layers that share weights (ALBERT): the file has them once, so has the object, also where passes made a copy for each. */
static void equal_weights(void **state)
{
	static const char *const values[2] = { "1, -2, 3, -4, 5, -6, 7, -8, 9", "1, -2, 3, -4, 5, -6, 7, -8, 8" };
	const vq_target_request request = { .target = "x86-64" };
	uint64_t bytes[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		char text[500];
		vq_plan p;
		bench b;

		snprintf(text, sizeof text,
			"graph f(x: f32[2,3]) {\n  const @v : f32[3,3] = inline [%s]\n  const @w : f32[3,3] = inline [%s]\n"
			"  %%1 = linear %%x, @v\n  %%2 = linear %%1, @w\n  return %%2 as \"y\"\n}\n",
			values[0], values[i]);
		same(text);
		begin(&b, text);
		assert_true(vq_plan_make(
			&p, &b.arena, &b.g, vq_target_resolve(&b.arena, &b.diag, &request), true, NULL, 0, false));
		bytes[i] = p.weight_bytes;
		vq_free(p.weights);
		vq_arena_free(&b.arena);
	}
	assert_true(bytes[0] < bytes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers),
		cmocka_unit_test(gather),
		cmocka_unit_test(indices_out_of_range),
		cmocka_unit_test(computed_indices),
		cmocka_unit_test(from_integers),
		cmocka_unit_test(on_integers),
		cmocka_unit_test(divisions_and_truncations),
		cmocka_unit_test(conditions),
		cmocka_unit_test(scales_along_an_axis),
		cmocka_unit_test(attention_without_keys),
		cmocka_unit_test(attention_masked_by_the_least_number),
		cmocka_unit_test(attention_of_windows),
		cmocka_unit_test(reshapes_that_are_quantized),
		cmocka_unit_test(pads),
		cmocka_unit_test(softmax_over_any_axis),
		cmocka_unit_test(products_of_elements),
		cmocka_unit_test(batches),
		cmocka_unit_test(rows_quantized_where_they_are_made),
		cmocka_unit_test(shared_scales),
		cmocka_unit_test(matmul_dynamic),
		cmocka_unit_test(results_per_channel),
		cmocka_unit_test(view_of_view),
		cmocka_unit_test(equal_weights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
