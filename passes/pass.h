/* SPDX-License-Identifier: MIT */
/*
 * What every pass sees. A pass is `bool vq_pass_<name>(vq_pass *p)`: a function of the graph and the settings, no static
 * state, idempotent unless its comment says otherwise; false after an error in the graph's diag. It leaves the graph swept
 * (vq_graph_sweep). passes.def lists them in order, pipeline.c calls them. docs/adding-a-pass.md is the recipe.
 */
#ifndef VQ_PASSES_PASS_H
#define VQ_PASSES_PASS_H

#include "ir/exec.h"
#include "ir/ir.h"

typedef enum vq_scheme { VQ_SCHEME_NONE, VQ_SCHEME_W8A8, VQ_SCHEME_W8A8_DYNAMIC } vq_scheme;
typedef enum vq_observer { VQ_OBSERVE_MINMAX, VQ_OBSERVE_PERCENTILE, VQ_OBSERVE_MSE } vq_observer;
/* of a linear's input in w8a8; AUTO: per token where that is much better (passes/insert_qdq.c) */
typedef enum vq_granularity { VQ_GRANULARITY_AUTO, VQ_GRANULARITY_TENSOR, VQ_GRANULARITY_TOKEN } vq_granularity;
typedef enum vq_fold { VQ_FOLD_REPQ, VQ_FOLD_NONE } vq_fold;

/* Calibration inputs: sample i of each graph input, in the graph's types. The frontend implements it. */
typedef struct vq_samples {
	void *self;
	uint32_t n; /* samples */
	/* fills in[k] (vq_type_bytes of input k) for every graph input; false after an error in diag */
	bool (*get)(void *self, uint32_t sample, void *const *in);
} vq_samples;

/* Progress of a slow step; the frontend draws a bar on a terminal. May be NULL. */
typedef void vq_progress(void *user, const char *step, uint32_t done, uint32_t total);

/* Statistics of a calibration by number of the site, with what they must agree in. */
typedef struct vq_kept_stats {
	struct vq_stats *site;
	const char **name; /* of the source's node or input */
	uint32_t n;
} vq_kept_stats;

typedef struct vq_settings {
	vq_scheme scheme;
	vq_observer observer;
	double percentile; /* of VQ_OBSERVE_PERCENTILE, e.g. 99.99 */
	vq_fold fold;      /* at LayerNorm; VQ_FOLD_NONE is the naive baseline */
	vq_granularity granularity;
	bool weight_mse;                  /* clip weights by MSE; false: scale = max/127 */
	const vq_samples *samples;        /* NULL without -calib */
	const vq_executor *executor;      /* runs calibration */
	const char *stats_in, *stats_out; /* -calib-stats: read instead of running, write after running */
	vq_progress *progress;
	void *progress_user;
	vq_kept_stats
		*keep; /* calibrate leaves its statistics there, for the same model at another size; may be NULL */
	const vq_kept_stats *like; /* calibrate takes them from there and runs nothing; NULL: it runs the samples */
	bool verify;               /* check every invariant of the graph after each pass */
	bool guess; /* no samples: ranges are assumed (passes/calibrate.c), which gives the form of the result and not its scales */
	bool measure; /* after absorb_qdq: SQNR of every product against the float graph, for the report; runs both on a few samples */
} vq_settings;

/* One line of the report: a site and what was decided there. */
typedef struct vq_site {
	const char *name; /* of the source node */
	const char *op;
	const char *scheme; /* "s8 per tensor", "s8 per head", "f32" */
	const char *why;    /* reason if it stays float or a fold was refused; NULL */
	float scale_min, scale_max;
	int32_t zero;
	int64_t macs, weight_bytes;
	double sqnr_db; /* of the result against the float graph on the calibration samples; NaN if not measured */
} vq_site;

typedef struct vq_report {
	vq_arena *arena;
	vq_site *site;
	uint32_t n, cap;
} vq_report;

void vq_report_add(vq_report *r, const vq_site *s); /* texts are kept, not copied */

/* Statistics of one observed value, over all samples. */
typedef struct vq_stats {
	vq_value value;     /* in the graph as it was calibrated */
	uint32_t channels;  /* size of the last axis */
	float *lo, *hi;     /* [channels], minimum and maximum */
	double *sum;        /* [channels], over all rows and samples */
	double *square;     /* [channels], sum of squares over all rows and samples */
	uint64_t rows;      /* rows of `channels` elements seen */
	double row_square;  /* sum over rows of the square of a row's range, 0 included in the range */
	double row_inverse; /* sum over rows that are not 0 of one over the row's mean square */
	float scale;        /* set by transform: the tensor's entry is this scale and zero; 0: chosen from the ranges */
	int32_t zero;
	double row_better; /* set by transform: it chose scales per row, which make this many times less noise; 0: it did not */
	/* for percentile and MSE observers: a histogram of the tensor, see passes/observe.c */
	struct vq_histogram *histogram;
} vq_stats;

typedef struct vq_pass {
	vq_graph *g;
	const vq_settings *set;
	vq_report *report;
	vq_stats *
		stats; /* filled by calibrate, by value id of the current graph; kept true by passes until insert_qdq */
	uint32_t n_stats;
	vq_graph *reference; /* with vq_settings.measure: the float graph as calibrate saw it */
	uint32_t first_site; /* line of the report of the first product, in execution order; written by insert_qdq */
	bool calibrated; /* insert_qdq made the QDQ form and reported its sites; false: the model brought its scales */
} vq_pass;

typedef struct vq_pass_info {
	const char *name;
	bool (*run)(vq_pass *p);
	const char *summary;
} vq_pass_info;

extern const vq_pass_info vq_passes[]; /* in pipeline order */
extern const uint32_t vq_n_passes;
const vq_pass_info *vq_pass_find(const char *name, size_t length); /* NULL if unknown */

/* Hooks of -dump and -verify; called before (after = false) and after every pass; false stops. May be NULL. */
typedef bool vq_pass_hook(void *user, vq_pass *p, const vq_pass_info *pass, bool after);

/*
 * Does the model quantize values by scales of its own? Codes of weights and tables alone do not count: they say nothing
 * about how products are computed.
 */
bool vq_carries_scales(const vq_graph *g);
/* Are there operators with scales per row, found at run time? */
bool vq_has_row_scales(const vq_graph *g);

/* The pipeline from an imported graph to the form the backend takes: integer (w8a8) or float (none). */
bool vq_pipeline(vq_pass *p, vq_pass_hook *hook, void *user);

#define VQ_PASS(id, summary) bool vq_pass_##id(vq_pass *p);
#include "passes/passes.def"

#endif
