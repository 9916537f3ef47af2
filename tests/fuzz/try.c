/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/try.h"

#include "tests/fuzz/promises.h"

#include "backend/backend.h"
#include "backend/elf.h"
#include "frontend/onnx_import.h"
#include "frontend/samples.h"
#include "ir/eval.h"
#include "ir/sanitizer.h"
#include "ir/text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- what happens when a promise is broken ---- */

static struct {
	const char *path, *name;
	const void *data;
	size_t bytes;
} current;

static char failed_file[256];

static void say(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		_exit(3);
}

/* Also from signal handlers. */
static void save_current(void)
{
	int fd = open(failed_file, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd >= 0) {
		if (write(fd, current.data, current.bytes) < 0)
			say("cannot write the bytes that failed\n");
		close(fd);
	}
	say("\n  in ");
	say(current.path);
	say(", ");
	say(current.name);
	say("; the bytes are in ");
	say(failed_file);
	say("\n");
}

static VQ_NORETURN void broken(const vq_diag *d, const char *what)
{
	fprintf(stderr, "malformed: %s", what);
	for (uint32_t i = 0; d && i < d->n; i++)
		fprintf(stderr, "\n%s", vq_message_text(d, &d->item[i]));
	save_current();
	_exit(1);
}

static VQ_NORETURN void out_of_memory(void *user)
{
	(void)user;
	broken(NULL, "out of memory");
}

static VQ_NORETURN void llvm_failed(const char *reason) { broken(NULL, reason); }

static void timed_out(int signal_number)
{
	(void)signal_number;
	say("malformed: a try takes too long");
	save_current();
	_exit(1);
}

static void crashed(int signal_number)
{
	(void)signal_number;
	say("malformed: the program crashed");
	save_current();
	_exit(1);
}

