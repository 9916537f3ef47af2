/* SPDX-License-Identifier: MIT */
/*
 * Runs a model's objects in many ways and compares the output and every value that the observer is
 * shown with what the evaluator computed (same_bits_reference.c), byte for byte. same_bits.sh
 * builds it for every target, with a libc or, with -DBARE, without anything: then it writes to the
 * port of an emulator.
 *
 * seen.h: the object built with -instrument. plain.h: the same without, whose outputs are compared.
 * ports.h: sizes of inputs and outputs (same_bits_reference.c).
 * -DINPUTS=N: the first N inputs. -DEVERY: every configuration on every input, else the first on
 * all and the others in turn on one. -DFEW: two configurations. -DTHREADS: also on runtime/vitq_pool.c.
 */
#include "plain.h"
#include "ports.h"
#include "seen.h"

#ifndef BARE
#include <stdio.h>
#include <string.h>
#endif
#ifdef THREADS
#include "vitq_pool.h"
#endif

#ifndef INPUTS
#define INPUTS 5
#endif
#ifdef EVERY
#define EVERY_INPUT 1
#else
#define EVERY_INPUT 0
#endif
#ifdef FEW
#define FEW_CONFIGS 1
#else
#define FEW_CONFIGS 0
#endif

enum { COMMON = 5 /* inputs that every target sees */, MOST_WORKERS = 8, MOST_LINES = 10 };
enum { MOST_VALUES = 2048, MOST_TASKS = 4096 };

extern const unsigned char same_bits_inputs[], same_bits_expected[];

/* ---- printing ---- */

static void put_char(char c)
{
#ifdef BARE
	__asm__ volatile("outb %0, %1" : : "a"(c), "Nd"((uint16_t)0xe9));
#else
	putchar(c);
#endif
}

static void put(const char *s)
{
	while (*s)
		put_char(*s++);
}

static void put_hex(uint64_t v)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		put_char("0123456789abcdef"[v >> shift & 15]);
}

static void put_number(uint64_t v)
{
	if (v >= 10)
		put_number(v / 10);
	put_char((char)('0' + v % 10));
}

static void line(void)
{
#ifdef BARE
	put_char('@');
#endif
}

/* ---- the table ---- */

