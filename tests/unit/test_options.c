/* SPDX-License-Identifier: MIT */
/* The command line: what is understood, what is refused and how it is said. */
#include "frontend/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static vq_arena arena;
static vq_diag diag;
static vq_options o;

/* Parses a command line of words separated by single blanks; an empty word is written as ''. */
static bool parse(const char *line)
{
	const char *argv[32] = { "vitqc" };
	int argc = 1;

	while (*line) {
		size_t n = strcspn(line, " ");

		argv[argc++] = n == 2 && line[0] == '\'' ? "" : vq_arena_strndup(&arena, line, n);
		line += n + (line[n] == ' ');
	}
	vq_diag_init(&diag, &arena, NULL);
	return vq_options_parse(&o, &arena, &diag, argc, argv);
}

static bool said(const char *text)
{
	for (uint32_t i = 0; i < diag.n; i++) {
		const char *line = vq_message_text(&diag, &diag.item[i]);

		if (strstr(line, text))
			return true;
	}
	return false;
}

static void plain(void **state)
{
	(void)state;
	assert_true(parse("vit.onnx -o vit.o"));
	assert_string_equal(o.model, "vit.onnx");
	assert_string_equal(o.out, "vit.o");
	assert_int_equal(o.emit, VQ_EMIT_OBJ);
	assert_int_equal(o.mode, VQ_MODE_COMPILE);
	assert_int_equal(o.quant, VQ_QUANT_DEFAULT);
	assert_int_equal(o.observer, VQ_OBSERVE_MINMAX);
	assert_int_equal(o.fold, VQ_FOLD_REPQ);
	assert_false(o.weight_max);
	assert_true(o.image.scale == 1.0f / 255.0f);
}

static void spellings(void **state)
{
	(void)state;
	assert_true(parse("--target=aarch64 -mcpu cortex-a53 --mattr +dotprod -mattr=-crc -mfloat-abi=hard m.onnx"));
	assert_string_equal(o.target.target, "aarch64");
	assert_string_equal(o.target.cpu, "cortex-a53");
	assert_string_equal(o.target.attr, "+dotprod,-crc");
	assert_int_equal(o.target.float_abi, VQ_FLOAT_ABI_HARD);
	assert_true(parse("-dim batch=1 --dim seq=128 -shape x=1x3x224x224 m.onnx"));
	assert_int_equal(o.dims.n, 2);
	assert_string_equal(o.dims.item[1], "seq=128");
	assert_string_equal(o.shapes.item[0], "x=1x3x224x224");
	assert_true(parse("-emit=obj,asm -emit=vir m.onnx"));
	assert_int_equal(o.emit, VQ_EMIT_OBJ | VQ_EMIT_ASM | VQ_EMIT_VIR);
	assert_true(parse("-emit=onnx m.onnx -o q.onnx"));
	assert_int_equal(o.emit, VQ_EMIT_ONNX);
	assert_true(parse("-dump=before:calibrate,after:import -verify m.onnx"));
	assert_int_equal(o.dump.n, 2);
	assert_true(o.verify);
	assert_true(parse("-passes=canonicalize,fuse_linear m.vir -o out.vir"));
	assert_int_equal(o.passes.n, 2);
	assert_int_equal(o.emit, VQ_EMIT_VIR);
	assert_true(parse("-MF x.d -MP -MT x.o -j1 -- -strange.onnx"));
	assert_string_equal(o.model, "-strange.onnx");
	assert_true(o.depend);
}

static void numbers(void **state)
{
	(void)state;
	assert_true(parse(
		"-calib-observer=percentile:99.9 -calib-count=32 -calib=imgs -image-resize=256 -image-crop=224 "
		"-image-mean=0.485,0.456,0.406 -image-std=0.5 -image-scale=1/127.5 -image-layout=nhwc -image-order=bgr m.onnx"));
	assert_int_equal(o.observer, VQ_OBSERVE_PERCENTILE);
	assert_true(o.percentile == 99.9);
	assert_int_equal(o.calib_count, 32);
	assert_int_equal(o.image.resize.width, 256);
	assert_int_equal(o.image.resize.height, 0);
	assert_int_equal(o.image.crop.height, 224);
	assert_int_equal(o.image.mean.n, 3);
	assert_true(o.image.mean.item[2] == 0.406f);
	assert_int_equal(o.image.std.n, 1);
	assert_true(o.image.scale == (float)(1 / 127.5));
	assert_int_equal(o.image.layout, VQ_LAYOUT_NHWC);
	assert_int_equal(o.image.order, VQ_ORDER_BGR);
	assert_true(parse("-image-resize=320x240 m.onnx"));
	assert_int_equal(o.image.resize.height, 240);
}

static void modes(void **state)
{
	(void)state;
	assert_true(parse("--help"));
	assert_int_equal(o.mode, VQ_MODE_HELP);
	assert_true(parse("-h"));
	assert_int_equal(o.mode, VQ_MODE_HELP);
	assert_true(parse("--version"));
	assert_int_equal(o.mode, VQ_MODE_VERSION);
	assert_true(parse("-target=aarch64 -mcpu=help"));
	assert_int_equal(o.mode, VQ_MODE_PRINT_CPUS);
	assert_null(o.target.cpu);
	assert_true(parse("-print-targets"));
	assert_int_equal(o.mode, VQ_MODE_PRINT_TARGETS);
}