static void watch(void)
{
	struct sigaction s = { .sa_handler = timed_out };

	sigemptyset(&s.sa_mask);
	sigaction(SIGVTALRM, &s, NULL);
#ifdef VQ_WITH_ASAN
	static const int faults[] = { SIGABRT }; /* it reports the others itself, better */

	__sanitizer_set_death_callback(save_current);
#else
	static const int faults[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	/* a runaway allocation must not take the machine with it */
	struct rlimit most = { 3ull * TRY_MEGABYTES << 20, 3ull * TRY_MEGABYTES << 20 };

	setrlimit(RLIMIT_AS, &most);
#endif
	s.sa_handler = crashed;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigaction(faults[i], &s, NULL);
}

static void clock_from(int seconds)
{
	struct itimerval t = { .it_value = { .tv_sec = seconds } };

	setitimer(ITIMER_VIRTUAL, &t, NULL);
}

static void check_memory(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	if (u.ru_maxrss / 1024 > TRY_MEGABYTES)
		broken(NULL, "a try takes too much memory");
}

static void check_messages(const vq_diag *d, bool good)
{
	const char *what = broken_promise(d, good);

	if (what)
		broken(d, what);
}

static try_counts counts;

/* Counts; with TRY_VERBOSE in the environment: what is said to every try. */
static void note(const vq_diag *d, bool good)
{
	static int verbose = -1;
	uint32_t first = 0;

	while (!good && d->item[first].severity != VQ_ERROR)
		first++;
	counts.placed += !good && d->item[first].where;
	if (verbose < 0)
		verbose = getenv("TRY_VERBOSE") != NULL;
	if (verbose)
		printf("# %s\n", current.name);
	for (uint32_t i = 0; verbose && i < d->n; i++)
		fputs(vq_message_text(d, &d->item[i]), stdout);
}

/* ---- state of the whole test ---- */

static const vq_target *target;
static vq_arena always; /* what lives as long as the test */
static const char *tiny_path;
static bool is_dynamic; /* the second scheme is w8a8-dynamic */
static uint64_t *seen;  /* hashes of the structures that have been compiled, unsorted */
static uint32_t n_seen, cap_seen;

void try_begin(const char *tiny, bool dynamic)
{
	vq_target_request request = { .target = "x86-64" };
	vq_diag diag;

	vq_diag_init(&diag, &always, NULL);
	target = vq_target_resolve(&always, &diag, &request);
	if (!target) {
		fprintf(stderr, "malformed: this LLVM does not know x86-64\n");
		exit(77);
	}
	tiny_path = tiny;
	is_dynamic = dynamic;
	snprintf(failed_file, sizeof failed_file, "malformed-%ld.bin", (long)getpid());
	vq_set_oom_handler(out_of_memory, NULL);
	vq_set_fatal_handler(llvm_failed);
	watch();
}

const try_counts *try_end(void)
{
	clock_from(0);
	vq_arena_free(&always);
	return &counts;
}

/* Operators, types, attributes and edges; not the values of constants. */
static uint64_t structure_of(const vq_graph *g, vq_arena *a)
{
	uint32_t n = g->n_nodes;
	uint64_t *h = VQ_ARRAY(a, 4 * n + g->n_outputs + 1, uint64_t);
	uint32_t k = 0;

	for (uint32_t i = 1; i < n; i++) {
		const vq_node_info *node = &g->node[i];
		const vq_type *t = vq_type_of(g, node->out);

		h[k++] = (uint64_t)node->op << 32 | node->out.id;
		h[k++] = vq_hash(node->in, node->n_in * sizeof *node->in);
		h[k++] = vq_hash(t->dim, sizeof t->dim) ^
			((uint64_t)t->elem << 8 | t->rank | (uint64_t)(t->quant != 0) << 4);
		if (vq_ops[node->op].attr != VQ_ATTR_QUANT)
			h[k++] = vq_hash(&node->attr, sizeof node->attr);
	}
	for (uint32_t i = 0; i < g->n_outputs; i++)
		h[k++] = g->output[i].value.id;
	return vq_hash(h, k * sizeof *h);
}

static bool is_new(uint64_t h)
{
	for (uint32_t i = 0; i < n_seen; i++)
		if (seen[i] == h)
			return false;
	seen = vq_arena_grow(&always, seen, &cap_seen, n_seen + 1, sizeof *seen);
	seen[n_seen++] = h;
	return true;
}

/* ---- the tries ---- */

/* of so many accepted models of a known structure one is compiled all the same */
enum { SOME = 128 };

/* two samples of small numbers */
static bool get_sample(void *self, uint32_t sample, void *const *in)
{
	const vq_graph *g = self;

	for (uint32_t i = 0; i < g->n_inputs; i++) {
		const vq_type *t = vq_type_of(g, g->input[i].value);
		int64_t n = vq_type_count(t);

		memset(in[i], 0, vq_type_bytes(t));
		for (int64_t k = 0; t->elem == VQ_F32 && k < n; k++)
			((float *)in[i])[k] = (float)((k * 37 + sample * 11) % 64 - 31) / 32;
	}
	return true;
}

static bool load(vq_graph *g, vq_arena *a, vq_diag *d, const char *path, const void *data, size_t bytes)
{
	const char *slash = strrchr(path, '/');

	vq_diag_init(d, a, path);
	if (try_kind_of(path) == TRY_VIR)
		return vq_parse_graph(
			g, a, d, data, bytes, slash ? vq_arena_strndup(a, path, (size_t)(slash - path)) : ".");
	return vq_import_onnx_bytes(g, a, d, path, data, bytes, NULL, NULL);
}

/* The pipeline and the object of one scheme; false if the model is refused. */
static bool compile(const char *path, const void *data, size_t bytes, vq_scheme scheme, bool all)
{
	vq_arena a = { 0 };
	vq_diag d;
	vq_graph g;
	vq_samples samples = { .self = &g, .n = 2, .get = get_sample };
	vq_settings set = { .scheme = scheme,
		.weight_mse = !is_dynamic,
		.samples = &samples,
		.executor = &vq_evaluator,
		.verify = true };
	vq_report report = { .arena = &a };
	vq_pass p = { .g = &g, .set = &set, .report = &report };
	vq_emit_options emit = {
		.target = target,
		.prefix = "m",
		.scheme = "none",
		.tool = "test",
	};
	vq_object object = { .arena = &a };
	bool good = load(&g, &a, &d, path, data, bytes) && vq_pipeline(&p, NULL, NULL);

	emit.strict = scheme != VQ_SCHEME_NONE || (good && g.n_quants > 1);
	if (good && (all || is_new(structure_of(&g, &a)) || counts.accepted % SOME == 0)) {
		good = vq_compile(&g, &emit, VQ_ARTIFACT_OBJECT, &object);
		if (good && (!vq_elf_check(target, "m", object.elf, object.elf_bytes, &d) || !object.header[0]))
			broken(&d, "the object is not valid");
		counts.compiled += good;
	}
	check_messages(&d, good);
	note(&d, good);
	vq_arena_free(&a);
	return good;
}

static bool is_image(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (!strcmp(dot, ".png") || !strcmp(dot, ".jpg"));
}

/* A file of this content with the extension of path, in a folder of its own. */
static const char *write_file(vq_arena *a, const char *folder, const char *path, const void *data, size_t bytes)
{
	const char *name = vq_arena_printf(a, "%s/file%s", folder, strrchr(path, '.'));
	FILE *f;

	mkdir(folder, 0777);
	f = fopen(name, "wb");

	if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f) != 0) {
		perror(name);
		exit(1);
	}
	return name;
}

