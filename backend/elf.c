/* SPDX-License-Identifier: MIT */
#include "backend/elf.h"

#include "backend/little_endian.h"

#include <string.h>

/* Numbers of the ELF specification and its processor supplements. */
enum {
	ET_REL = 1,
	SHT_PROGBITS = 1,
	SHT_SYMTAB = 2,
	SHT_RELA = 4,
	SHT_NOBITS = 8,
	SHT_REL = 9,
	SHT_ARM_ATTRIBUTES = 0x70000003,
	SHF_WRITE = 1,
	SHF_ALLOC = 2,
	SHF_TLS = 0x400,
	SHN_UNDEF = 0,
	SHN_COMMON = 0xfff2,
	SHN_XINDEX = 0xffff,
	STB_LOCAL = 0,
	TAG_FILE = 1,
	TAG_CPU_RAW_NAME = 4,
	TAG_CPU_NAME = 5,
	TAG_ABI_VFP_ARGS = 28,
	TAG_COMPATIBILITY = 32,
};

typedef struct reader {
	const unsigned char *p; /* the file */
	uint64_t n;             /* its bytes */
	bool wide;              /* ELF64 */
	bool past;              /* something outside the file was asked for; it read as 0 */
	vq_diag *diag;
	const vq_target *t;
	const char *prefix;
} reader;

typedef struct section {
	uint32_t name, type, link, info;
	uint64_t flags, offset, size, entry;
} section;

typedef struct sections {
	uint64_t table; /* file offset of the section headers */
	uint32_t n;
	uint32_t entry; /* bytes of one header */
	section names;  /* the string table of section names */
} sections;

static uint64_t get(reader *r, uint64_t at, uint32_t bytes)
{
	uint64_t v = 0;

	if (at > r->n || bytes > r->n - at) {
		r->past = true;
		return 0;
	}
	for (uint32_t i = 0; i < bytes; i++)
		v |= (uint64_t)r->p[at + i] << (8 * i);
	return v;
}

static uint32_t get32(reader *r, uint64_t at) { return (uint32_t)get(r, at, 4); }

/* The NUL-terminated string at offset `at` of string table s. */
static const char *string(reader *r, const section *s, uint64_t at)
{
	if (at >= s->size || s->offset > r->n || s->size > r->n - s->offset ||
		!memchr(r->p + s->offset + at, 0, (size_t)(s->size - at))) {
		r->past = true;
		return "";
	}
	return (const char *)r->p + s->offset + at;
}

static section get_section(reader *r, const sections *all, uint32_t index)
{
	uint64_t at = all->table + (uint64_t)index * all->entry;

	if (r->wide)
		return (section){ .name = get32(r, at),
			.type = get32(r, at + 4),
			.flags = get(r, at + 8, 8),
			.offset = get(r, at + 24, 8),
			.size = get(r, at + 32, 8),
			.link = get32(r, at + 40),
			.info = get32(r, at + 44),
			.entry = get(r, at + 56, 8) };
	return (section){ .name = get32(r, at),
		.type = get32(r, at + 4),
		.flags = get32(r, at + 8),
		.offset = get32(r, at + 16),
		.size = get32(r, at + 20),
		.link = get32(r, at + 24),
		.info = get32(r, at + 28),
		.entry = get32(r, at + 36) };
}

static bool fail(reader *r, const char *format, ...) VQ_PRINTF(2, 3);

static bool fail(reader *r, const char *format, ...)
{
	va_list args;
	const char *text;

	va_start(args, format);
	text = vq_arena_vprintf(r->diag->arena, format, args);
	va_end(args);
	return vq_bug(r->diag, "object self-check", "%s", text);
}

/* ---- header ---- */

