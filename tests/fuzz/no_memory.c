/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out: no_memory FOLDER ARGUMENT...
 *
 * Runs the command with the arguments in a child process, in FOLDER, once for every allocation it makes, which then fails:
 * exit code 1, "out of memory" on standard error and no file left, each time. Allocations are those of ir/arena.c, which
 * include what protobuf-c allocates; LLVM ends the process by itself when it has none.
 *
 * With FAIL_MALLOC: those of the whole process, libraries included (fail_malloc.c), of a command that ends before LLVM
 * begins. A library may also do without what it did not get: then the command succeeds, and its output is what it always is.
 */
#include "frontend/driver.h"
#include "frontend/output.h"
#include "ir/arena.h"
#ifdef FAIL_MALLOC
#include "ir/text.h"
#include "tests/fuzz/fail_malloc.h"
#else
#define fail_malloc vq_fail_allocation
#endif

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int vitqc_main(int argc, char **argv); /* frontend/main.c */

static const char said[] = "../no_memory.err";

static int run(uint64_t n, int argc, char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fd = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0666);

		if (fd < 0 || dup2(fd, 2) < 0)
			_exit(99);
		fail_malloc(n);
		exit(vitqc_main(argc, argv));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 99;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static unsigned files(bool clean)
{
	DIR *d = opendir(".");
	unsigned n = 0;

	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (clean)
			unlink(e->d_name);
	}
	if (d)
		closedir(d);
	return n;
}

static char text[4096];

/* Of the run before. */
static const char *message(void)
{
	FILE *f = fopen(said, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = 0;
	return text;
}

#ifdef FAIL_MALLOC

/* Of all files. */
static uint64_t content(void)
{
	static char bytes[1 << 20];
	struct dirent **entry;
	int n = scandir(".", &entry, NULL, alphasort);
	uint64_t h = 0;

	for (int i = 0; i < n; i++) {
		FILE *f = entry[i]->d_name[0] == '.' ? NULL : fopen(entry[i]->d_name, "rb");

		if (f) {
			h = h * 31 + vq_hash(entry[i]->d_name, strlen(entry[i]->d_name));
			h = h * 31 + vq_hash(bytes, fread(bytes, 1, sizeof bytes, f));
			fclose(f);
		}
		free(entry[i]);
	}
	free(n < 0 ? NULL : entry);
	return h;
}

static uint64_t usual; /* content after a run with all memory */

static void prepare(int argc, char **argv)
{
	fail_malloc(0); /* before the first fork: what children report is shared */
	if (run(0, argc, argv) != VQ_EXIT_OK || files(false) == 0) {
		printf("no_memory: the command fails: %s", message());
		exit(1);
	}
	usual = content();
	files(true);
}

static bool is_last(int code) { return code == VQ_EXIT_OK && !fail_malloc_reached(); }

static const char *wrong(int code)
{
	if (code == VQ_EXIT_OK)
		return content() == usual ? NULL : "the output is another one";
	if (code != VQ_EXIT_INPUT)
		return "exit code";
	if (!*message())
		return "no message";
	return files(false) ? "files are left" : NULL;
}

#else

static void prepare(int argc, char **argv)
{
	(void)argc;
	(void)argv;
}

static bool is_last(int code) { return code == VQ_EXIT_OK && files(false) > 0; }

static const char *wrong(int code)
{
	if (code != VQ_EXIT_INPUT)
		return "exit code";
	if (!strstr(message(), "out of memory"))
		return "no message";
	return files(false) ? "files are left" : NULL;
}

#endif

int main(int argc, char **argv)
{
	enum { LEAST = 10, MOST = 100000 };
	unsigned bad = 0;
	uint64_t n;

	if (argc < 3 || chdir(argv[1]) != 0) {
		fprintf(stderr, "usage: no_memory FOLDER ARGUMENT...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IONBF, 0); /* children would write it once more */
	files(true);
	prepare(argc - 1, argv + 1);
	for (n = 1; n < MOST; n++) {
		int code = run(n, argc - 1, argv + 1);
		const char *what;

		if (is_last(code))
			break; /* the n-th was not reached any more */
		what = wrong(code);
		if (what) {
			printf("allocation %llu: %s; exit code %d, %s\n", (unsigned long long)n, what, code, message());
			bad++;
		}
		files(true);
	}
	files(true);
	unlink(said);
	printf("%llu allocations failed in turn, %u of them badly\n", (unsigned long long)n - 1, bad);
	return bad || n <= LEAST || n == MOST;
}
