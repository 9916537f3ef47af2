/* SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700 /* realpath */

#include "frontend/onnx_load.h"
#include "frontend/onnx_wire.h"
#include "ir/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- memory of protobuf-c ---- */

/*
 * Everything goes to the graph's arena and is never freed: names and weights are used as they are. What a file can
 * make the parser allocate is bounded by its size: weights need one copy, a small message at most 64 times its
 * packed size (an AttributeProto of 13 bytes takes 300), and repeated merging of messages is cut off.
 */
typedef struct budget {
	vq_arena *arena;
	uint64_t left; /* bytes */
} budget;

static void *take(void *user, size_t bytes)
{
	budget *b = user;

	if (bytes > b->left)
		return NULL; /* makes unpacking fail */
	b->left -= bytes;
	return vq_arena_alloc(b->arena, bytes);
}

static void give_back(void *user, void *block)
{
	(void)user;
	(void)block;
}

static budget budget_for(vq_arena *arena, size_t bytes)
{
	uint64_t small = bytes < (16u << 20) ? bytes : 16u << 20;

	return (budget){ arena, 3 * (uint64_t)bytes + 64 * small + 65536 };
}

Onnx__GraphProto *vq_onnx_unpack_graph(vq_onnx_model *m, const ProtobufCBinaryData *packed)
{
	budget b = budget_for(m->arena, packed->len);
	ProtobufCAllocator allocator = { take, give_back, &b };

	return onnx__graph_proto__unpack(&allocator, packed->len, packed->data);
}

/* ---- the file ---- */

static bool not_a_model(vq_onnx_model *m, const unsigned char *data, size_t bytes)
{
	vq_diag *d = m->diag;
	vq_wire_fault f;

	if (vq_wire_find_fault(&f, m->arena, &onnx__model_proto__descriptor, data, bytes))
		vq_error(d, vq_arena_printf(m->arena, "byte %zu", f.at),
			"not an ONNX model: the protobuf cannot be decoded: %s %s", *f.field ? f.field : "it",
			f.problem);
	else
		vq_error(d, NULL, "not an ONNX model: %s",
			m->proto ? "it has no graph" : "the protobuf cannot be decoded");
	if (bytes >= 7 && !memcmp(data, "version", 7))
		vq_hint(d, "this is a Git LFS pointer; fetch the file itself with git lfs pull");
	else if (bytes >= 4 && !memcmp(data, "PK\003\004", 4))
		vq_hint(d, "this is a zip archive (a PyTorch checkpoint?); export the model with torch.onnx.export");
	else if (bytes >= 8 && !memcmp(data + 4, "TFL3", 4))
		vq_hint(d, "this is a TensorFlow Lite model; export to ONNX instead");
	else if (bytes >= 2 && data[0] == 0x1f && data[1] == 0x8b)
		vq_hint(d, "this is a gzip file; unpack it first");
	else
		vq_hint(d, "the file has %zu bytes; it may be truncated: copy or export it again", bytes);
	return false;
}

static bool is_default_domain(const char *domain) { return !domain || !*domain || !strcmp(domain, "ai.onnx"); }

static bool check_versions(vq_onnx_model *m)
{
	const Onnx__ModelProto *p = m->proto;
	bool found = false;

	if (p->has_ir_version && p->ir_version < VQ_ONNX_IR_LEAST)
		return vq_error(m->diag, NULL, "IR version is %lld, expected at least %d", (long long)p->ir_version,
			VQ_ONNX_IR_LEAST);
	for (size_t i = 0; i < p->n_opset_import; i++) {
		if (!is_default_domain(p->opset_import[i]->domain))
			continue;
		if (found && p->opset_import[i]->version != m->opset)
			return vq_error(m->diag, NULL,
				"the default operator set is imported twice, as version %lld and %lld",
				(long long)m->opset, (long long)p->opset_import[i]->version);
		m->opset = p->opset_import[i]->version;
		found = true;
	}
	if (!found)
		return vq_error(m->diag, NULL, "no version of the default operator set is given (opset_import)");
	if (m->opset < VQ_ONNX_OPSET_LEAST || m->opset > VQ_ONNX_OPSET_MOST) {
		vq_error(m->diag, NULL, "operator set version is %lld, expected %d to %d", (long long)m->opset,
			VQ_ONNX_OPSET_LEAST, VQ_ONNX_OPSET_MOST);
		vq_hint(m->diag, "export with opset_version=17, or convert with onnx.version_converter");
		return false;
	}
	return true;
}

