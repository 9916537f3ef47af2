/* SPDX-License-Identifier: MIT */
/* Paths of files: folders and lists of them. */
#ifndef VQ_FRONTEND_FOLDER_H
#define VQ_FRONTEND_FOLDER_H

#include "frontend/options.h"

bool vq_is_folder(const char *path);
/* "dir" and "name" to "dir/name"; an absolute name stays as it is */
const char *vq_path_join(vq_arena *arena, const char *folder, const char *name);
/* the folder of a file, "." if it has none */
const char *vq_path_folder(vq_arena *arena, const char *path);
/* the name's last component; points into path */
const char *vq_path_base(const char *path);
/* does path end in this extension (".png"), in either case? */
bool vq_path_ends(const char *path, const char *extension);

/*
 * Appends the files below folder whose names end in one of the extensions (a list that ends with
 * NULL), sorted by path, byte by byte, so that the order does not depend on the file system. Names
 * that start with a dot are skipped.
 */
bool vq_folder_files(
	vq_strings *files, vq_arena *arena, vq_diag *diag, const char *folder, const char *const *extensions);

#endif
