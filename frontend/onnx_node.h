/* SPDX-License-Identifier: MIT */
/* What the importers of the operators share: access to the node's inputs and attributes, building of the result. */
#ifndef VQ_FRONTEND_ONNX_NODE_H
#define VQ_FRONTEND_ONNX_NODE_H

#include "frontend/onnx_load.h"
#include "ir/build.h"

typedef struct vq_onnx vq_onnx;

/* Imports the current node. false after an error in diag (vq_onnx_refuse or a failed build). */
typedef bool vq_onnx_importer(vq_onnx *o);

/* flags of a row of onnx_ops.def */
enum {
	VQ_ONNX_CODES = 1,   /* takes quantized tensors: moves codes or dequantizes */
	VQ_ONNX_EMPTIES = 2, /* takes tensors without elements */
	VQ_ONNX_EACH = 4,    /* arithmetic element by element: what has no elements gives what has none */
};

typedef struct vq_onnx_op {
	const char *type;
	const char *domain; /* "": the default one */
	int since, until;   /* versions of the operator set, inclusive; until 0: still there */
	int least, most;    /* inputs; most -1: any number */
	vq_onnx_importer *import;
	vq_op ir; /* for importers that serve several operators */
	unsigned flags;
} vq_onnx_op;

typedef enum vq_onnx_state {
	VQ_ONNX_LATER,  /* defined by a node not reached yet */
	VQ_ONNX_STORED, /* an initializer nothing has used yet */
	VQ_ONNX_VALUE,
	VQ_ONNX_NOTHING,  /* a tensor without elements, which the IR has not */
	VQ_ONNX_POISONED, /* its node was refused: users stay silent */
	VQ_ONNX_ABSENT,   /* input of a function that the call leaves out */
} vq_onnx_state;

/* What a tensor name of the model stands for. */
typedef struct vq_onnx_name {
	const char *name;  /* unique, for messages */
	const char *local; /* in its scope */
	uint32_t scope;    /* id, 0: the model's graph */
	uint32_t maker;    /* node of that scope that computes it, plus 1; for sorting */
	uint32_t next;     /* in its hash chain, 0 = end */
	uint32_t uses;     /* by node inputs and graph outputs */
	vq_onnx_state state;
	vq_value value;    /* VQ_ONNX_VALUE */
	vq_type empty;     /* VQ_ONNX_NOTHING: its type, with a dimension 0 */
	int32_t data_type; /* the file's, where a constant was stored as something else than its elem; else 0 */
	const Onnx__TensorProto *stored; /* VQ_ONNX_STORED */
	const char *node;                /* "node 'x' (Op)" that defines it, for messages; NULL: none yet */
} vq_onnx_name;

/* Names of a subgraph or of one call of a function. */
typedef struct vq_onnx_scope {
	const struct vq_onnx_scope *outer;
	uint32_t id;
	const char *prefix;          /* of names in messages, "" or "call/" */
	const Onnx__NodeProto *call; /* of a function: outer names are not seen; NULL: a subgraph */
	const Onnx__FunctionProto *function;
} vq_onnx_scope;

/* What a value of quantization at run time stands for (onnx_dynamic.c). */
typedef struct vq_onnx_origin vq_onnx_origin;

/* The import under way. */
struct vq_onnx {
	vq_graph *g;
	vq_arena *arena;
	vq_diag *diag;
	vq_onnx_model *model;
	vq_onnx_name *name;
	uint32_t n_names, cap_names; /* [0] unused */
	uint32_t *bucket, n_buckets; /* heads of the hash chains; a power of two */
	const vq_onnx_scope *scope;  /* NULL: the model's graph */
	uint32_t n_scopes;           /* made so far */
	uint32_t depth;              /* of subgraphs and calls */
	uint32_t called;             /* nodes of functions imported so far */
	vq_onnx_origin *origin;
	uint32_t n_origins, cap_origins;         /* in the order of import */
	bool said_half, said_double, said_scale; /* once per model */
	const Onnx__NodeProto **unsupported;     /* the first node of every operator that is not supported */
	uint32_t n_unsupported, cap_unsupported;
	/* the node being imported */
	const Onnx__NodeProto *node;
	const vq_onnx_op *op;
	const char *where;   /* "node 'x' (Op)" */
	uint32_t first_node; /* of the IR nodes made for it */
	bool *attr_seen;     /* per attribute of the node: some importer asked for it */
};

/* Error at the current node. Returns false. */
bool vq_onnx_refuse(vq_onnx *o, const char *format, ...) VQ_PRINTF(2, 3);
/* Adds a hint to the refusal of a shape that depends on data. Returns false. */
bool vq_onnx_not_static(vq_onnx *o);

/* ---- inputs ---- */

uint32_t vq_onnx_inputs(const vq_onnx *o);      /* as listed, absent optional ones included */
bool vq_onnx_has(const vq_onnx *o, uint32_t i); /* present: listed and not "" */
vq_onnx_name *vq_onnx_input_name(vq_onnx *o, uint32_t i);
bool vq_onnx_empty(vq_onnx *o, uint32_t i);             /* present, without elements */
vq_value vq_onnx_in(vq_onnx *o, uint32_t i);            /* VQ_NO_VALUE if absent or without elements */
const vq_type *vq_onnx_in_type(vq_onnx *o, uint32_t i); /* of a present input; valid until the next build */

/*
 * Input i as a list of at most most integers; it must be a constant of rank 0 or 1 (rank 1 without elements counts as
 * an empty list). what names it in messages ("shape").
 */