static bool check_header(reader *r, sections *all)
{
	const vq_elf_facts *want = &r->t->elf;
	uint32_t flags, names;

	if (r->n < 52 || memcmp(r->p, "\177ELF", 4) != 0)
		return fail(r, "this is not an ELF file");
	if (r->p[4] != (want->bits == 64 ? 2 : 1) || r->p[5] != 1)
		return fail(r, "ELF class %u and byte order %u, expected %u bits and little endian", (unsigned)r->p[4],
			(unsigned)r->p[5], (unsigned)want->bits);
	r->wide = r->p[4] == 2;
	if (get(r, 16, 2) != ET_REL)
		return fail(r, "ELF type %u, expected a relocatable object", (unsigned)get(r, 16, 2));
	if (get(r, 18, 2) != want->machine)
		return fail(r, "ELF machine %u, expected %u (%s)", (unsigned)get(r, 18, 2), (unsigned)want->machine,
			r->t->name);
	flags = get32(r, r->wide ? 48 : 36);
	if ((flags & want->flags_mask) != want->flags)
		return fail(r, "ELF flags 0x%x lack the ABI of %s: 0x%x under mask 0x%x expected", (unsigned)flags,
			r->t->name, (unsigned)want->flags, (unsigned)want->flags_mask);

	all->table = r->wide ? get(r, 40, 8) : get32(r, 32);
	all->entry = (uint32_t)get(r, r->wide ? 58 : 46, 2);
	all->n = (uint32_t)get(r, r->wide ? 60 : 48, 2);
	names = (uint32_t)get(r, r->wide ? 62 : 50, 2);
	if (all->entry < (r->wide ? 64u : 40u))
		return fail(r, "section headers of %u bytes", (unsigned)all->entry);
	if (all->n == 0 && all->table) /* too many sections for the header: the first section has the count */
		all->n = (uint32_t)get_section(r, all, 0).size;
	if (names == SHN_XINDEX)
		names = get_section(r, all, 0).link;
	all->names = get_section(r, all, names);
	if (r->past || all->table > r->n || (r->n - all->table) / all->entry < all->n)
		return fail(r, "the section table lies outside the file");
	return true;
}

/* ---- sections ---- */

static bool check_section(reader *r, const section *s, const char *name)
{
	if (strcmp(name, ".eh_frame") == 0 && s->size)
		return fail(r, "section .eh_frame of %llu bytes: a function is not marked nounwind",
			(unsigned long long)s->size);
	if (!(s->flags & SHF_ALLOC) || s->size == 0)
		return true;
	if (s->flags & SHF_TLS)
		return fail(r, "thread-local section %s", name);
	if (s->flags & SHF_WRITE)
		return fail(r, "writable section %s of %llu bytes", name, (unsigned long long)s->size);
	return true;
}

/*
 * Relocations that the linker resolves for good when it makes a shared library: relative to the
 * place, or through its global offset table. Everything else (addresses) would have to be patched
 * by the loader into read-only pages.
 */
static bool relative(vq_arch arch, uint32_t type)
{
	static const uint16_t x86[] = { 0, 2 /* PC32 */, 4 /* PLT32 */, 9 /* GOTPCREL */, 13, 15 /* PC16, PC8 */,
		24 /* PC64 */, 41, 42 /* GOTPCRELX */ };
	static const uint16_t aarch64[] = { 0, 256, 260, 261, 262 /* PREL */, 273, 274, 275, 276 /* LO19, ADR */,
		277 /* ADD_ABS_LO12_NC, with ADR */, 278, 284, 285, 286, 299 /* LDST*_ABS_LO12_NC, the same */, 279,
		280, 282, 283 /* branches */, 311, 312 /* GOT */, 314 /* PLT32 */ };
	static const uint16_t arm[] = { 0, 1, 27, 28, 29 /* branches */, 3 /* REL32 */, 10, 30 /* Thumb branches */, 25,
		26, 96 /* GOT */, 40 /* V4BX */, 42 /* PREL31 */, 45, 46, 49, 50 /* MOVW, MOVT PREL */ };
	static const uint16_t riscv[] = { 0, 16, 17, 18, 19, 44, 45 /* branches and calls */, 20 /* GOT */, 23, 24,
		25 /* PCREL */, 33, 34, 35, 36, 37, 38, 39, 40, 52, 53, 54, 55, 56 /* differences of labels */, 43,
		51 /* ALIGN, RELAX */, 57 /* 32_PCREL */, 59 /* PLT32 */ };
	const uint16_t *list = NULL;
	size_t n = 0;

	switch (arch) {
	case VQ_ARCH_X86_64:
		list = x86;
		n = sizeof x86 / sizeof *x86;
		break;
	case VQ_ARCH_AARCH64:
		list = aarch64;
		n = sizeof aarch64 / sizeof *aarch64;
		break;
	case VQ_ARCH_ARM:
		list = arm;
		n = sizeof arm / sizeof *arm;
		break;
	case VQ_ARCH_RISCV64:
		list = riscv;
		n = sizeof riscv / sizeof *riscv;
		break;
	}
	for (size_t i = 0; i < n; i++)
		if (list[i] == type)
			return true;
	return false;
}

