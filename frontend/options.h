/* SPDX-License-Identifier: MIT */
/*
 * The command line: parsed, checked for sense, nothing done yet. frontend/options.def is the list
 * of options.
 */
#ifndef VQ_FRONTEND_OPTIONS_H
#define VQ_FRONTEND_OPTIONS_H

#include "backend/backend.h"
#include "ir/diag.h"
#include "passes/pass.h"

#include <stdio.h>

typedef struct vq_strings {
	const char **item; /* in the arena */
	uint32_t n, cap;
} vq_strings;

typedef struct vq_numbers {
	float *item; /* in the arena */
	uint32_t n, cap;
} vq_numbers;

typedef struct vq_size {
	uint32_t width, height;
} vq_size; /* 0: not given; height 0: the shorter side is `width` */

/* What to do. */
typedef enum vq_mode {
	VQ_MODE_COMPILE,
	VQ_MODE_HELP,
	VQ_MODE_VERSION,
	VQ_MODE_PRINT_TARGETS,
	VQ_MODE_PRINT_CPUS,
	VQ_MODE_PRINT_OPS,
	VQ_MODE_PRINT_PASSES,
} vq_mode;

/* What to write, a set. */
enum { VQ_EMIT_OBJ = 1, VQ_EMIT_ASM = 2, VQ_EMIT_LLVM = 4, VQ_EMIT_VIR = 8, VQ_EMIT_ONNX = 16 };

typedef enum vq_quant_choice { VQ_QUANT_DEFAULT, VQ_QUANT_W8A8, VQ_QUANT_NONE, VQ_QUANT_DYNAMIC } vq_quant_choice;
typedef enum vq_layout { VQ_LAYOUT_DEFAULT, VQ_LAYOUT_NCHW, VQ_LAYOUT_NHWC } vq_layout;
typedef enum vq_order { VQ_ORDER_RGB, VQ_ORDER_BGR } vq_order;
typedef enum vq_filter { VQ_FILTER_BILINEAR, VQ_FILTER_BICUBIC } vq_filter;
typedef enum vq_executor_choice { VQ_EXECUTOR_AUTO, VQ_EXECUTOR_JIT, VQ_EXECUTOR_EVALUATOR } vq_executor_choice;

/* How images become model inputs (frontend/samples.h). */
typedef struct vq_image_options {
	vq_size resize, crop;
	vq_filter filter;
	vq_layout layout; /* default: from the shape of the input */
	vq_order order;
	vq_numbers mean, std; /* one, or one per channel; empty: 0 and 1 */
	float scale;          /* of the bytes, before mean and std; 1/255 */
} vq_image_options;

typedef struct vq_options {
	vq_mode mode;
	const char *model; /* NULL only in modes that print */
	const char *out;   /* -o, NULL: from the model's name */
	const char *header;
	const char *prefix;
	uint32_t emit;            /* VQ_EMIT_… */
	vq_target_request target; /* attr is made of attrs */
	vq_strings attrs;         /* -mattr, each as given */
	vq_strings dims, shapes;  /* "batch=1"; "x=1x3x224x224" */
	vq_quant_choice quant;
	const char *calib, *calib_stats;
	uint32_t calib_count; /* 0: all */
	vq_observer observer;
	double percentile;
	vq_executor_choice executor;
	vq_granularity granularity;
	vq_fold fold;
	bool weight_max; /* -weight-clip=max */
	vq_image_options image;
	const char *report;
	vq_strings dump; /* "before:x", "after:x" */
	const char *stop;
	vq_strings passes;
	bool verify;
	const char *weights_section;
	const char *emit_weights; /* file of the weights, NULL: they are in the object */
	bool instrument;
	bool werror_fallback;
	uint32_t jobs; /* 0: as many as there are CPUs */
	bool verbose, quiet;
	bool depend;       /* -MD */
	bool depend_phony; /* -MP */
	const char *depend_file, *depend_target;
	const char *run, *compare; /* paths of samples */
	uint32_t count;            /* of them; 0: all */
	bool analyze;
} vq_options;

/*
 * Fills o from the arguments (argv[0] is skipped). false after errors in diag: exit code 2. Texts
 * point into argv or the arena.
 */
bool vq_options_parse(vq_options *o, vq_arena *arena, vq_diag *diag, int argc, const char *const *argv);

void vq_print_help(FILE *out);

#endif