static uint32_t u32_at(size_t at)
{
	const unsigned char *p = same_bits_expected + at;

	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t u64_at(size_t at) { return u32_at(at) | (uint64_t)u32_at(at + 4) << 32; }

typedef struct table {
	uint32_t inputs, values;            /* numbers of them */
	uint32_t input_bytes, output_bytes; /* of one */
} table;

static uint32_t id_of(uint32_t v) { return u32_at(16 + 8 * (size_t)v); }

/* Where the hash of value v stands; v = values: of the output. */
static size_t place_of(const table *t, uint32_t input, uint32_t v)
{
	return 16 + 8 * (size_t)t->values + 8 * ((size_t)input * (t->values + 1) + v);
}

static uint64_t fnv(uint64_t h, const void *data, size_t bytes)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static uint64_t hash_of(const void *data, size_t bytes) { return fnv(0xcbf29ce484222325u, data, bytes); }

/* ---- configurations ---- */

typedef enum task_order { ASCENDING, DESCENDING, SHUFFLED, ORDERS } task_order;

typedef struct config {
	uint32_t workers;
	task_order order;
	int flush;   /* denormals are zero */
	int threads; /* on the pool, else one after the other in the given order */
} config;

static const char *const order_name[] = { "ascending", "descending", "shuffled" };

typedef struct test {
	table t;
	config c;
	uint32_t input;                  /* of the run */
	const char *object;              /* of the run, in words */
	uint64_t random;                 /* state of the shuffles */
	uint64_t dispatched;             /* kernels given to parallel_for with more than one task */
	uint32_t last;                   /* where in the table the last value stood */
	uint32_t shown;                  /* values shown in this run */
	uint32_t per_run;                /* in every run */
	uint64_t compared, runs, bad;    /* values, runs of the instrumented object, mismatches */
	unsigned char seen[MOST_VALUES]; /* by place in the table, in the first run */
	uint64_t got[MOST_VALUES + 1];   /* hashes of the run */
	/* over the first configuration's runs on the common inputs: what was got, what the table says */
	uint64_t checksum, wanted;
} test;

static test state;

static void bad(test *t, const char *what, uint32_t id, const char *name)
{
	if (t->bad++ >= MOST_LINES)
		return;
	line();
	put("MISMATCH ");
	put(t->object);
	put(" object, input ");
	put_number(t->input);
	put(", workers ");
	put_number(t->c.workers);
	put(t->c.threads ? ", threads" : ", ");
	put(t->c.threads ? "" : order_name[t->c.order]);
	put(t->c.flush ? ", denormals flushed: " : ": ");
	put(what);
	put(" ");
	put_number(id);
	if (name) {
		put(" ");
		put(name);
	}
	put("\n");
}

static void compare(test *t, uint32_t v, uint64_t h, const char *name)
{
	t->got[v] = h;
	t->compared++;
	if (h != u64_at(place_of(&t->t, t->input, v)))
		bad(t, v == t->t.values ? "output" : "value", v == t->t.values ? 0 : id_of(v), name);
}

static void observe(void *user, uint32_t value, const char *name, uint32_t elem, uint32_t rank, const int64_t *dim,
	const void *data)
{
	static const unsigned char bytes_of[] = { 4, 8, 4, 1, 1, 1 };
	test *t = user;
	size_t bytes = bytes_of[elem];

	for (uint32_t i = 0; i < rank; i++)
		bytes *= (size_t)dim[i];
	for (uint32_t i = 0; i < t->t.values; i++) {
		uint32_t v = (t->last + i) % t->t.values;

		if (id_of(v) != value)
			continue;
		t->last = v;
		t->shown++;
		if (t->runs == 0)
			t->seen[v] = 1;
		else if (!t->seen[v])
			bad(t, "not shown in the first run:", value, name);
		compare(t, v, hash_of(data, bytes), name);
		return;
	}
	bad(t, "no such value:", value, name);
}

static uint32_t random_below(test *t, uint32_t n)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((t->random >> 32) * n >> 32);
}

/* Serially, in the order of the configuration, each task as one of the workers. */
static void run_tasks(void *user, uint32_t tasks, vitq_task *task, void *arg)
{
	static uint16_t order[MOST_TASKS];
	test *t = user;

	if (tasks > MOST_TASKS) {
		bad(t, "too many tasks:", tasks, NULL);
		return;
	}
	t->dispatched += tasks > 1;
	for (uint32_t i = 0; i < tasks; i++)
		order[i] = (uint16_t)(t->c.order == DESCENDING ? tasks - 1 - i : i);
	for (uint32_t i = tasks; t->c.order == SHUFFLED && i > 1; i--) {
		uint32_t k = random_below(t, i);
		uint16_t swap = order[k];

		order[k] = order[i - 1];
		order[i - 1] = swap;
	}
	for (uint32_t i = 0; i < tasks; i++) {
		uint32_t worker = t->c.order == SHUFFLED ? random_below(t, MOST_WORKERS) : i;

		task(arg, order[i], worker % t->c.workers);
	}
}

/* ---- denormals ---- */

#if defined(__x86_64__)
typedef uint32_t control;
enum { FLUSH = 0x8040, CAN_FLUSH = 1 };
#define READ "stmxcsr %0"
#define WRITE "ldmxcsr %0"
#define PLACE "m"
#elif defined(__aarch64__)
typedef uint64_t control;
enum { FLUSH = 1 << 24, CAN_FLUSH = 1 };
#define READ "mrs %0, fpcr"
#define WRITE "msr fpcr, %0"
#define PLACE "r"
#elif defined(__arm__)
typedef uint32_t control;
enum { FLUSH = 1 << 24, CAN_FLUSH = 1 };
#define READ "vmrs %0, fpscr"
#define WRITE "vmsr fpscr, %0"
#define PLACE "r"
#else /* RISC-V has no such mode */
typedef unsigned long control;
enum { FLUSH = 0, CAN_FLUSH = 0 };
#define READ "frcsr %0"
#define WRITE "fscsr %0"
#define PLACE "r"
#endif