static void refusals(void **state)
{
	static const struct {
		const char *line, *says;
	} row[] = {
		{ "", "no model" },
		{ "a.onnx b.onnx", "one model at a time: got 'a.onnx' and 'b.onnx'" },
		{ "m.onnx -taget=x", "unknown option '-taget=x'" },
		{ "m.onnx -taget=x", "did you mean '-target'?" },
		{ "m.onnx -o", "option -o: the value FILE is missing" },
		{ "m.onnx -o ''", "option -o: the argument is empty" },
		{ "m.onnx -verify=1", "option -verify: takes no value, got '1'" },
		{ "m.onnx -quant=w8a8-dynamic -calib=x.npy",
			"w8a8-dynamic finds its scales at run time: it needs no calibration" },
		{ "m.onnx -quant=w8a8-dynamic -emit=onnx", "ONNX has no form of -quant=w8a8-dynamic" },
		{ "m.onnx -quant=w4a4", "'w4a4' is not built yet" },
		{ "m.onnx -quant=plan.json", "not built yet" },
		{ "m.onnx -quant=w8a9", "did you mean 'w8a8'?" },
		{ "m.onnx -emit=elf", "expected one of: obj, asm, llvm, vir, onnx" },
		{ "m.onnx -emit=obj,,asm", "empty item" },
		{ "m.onnx -analyze -run=x.npy", "option -analyze: contradicts -run" },
		{ "m.onnx -compare=x.npz -o x.o", "option -o: -compare writes no output" },
		{ "m.onnx -compare=x.npz -run=x.npz", "option -compare: contradicts -run" },
		{ "m.onnx -compare=x.npz -MD", "option -MD: there is no output" },
		{ "m.onnx -j 0", "expected a whole number of at least 1, got '0'" },
		{ "m.onnx -j all", "expected a whole number of at least 1, got 'all'" },
		{ "m.onnx -j4x", "expected a whole number of at least 1, got '4x'" },
		{ "m.onnx -calib-count=0", "expected a whole number of at least 1, got '0'" },
		{ "m.onnx -calib-count=-3", "expected a whole number" },
		{ "m.onnx -calib-observer=mse:3", "only percentile takes a number" },
		{ "m.onnx -calib-observer=percentile:12", "expected a percentile above 50" },
		{ "m.onnx -image-std=0.5,0", "expected numbers above 0" },
		{ "m.onnx -image-mean=a", "expected a number, got 'a'" },
		{ "m.onnx -image-resize=0x3", "expected a size" },
		{ "m.onnx -image-resize=12x13x14", "expected a size" },
		{ "m.onnx -image-scale=1/0", "expected a number" },
		{ "m.onnx -dump=calibrate", "expected before:PASS or after:PASS, got 'calibrate'" },
		{ "m.onnx -dump=after:calibrat", "did you mean 'calibrate'?" },
		{ "m.onnx -stop=nowhere", "unknown pass 'nowhere'" },
		{ "m.onnx -passes=fuse_liner", "did you mean 'fuse_linear'?" },
		{ "m.onnx -stop=calibrate -emit=obj", "can be written as vir or onnx only" },
		{ "m.onnx -run=in.npz -o out.o", "expected -o FILE.npz for the outputs, got 'out.o'" },
		{ "m.onnx -run=in.npz -report=r.json", "option -report: -run makes no report" },
		{ "m.onnx -o - ", "only one text" },
		{ "m.onnx -report=r.html", "HTML is not built yet" },
		{ "m.onnx -report=r.pdf", "expected a name ending in .json or .txt" },
		{ "m.onnx -quant=none -calib=x", "needs no calibration" },
		{ "m.onnx -calib-count=3", "needs -calib" },
		{ "m.onnx -count=3", "option -count: needs -run or -compare" },
		{ "m.onnx -v -q", "contradicts -v" },
		{ "m.onnx -MP", "option -MP: needs -MD or -MF" },
		{ "m.onnx -header=x.h -emit=vir", "a header is written only with an object" },
		{ "-", "standard input" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		assert_false(parse(row[i].line));
		if (!said(row[i].says))
			fail_msg("'%s': expected '%s', got '%s'", row[i].line, row[i].says,
				vq_message_text(&diag, &diag.item[0]));
	}
}

/* All mistakes at once, not one per run. */
static void several_mistakes(void **state)
{
	(void)state;
	assert_false(parse("m.onnx -quant=x -fold=y -emit=z -nonsense"));
	assert_int_equal(diag.errors, 4);
}

static void help_lists_every_option(void **state)
{
	static const char *const name[] = {
#define VQ_GROUP(title)
#define VQ_OPTION(option, kind, place, argument, help) (help) != NULL ? "  -" option : "",
#include "frontend/options.def"
	};
	static char text[16384];
	FILE *f = tmpfile();
	size_t n;

	(void)state;
	assert_non_null(f);
	vq_print_help(f);
	rewind(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = 0;
	fclose(f);
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		if (!strstr(text, name[i]))
			fail_msg("--help does not list '%s'", name[i]);
	assert_non_null(strstr(text, "-analyze"));
}

static int clean(void **state)
{
	(void)state;
	vq_arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(spellings),
		cmocka_unit_test(numbers),
		cmocka_unit_test(modes),
		cmocka_unit_test(refusals),
		cmocka_unit_test(several_mistakes),
		cmocka_unit_test(help_lists_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, clean);
}
