/* SPDX-License-Identifier: MIT */
/*
 * One try of vitqc on bytes that may be anything: all that a run of the command does with them, in this process. Every
 * promise about bad input is checked; a broken one ends the process with a message and the bytes in a file.
 */
#ifndef VQ_TESTS_TRY_H
#define VQ_TESTS_TRY_H

#include <stdbool.h>
#include <stddef.h>

enum {
	TRY_SECONDS = 10,     /* of processor time, for one try */
	TRY_MEGABYTES = 2048, /* of memory that was touched */
};

typedef enum try_kind {
	TRY_ONNX,
	TRY_VIR,     /* a model: import, pipeline in float and quantized, object */
	TRY_SAMPLES, /* a calibration file for the tiny model: opened and read */
	TRY_STATS,   /* -calib-stats for the tiny model: the pipeline in w8a8 */
} try_kind;

typedef enum try_outcome { TRY_REFUSED, TRY_ACCEPTED } try_outcome;

/* What has been tried so far. */
typedef struct try_counts {
	unsigned refused, accepted; /* tries */
	unsigned compiled;          /* objects made and checked */
	unsigned placed;            /* refusals whose first error names a place in the input, not only the file */
} try_counts;

/* By the extension of path. */
try_kind try_kind_of(const char *path);

/*
 * Once, before the first try; tiny is the path of the tiny model. dynamic: models are quantized by w8a8-dynamic with plain
 * scales of weights, which takes a hundredth of the time that calibrating a real model with the evaluator does.
 */
void try_begin(const char *tiny, bool dynamic);

/*
 * One try; path is where the bytes come from (its folder is where external data is looked for) and name describes the
 * try in messages. all: an object for every model that is accepted; otherwise one for every structure of graph that has
 * not been seen and a few more, for constants of other values take the same way through the backend.
 */
try_outcome try_bytes(const char *path, const char *name, const void *data, size_t bytes, bool all);

const try_counts *try_end(void);

#endif
