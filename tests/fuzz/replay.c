/* SPDX-License-Identifier: MIT */
/*
 * What libFuzzer would do, without clang: TARGET FILE_OR_FOLDER... [-runs=N] [-seed=N]
 *
 * Runs the target once on every file, in the order of their names, then N times on files that are changed, each up to 8 times
 * in a row (the target's own mutator if it has one). Of what fails the bytes are in crash.bin of the current folder.
 */
#include "tests/fuzz/chance.h"
#include "tests/fuzz/promises.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { MOST_FILES = 4096, MOST_BYTES = 1 << 16, SECONDS = 10 /* of processor time, for one input */ };

static struct {
	uint8_t *data;
	size_t n;
} file[MOST_FILES]; /* of the corpus */
static unsigned n_files;
static const uint8_t *now; /* what the target is given */
static size_t now_bytes;
static uint64_t state = 1; /* of chance */

/* Not there: bytes are changed. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) __attribute__((weak));

static uint64_t next(void) { return chance_next(&state); }

static size_t below(size_t n) { return chance_below(&state, n); }

/* One simple change. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most)
{
	size_t at = below(size), n = 1 + below(8);

	switch (below(5)) {
	case 0:
		if (size)
			data[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		if (size)
			data[at] = (uint8_t)next();
		break;
	case 2: /* remove */
		n = n > size - at ? size - at : n;
		memmove(data + at, data + at + n, size - at - n);
		size -= n;
		break;
	case 3: /* insert */
		if (size + n > most)
			break;
		memmove(data + at + n, data + at, size - at);
		for (size_t i = 0; i < n; i++)
			data[at + i] = (uint8_t)next();
		size += n;
		break;
	default: /* copy from elsewhere */
		for (size_t from = below(size), i = 0; i < n && at + i < size && from + i < size; i++)
			data[at + i] = data[from + i];
	}
	return size;
}

static void failed(int signal_number)
{
	int fd = open("crash.bin", O_WRONLY | O_CREAT | O_TRUNC, 0666);
	static const char text[] = "the target failed, its input is in crash.bin\n";

	(void)signal_number;
	if (fd < 0 || write(fd, now, now_bytes) < 0 || write(2, text, sizeof text - 1) < 0)
		_exit(2);
	_exit(1);
}

static void run(const uint8_t *data, size_t n)
{
	const struct itimerval limit = { .it_value = { .tv_sec = SECONDS } };
	uint8_t *exact = malloc(n ? n : 1); /* reading past its end is caught */

	if (!exact)
		exit(2);
	memcpy(exact, data, n);
	now = exact;
	now_bytes = n;
	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static void read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(MOST_BYTES);

	if (!f || !data || n_files == MOST_FILES) {
		perror(path);
		exit(2);
	}
	file[n_files].n = fread(data, 1, MOST_BYTES, f);
	file[n_files++].data = data;
	fclose(f);
}

static void read_path(const char *path)
{
	struct dirent **entry;
	struct stat s;
	int n;

	if (stat(path, &s) || !S_ISDIR(s.st_mode)) {
		read_file(path);
		return;
	}
	n = scandir(path, &entry, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof name, "%s/%s", path, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.')
			read_path(name);
		free(entry[i]);
	}
	free(n < 0 ? NULL : entry);
}

static void change(void)
{
	static uint8_t data[MOST_BYTES];
	size_t k = below(n_files), n = file[k].n;

	memcpy(data, file[k].data, n);
	for (size_t times = 1 + below(8); times; times--)
		n = LLVMFuzzerCustomMutator ? LLVMFuzzerCustomMutator(data, n, MOST_BYTES, (unsigned)next())
					    : LLVMFuzzerMutate(data, n, MOST_BYTES);
	run(data, n);
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGVTALRM };
	unsigned long runs = 0;

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		signal(signals[i], failed);
	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "-runs=", 6))
			runs = strtoul(argv[i] + 6, NULL, 10);
		else if (!strncmp(argv[i], "-seed=", 6))
			state = strtoul(argv[i] + 6, NULL, 10) | 1;
		else
			read_path(argv[i]);
	}
	if (!n_files)
		return 2;
	for (unsigned i = 0; i < n_files; i++)
		run(file[i].data, file[i].n);
	for (unsigned long i = 0; i < runs; i++)
		change();
	printf("%u files, %lu changed ones\n", n_files, runs);
	for (unsigned i = 0; i < n_files; i++)
		free(file[i].data);
	return 0;
}