static bool check_relocations(reader *r, const sections *all, const section *s)
{
	uint64_t least = (r->wide ? 16u : 8u) + (s->type == SHT_RELA ? (r->wide ? 8u : 4u) : 0u);
	section of;

	if (s->info >= all->n)
		return fail(r, "relocations of section %u, which does not exist", (unsigned)s->info);
	of = get_section(r, all, s->info);
	if (!(of.flags & SHF_ALLOC))
		return true;
	if (s->entry < least || s->offset > r->n || s->size > r->n - s->offset)
		return fail(r, "a relocation table lies outside the file");
	for (uint64_t i = 0; i < s->size / s->entry; i++) {
		uint64_t at = s->offset + i * s->entry;
		uint32_t type = r->wide ? get32(r, at + 8) : get32(r, at + 4) & 0xff;

		if (!relative(r->t->arch, type))
			return fail(r,
				"relocation of type %u in %s at 0x%llx would need a text "
				"relocation",
				(unsigned)type, string(r, &all->names, of.name),
				(unsigned long long)get(r, at, r->wide ? 8 : 4));
	}
	return true;
}

/* ---- symbols ---- */

static bool own_symbol(const reader *r, const char *name)
{
	size_t n = strlen(r->prefix);

	return strncmp(name, r->prefix, n) == 0 && name[n] == '_' && name[n + 1];
}

static bool check_symbols(reader *r, const sections *all, const section *s)
{
	section strings;
	bool good = true;

	if (s->link >= all->n || s->entry < (r->wide ? 24u : 16u) || s->offset > r->n || s->size > r->n - s->offset)
		return fail(r, "the symbol table lies outside the file");
	strings = get_section(r, all, s->link);
	for (uint64_t i = 1; i < s->size / s->entry; i++) {
		uint64_t at = s->offset + i * s->entry;
		const char *name = string(r, &strings, get32(r, at));
		uint32_t bind = (uint32_t)get(r, at + (r->wide ? 4 : 12), 1) >> 4;
		uint32_t where = (uint32_t)get(r, at + (r->wide ? 6 : 14), 2);

		if (bind == STB_LOCAL)
			continue;
		if (where == SHN_UNDEF)
			good = fail(r, "undefined symbol '%s'", name);
		else if (where == SHN_COMMON)
			good = fail(r, "common (writable) symbol '%s'", name);
		else if (!own_symbol(r, name))
			good = fail(r, "global symbol '%s' does not start with '%s_'", name, r->prefix);
	}
	return good;
}

/* ---- Arm build attributes ---- */

