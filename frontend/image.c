/* SPDX-License-Identifier: MIT */
#include "frontend/image.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

enum { MOST_PIXELS = 1 << 28 }; /* of one image; more is a damaged file or not meant for a transformer */

static bool too_large(uint64_t w, uint64_t h) { return w == 0 || h == 0 || w * h > MOST_PIXELS; }

/* ---- PNG ---- */

typedef struct png_state {
	jmp_buf jump;           /* where libpng's errors go */
	char text[200];         /* the error */
	const unsigned char *p; /* what is left of the file */
	size_t n;
} png_state;

static void png_failed(png_structp png, png_const_charp text)
{
	png_state *s = png_get_error_ptr(png);

	snprintf(s->text, sizeof s->text, "%s", text);
	longjmp(s->jump, 1);
}

static void png_warned(png_structp png, png_const_charp text)
{
	(void)png;
	(void)text;
}

static void png_fetch(png_structp png, png_bytep to, size_t n)
{
	png_state *s = png_get_io_ptr(png);

	if (n > s->n)
		png_error(png, "the file is cut off");
	memcpy(to, s->p, n);
	s->p += n;
	s->n -= n;
}

/*
 * Everything that may jump; locals are not used after a jump. Gives grey or RGB as the file has it.
 */
static bool png_decode(vq_image *image, vq_arena *arena, png_structp png, png_infop info, png_state *s)
{
	if (setjmp(s->jump))
		return false;
	png_set_read_fn(png, s, png_fetch);
	png_read_info(png, info);
	if (too_large(png_get_image_width(png, info), png_get_image_height(png, info)))
		png_error(png, "the image is too large");
	png_set_expand(png); /* palettes and 1, 2, 4 bits */
	png_set_strip_16(png);
	png_set_strip_alpha(png);
	png_set_interlace_handling(png);
	png_read_update_info(png, info);
	image->width = png_get_image_width(png, info);
	image->height = png_get_image_height(png, info);
	image->channels = png_get_channels(png, info);
	if ((image->channels != 1 && image->channels != 3) || png_get_bit_depth(png, info) != 8)
		png_error(png, "unexpected kind of pixels");
	size_t row = png_get_rowbytes(png, info);
	png_bytep *rows = VQ_ARRAY(arena, image->height, png_bytep);
	image->pixel = vq_arena_alloc(arena, row * image->height);
	for (uint32_t y = 0; y < image->height; y++)
		rows[y] = image->pixel + y * row;
	png_read_image(png, rows);
	png_read_end(png, NULL);
	return true;
}

static bool read_png(vq_image *image, vq_arena *arena, vq_diag *diag, const char *where, const void *bytes, size_t n)
{
	png_state s = { .p = bytes, .n = n };
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, png_failed, png_warned);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	bool good;

	if (!info) {
		png_destroy_read_struct(&png, NULL, NULL);
		return vq_error(diag, where, "libpng cannot start");
	}
	good = png_decode(image, arena, png, info, &s);
	png_destroy_read_struct(&png, &info, NULL);
	return good || vq_error(diag, where, "damaged PNG: %s", s.text);
}

/* ---- JPEG ---- */

typedef struct jpeg_state {
	struct jpeg_error_mgr manager; /* first: libjpeg hands back a pointer to it */
	jmp_buf jump;                  /* where libjpeg's errors go */
	char text[JMSG_LENGTH_MAX];    /* the error */
} jpeg_state;

static void jpeg_failed(j_common_ptr c)
{
	jpeg_state *s = (jpeg_state *)(void *)c->err;

	c->err->format_message(c, s->text);
	longjmp(s->jump, 1);
}

static void jpeg_says(j_common_ptr c) { (void)c; }

static bool jpeg_decode(
	vq_image *image, vq_arena *arena, struct jpeg_decompress_struct *c, jpeg_state *s, const void *bytes, size_t n)
{
	if (setjmp(s->jump))
		return false;
	jpeg_create_decompress(c);
	jpeg_mem_src(c, (unsigned char *)(uintptr_t)bytes, (unsigned long)n);
	jpeg_read_header(c, TRUE);
	if (too_large(c->image_width, c->image_height)) {
		snprintf(s->text, sizeof s->text, "the image is too large");
		return false;
	}
	if (c->num_components != 1 && c->num_components != 3) {
		snprintf(s->text, sizeof s->text, "CMYK images are not supported");
		return false;
	}
	c->out_color_space = c->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
	c->dct_method = JDCT_ISLOW; /* exact to the bit on every host */
	jpeg_start_decompress(c);
	*image = (vq_image){
		.width = c->output_width, .height = c->output_height, .channels = (uint32_t)c->output_components
	};
	size_t row = (size_t)image->width * image->channels;
	image->pixel = vq_arena_alloc(arena, row * image->height);
	while (c->output_scanline < c->output_height) {
		JSAMPROW at = image->pixel + c->output_scanline * row;

		jpeg_read_scanlines(c, &at, 1);
	}
	jpeg_finish_decompress(c);
	if (c->err->num_warnings) { /* libjpeg fills the rest of a cut file with grey */
		c->err->format_message((j_common_ptr)c, s->text);
		return false;
	}
	return true;
}

static bool read_jpeg(vq_image *image, vq_arena *arena, vq_diag *diag, const char *where, const void *bytes, size_t n)
{
	struct jpeg_decompress_struct c = { .err = NULL };
	jpeg_state s = { .text = "" };
	bool good;

	c.err = jpeg_std_error(&s.manager);
	s.manager.error_exit = jpeg_failed;
	s.manager.output_message = jpeg_says;
	good = jpeg_decode(image, arena, &c, &s, bytes, n);
	jpeg_destroy_decompress(&c);
	return good || vq_error(diag, where, "damaged JPEG: %s", s.text);
}

/* ---- both ---- */

static void to_grey(vq_image *image)
{
	size_t n = (size_t)image->width * image->height;

	for (size_t i = 0; i < n; i++) {
		const unsigned char *p = image->pixel + 3 * i;

		image->pixel[i] = (unsigned char)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
	}
	image->channels = 1;
}

static void to_rgb(vq_image *image, vq_arena *arena)
{
	size_t n = (size_t)image->width * image->height;
	unsigned char *to = vq_arena_alloc(arena, 3 * n);

	for (size_t i = 0; i < n; i++)
		memset(to + 3 * i, image->pixel[i], 3);
	image->pixel = to;
	image->channels = 3;
}

bool vq_image_decode(vq_image *image, vq_arena *arena, vq_diag *diag, const char *where, const void *bytes, size_t n,
	uint32_t channels)
{
	static const unsigned char png[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' },
				   jpeg[3] = { 0xff, 0xd8, 0xff };

	if (n >= sizeof png && memcmp(bytes, png, sizeof png) == 0) {
		if (!read_png(image, arena, diag, where, bytes, n))
			return false;
	} else if (n >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0) {
		if (!read_jpeg(image, arena, diag, where, bytes, n))
			return false;
	} else {
		return vq_error(diag, where, "is neither a PNG nor a JPEG image");
	}
	if (channels == 1 && image->channels == 3)
		to_grey(image);
	else if (channels == 3 && image->channels == 1)
		to_rgb(image, arena);
	return true;
}