static control get_control(void)
{
	control r;

	__asm__ volatile(READ : "=" PLACE(r));
	return r;
}

static void set_control(control r) { __asm__ volatile(WRITE : : PLACE(r)); }

/* Are denormals flushed at this moment? */
static int flushed(void)
{
	volatile float tiny = 0x1p-130f, one = 1.0f, product;

	product = tiny * one;
	return product == 0.0f;
}

/* ---- runs ---- */

static _Alignas(64) unsigned char seen_workspace[SEEN_WORKSPACE_BYTES_FOR(MOST_WORKERS)];
static _Alignas(64) unsigned char plain_workspace[PLAIN_WORKSPACE_BYTES_FOR(MOST_WORKERS)];
static _Alignas(64) unsigned char output[OUTPUT_ROOM]; /* outputs at multiples of 64 bytes, as inputs */
static const size_t output_bytes[] = { OUTPUT_BYTES };

enum { OUTPUTS = sizeof output_bytes / sizeof *output_bytes };

static void fill(unsigned char *p, size_t bytes, test *t)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(t->runs * 37 + i * 11);
}

static int call(int plain, const unsigned char *in, vitq_env *env, uint32_t workers)
{
	if (plain)
		return plain_run(INPUT_PORTS, OUTPUT_PORTS, plain_workspace, PLAIN_WORKSPACE_BYTES_FOR(workers), env);
	return seen_run(INPUT_PORTS, OUTPUT_PORTS, seen_workspace, SEEN_WORKSPACE_BYTES_FOR(workers), env);
}

/* Of the outputs, one behind the other. */
static uint64_t hash_of_outputs(void)
{
	uint64_t h = hash_of(NULL, 0);
	size_t at = 0;

	for (uint32_t i = 0; i < OUTPUTS; i++) {
		h = fnv(h, output + at, output_bytes[i]);
		at += (output_bytes[i] + 63) / 64 * 64;
	}
	return h;
}

static void run(test *t, int plain, void *pool)
{
	const unsigned char *in = same_bits_inputs + (size_t)t->input * t->t.input_bytes;
	vitq_env env = { .size = sizeof env, .workers = t->c.workers, .parallel_for = run_tasks, .pool = t };
	control before = get_control();
	int code, on;

#ifdef THREADS
	if (pool)
		vitq_pool_env(pool, &env);
#endif
	(void)pool;
	if (!plain) {
		env.observe = observe;
		env.observe_user = t;
	}
	t->object = plain ? "plain" : "instrumented";
	t->shown = 0;
	t->last = 0;
	fill(output, sizeof output, t);
	fill(seen_workspace, plain ? 0 : sizeof seen_workspace, t);
	fill(plain_workspace, plain ? sizeof plain_workspace : 0, t);
	if (CAN_FLUSH)
		set_control(t->c.flush ? before | (control)FLUSH : before & ~(control)FLUSH);
	on = flushed();
	code = call(plain, in, &env, t->c.workers);
	set_control(before);
	if (on != t->c.flush)
		bad(t, "denormals are not treated as wanted, but as:", (uint32_t)on, NULL);
	if (code != VITQ_OK)
		bad(t, "the run function returned", (uint32_t)code, NULL);
	compare(t, t->t.values, hash_of_outputs(), NULL);
	if (!plain && t->runs == 0)
		t->per_run = t->shown;
	if (!plain && t->shown != t->per_run)
		bad(t, "number of values shown:", t->shown, NULL);
	t->runs += !plain;
}