bool vq_onnx_load_bytes(
	vq_onnx_model *m, vq_arena *arena, vq_diag *diag, const char *path, const void *data, size_t bytes)
{
	budget b = budget_for(arena, bytes);
	ProtobufCAllocator allocator = { take, give_back, &b };

	*m = (vq_onnx_model){ .path = path, .arena = arena, .diag = diag, .file_bytes = bytes };
	if (!bytes)
		return vq_error(diag, NULL, "the file is empty");
	m->proto = onnx__model_proto__unpack(&allocator, bytes, data);
	if (!m->proto || !m->proto->graph)
		return not_a_model(m, data, bytes);
	m->hash = vq_hash(data, bytes);
	return check_versions(m);
}

/* the whole of fd; mapped if it is a regular file */
static bool load_fd(vq_onnx_model *m, vq_arena *arena, vq_diag *diag, const char *path, int fd)
{
	struct stat s;
	void *map;
	bool ok;

	if (fstat(fd, &s))
		return vq_error(diag, NULL, "cannot read: %s", strerror(errno));
	if (S_ISDIR(s.st_mode))
		return vq_error(diag, NULL, "cannot read: this is a folder");
	if (!S_ISREG(s.st_mode))
		return vq_error(diag, NULL, "cannot read: not a regular file");
	if (s.st_size <= 0)
		return vq_error(diag, NULL, "the file is empty");
	if (s.st_size > INT_MAX) {
		vq_error(diag, NULL, "the file has %lld bytes, more than a protobuf can have (2 GiB)",
			(long long)s.st_size);
		vq_hint(diag, "save it with external data: onnx.save(model, path, save_as_external_data=True)");
		return false;
	}
	map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return vq_error(diag, NULL, "cannot map: %s", strerror(errno));
	ok = vq_onnx_load_bytes(m, arena, diag, path, map, (size_t)s.st_size);
	munmap(map, (size_t)s.st_size);
	return ok;
}

bool vq_onnx_load(vq_onnx_model *m, vq_arena *arena, vq_diag *diag, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not block */
	bool ok;

	if (fd < 0)
		return vq_error(diag, NULL, "cannot open: %s", strerror(errno));
	ok = load_fd(m, arena, diag, path, fd);
	close(fd);
	return ok;
}

/* ---- external data ---- */

typedef struct place {
	const char *location;    /* relative to the model's folder */
	uint64_t offset, length; /* bytes; length 0 = not given */
} place;

static bool parse_u64(const char *text, uint64_t *v)
{
	uint64_t r = 0;

	if (!text || !*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || r > (UINT64_MAX - 9) / 10)
			return false;
		r = r * 10 + (uint64_t)(*text - '0');
	}
	*v = r;
	return true;
}

static bool read_place(vq_onnx_model *m, const Onnx__TensorProto *t, const char *where, place *p)
{
	*p = (place){ 0 };
	for (size_t i = 0; i < t->n_external_data; i++) {
		const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
		uint64_t *number = NULL;

		if (!key || !value)
			continue;
		if (!strcmp(key, "location"))
			p->location = value;
		else if (!strcmp(key, "offset"))
			number = &p->offset;
		else if (!strcmp(key, "length"))
			number = &p->length;
		if (number && !parse_u64(value, number))
			return vq_error(
				m->diag, where, "external data: %s is '%s', expected a number of bytes", key, value);
	}
	if (!p->location || !*p->location)
		return vq_error(m->diag, where, "external data: no file is named");
	return true;
}

static bool has_parent_component(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
			return true;
	}
	return false;
}

