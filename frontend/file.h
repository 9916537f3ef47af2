/* SPDX-License-Identifier: MIT */
/* A file as read-only memory. */
#ifndef VQ_FRONTEND_FILE_H
#define VQ_FRONTEND_FILE_H

#include "ir/diag.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct vq_file {
	const unsigned char *data; /* bytes of them; mapped */
	size_t bytes;
} vq_file;

/*
 * Maps the file at path. where ("file 'x.npy'") names it in errors. false after an error in diag.
 */
bool vq_file_open(vq_file *f, vq_diag *diag, const char *where, const char *path);
void vq_file_close(vq_file *f);

#endif