/* Adds the run to the checksum, in the order of the table. */
static void add_to_checksum(test *t)
{
	for (uint32_t v = 0; v <= t->t.values; v++) {
		uint32_t id = v < t->t.values ? id_of(v) : 0;
		uint64_t want = u64_at(place_of(&t->t, t->input, v));

		if (v < t->t.values && !t->seen[v])
			continue;
		t->checksum = fnv(fnv(t->checksum, &id, sizeof id), &t->got[v], sizeof want);
		t->wanted = fnv(fnv(t->wanted, &id, sizeof id), &want, sizeof want);
	}
}

static void run_config(test *t, uint32_t index)
{
	uint32_t inputs = INPUTS < t->t.inputs ? INPUTS : t->t.inputs;
	void *pool = NULL;

#ifdef THREADS
	control before = get_control();

	if (t->c.threads) {
		/* threads take it over from the one that starts them */
		if (CAN_FLUSH && t->c.flush)
			set_control(before | (control)FLUSH);
		pool = vitq_pool_create(t->c.workers);
		set_control(before);
		if (!pool)
			bad(t, "no pool of this many threads:", t->c.workers, NULL);
	}
#endif
	for (uint32_t i = 0; i < inputs; i++) {
		if (index && !EVERY_INPUT && !t->c.threads && i != index % inputs)
			continue;
		t->input = i;
		run(t, 0, pool);
		if (index == 0 && i < COMMON)
			add_to_checksum(t);
		if (index % 3 == 0 || EVERY_INPUT || FEW_CONFIGS)
			run(t, 1, pool);
	}
#ifdef THREADS
	if (pool)
		vitq_pool_destroy(pool);
#endif
}

static uint32_t run_configs(test *t)
{
	static const uint32_t workers[] = { 1, 2, 3, MOST_WORKERS };
	uint32_t n = 0;

	for (int flush = 0; flush <= CAN_FLUSH; flush++)
		for (uint32_t w = 0; w < sizeof workers / sizeof *workers; w++) {
			/* one worker takes tasks in order */
			uint32_t orders = workers[w] > 1 ? ORDERS : 1;

			for (uint32_t order = 0; order < orders; order++) {
				if (FEW_CONFIGS && n && (workers[w] != 3 || order != SHUFFLED || flush != CAN_FLUSH))
					continue;
				t->c = (config){ workers[w], (task_order)order, flush, 0 };
				run_config(t, n++);
			}
#ifdef THREADS
			if (FEW_CONFIGS && workers[w] != 2)
				continue;
			t->c = (config){ workers[w], ASCENDING, flush, 1 };
			run_config(t, n++);
#endif
		}
	return n;
}

int main(void)
{
	test *t = &state;
	uint32_t configs, middle = 0;
	size_t bytes = 0;

	for (uint32_t i = 0; i < OUTPUTS; i++)
		bytes += output_bytes[i];
	t->t = (table){ u32_at(0), u32_at(4), u32_at(8), u32_at(12) };
	t->random = 2463534242u;
	t->checksum = t->wanted = hash_of(NULL, 0);
	line();
	if (t->t.values > MOST_VALUES || t->t.input_bytes != INPUT_ROOM || t->t.output_bytes != bytes) {
		put("FAIL the table is not of this model\n");
		return 1;
	}
	put("start\n");
	configs = run_configs(t);
	/* where a test of this test puts a wrong hash: of a middle value or the output, input 0 */
	for (uint32_t v = 0; v < t->t.values && (v < t->t.values / 2 || !middle); v++)
		if (t->seen[v])
			middle = v;
	line();
	put("probe ");
	put_number(place_of(&t->t, 0, middle));
	put(" ");
	put_number(place_of(&t->t, 0, t->t.values));
	put("\n");
	line();
	put(t->bad || !t->dispatched ? "FAIL configurations " : "ok configurations ");
	put_number(configs);
	put(" runs ");
	put_number(t->runs);
	put(" values ");
	put_number(t->per_run);
	put(" compared ");
	put_number(t->compared);
	put(" mismatches ");
	put_number(t->bad);
	put(" checksum ");
	put_hex(t->checksum);
	put(" evaluator ");
	put_hex(t->wanted);
	put("\n");
	return t->bad || !t->dispatched;
}
