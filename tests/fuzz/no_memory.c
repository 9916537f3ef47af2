/*
 * Memory runs out: no_memory FOLDER ARGUMENT...
 *
 * Runs the command with the arguments in a child process, in FOLDER, once for every allocation it makes, which then fails:
 * exit code 1, "out of memory" on standard error and no file left, each time. Allocations are those of ir/arena.c, which
 * include what protobuf-c allocates; LLVM ends the process by itself when it has none.
 */
#include "frontend/driver.h"
#include "frontend/output.h"
#include "ir/arena.h"

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
		vq_fail_allocation(n);
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

static bool says_out_of_memory(void)
{
	char text[4096];
	FILE *f = fopen(said, "r");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = 0;
	return strstr(text, "out of memory") != NULL;
}

int main(int argc, char **argv)
{
	enum { MOST = 100000 };
	unsigned bad = 0;
	uint64_t n;

	if (argc < 3 || chdir(argv[1]) != 0) {
		fprintf(stderr, "usage: no_memory FOLDER ARGUMENT...\n");
		return 2;
	}
	files(true);
	for (n = 1; n < MOST; n++) {
		int code = run(n, argc - 1, argv + 1);

		if (code == VQ_EXIT_OK && files(false) > 0)
			break; /* the n-th was not reached any more */
		if (code != VQ_EXIT_INPUT || !says_out_of_memory() || files(false) > 0) {
			printf("allocation %llu: exit code %d, %s, %u files left\n", (unsigned long long)n, code,
				says_out_of_memory() ? "out of memory" : "without the message", files(true));
			bad++;
		}
	}
	files(true);
	unlink(said);
	printf("%llu allocations failed in turn, %u of them badly\n", (unsigned long long)n - 1, bad);
	return bad || n < 20 || n == MOST;
}
