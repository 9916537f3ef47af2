/* SPDX-License-Identifier: MIT */
#include "frontend/output.h"

#include "frontend/folder.h"
#include "ir/sanitizer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 16 }; /* outputs of one run: 5 kinds, sidecar, header, weights, report, dependencies */

typedef struct output {
	const char *path;      /* final; "-" is the standard output */
	const char *temporary; /* NULL: the contents are in an unnamed file and go to path at the end */
	FILE *file;            /* NULL once closed */
} output;

/* The only state of the program outside main: a signal handler has to find it. */
static output outputs[MOST];
static volatile sig_atomic_t n_outputs;

static FILE *open_temporary(vq_arena *arena, vq_diag *diag, const char *path, output *o)
{
	char *name = vq_arena_printf(arena, "%s.XXXXXX", path);
	const mode_t mask = umask(0);
	int fd;

	umask(mask);
	fd = mkstemp(name);
	if (fd < 0) {
		vq_error(diag, NULL, "cannot write '%s': %s", path, strerror(errno));
		return NULL;
	}
	o->temporary = name;
	fchmod(fd, 0666 & ~mask);
	o->file = fdopen(fd, "wb+");
	if (!o->file) {
		vq_error(diag, NULL, "cannot write '%s': %s", path, strerror(errno));
		close(fd);
		unlink(name);
	}
	return o->file;
}

bool vq_output_check(vq_arena *arena, vq_diag *diag, const char *path)
{
	const char *folder = vq_path_folder(arena, path);
	struct stat s;

	if (strcmp(path, "-") == 0 || (stat(path, &s) == 0 && !S_ISREG(s.st_mode)))
		return true;
	if (!vq_is_folder(folder))
		return vq_error(diag, NULL, "cannot write '%s': there is no folder '%s'", path, folder);
	if (access(folder, W_OK | X_OK) != 0)
		return vq_error(diag, NULL, "cannot write '%s' in folder '%s': %s", path, folder, strerror(errno));
	return true;
}

FILE *vq_output_open(vq_arena *arena, vq_diag *diag, const char *path)
{
	output *o = &outputs[n_outputs];
	struct stat s;
	bool exists = stat(path, &s) == 0;

	for (int i = 0; i < n_outputs; i++) {
		if (strcmp(outputs[i].path, path) == 0) {
			vq_error(diag, NULL, "two outputs have the same name, '%s'", path);
			return NULL;
		}
	}
	if (n_outputs == MOST) {
		vq_bug(diag, NULL, "more than %d outputs", MOST);
		return NULL;
	}
	*o = (output){ .path = path };
	if (exists && S_ISDIR(s.st_mode)) {
		vq_error(diag, NULL, "cannot write '%s': it is a folder", path);
		return NULL;
	}
	if (strcmp(path, "-") == 0 || (exists && !S_ISREG(s.st_mode))) {
		o->file = tmpfile();
		if (!o->file)
			vq_error(diag, NULL, "cannot make a temporary file: %s", strerror(errno));
	} else {
		open_temporary(arena, diag, path, o);
	}
	if (o->file)
		n_outputs++;
	return o->file;
}

const char *vq_output_name(vq_arena *arena, vq_diag *diag, const char *path)
{
	FILE *f = vq_output_open(arena, diag, path);
	output *o = &outputs[n_outputs - (f != NULL)];

	if (!f)
		return NULL;
	fclose(f);
	o->file = NULL;
	if (o->temporary)
		return o->temporary;
	n_outputs--; /* a device: nothing to rename */
	return path;
}

void vq_output_drop_last(void)
{
	const output *o = &outputs[n_outputs - 1];

	if (o->file)
		fclose(o->file);
	if (o->temporary)
		unlink(o->temporary);
	n_outputs--;
}

static bool copy(FILE *from, const char *path)
{
	FILE *to = strcmp(path, "-") == 0 ? stdout : fopen(path, "wb");
	char part[16384];
	size_t n;
	bool good;

	if (!to)
		return false;
	rewind(from);
	while ((n = fread(part, 1, sizeof part, from)) > 0)
		if (fwrite(part, 1, n, to) != n)
			break;
	good = !ferror(from) && !ferror(to) && fflush(to) == 0;
	if (to != stdout && fclose(to) != 0)
		good = false;
	return good;
}

static bool finish(vq_diag *diag, output *o)
{
	bool good;

	if (!o->file)
		return true;
	good = !ferror(o->file) && fflush(o->file) == 0;
	errno = good ? 0 : errno;
	if (good && !o->temporary)
		good = copy(o->file, o->path);
	if (fclose(o->file) != 0)
		good = false;
	o->file = NULL;
	return good || vq_error(diag, NULL, "cannot write '%s': %s", o->path, errno ? strerror(errno) : "write error");
}

bool vq_outputs_commit(vq_diag *diag)
{
	bool good = true;
	int renamed = 0;

	for (int i = 0; i < n_outputs && good; i++)
		good = finish(diag, &outputs[i]);
	for (; renamed < n_outputs && good; renamed++) {
		const output *o = &outputs[renamed];

		if (o->temporary && rename(o->temporary, o->path) != 0)
			good = vq_error(diag, NULL, "cannot write '%s': %s", o->path, strerror(errno));
		if (!good)
			break;
	}
	if (!good) {
		for (int i = 0; i < renamed; i++)
			if (outputs[i].temporary)
				unlink(outputs[i].path);
		vq_outputs_abandon();
	}
	n_outputs = 0;
	return good;
}

void vq_outputs_abandon(void)
{
	int n = n_outputs;

	for (int i = 0; i < n; i++)
		if (outputs[i].temporary)
			unlink(outputs[i].temporary);
	n_outputs = 0;
}

/* ---- signals ---- */

static void ended(int signal_number)
{
	vq_outputs_abandon();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static void faulted(int signal_number)
{
	static const char text[] = "vitqc: internal error: the program crashed; this is a bug in vitqc\n";

	(void)signal_number;
	vq_outputs_abandon();
	if (write(2, text, sizeof text - 1) < 0)
		_exit(3);
	_exit(3);
}

void vq_outputs_catch_signals(void)
{
	static const int faults[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction s = { .sa_handler = ended };

	sigemptyset(&s.sa_mask);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct sigaction old;

		if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup */
			sigaction(ends[i], &s, NULL);
	}
#if !defined(VQ_WITH_ASAN) /* which has its own, better ones */
	s.sa_handler = faulted;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigaction(faults[i], &s, NULL);
#else
	(void)faults;
	(void)faulted;
#endif
}