bool vq_onnx_ints(vq_onnx *o, uint32_t i, const char *what, int64_t *v, uint32_t most, uint32_t *n);
/* Input i as one constant number. */
bool vq_onnx_int(vq_onnx *o, uint32_t i, const char *what, int64_t *v);
bool vq_onnx_float(vq_onnx *o, uint32_t i, const char *what, float *v);
/* The data of constant v of elem; NULL if it is not one. */
const void *vq_onnx_data_of(const vq_onnx *o, vq_value v, vq_elem elem);

/* ---- attributes (onnx_attr.c): absent ones give the default; false after a type error in diag ---- */

const Onnx__AttributeProto *vq_onnx_attr(vq_onnx *o, const char *name);
bool vq_onnx_attr_int(vq_onnx *o, const char *name, int64_t standard, int64_t *v);
bool vq_onnx_attr_bool(vq_onnx *o, const char *name, bool standard, bool *v);
bool vq_onnx_attr_float(vq_onnx *o, const char *name, float standard, float *v);
/* *n becomes 0 if absent */
bool vq_onnx_attr_ints(vq_onnx *o, const char *name, int64_t *v, uint32_t most, uint32_t *n);
bool vq_onnx_attr_floats(vq_onnx *o, const char *name, float *v, uint32_t most, uint32_t *n);
/* in the arena; standard if absent */
bool vq_onnx_attr_string(vq_onnx *o, const char *name, const char *standard, const char **v);
/* for attributes that change nothing here */
void vq_onnx_attr_ignore(vq_onnx *o, const char *name);
/* Refuses attributes that no importer asked for: what they change would be lost. */
bool vq_onnx_attr_check(vq_onnx *o);

/* Brings axis from [-rank, rank) to [0, rank). */
bool vq_onnx_axis(vq_onnx *o, int64_t axis, uint32_t rank, uint32_t *result);
/* Attribute "axis". */
bool vq_onnx_attr_axis(vq_onnx *o, int64_t standard, uint32_t rank, uint32_t *axis);
/*
 * The axes of a node: input i if present, else attribute "axes". As a bit set of [0, rank); *given is false if there
 * are none. Duplicates are refused.
 */
bool vq_onnx_axes(vq_onnx *o, uint32_t i, uint32_t rank, uint32_t *set, bool *given);

/* ---- building: an operand VQ_NO_VALUE gives VQ_NO_VALUE, so that chains need no checks between ---- */

vq_value vq_onnx_build(vq_onnx *o, vq_op op, const vq_value *in, uint32_t n, const vq_attr *attr);
vq_value vq_onnx_1(vq_onnx *o, vq_op op, vq_value a);
vq_value vq_onnx_2(vq_onnx *o, vq_op op, vq_value a, vq_value b);
vq_value vq_onnx_3(vq_onnx *o, vq_op op, vq_value a, vq_value b, vq_value c);
vq_value vq_onnx_scalar(vq_onnx *o, float v);                 /* f32 constant of rank 0 */
vq_value vq_onnx_number(vq_onnx *o, vq_value like, double v); /* constant of rank 0 of like's element */
vq_value vq_onnx_places(vq_onnx *o, int64_t n);               /* i64 constant [n]: 0, 1, 2, … */
vq_value vq_onnx_reshape(vq_onnx *o, vq_value x, uint32_t rank, const int64_t *dim);
vq_value vq_onnx_expand(vq_onnx *o, vq_value x, uint32_t rank, const int64_t *dim);
vq_value vq_onnx_transpose(vq_onnx *o, vq_value x, const int64_t *perm);
vq_value vq_onnx_slice(vq_onnx *o, vq_value x, uint32_t axis, int64_t start, int64_t step, int64_t count);
vq_value vq_onnx_cast(vq_onnx *o, vq_value x, vq_elem to);
vq_value vq_onnx_reduce(vq_onnx *o, vq_op op, vq_value x, uint32_t axes, bool keepdims);
vq_value vq_onnx_softmax(vq_onnx *o, vq_value x, uint32_t axis);
vq_value vq_onnx_gather(vq_onnx *o, vq_value x, uint32_t axis, const int64_t *index, uint32_t n);
/* x[...,C] normalised over its last axis, gamma and beta [C] */
vq_value vq_onnx_layernorm(vq_onnx *o, vq_value x, vq_value gamma, vq_value beta, float epsilon);
/* zeros or ones, [n] */
vq_value vq_onnx_filled(vq_onnx *o, float v, int64_t n);

/* to is the cast of from: what is known of the origin of one holds for the other (onnx_dynamic.c). */
void vq_onnx_follow_cast(vq_onnx *o, vq_value from, vq_value to);

/* ---- outputs ---- */

bool vq_onnx_wants(vq_onnx *o, uint32_t i);           /* output i is named and something uses it */
bool vq_onnx_out(vq_onnx *o, uint32_t i, vq_value v); /* false if v is VQ_NO_VALUE; an absent name is fine */
/* a tensor without elements; t has a dimension 0 */
bool vq_onnx_out_empty(vq_onnx *o, uint32_t i, const vq_type *t);
/* a list without elements */
bool vq_onnx_out_empty_list(vq_onnx *o, uint32_t i, vq_elem elem);
/* Output i is the very tensor that input k is, with its state. */
bool vq_onnx_out_same(vq_onnx *o, uint32_t i, uint32_t k);
/* Output i is the tensor with this id (of a subgraph). */
bool vq_onnx_out_id(vq_onnx *o, uint32_t i, uint32_t id);
/* Stores constant t as output i. */
bool vq_onnx_out_tensor(vq_onnx *o, uint32_t i, const Onnx__TensorProto *t);

/* every importer of onnx_ops.def */
#define VQ_ONNX(type, domain, since, until, least, most, importer, ir, flags) vq_onnx_importer vq_import_##importer;
#include "frontend/onnx_ops.def"

#endif
