/* SPDX-License-Identifier: MIT */
/* The statistics of calibration: finding, keeping and storing them. */
#ifndef VQ_PASSES_STATS_H
#define VQ_PASSES_STATS_H

#include "passes/pass.h"

/* Statistics of v, NULL if it was not observed. */
vq_stats *vq_stats_find(const vq_pass *p, vq_value v);

/* vq_graph_sweep that carries p->stats over to the new value ids. */
void vq_stats_sweep(vq_pass *p);

/*
 * Every value calibration observes, in execution order without repetition: float operands of
 * products that are computed at run time. In a; *n is set.
 */
vq_value *vq_stats_sites(const vq_graph *g, vq_arena *a, uint32_t *n);

/*
 * Writes the statistics of site[0..n) (found through p) to path, through a temporary file beside
 * it; floats in hex, the same bytes for the same statistics. false after an error in the graph's
 * diag.
 */
bool vq_stats_write(const vq_pass *p, const vq_value *site, uint32_t n, const char *path);

/* The statistics of site[0..n), before anything changes them, for vq_stats_take; in the graph's arena. */
void vq_stats_keep(const vq_pass *p, const vq_value *site, uint32_t n, vq_kept_stats *to);
/*
 * Fills the statistics of site[0..n) from those of the same model at another size. A value whose
 * last axis is the one that differs gets its range as a whole. false after an error: the model has
 * other values at that size.
 */
bool vq_stats_take(vq_pass *p, const vq_value *site, uint32_t n, const vq_kept_stats *from);

/*
 * Reads them back into p->stats; refuses a file made for another graph or with too little in it for
 * the settings.
 */
bool vq_stats_read(vq_pass *p, const vq_value *site, uint32_t n, const char *path);

#endif
