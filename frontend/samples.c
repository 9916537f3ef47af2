/* SPDX-License-Identifier: MIT */
#include "frontend/samples.h"

#include "frontend/file.h"
#include "frontend/folder.h"
#include "frontend/image.h"
#include "frontend/npy.h"

#include <string.h>

/* An input seen as a picture. */
typedef struct picture {
	uint32_t batch, channels, height, width;
	bool nhwc;
} picture;

/* Where the samples of one input come from when they are arrays. */
typedef struct feed {
	vq_array array;
	uint32_t images; /* per sample; 0: elements are copied as they are */
	bool nhwc;       /* layout of the array's images */
	picture picture; /* the input as a picture, if images */
	vq_image shape;  /* of one image; no pixels */
} feed;

typedef struct source {
	vq_arena *arena;
	vq_diag *diag;
	const vq_graph *g;
	const vq_image_options *image;
	vq_strings files; /* one item of the batch each; none if the samples are arrays */
	picture picture;  /* of the input being filled */
	bool pictures;    /* picture is set */
	feed *feed;       /* per input */
	vq_file *open;    /* mapped for the arrays */
	uint32_t n_open;
} source;

static const char *shape_text(vq_arena *a, uint32_t rank, const int64_t *dim)
{
	const char *t = rank ? "" : "scalar";

	for (uint32_t i = 0; i < rank; i++)
		t = vq_arena_printf(a, "%s%s%lld", t, i ? "x" : "", (long long)dim[i]);
	return t;
}

static const vq_type *input_type(const source *s, uint32_t i) { return vq_type_of(s->g, s->g->input[i].value); }

static void keep(vq_strings *list, vq_arena *arena, const char *path)
{
	list->item = vq_arena_grow(arena, list->item, &list->cap, list->n + 1, sizeof *list->item);
	list->item[list->n++] = path;
}

/* ---- pictures ---- */

static bool colours(int64_t n) { return n == 1 || n == 3; }

/* Sees input 0 as a picture; false if its shape is none. */
static bool picture_of(const source *s, uint32_t input, picture *p)
{
	const vq_type *t = input_type(s, input);
	const int64_t *d = t->dim + (t->rank == 4);
	vq_layout layout = s->image->layout;

	if ((t->elem != VQ_F32 && t->elem != VQ_U8) || (t->rank != 3 && t->rank != 4))
		return false;
	if (layout == VQ_LAYOUT_DEFAULT)
		layout = colours(d[0]) ? VQ_LAYOUT_NCHW : VQ_LAYOUT_NHWC;
	p->nhwc = layout == VQ_LAYOUT_NHWC;
	p->batch = t->rank == 4 ? (uint32_t)t->dim[0] : 1;
	if (!colours(p->nhwc ? d[2] : d[0]) || d[0] > 65535 || d[1] > 65535 || d[2] > 65535 || p->batch == 0)
		return false;
	p->channels = (uint32_t)(p->nhwc ? d[2] : d[0]);
	p->height = (uint32_t)(p->nhwc ? d[0] : d[1]);
	p->width = (uint32_t)(p->nhwc ? d[1] : d[2]);
	return true;
}

static bool check_normalisation(const source *s, const picture *p, vq_elem elem)
{
	const vq_image_options *o = s->image;

	if ((o->mean.n > 1 && o->mean.n != p->channels) || (o->std.n > 1 && o->std.n != p->channels))
		return vq_error(s->diag,
			o->mean.n > 1 && o->mean.n != p->channels ? "option -image-mean" : "option -image-std",
			"got %u numbers, expected one or %u (a number per channel)",
			(unsigned)(o->mean.n > 1 && o->mean.n != p->channels ? o->mean.n : o->std.n),
			(unsigned)p->channels);
	if (elem == VQ_F32 && !o->mean.n && !o->std.n) {
		vq_warning(s->diag, NULL, "images are scaled by %g and not normalised further", (double)o->scale);
		vq_hint(s->diag, "give -image-mean= and -image-std= as the model was trained with");
	}
	return true;
}

