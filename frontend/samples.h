/* SPDX-License-Identifier: MIT */
/* Calibration samples from files, in the types of the graph's inputs. */
#ifndef VQ_FRONTEND_SAMPLES_H
#define VQ_FRONTEND_SAMPLES_H

#include "frontend/options.h"

/*
 * Opens the samples at path for the inputs of g:
 *   a folder        its PNG, JPEG and .npy files, those of its subfolders included, sorted by name
 *   NAME.npy        one array: a sample, or samples along its first axis
 *   NAME.npz        such an array for every input, by name
 *   .png, .jpg      an image
 *   any other file  a list of paths, one a line, relative to the list
 * Images, and arrays of bytes in the shape of images where the input is f32, are resized, cropped,
 * scaled and normalised as image says (each file holds one item of the model's batch). At most
 * `most` samples are used, 0: all. Arrays are read now, images when asked for. files receives the
 * paths of everything read. false after an error in diag; all memory is in arena, open files until
 * vq_samples_close.
 */
bool vq_samples_open(vq_samples *s, vq_arena *arena, vq_diag *diag, const vq_graph *g, const char *path, uint32_t most,
	const vq_image_options *image, vq_strings *files);
/* Number of samples of type t in an array of the same elements; 0: the shapes do not fit. */
int64_t vq_samples_in(const vq_type *t, const vq_type *array);
void vq_samples_close(vq_samples *s);

#endif