/* the folder of path, "." if it has none */
static const char *folder_of(vq_arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return ".";
	return slash == path ? "/" : vq_arena_strndup(a, path, (size_t)(slash - path));
}

static bool lies_in(const char *file, const char *folder)
{
	size_t n = strlen(folder);

	if (n == 1 && *folder == '/')
		return true;
	return !strncmp(file, folder, n) && file[n] == '/';
}

/*
 * Opens the file of external data. Symbolic links are followed as long as they stay in the folder of the model or
 * in that of the file the model's own name links to: model caches keep both behind links.
 */
static int open_beside(vq_onnx_model *m, const char *where, const char *location)
{
	const char *folder = folder_of(m->arena, m->path);
	const char *path = vq_arena_printf(m->arena, "%s/%s", folder, location);
	char real[PATH_MAX], home[PATH_MAX], model[PATH_MAX];
	int fd;

	if (*location == '/' || has_parent_component(location)) {
		vq_error(m->diag, where, "external data: '%s' does not stay in the model's folder", location);
		vq_hint(m->diag, "save the model again with its data beside it");
		return -1;
	}
	if (!realpath(path, real)) {
		vq_error(m->diag, where, "external data: cannot open '%s': %s", path, strerror(errno));
		vq_hint(m->diag, "the data file must be copied together with the model");
		return -1;
	}
	if (!realpath(folder, home) || !realpath(m->path, model))
		*model = 0;
	if (!lies_in(real, home) && !(*model && lies_in(real, folder_of(m->arena, model)))) {
		vq_error(
			m->diag, where, "external data: '%s' is a link to a file outside the model's folder", location);
		vq_hint(m->diag, "copy the data file itself beside the model");
		return -1;
	}
	fd = open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		vq_error(m->diag, where, "external data: cannot open '%s': %s", path, strerror(errno));
	else if (m->opened)
		m->opened(m->user, path);
	return fd;
}

static const void *read_range(vq_onnx_model *m, int fd, const char *where, const place *p, uint64_t need)
{
	struct stat s;
	unsigned char *data;

	if (fstat(fd, &s) || !S_ISREG(s.st_mode)) {
		vq_error(m->diag, where, "external data: '%s' is not a regular file", p->location);
		return NULL;
	}
	if (p->offset > (uint64_t)s.st_size || need > (uint64_t)s.st_size - p->offset) {
		vq_error(m->diag, where, "external data: %llu bytes at offset %llu, but '%s' has %lld bytes",
			(unsigned long long)need, (unsigned long long)p->offset, p->location, (long long)s.st_size);
		return NULL;
	}
	data = vq_arena_alloc(m->arena, (size_t)need);
	for (uint64_t at = 0; at < need;) {
		size_t part = need - at < (1u << 30) ? (size_t)(need - at) : 1u << 30;
		ssize_t got = pread(fd, data + at, part, (off_t)(p->offset + at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			vq_error(m->diag, where, "external data: cannot read '%s': %s", p->location,
				got ? strerror(errno) : "it became shorter");
			return NULL;
		}
		at += (uint64_t)got;
	}
	return data;
}

const void *vq_onnx_external(vq_onnx_model *m, const Onnx__TensorProto *t, const char *where, uint64_t need)
{
	const void *data;
	place p;
	int fd;

	if (!read_place(m, t, where, &p))
		return NULL;
	if (p.length && p.length != need) {
		vq_error(m->diag, where, "external data: length is %llu bytes, expected %llu for this type and shape",
			(unsigned long long)p.length, (unsigned long long)need);
		return NULL;
	}
	fd = open_beside(m, where, p.location);
	if (fd < 0)
		return NULL;
	data = read_range(m, fd, where, &p, need);
	close(fd);
	if (data) {
		uint64_t both[2] = { m->hash, vq_hash(data, (size_t)need) };
		unsigned char bytes[16];

		for (int i = 0; i < 16; i++)
			bytes[i] = (unsigned char)(both[i / 8] >> 8 * (i % 8)); /* same on every host */
		m->hash = vq_hash(bytes, sizeof bytes);
	}
	return data;
}
