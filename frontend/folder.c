/* SPDX-License-Identifier: MIT */
#include "frontend/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEEPEST = 16 }; /* of folders below the one given; links can make a circle */

bool vq_is_folder(const char *path)
{
	struct stat s;

	return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

const char *vq_path_join(vq_arena *arena, const char *folder, const char *name)
{
	size_t n = strlen(folder);

	if (*name == '/' || strcmp(folder, ".") == 0)
		return name;
	return vq_arena_printf(arena, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
}

const char *vq_path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *vq_path_folder(vq_arena *arena, const char *path)
{
	const char *base = vq_path_base(path);

	if (base == path)
		return ".";
	return vq_arena_strndup(arena, path, base - path > 1 ? (size_t)(base - path - 1) : 1);
}

bool vq_path_ends(const char *path, const char *extension)
{
	size_t n = strlen(path), m = strlen(extension);

	return n > m && strcasecmp(path + n - m, extension) == 0;
}

static bool walk(vq_strings *files, vq_arena *arena, vq_diag *diag, const char *folder, const char *const *extensions,
	uint32_t depth)
{
	const char *where = vq_arena_printf(arena, "folder '%s'", folder);
	DIR *d = opendir(folder);
	bool good = true;

	if (!d)
		return vq_error(diag, where, "cannot be read: %s", strerror(errno));
	for (;;) {
		const struct dirent *e;
		const char *path;

		errno = 0;
		e = readdir(d);
		if (!e) {
			if (errno)
				good = vq_error(diag, where, "cannot be read: %s", strerror(errno));
			break;
		}
		if (e->d_name[0] == '.')
			continue;
		path = vq_path_join(arena, folder, vq_arena_strndup(arena, e->d_name, strlen(e->d_name)));
		if (vq_is_folder(path)) {
			if (depth < DEEPEST)
				good &= walk(files, arena, diag, path, extensions, depth + 1);
			continue;
		}
		for (const char *const *x = extensions; *x; x++) {
			if (!vq_path_ends(path, *x))
				continue;
			files->item = vq_arena_grow(arena, files->item, &files->cap, files->n + 1, sizeof *files->item);
			files->item[files->n++] = path;
			break;
		}
	}
	closedir(d);
	return good;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

bool vq_folder_files(
	vq_strings *files, vq_arena *arena, vq_diag *diag, const char *folder, const char *const *extensions)
{
	uint32_t first = files->n;

	if (!walk(files, arena, diag, folder, extensions, 0))
		return false;
	if (files->n > first)
		qsort(files->item + first, files->n - first, sizeof *files->item, by_bytes);
	return true;
}