static uint64_t uleb(reader *r, uint64_t *at, uint64_t end)
{
	uint64_t v = 0;

	for (uint32_t shift = 0; *at < end && shift < 63; shift += 7) {
		uint64_t byte = get(r, (*at)++, 1);

		v |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->past = true;
	return 0;
}

static void skip_string(reader *r, uint64_t *at, uint64_t end)
{
	while (*at < end && get(r, *at, 1))
		(*at)++;
	(*at)++;
}

/* Tag_ABI_VFP_args of the attributes in [at, end) of one file-scope subsection: 0 if absent. */
static uint64_t vfp_args(reader *r, uint64_t at, uint64_t end)
{
	uint64_t found = 0;

	while (at < end && !r->past) {
		uint64_t tag = uleb(r, &at, end);

		if (tag == TAG_COMPATIBILITY) {
			uleb(r, &at, end);
			skip_string(r, &at, end);
		} else if (tag == TAG_CPU_RAW_NAME || tag == TAG_CPU_NAME || (tag > TAG_COMPATIBILITY && tag % 2)) {
			skip_string(r, &at, end);
		} else {
			uint64_t v = uleb(r, &at, end);

			if (tag == TAG_ABI_VFP_ARGS)
				found = v;
		}
	}
	return found;
}

/* Section: 'A', then per vendor: u32 length, name, and per scope: tag, u32 length, attributes. */
static bool check_arm_attributes(reader *r, const section *s)
{
	uint64_t at = s->offset + 1, end = s->offset + s->size, args = 0;

	if (s->size < 5 || s->offset > r->n || s->size > r->n - s->offset || r->p[s->offset] != 'A')
		return fail(r, "damaged .ARM.attributes");
	while (at < end && !r->past) {
		uint64_t length = get32(r, at), stop = at + length, scope = at + 4;

		if (length < 5 || stop > end)
			return fail(r, "damaged .ARM.attributes");
		skip_string(r, &scope, stop);
		while (scope < stop && !r->past) {
			uint64_t bytes = scope + 5 <= stop ? get32(r, scope + 1) : 0;

			if (bytes < 5 || scope + bytes > stop)
				return fail(r, "damaged .ARM.attributes");
			if (get(r, scope, 1) == TAG_FILE)
				args |= vfp_args(r, scope + 5, scope + bytes);
			scope += bytes;
		}
		at = stop;
	}
	/* 3: no function of the object takes floats by value, compatible with both */
	if (args != 3 && args != (r->t->softfp ? 0u : 1u))
		return fail(r, "Tag_ABI_VFP_args is %u, expected %u (%s float ABI)", (unsigned)args,
			r->t->softfp ? 0u : 1u, r->t->softfp ? "softfp" : "hard");
	return true;
}

/* ---- names of sections ---- */

bool vq_section_check(vq_diag *diag, const char *name)
{
	/* LLVM and linkers know these by name and make them code, writable or notes */
	static const char *const others[] = { "text", "data", "bss", "sbss", "sdata", "tdata", "tbss", "init", "fini",
		"init_array", "fini_array", "preinit_array", "ctors", "dtors", "eh_frame", "note", "ARM", "debug",
		"rel", "rela", "symtab", "strtab", "shstrtab", "comment", "group", "dynamic", "got", "plt", "llvm",
		"gnu" };
	size_t n = strlen(name), first;
	bool good = n > 1 && name[0] == '.' &&
		strspn(name + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n - 1;

	if (!good)
		return vq_error(diag, "option -weights-section",
			"'%s' is no section name: expected a dot, then letters, digits and _ . -", name);
	first = strcspn(name + 1, ".");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strlen(others[i]) == first && strncmp(name + 1, others[i], first) == 0) {
			vq_error(diag, "option -weights-section", "a section '%s' is not read-only data", name);
			vq_hint(diag, "'.rodata%s' could be used", name);
			return false;
		}
	return true;
}

/* ---- branch protection ---- */

/*
 * Section .note.gnu.property: notes of name size, data size, type, "GNU"; the data are properties of type, size, bits. The bits of the
 * feature property (AArch64: BTI, PAC; x86: IBT, shadow stack) are those of VQ_PROTECT_BRANCH and VQ_PROTECT_RETURN.
 */
static bool check_protection(reader *r, const section *s)
{
	uint32_t want = r->t->protect & (VQ_PROTECT_BRANCH | VQ_PROTECT_RETURN);
	uint32_t feature = r->t->arch == VQ_ARCH_X86_64 ? 0xc0000002 : 0xc0000000;
	uint64_t at = s->offset, end = s->offset + s->size;

	if (s->offset > r->n || s->size > r->n - s->offset || s->size < 16)
		return fail(r, "damaged .note.gnu.property");
	for (at += 16; at + 12 <= end; at += 8 + (get32(r, at + 4) + 7) / 8 * 8)
		if (get32(r, at) == feature)
			return (get32(r, at + 8) & want) == want ||
				fail(r, ".note.gnu.property promises 0x%x, expected 0x%x", (unsigned)get32(r, at + 8),
					(unsigned)want);
	return fail(r, ".note.gnu.property does not state the branch protection");
}

bool vq_elf_check(const vq_target *t, const char *prefix, const void *elf, size_t bytes, vq_diag *diag)
{
	reader r = { .p = elf, .n = bytes, .diag = diag, .t = t, .prefix = prefix };
	sections all = { .table = 0 };
	bool good, attributes = false, symbols = false, protected = false;

	good = check_header(&r, &all);
	if (!good)
		return false;
	for (uint32_t i = 1; i < all.n; i++) {
		section s = get_section(&r, &all, i);
		const char *name = string(&r, &all.names, s.name);

		good &= check_section(&r, &s, name);
		if (s.type == SHT_RELA || s.type == SHT_REL)
			good &= check_relocations(&r, &all, &s);
		if (s.type == SHT_SYMTAB) {
			symbols = true;
			good &= check_symbols(&r, &all, &s);
		}
		if (t->protect && strcmp(name, ".note.gnu.property") == 0) {
			protected = true;
			good &= check_protection(&r, &s);
		}
		if (t->arch == VQ_ARCH_ARM && s.type == SHT_ARM_ATTRIBUTES) {
			attributes = true;
			good &= check_arm_attributes(&r, &s);
		}
	}
	if (r.past)
		return fail(&r, "a name or table lies outside the file");
	if (t->protect && !protected)
		return fail(&r, "there is no .note.gnu.property, which promises the branch protection");
	if (!symbols)
		return fail(&r, "there is no symbol table");
	if (t->arch == VQ_ARCH_ARM && !attributes)
		return fail(&r, "there is no .ARM.attributes section");
	return good;
}

/* ---- weights ---- */

static const char room_prefix[] = ".bss"; /* what makes LLVM leave out the bytes */

const char *vq_elf_room(vq_arena *arena, const char *name)
{
	return vq_arena_printf(arena, "%s%s", room_prefix, name ? name : ".rodata");
}

bool vq_elf_place(const vq_target *t, void *elf, size_t bytes, const char *name, uint64_t at, vq_diag *diag)
{
	reader r = { .p = elf, .n = bytes, .diag = diag, .t = t };
	sections all = { .table = 0 };
	const char *room = vq_elf_room(diag->arena, name);

	if (!check_header(&r, &all))
		return false;
	for (uint32_t i = 1; i < all.n; i++) {
		section s = get_section(&r, &all, i);
		unsigned char *header = (unsigned char *)elf + all.table + (uint64_t)i * all.entry;

		if (s.type != SHT_NOBITS || strcmp(string(&r, &all.names, s.name), room) != 0)
			continue;
		vq_put(header, s.name + sizeof room_prefix - 1,
			4); /* the tail of the name is the name that is wanted */
		vq_put(header + 4, SHT_PROGBITS, 4);
		vq_put(header + 8, SHF_ALLOC, r.wide ? 8 : 4);
		vq_put(header + (r.wide ? 24 : 16), at, r.wide ? 8 : 4);
		return true;
	}
	return fail(&r, "there is no section %s", room);
}