static bool use_file(const char *path, const void *data, size_t bytes)
{
	vq_arena a = { 0 };
	const char *folder = vq_arena_printf(&a, "malformed-%ld", (long)getpid());
	const char *name = write_file(&a, folder, path, data, bytes);
	vq_diag d;
	vq_graph g;
	vq_samples samples = { .n = 0 };
	vq_strings files = { .n = 0 };
	vq_image_options image = { .scale = 1 / 255.0f };
	vq_settings set = { .scheme = VQ_SCHEME_W8A8, .stats_in = name, .executor = &vq_evaluator, .verify = true };
	vq_report report = { .arena = &a };
	vq_pass p = { .g = &g, .set = &set, .report = &report };
	bool good;

	vq_diag_init(&d, &a, tiny_path);
	if (!vq_import_onnx(&g, &a, &d, tiny_path, NULL, NULL))
		broken(&d, "the tiny model cannot be read");
	if (try_kind_of(path) == TRY_SAMPLES) {
		good = vq_samples_open(&samples, &a, &d, &g, is_image(path) ? folder : name, 0, &image, &files);
		if (good) {
			set.samples = &samples;
			set.stats_in = NULL;
			good = vq_pipeline(&p, NULL, NULL);
			vq_samples_close(&samples);
		}
	} else {
		good = vq_pipeline(&p, NULL, NULL);
	}
	check_messages(&d, good);
	note(&d, good);
	unlink(name);
	rmdir(folder);
	vq_arena_free(&a);
	return good;
}

try_kind try_kind_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && !strcmp(dot, ".onnx"))
		return TRY_ONNX;
	if (dot && !strcmp(dot, ".vir"))
		return TRY_VIR;
	return dot && !strcmp(dot, ".json") ? TRY_STATS : TRY_SAMPLES;
}

try_outcome try_bytes(const char *path, const char *name, const void *data, size_t bytes, bool all)
{
	bool good;

	current.path = path;
	current.name = name;
	current.data = data;
	current.bytes = bytes;
	clock_from(TRY_SECONDS);
	if (try_kind_of(path) > TRY_VIR) {
		good = use_file(path, data, bytes);
	} else {
		good = compile(path, data, bytes, VQ_SCHEME_NONE, all);
		if (good)
			good = compile(path, data, bytes, is_dynamic ? VQ_SCHEME_W8A8_DYNAMIC : VQ_SCHEME_W8A8, all);
	}
	clock_from(0);
	check_memory();
	counts.accepted += good;
	counts.refused += !good;
	current.bytes = 0;
	return good ? TRY_ACCEPTED : TRY_REFUSED;
}
