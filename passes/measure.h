/* Measuring what quantization cost. */
#ifndef VQ_PASSES_MEASURE_H
#define VQ_PASSES_MEASURE_H

#include "passes/pass.h"

/*
 * Runs the float graph kept by calibrate and the graph as it is now on a few samples and fills
 * sqnr_db of the report's products: 10 log10(sum of y^2 / sum of (y - y')^2), y' in the quantized
 * graph with everything before it quantized, too. Does nothing unless asked (vq_settings.measure).
 * false after an error in the graph's diag.
 */
bool vq_measure(vq_pass *p);

#endif
