/* SPDX-License-Identifier: MIT */
/* Pictures: PNG and JPEG files, and resizing as Pillow does it, bit for bit. */
#ifndef VQ_FRONTEND_IMAGE_H
#define VQ_FRONTEND_IMAGE_H

#include "frontend/options.h"

typedef struct vq_image {
	uint32_t width, height;
	uint32_t channels;    /* 1 grey, 3 red green blue */
	unsigned char *pixel; /* rows from the top, channels interleaved; in the arena */
} vq_image;

/*
 * Decodes the PNG or JPEG in bytes[n] into an image of `channels` channels. Alpha is dropped, grey
 * becomes equal red, green and blue, colour becomes ITU-R 601 luma, as Pillow's convert does. where
 * names the file in errors. false after an error in diag.
 */
bool vq_image_decode(vq_image *image, vq_arena *arena, vq_diag *diag, const char *where, const void *bytes, size_t n,
	uint32_t channels);

/* A scaled copy: Pillow's Image.resize, antialiased when shrinking. */
vq_image vq_image_resize(vq_arena *arena, const vq_image *from, uint32_t width, uint32_t height, vq_filter filter);

/* The middle part, torchvision's CenterCrop. Not larger than the image. */
vq_image vq_image_crop(vq_arena *arena, const vq_image *from, uint32_t width, uint32_t height);

#endif