/* Resizes and crops to the input's size. */
static bool fit(const source *s, vq_arena *a, const char *where, vq_image *image)
{
	const vq_image_options *o = s->image;
	const picture *p = &s->picture;
	uint32_t cw = o->crop.width ? o->crop.width : p->width, ch = o->crop.width ? o->crop.height : p->height;
	uint32_t w = o->resize.width, h = o->resize.height;

	if (cw != p->width || ch != p->height)
		return vq_error(s->diag, "option -image-crop", "crops to %ux%u, the model's input is %ux%u",
			(unsigned)cw, (unsigned)ch, (unsigned)p->width, (unsigned)p->height);
	if (!h) {
		/* the shorter side, as torchvision: to N, or so that the crop just fits */
		uint64_t iw = image->width, ih = image->height;
		bool tall = w ? iw <= ih : iw * ch <= ih * cw;

		if (tall) {
			w = w ? w : cw;
			h = (uint32_t)(w * ih / iw);
		} else {
			h = w ? w : ch;
			w = (uint32_t)(h * iw / ih);
		}
	}
	if (w < cw || h < ch)
		return vq_error(s->diag, where, "resized to %ux%u it is smaller than the crop, %ux%u", (unsigned)w,
			(unsigned)h, (unsigned)cw, (unsigned)ch);
	*image = vq_image_resize(a, image, w, h, o->filter);
	if (w != cw || h != ch)
		*image = vq_image_crop(a, image, cw, ch);
	return true;
}

static float pick(const vq_numbers *n, uint32_t channel, float otherwise)
{
	return n->n ? n->item[n->n > 1 ? channel : 0] : otherwise;
}

/* Writes a fitted image as item b of the input. */
static void put_image(const source *s, vq_elem elem, const vq_image *image, uint32_t b, void *in)
{
	const picture *p = &s->picture;
	size_t plane = (size_t)p->width * p->height;

	for (uint32_t c = 0; c < p->channels; c++) {
		uint32_t from = s->image->order == VQ_ORDER_BGR ? p->channels - 1 - c : c;
		float mean = pick(&s->image->mean, c, 0.0f), std = pick(&s->image->std, c, 1.0f);

		for (size_t i = 0; i < plane; i++) {
			unsigned char v = image->pixel[i * p->channels + from];
			size_t to = b * plane * p->channels + (p->nhwc ? i * p->channels + c : c * plane + i);

			if (elem == VQ_U8)
				((unsigned char *)in)[to] = v;
			else
				((float *)in)[to] = ((float)v * s->image->scale - mean) / std;
		}
	}
}

/* ---- arrays ---- */

static bool holds(vq_elem input, vq_elem array)
{
	return input == array || (input == VQ_I64 && array == VQ_I32) || (input == VQ_I32 && array == VQ_I64);
}

int64_t vq_samples_in(const vq_type *t, const vq_type *a)
{
	if (vq_same_shape(t, a))
		return 1;
	if (a->rank == t->rank + 1 && memcmp(a->dim + 1, t->dim, t->rank * sizeof *t->dim) == 0)
		return a->dim[0];
	if (t->rank && a->rank == t->rank && memcmp(a->dim + 1, t->dim + 1, (t->rank - 1) * sizeof *t->dim) == 0 &&
		a->dim[0] % t->dim[0] == 0)
		return a->dim[0] / t->dim[0];
	return 0;
}

/*
 * Bytes as images: [N,H,W,C], [N,C,H,W], [N,H,W], [H,W,C] or [C,H,W]. Number of images; 0 if they
 * are none.
 */
static int64_t images_in(const picture *p, const vq_type *a, feed *f)
{
	const int64_t *d = a->dim;
	int64_t n = 1, c = p->channels;

	if (a->rank < 3 || a->rank > 4)
		return 0;
	if (a->rank == 4)
		n = *d++;
	else if (c == 1 && !(d[0] == 1 || d[2] == 1))
		n = *d++;
	if (a->rank == 3 && n != 1) {
		f->shape = (vq_image){ .height = (uint32_t)d[0], .width = (uint32_t)d[1], .channels = 1 };
		f->nhwc = true;
	} else if (d[2] == c) {
		f->shape = (vq_image){ .height = (uint32_t)d[0], .width = (uint32_t)d[1], .channels = (uint32_t)c };
		f->nhwc = true;
	} else if (d[0] == c) {
		f->shape = (vq_image){ .height = (uint32_t)d[1], .width = (uint32_t)d[2], .channels = (uint32_t)c };
	} else {
		return 0;
	}
	return f->shape.width <= 65535 && f->shape.height <= 65535 ? n : 0;
}

