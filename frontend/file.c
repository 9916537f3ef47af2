/* SPDX-License-Identifier: MIT */
#include "frontend/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool map(vq_file *f, vq_diag *diag, const char *where, int fd)
{
	struct stat s;
	void *p;

	if (fstat(fd, &s) != 0)
		return vq_error(diag, where, "cannot be read: %s", strerror(errno));
	if (S_ISDIR(s.st_mode))
		return vq_error(diag, where, "is a folder, expected a file");
	if (!S_ISREG(s.st_mode))
		return vq_error(diag, where, "is not a regular file");
	if (s.st_size == 0)
		return vq_error(diag, where, "the file is empty");
	p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return vq_error(diag, where, "cannot be read: %s", strerror(errno));
	*f = (vq_file){ .data = p, .bytes = (size_t)s.st_size };
	return true;
}

bool vq_file_open(vq_file *f, vq_diag *diag, const char *where, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good;

	*f = (vq_file){ .data = NULL };
	if (fd < 0)
		return vq_error(diag, where, "cannot be opened: %s", strerror(errno));
	good = map(f, diag, where, fd);
	close(fd);
	return good;
}

void vq_file_close(vq_file *f)
{
	if (f->data)
		munmap((void *)(uintptr_t)f->data, f->bytes);
	*f = (vq_file){ .data = NULL };
}
