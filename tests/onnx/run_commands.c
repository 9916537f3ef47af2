/* SPDX-License-Identifier: MIT */
/*
 * Many runs of vitqc without starting it many times: reads commands from standard input, one a
 * line, fields separated by tabs, the first one the file for messages, the rest the arguments of
 * vitqc. Each runs in a process of its own (fork), so that one that crashes is one line of the
 * result. Prints for each its exit code, or 1000 and the signal; 98 if it leaks (AddressSanitizer).
 */
#include "frontend/driver.h"
#include "frontend/print_diag.h"
#include "ir/sanitizer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef VQ_WITH_ASAN
int __lsan_do_recoverable_leak_check(void);
#define LEAKS() __lsan_do_recoverable_leak_check()
#else
#define LEAKS() 0
#endif

enum { MAX_ARGS = 64, SECONDS = 120, SIGNALLED = 1000, LEAKED = 98 };

static int vitqc(int argc, const char *const *argv)
{
	vq_arena arena = { .block = NULL };
	vq_options options;
	vq_diag diag;
	int code = VQ_EXIT_USAGE;

	vq_diag_init(&diag, &arena, NULL);
	if (vq_options_parse(&options, &arena, &diag, argc, argv))
		code = vq_drive(&options, &arena);
	else
		vq_print_diag(stderr, &diag, false);
	vq_arena_free(&arena);
	return code;
}

static int child(const char *log, int argc, const char *const *argv)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666), code;

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return 99;
	alarm(SECONDS);
	code = vitqc(argc, argv);
	return LEAKS() ? LEAKED : code; /* _exit does not look */
}

/* The exit code of one command, or SIGNALLED and the signal. */
static int one(char *line)
{
	const char *argv[MAX_ARGS] = { "vitqc" }, *log = strtok(line, "\t\n"), *arg;
	int argc = 1, status;
	pid_t pid;

	while ((arg = strtok(NULL, "\t\n")) != NULL && argc < MAX_ARGS)
		argv[argc++] = arg;
	pid = log ? fork() : -1;
	if (pid == 0) {
		status = child(log, argc, argv);
		fflush(NULL);
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("run_commands");
		exit(1);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, stdin) > 0) {
		int code = one(line);

		printf("%d\n", code);
		fflush(stdout);
	}
	free(line);
	return 0;
}