/* Decides how the array feeds the input; *n samples. */
static bool connect(source *s, uint32_t input, const vq_array *array, const char *where, uint32_t *n)
{
	const vq_type *t = input_type(s, input);
	feed *f = &s->feed[input];
	int64_t count = 0;

	*f = (feed){ .array = *array };
	if (holds(t->elem, array->type.elem)) {
		count = vq_samples_in(t, &array->type);
	} else if (t->elem == VQ_F32 && array->type.elem == VQ_U8) {
		if (picture_of(s, input, &s->picture))
			count = images_in(&s->picture, &array->type, f);
		if (count) {
			if (!s->pictures && !check_normalisation(s, &s->picture, t->elem))
				return false;
			s->pictures = true;
			f->images = s->picture.batch;
			f->picture = s->picture;
			count = count % s->picture.batch ? 0 : count / s->picture.batch;
		}
	} else {
		return vq_error(s->diag, where, "elements of input '%s' differ: got %s, expected %s",
			s->g->input[input].name, vq_elem_name(array->type.elem), vq_elem_name(t->elem));
	}
	if (!count || count > UINT32_MAX)
		return vq_error(s->diag, where,
			"shape does not fit input '%s': got %s of %s, expected %s, or samples of "
			"that along a first axis",
			s->g->input[input].name, shape_text(s->arena, array->type.rank, array->type.dim),
			vq_elem_name(array->type.elem), vq_type_text(s->arena, t));
	*n = (uint32_t)count;
	return true;
}

static bool copy_elements(source *s, const feed *f, uint32_t input, uint32_t sample, void *in)
{
	const vq_type *t = input_type(s, input);
	int64_t n = vq_type_count(t);
	size_t bytes = vq_elem_bytes(f->array.type.elem) * (size_t)n;
	const unsigned char *from = (const unsigned char *)f->array.data + sample * bytes;

	if (t->elem == f->array.type.elem) {
		memcpy(in, from, bytes);
		return true;
	}
	for (int64_t i = 0; i < n; i++) {
		if (t->elem == VQ_I64) {
			int32_t v;

			memcpy(&v, from + (size_t)i * sizeof v, sizeof v);
			((int64_t *)in)[i] = v;
		} else {
			int64_t v;

			memcpy(&v, from + (size_t)i * sizeof v, sizeof v);
			if (v < INT32_MIN || v > INT32_MAX)
				return vq_error(s->diag, NULL,
					"input '%s', sample %u: %lld does not fit in "
					"32 bits",
					s->g->input[input].name, (unsigned)sample, (long long)v);
			((int32_t *)in)[i] = (int32_t)v;
		}
	}
	return true;
}

static bool copy_images(source *s, const feed *f, uint32_t input, uint32_t sample, void *in)
{
	size_t plane = (size_t)f->shape.width * f->shape.height, bytes = plane * f->shape.channels;
	vq_arena scratch = { .block = NULL };
	bool good = true;

	s->picture = f->picture;
	for (uint32_t b = 0; b < f->images && good; b++) {
		const unsigned char *from = (const unsigned char *)f->array.data +
			((size_t)sample * f->images + b) * bytes;
		vq_image image = f->shape;

		image.pixel = vq_arena_alloc(&scratch, bytes);
		for (size_t i = 0; i < plane; i++)
			for (uint32_t c = 0; c < image.channels; c++)
				image.pixel[i * image.channels + c] = from[f->nhwc ? i * image.channels + c
										   : c * plane + i];
		good = fit(s, &scratch, NULL, &image);
		if (good)
			put_image(s, input_type(s, input)->elem, &image, b, in);
	}
	vq_arena_free(&scratch);
	return good;
}

static bool get_arrays(void *self, uint32_t sample, void *const *in)
{
	source *s = self;

	for (uint32_t i = 0; i < s->g->n_inputs; i++) {
		const feed *f = &s->feed[i];

		if (!(f->images ? copy_images(s, f, i, sample, in[i]) : copy_elements(s, f, i, sample, in[i])))
			return false;
	}
	return true;
}

/* ---- files ---- */

