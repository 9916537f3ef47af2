/* SPDX-License-Identifier: MIT */
#include "passes/pass.h"

#include "passes/match.h"
#include "passes/simplify.h"
#include "passes/view.h"

bool vq_canonicalize(vq_graph *g)
{
	/* far more than the deepest chain needs: rules only ever move things one way */
	const uint32_t rounds = 1000;
	bool changed = true;

	vq_graph_sweep(g);
	for (uint32_t i = 0; changed && i < rounds; i++) {
		changed = vq_simplify(g);
		changed |= vq_merge_movement(g);
		changed |= vq_sink_movement(g);
		vq_graph_sweep(g);
		if (vq_merge_equal(g)) {
			changed = true;
			vq_graph_sweep(g);
		}
	}
	return !g->diag->errors;
}

/*
 * canonicalize: one way to say each thing.
 *
 * Needs:   a valid graph of any form.
 * Changes: chains of movement become nothing, one reshape, one view, or a view and a reshape.
 *          Neutral operators go, constants stand second, division by a power of two is
 *          multiplication, pow by 2, 1/2, -1/2 is mul, sqrt, 1/sqrt, gather by evenly spaced
 *          constants is a slice. Movement of whole rows sinks below row-wise operators; a selection
 *          of rows rises above layernorm. Equal nodes and equal constants become one, dead ones go.
 * Leaves:  inputs, names of outputs, every bit of the results (but the sign of a zero, and what pow
 *          would have rounded).
 * Why:     exporters say the same thing in many ways; after this, patterns are few.
 */
bool vq_pass_canonicalize(vq_pass *p) { return vq_canonicalize(p->g); }
