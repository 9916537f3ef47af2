/* SPDX-License-Identifier: MIT */
/*
 * The inside of every product: one register tile of rows x columns, and how the rows of A reach it. Only gemm_tile.c
 * and tiles.c know instruction sets.
 */
#ifndef VQ_BACKEND_KERNELS_GEMM_TILE_H
#define VQ_BACKEND_KERNELS_GEMM_TILE_H

#include "backend/codegen.h"

enum { VQ_TILE_MAX = 64 }; /* values a tile may return: rows times columns' vectors */

/* One product's tile: the same for every body of a kernel. */
typedef struct vq_tile_form {
	vq_tile t;
	bool f32;
	uint32_t k, kp;     /* K, and K rounded up to KA */
	bool direct;        /* A is read where it is; false: packed in scratch */
	int64_t direct_row; /* bytes between rows of A if direct */
	uint32_t a_element; /* bytes of one packed code of A; 4 per row for row pairs */
} vq_tile_form;

/* a_u8: how the source is stored; sums: row sums are needed, which only packing computes */
vq_tile_form vq_tile_form_of(vq_isa isa, bool f32, bool wide, uint32_t k, int64_t a_row, bool a_u8, bool sums);
/* bytes of a packed block of rows, a multiple of 64 */
uint64_t vq_packed_a_bytes(const vq_tile_form *f, uint32_t rows);
/* bytes between panels of B */
int64_t vq_panel_bytes(const vq_tile_form *f);
/* bytes from row r of a tile to row r + 1, and from one chunk of KA to the next, where A is packed in tiles of `rows` */
int64_t vq_packed_row(const vq_tile_form *f);
int64_t vq_packed_step(const vq_tile_form *f, uint32_t rows);

typedef struct vq_tile_job {
	const vq_tile_form *form;
	uint32_t rows;    /* at most t.mr */
	uint32_t columns; /* of the panel that count, at most NR: vectors without any are not computed */
	vq_ll a;          /* first row, chunk 0 */
	int64_t a_row, a_step;
	vq_ll panel;    /* of B, 16-byte aligned */
	vq_ll start;    /* s32[NR] initial accumulators of the panel; NULL: 0, and always for f32 */
	vq_ll prefetch; /* one line per chunk is fetched from here on; NULL: none */
} vq_tile_job;

/* How the results of a tile come: per row `n` vectors of `lanes` columns, the last possibly beyond `columns`. */
typedef struct vq_tile_shape {
	uint32_t n, lanes;
} vq_tile_shape;
vq_tile_shape vq_tile_result(const vq_tile_form *f, uint32_t columns);

/* Builds the k loop; out[r * n + j] are exact s32 sums (f32: sums in order of k). */
void vq_tile_emit(vq_codegen *c, const vq_tile_job *job, vq_ll *out);

/* acc + column sums of one B vector: a dot with ones in place of A. s8 only; acc has the result's form for one row. */
void vq_tile_column_sums(vq_codegen *c, const vq_tile_form *f, vq_ll panel, vq_ll *out);

/* ---- rows ---- */

/*
 * Rows of a block split into tiles of nearly equal height, so that no tile has one row when others have six. Two kinds
 * of block: all but the last have `block` rows, the last has `last`. Few distinct heights, because each is a body.
 */
typedef struct vq_row_split {
	uint32_t n; /* distinct heights, descending */
	uint32_t height[4];
	uint32_t block_count[4]; /* tiles of that height in a full block */
	uint32_t last_count[4];
} vq_row_split;

vq_row_split vq_split_rows(const vq_tile *t, uint32_t block, uint32_t last);

typedef void vq_rows_body(vq_codegen *c, void *user, uint32_t rows, vq_ll row);
/* Calls body for each height inside a loop over its tiles; row counts from 0. is_last: i1, or NULL if all blocks are full. */
void vq_for_rows(vq_codegen *c, const vq_row_split *s, vq_ll is_last, vq_rows_body *body, void *user);

/* Packs rows (tiles as vq_for_rows makes them) of A into scratch; sums, if not NULL, receives s32 row sums of codes as s8. */
typedef struct vq_pack_a {
	const vq_tile_form *form;
	bool u8;    /* how the source is stored */
	vq_ll from; /* row 0 of the block */
	int64_t from_row;
	vq_ll to; /* 64-byte aligned */
	vq_ll sums;
} vq_pack_a;
void vq_pack_rows(vq_codegen *c, const vq_pack_a *p, const vq_row_split *s, vq_ll is_last);
/* One tile of `rows` rows; row is that of its first in the block */
void vq_pack_tile(vq_codegen *c, const vq_pack_a *p, uint32_t rows, vq_ll row);

/* Calls store for consecutive pieces of a row of `columns` results: whole vectors together, then powers of two. */
typedef void vq_piece_body(vq_codegen *c, void *user, vq_ll *v, uint32_t n, uint32_t lanes, uint32_t column);
void vq_for_pieces(vq_codegen *c, vq_ll *v, vq_tile_shape shape, uint32_t columns, vq_piece_body *body, void *user);

#endif