static bool get_npy(source *s, vq_arena *scratch, const char *where, const vq_file *file, uint32_t b, void *in)
{
	const vq_type *t = input_type(s, 0);
	vq_type item = *t;
	vq_array a;
	size_t bytes;

	if (!vq_npy_parse(&a, scratch, s->diag, where, file->data, file->bytes))
		return false;
	if (t->rank && t->dim[0] > 1) /* a file holds one item of the batch */
		item.dim[0] = 1;
	bytes = vq_type_bytes(&item);
	if (a.type.elem != t->elem ||
		(!vq_same_shape(&item, &a.type) &&
			!(t->rank && a.type.rank == t->rank - 1 &&
				memcmp(a.type.dim, t->dim + 1, a.type.rank * sizeof *t->dim) == 0)))
		return vq_error(s->diag, where, "does not fit input '%s': got %s, expected %s", s->g->input[0].name,
			vq_type_text(s->arena, &a.type), vq_type_text(s->arena, &item));
	memcpy((unsigned char *)in + b * bytes, a.data, bytes);
	return true;
}

static bool get_file(source *s, vq_arena *scratch, const char *path, uint32_t b, void *in)
{
	const char *where = vq_arena_printf(s->arena, "file '%s'", path);
	const vq_type *t = input_type(s, 0);
	vq_file file;
	vq_image image;
	bool good;

	if (!vq_file_open(&file, s->diag, where, path))
		return false;
	if (vq_path_ends(path, ".npy")) {
		good = get_npy(s, scratch, where, &file, b, in);
	} else if (!s->pictures) {
		good = vq_error(s->diag, where, "input '%s' cannot take an image: its type is %s", s->g->input[0].name,
			vq_type_text(s->arena, t));
	} else {
		good = vq_image_decode(&image, scratch, s->diag, where, file.data, file.bytes, s->picture.channels) &&
			fit(s, scratch, where, &image);
		if (good)
			put_image(s, t->elem, &image, b, in);
	}
	vq_file_close(&file);
	return good;
}

static uint32_t batch_of(const source *s)
{
	const vq_type *t = input_type(s, 0);

	return t->rank ? (uint32_t)t->dim[0] : 1;
}

static bool get_files(void *self, uint32_t sample, void *const *in)
{
	source *s = self;
	vq_arena scratch = { .block = NULL };
	uint32_t batch = s->pictures ? s->picture.batch : batch_of(s);
	bool good = true;

	for (uint32_t b = 0; b < batch && good; b++)
		good = get_file(s, &scratch, s->files.item[(size_t)sample * batch + b], b, in[0]);
	vq_arena_free(&scratch);
	return good;
}

static const char *const extensions[] = { ".png", ".jpg", ".jpeg", ".npy", NULL };

static bool is_image(const char *path)
{
	for (uint32_t i = 0; i < 3; i++)
		if (vq_path_ends(path, extensions[i]))
			return true;
	return false;
}

static bool open_list(source *s, const char *where, const char *path)
{
	const char *folder = vq_path_folder(s->arena, path);
	vq_file f;
	size_t at = 0;
	bool good = true;

	if (!vq_file_open(&f, s->diag, where, path))
		return false;
	if (memchr(f.data, 0, f.bytes < 4096 ? f.bytes : 4096)) {
		good = vq_error(
			s->diag, where, "is not a list of paths: expected a folder, a text file, a .npy or a .npz");
	} else {
		while (at < f.bytes) {
			const char *line = (const char *)f.data + at;
			const char *end = memchr(line, '\n', f.bytes - at);
			size_t n = end ? (size_t)(end - line) : f.bytes - at;

			at += n + 1;
			while (n && (line[n - 1] == '\r' || line[n - 1] == ' '))
				n--;
			if (n)
				keep(&s->files, s->arena,
					vq_path_join(s->arena, folder, vq_arena_strndup(s->arena, line, n)));
		}
	}
	vq_file_close(&f);
	return good;
}

/* Files of a folder or list: *n samples. */
static bool connect_files(source *s, const char *where, uint32_t *n)
{
	uint32_t batch;

	if (s->files.n == 0)
		return vq_error(s->diag, where, "there are no samples in it: expected .png, .jpg or .npy files");
	if (s->g->n_inputs != 1)
		return vq_error(s->diag, where,
			"the model has %u inputs: their samples must come in a .npz with an array "
			"for each",
			(unsigned)s->g->n_inputs);
	s->pictures = picture_of(s, 0, &s->picture);
	for (uint32_t i = 0; i < s->files.n; i++) {
		if (vq_path_ends(s->files.item[i], ".npy"))
			continue;
		if (s->pictures && !check_normalisation(s, &s->picture, input_type(s, 0)->elem))
			return false;
		break;
	}
	batch = s->pictures ? s->picture.batch : batch_of(s);
	*n = s->files.n / batch;
	if (*n == 0)
		return vq_error(s->diag, where, "got %u files, expected at least %u: the model's batch",
			(unsigned)s->files.n, (unsigned)batch);
	return true;
}

