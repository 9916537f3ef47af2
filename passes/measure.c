/* SPDX-License-Identifier: MIT */
/* SQNR of every product against the float graph. */
#include "passes/measure.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 8 };

/* One product in both graphs. */
typedef struct product {
	vq_value reference, quantized;
	float *result;        /* of the float graph on the current sample */
	vq_distance distance; /* so far */
} product;

typedef struct meter {
	vq_pass *p;
	vq_arena scratch;
	product *product;
	uint32_t n;
	uint32_t *of_reference, *of_quantized; /* by value id: number of the product + 1 */
} meter;

static void keep(void *user, vq_value v, const void *data)
{
	meter *m = user;
	product *p = &m->product[m->of_reference[v.id] - 1];

	memcpy(p->result, data, vq_type_bytes(vq_type_of(m->p->reference, v)));
}

double vq_element(const vq_quant *q, const vq_type *t, const void *data, int64_t i)
{
	uint32_t k = 0;
	int64_t inner = 1;

	if (!q)
		return (double)((const float *)data)[i];
	if (q->axis >= 0) {
		for (uint32_t d = t->rank - 1; d > (uint32_t)q->axis; d--)
			inner *= t->dim[d];
		k = (uint32_t)(i / inner % t->dim[q->axis] * q->n / t->dim[q->axis]);
	}
	return (((const int8_t *)data)[i] - q->zero[k]) * (double)q->scale[k];
}

void vq_distance_add(vq_distance *d, const vq_quant *q, const vq_type *t, const void *data, const float *want)
{
	for (int64_t i = 0; i < vq_type_count(t); i++) {
		double y = (double)want[i], x = vq_element(q, t, data, i), e = x - y;

		d->signal += y * y;
		d->noise += e * e;
		d->got += x * x;
		d->both += x * y;
		d->worst = fabs(e) > d->worst || isnan(e) ? fabs(e) : d->worst;
		d->peak = fabs(y) > d->peak ? fabs(y) : d->peak;
	}
}

double vq_distance_sqnr(const vq_distance *d)
{
	return d->noise == 0 ? (double)INFINITY : 10 * log10(d->signal / d->noise);
}

double vq_distance_cosine(const vq_distance *d)
{
	if (d->signal == 0 || d->got == 0)
		return d->signal == d->got ? 1 : 0;
	return d->both / (sqrt(d->signal) * sqrt(d->got));
}

static void compare(void *user, vq_value v, const void *data)
{
	meter *m = user;
	product *p = &m->product[m->of_quantized[v.id] - 1];
	const vq_type *t = vq_type_of(m->p->g, v);

	vq_distance_add(&p->distance, vq_quant_of(m->p->g, t), t, data, p->result);
}

static uint32_t count_products(const vq_graph *g)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < g->n_nodes; i++)
		n += g->node[i].op && vq_ops[g->node[i].op].class_ == VQ_CLASS_DOT;
	return n;
}

/*
 * Products stand in the same order in both graphs: all passes between keep the order of operands.
 */
static void pair_up(meter *m)
{
	const vq_graph *a = m->p->reference, *b = m->p->g;
	uint32_t i = 0, j = 0;

	for (uint32_t k = 0; k < m->n; k++) {
		product *p = &m->product[k];

		do
			i++;
		while (!a->node[i].op || vq_ops[a->node[i].op].class_ != VQ_CLASS_DOT);
		do
			j++;
		while (!b->node[j].op || vq_ops[b->node[j].op].class_ != VQ_CLASS_DOT);
		p->reference = a->node[i].out;
		p->quantized = b->node[j].out;
		p->result = vq_arena_alloc(&m->scratch, vq_type_bytes(vq_type_of(a, p->reference)));
		m->of_reference[p->reference.id] = k + 1;
		m->of_quantized[p->quantized.id] = k + 1;
	}
}

static void **buffers(const vq_graph *g, const vq_port *port, uint32_t n, vq_arena *a)
{
	void **to = VQ_ARRAY(a, n, void *);

	for (uint32_t i = 0; i < n; i++)
		to[i] = vq_arena_alloc(a, vq_type_bytes(vq_type_of(g, port[i].value)));
	return to;
}

static bool run(meter *m)
{
	const vq_settings *set = m->p->set;
	const vq_executor *x = set->executor;
	const vq_graph *g = m->p->g;
	vq_value *seen = VQ_ARRAY(&m->scratch, 2 * m->n, vq_value);
	void **in = buffers(g, g->input, g->n_inputs, &m->scratch);
	void **out = buffers(g, g->output, g->n_outputs, &m->scratch);
	uint32_t samples = set->samples->n < SAMPLES ? set->samples->n : SAMPLES;
	vq_exec *a, *b;
	bool ok;

	for (uint32_t k = 0; k < m->n; k++) {
		seen[k] = m->product[k].reference;
		seen[m->n + k] = m->product[k].quantized;
	}
	a = x->prepare(x, m->p->reference, seen, m->n);
	b = x->prepare(x, g, seen + m->n, m->n);
	ok = a && b;
	for (uint32_t s = 0; ok && s < samples; s++) {
		if (set->progress)
			set->progress(set->progress_user, "measure", s, samples);
		ok = set->samples->get(set->samples->self, s, in) && x->run(a, (const void *const *)in, out, keep, m) &&
			x->run(b, (const void *const *)in, out, compare, m);
	}
	if (ok && set->progress)
		set->progress(set->progress_user, "measure", samples, samples);
	if (a)
		x->dispose(a);
	if (b)
		x->dispose(b);
	return ok;
}

bool vq_measure(vq_pass *p)
{
	meter m = { .p = p };
	bool ok;

	if (!p->set->measure || !p->reference || !p->report || !p->set->samples || !p->set->samples->n)
		return true;
	m.n = count_products(p->g);
	if (m.n != count_products(p->reference) || p->first_site + m.n > p->report->n)
		return true;
	m.product = VQ_ARRAY(&m.scratch, m.n, product);
	m.of_reference = VQ_ARRAY(&m.scratch, p->reference->n_values, uint32_t);
	m.of_quantized = VQ_ARRAY(&m.scratch, p->g->n_values, uint32_t);
	pair_up(&m);
	ok = run(&m);
	for (uint32_t k = 0; ok && k < m.n; k++)
		p->report->site[p->first_site + k].sqnr_db = vq_distance_sqnr(&m.product[k].distance);
	p->reference = NULL;
	vq_arena_free(&m.scratch);
	return ok;
}