static bool open_file(source *s, const char *where, const char *path)
{
	s->open = VQ_NEW(s->arena, vq_file);
	s->n_open = 1;
	return vq_file_open(s->open, s->diag, where, path);
}

static bool connect_npy(source *s, const char *where, const char *path, uint32_t *n)
{
	vq_array a;

	if (s->g->n_inputs != 1)
		return vq_error(s->diag, where,
			"the model has %u inputs: their samples must come in a .npz with an array "
			"for each",
			(unsigned)s->g->n_inputs);
	return open_file(s, where, path) && vq_npy_parse(&a, s->arena, s->diag, where, s->open->data, s->open->bytes) &&
		connect(s, 0, &a, where, n);
}

static bool connect_npz(source *s, const char *where, const char *path, uint32_t *n)
{
	vq_array *a = NULL;
	uint32_t n_arrays = 0, first = 0;
	bool good = true;

	if (!open_file(s, where, path) ||
		!vq_npz_parse(&a, &n_arrays, s->arena, s->diag, where, s->open->data, s->open->bytes))
		return false;
	for (uint32_t i = 0; i < s->g->n_inputs; i++) {
		const vq_array *found = s->g->n_inputs == 1 && n_arrays == 1 ? a : NULL;
		uint32_t count = 0;

		for (uint32_t k = 0; k < n_arrays; k++)
			if (strcmp(a[k].name, s->g->input[i].name) == 0)
				found = &a[k];
		if (!found) {
			good = vq_error(s->diag, where, "there is no array for input '%s' (%s)", s->g->input[i].name,
				vq_type_text(s->arena, input_type(s, i)));
			continue;
		}
		good &= connect(s, i, found, where, &count);
		if (!good)
			continue;
		if (i && count != *n)
			good = vq_error(s->diag, where, "got %u samples of input '%s' and %u of '%s'", (unsigned)count,
				s->g->input[i].name, (unsigned)*n, s->g->input[first].name);
		*n = count;
	}
	return good;
}

bool vq_samples_open(vq_samples *samples, vq_arena *arena, vq_diag *diag, const vq_graph *g, const char *path,
	uint32_t most, const vq_image_options *image, vq_strings *files)
{
	source *s = VQ_NEW(arena, source);
	const char *where;
	uint32_t n = 0;
	bool good;

	*s = (source){ .arena = arena, .diag = diag, .g = g, .image = image };
	*samples = (vq_samples){ .self = s };
	if (g->n_inputs == 0)
		return vq_error(diag, NULL, "the model has no inputs: it takes no samples");
	s->feed = VQ_ARRAY(arena, g->n_inputs, feed);
	if (vq_is_folder(path)) {
		where = vq_arena_printf(arena, "folder '%s'", path);
		good = vq_folder_files(&s->files, arena, diag, path, extensions) && connect_files(s, where, &n);
	} else {
		where = vq_arena_printf(arena, "file '%s'", path);
		keep(files, arena, path);
		if (vq_path_ends(path, ".npy"))
			good = connect_npy(s, where, path, &n);
		else if (vq_path_ends(path, ".npz"))
			good = connect_npz(s, where, path, &n);
		else if (is_image(path))
			keep(&s->files, arena, path), good = connect_files(s, where, &n);
		else
			good = open_list(s, where, path) && connect_files(s, where, &n);
	}
	samples->n = most && most < n ? most : n;
	samples->get = s->files.n ? get_files : get_arrays;
	for (uint32_t i = 0; i < s->files.n; i++)
		keep(files, arena, s->files.item[i]);
	return good;
}

void vq_samples_close(vq_samples *samples)
{
	source *s = samples->self;

	for (uint32_t i = 0; s && i < s->n_open; i++)
		vq_file_close(&s->open[i]);
	samples->self = NULL;
}
