/* SPDX-License-Identifier: MIT */
/*
 * From what the user wrote (short name, vendor triple, GCC or LLVM spelling of CPU and features) to
 * a resolved target. Everything is checked against our own tables: LLVM takes an unknown CPU or
 * feature with a warning on stderr and goes on with generic code. The triple handed to LLVM is
 * always one of ours.
 */
#include "backend/target_table.h"

#include "ir/nearest.h"

#include <string.h>

static const vq_arch_table *const archs[] = { &vq_arch_x86_64, &vq_arch_aarch64, &vq_arch_arm, &vq_arch_riscv64 };

enum { N_ARCHS = sizeof archs / sizeof *archs };

/* What has been understood so far. */
typedef struct parsed {
	const vq_arch_table *arch;
	uint32_t features; /* base, CPU and attributes, closed under implication */
	uint32_t asked;    /* used features that -mattr adds by name */
	bool triple_soft;  /* the triple says arguments go in core registers */
	bool triple_hard;  /* … in VFP registers */
	const char *cpu;   /* its name, for the report */
} parsed;

typedef struct word {
	const char *p;
	size_t n;
} word;

static bool is(word w, const char *text) { return strlen(text) == w.n && memcmp(w.p, text, w.n) == 0; }

static bool starts(word w, const char *text) { return w.n >= strlen(text) && memcmp(w.p, text, strlen(text)) == 0; }

/* Cuts the next piece off *rest at one of the separators. */
static word cut(word *rest, const char *separators)
{
	word w = { rest->p, 0 };

	while (w.n < rest->n && !strchr(separators, rest->p[w.n]))
		w.n++;
	rest->p += w.n < rest->n ? w.n + 1 : w.n;
	rest->n -= w.n < rest->n ? w.n + 1 : w.n;
	return w;
}

static const vq_feature_row *find_feature(const vq_arch_table *a, word name)
{
	for (const vq_feature_row *f = a->feature; f->name; f++)
		if (is(name, f->name))
			return f;
	return NULL;
}

static const vq_cpu_row *find_cpu(const vq_arch_table *a, word name)
{
	for (const vq_cpu_row *c = a->cpu; c->name; c++)
		if (is(name, c->name))
			return c;
	return NULL;
}

/* ---- architecture and triple ---- */

static void unknown_target(vq_diag *d, word name)
{
	vq_nearest near;

	vq_error(d, "option -target", "unknown target '%.*s'", (int)name.n, name.p);
	for (uint32_t i = 0; i < N_ARCHS; i++) {
		if (!find_cpu(archs[i], name))
			continue;
		vq_hint(d, "this is the name of a CPU: -target=%s -mcpu=%.*s", archs[i]->name, (int)name.n, name.p);
		return;
	}
	vq_nearest_start(&near, name.p, name.n);
	for (uint32_t i = 0; i < N_ARCHS; i++) {
		vq_nearest_offer(&near, archs[i]->name);
		for (const char *const *s = archs[i]->alias; *s; s++)
			vq_nearest_offer(&near, *s);
	}
	vq_nearest_offer(&near, "native");
	if (near.best)
		vq_hint(d, "did you mean '%s'?", near.best);
	vq_hint(d,
		"targets are x86-64, aarch64, armv7, riscv64, native, or a triple such as "
		"aarch64-poky-linux; "
		"vitqc -print-targets lists them");
}

/* Architectures people will ask for that this version does not have: says so by name. */
static bool refuse_arch(vq_diag *d, word w)
{
	static const struct {
		const char *start, *what;
	} known[] = {
		{ "thumb", "Thumb-only (Cortex-M) targets" },
		{ "armv6-m", "Thumb-only (Cortex-M) targets" },
		{ "armv7m", "Thumb-only (Cortex-M) targets" },
		{ "armv7-m", "Thumb-only (Cortex-M) targets" },
		{ "armv7em", "Thumb-only (Cortex-M) targets" },
		{ "armv8m", "Thumb-only (Cortex-M) targets" },
		{ "armv8-m", "Thumb-only (Cortex-M) targets" },
		{ "armv7r", "Armv7-R targets" },
		{ "armv4", "Arm targets before Armv7-A" },
		{ "armv5", "Arm targets before Armv7-A" },
		{ "armv6", "Arm targets before Armv7-A" },
		{ "armel", "Arm targets before Armv7-A" },
		{ "armeb", "big-endian targets" },
		{ "armbe", "big-endian targets" },
		{ "aarch64_be", "big-endian targets" },
		{ "aarch64be", "big-endian targets" },
		{ "aarch64_32", "ILP32 targets" },
		{ "arm64_32", "ILP32 targets" },
		{ "riscv32", "32-bit RISC-V targets" },
		{ "rv32", "32-bit RISC-V targets" },
		{ "i386", "32-bit x86 targets" },
		{ "i486", "32-bit x86 targets" },
		{ "i586", "32-bit x86 targets" },
		{ "i686", "32-bit x86 targets" },
		{ "x86-32", "32-bit x86 targets" },
		{ "powerpc", "PowerPC targets" },
		{ "ppc", "PowerPC targets" },
		{ "mips", "MIPS targets" },
		{ "loongarch", "LoongArch targets" },
		{ "s390x", "s390x targets" },
		{ "wasm", "WebAssembly targets" },
		{ "xtensa", "Xtensa targets" },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!starts(w, known[i].start))
			continue;
		vq_error(d, "option -target", "%s are not supported by this version (got '%.*s')", known[i].what,
			(int)w.n, w.p);
		return true;
	}
	return false;
}

/* "rv64gcv_zvl256b", "riscv64imafdc": the letters and extensions after the base. */
static bool riscv_suffix(parsed *t, vq_diag *d, word arch, word rest)
{
	word letters = cut(&rest, "_");
	bool complete = letters.n == 0;

	for (size_t i = 0; i < letters.n; i++) {
		word one = { letters.p + i, 1 };
		const vq_feature_row *f = find_feature(t->arch, one);

		if (is(one, "g")) {
			complete = true;
		} else if (is(one, "d")) {
			complete = true; /* with i, m, a, f before it; vitqc assumes c */
		} else if (is(one, "z") || is(one, "x") || is(one, "s")) {
			rest = (word){ letters.p + i, letters.n - i + (rest.n ? rest.n + 1 : 0) };
			break;
		} else if (!f && !is(one, "i")) {
			return vq_error(d, "option -target", "unknown RISC-V extension '%c' in '%.*s'", *one.p,
				(int)arch.n, arch.p);
		}
		if (f)
			t->features |= f->implies;
	}
	if (!complete)
		return vq_error(d, "option -target",
			"RISC-V targets need double-precision floating point (rv64gc), got '%.*s'", (int)arch.n,
			arch.p);
	while (rest.n) {
		word one = cut(&rest, "_");
		const vq_feature_row *f = find_feature(t->arch, one);

		if (!f)
			return vq_error(d, "option -target", "unknown RISC-V extension '%.*s' in '%.*s'", (int)one.n,
				one.p, (int)arch.n, arch.p);
		t->features |= f->implies;
	}
	return true;
}

/* The architecture of exactly this name, NULL if there is none. */
static const vq_arch_table *find_arch(word w)
{
	for (uint32_t i = 0; i < N_ARCHS; i++) {
		if (is(w, archs[i]->name))
			return archs[i];
		for (const char *const *s = archs[i]->alias; *s; s++)
			if (is(w, *s))
				return archs[i];
	}
	return NULL;
}

/*
 * The words after the architecture: vendor, system, environment. Only Linux objects are made; the
 * vendor says nothing.
 */
static bool parse_system(parsed *t, vq_diag *d, word triple, word rest)
{
	bool linux_seen = false;

	while (rest.n) {
		word w = cut(&rest, "-");

		if (starts(w, "none") || is(w, "elf") || is(w, "eabi") || is(w, "eabihf"))
			return vq_error(d, "option -target",
				"bare-metal targets are not supported by this version (got '%.*s')", (int)triple.n,
				triple.p);
		if (starts(w, "linux")) {
			linux_seen = true;
		} else if (!linux_seen) {
			static const char *const others[] = { "darwin", "macos", "ios", "windows", "win32", "mingw32",
				"cygwin", "freebsd", "netbsd", "openbsd", "android", "fuchsia", "qnx" };

			for (size_t i = 0; i < sizeof others / sizeof *others; i++)
				if (starts(w, others[i]))
					return vq_error(d, "option -target",
						"only Linux targets are supported, got '%.*s'", (int)triple.n,
						triple.p);
		} else if (is(w, "gnueabihf") || is(w, "musleabihf") || is(w, "uclibceabihf")) {
			t->triple_hard = true;
		} else if (is(w, "gnueabi") || is(w, "musleabi") || is(w, "uclibceabi")) {
			t->triple_soft = true;
		} else if (!is(w, "gnu") && !is(w, "musl") && !is(w, "uclibc")) {
			return vq_error(d, "option -target",
				"unknown environment '%.*s' in '%.*s': expected gnu or musl%s", (int)w.n, w.p,
				(int)triple.n, triple.p, t->arch->triple_softfp ? ", with eabi or eabihf" : "");
		}
	}
	if (!linux_seen)
		return vq_error(d, "option -target", "'%.*s' names no system: expected a triple such as %s",
			(int)triple.n, triple.p, t->arch->triple);
	if ((t->triple_hard || t->triple_soft) && !t->arch->triple_softfp)
		return vq_error(d, "option -target", "'%.*s' has an Arm environment on %s", (int)triple.n, triple.p,
			t->arch->name);
	return true;
}

static bool parse_target(parsed *t, vq_diag *d, const char *text)
{
	word whole = { text, strlen(text) }, rest = whole, w;

	if (refuse_arch(d, whole))
		return false;
	for (uint32_t i = 0; i < N_ARCHS; i++) {
		if (find_cpu(archs[i], whole) && !find_arch(whole)) { /* x86-64-v3, cortex-a53 */
			unknown_target(d, whole);
			return false;
		}
	}
	t->arch = find_arch(whole); /* x86-64 and armv7-a hold the separator themselves */
	if (starts(whole, "x86-64-")) {
		t->arch = &vq_arch_x86_64;
		rest = (word){ text + 7, whole.n - 7 };
	} else if (t->arch) {
		rest.n = 0;
	} else {
		w = cut(&rest, "-");
		t->arch = find_arch(w);
		if (!t->arch && (starts(w, "riscv64") || starts(w, "rv64"))) {
			size_t base = starts(w, "rv64") ? 4 : 7;

			t->arch = &vq_arch_riscv64;
			if (!riscv_suffix(t, d, w, (word){ w.p + base, w.n - base }))
				return false;
		}
	}
	if (!t->arch) {
		unknown_target(d, whole);
		return false;
	}
	t->features |= t->arch->base;
	return rest.n == 0 || parse_system(t, d, whole, rest);
}

/* ---- CPU and features ---- */

static void closed_without(const vq_arch_table *a, uint32_t *set, uint32_t bit)
{
	*set &= ~bit;
	for (const vq_feature_row *f = a->feature; f->name; f++)
		if (f->implies & bit)
			*set &= ~f->bit;
}

/* One +name or -name; warn: the user named this feature alone, so say what does not come of it. */
static bool apply_feature(parsed *t, vq_diag *d, const char *where, bool on, word name, bool warn)
{
	const vq_feature_row *f = find_feature(t->arch, name);

	if (!f) {
		vq_nearest near;

		vq_nearest_start(&near, name.p, name.n);
		for (f = t->arch->feature; f->name; f++)
			vq_nearest_offer(&near, f->name);
		vq_error(d, where, "unknown feature '%.*s' of %s", (int)name.n, name.p, t->arch->name);
		if (near.best)
			vq_hint(d, "did you mean '%s'?", near.best);
		vq_hint(d, "vitqc -target=%s -mattr=help lists the features", t->arch->name);
		return false;
	}
	if (on) {
		t->features |= f->implies;
		if (warn && f->use == VQ_FEATURE_USED)
			t->asked |= f->bit;
		if (warn && f->use == VQ_FEATURE_UNUSED)
			vq_warning(d, where, "no kernels use %s", f->name);
		return true;
	}
	if (f->bit & t->arch->base)
		return vq_error(d, where, "%s cannot do without %s", t->arch->name, f->name);
	closed_without(t->arch, &t->features, f->bit);
	return true;
}

static bool apply_attr(parsed *t, vq_diag *d, const char *attr)
{
	word rest = { attr, strlen(attr) };
	bool good = true;

	while (rest.n) {
		word w = cut(&rest, ",");

		while (w.n && (*w.p == ' ')) {
			w.p++;
			w.n--;
		}
		if (w.n == 0)
			continue;
		if (w.n < 2 || (*w.p != '+' && *w.p != '-')) {
			good = vq_error(d, "option -mattr", "expected +feature or -feature, got '%.*s'", (int)w.n, w.p);
			continue;
		}
		good &= apply_feature(t, d, "option -mattr", *w.p == '+', (word){ w.p + 1, w.n - 1 }, true);
	}
	return good;
}

/* Features that LLVM found on the host, as far as we know them. */
static void apply_host(parsed *t, vq_arena *arena)
{
	const char *features;
	const char *name = vq_host_cpu(arena, &features);
	word rest = { features, strlen(features) };

	t->cpu = *name ? name : t->arch->cpu[0].name;
	while (rest.n) {
		word w = cut(&rest, ",");
		const vq_feature_row *f = NULL;

		if (w.n > 1 && *w.p == '+')
			f = find_feature(t->arch, (word){ w.p + 1, w.n - 1 });
		if (f)
			t->features |= f->bit; /* not what it implies: hypervisors hide parts */
	}
}

/* "cortex-a57+crc+nodotprod", "cortex-a72.cortex-a53" as GCC writes them. */
static bool apply_cpu(parsed *t, vq_diag *d, vq_arena *arena, const char *text)
{
	word rest = { text, strlen(text) }, name = cut(&rest, "+");
	const vq_cpu_row *c = NULL;
	bool good = true;

	if (is(name, "native")) {
		const char *host = vq_host_arch();

		if (!host || strcmp(host, t->arch->name) != 0)
			return vq_error(d, "option -mcpu", "native is a CPU of this machine (%s), the target is %s",
				host ? host : "an architecture vitqc has no target for", t->arch->name);
		apply_host(t, arena);
	} else {
		for (size_t i = 0; i < name.n; i++) /* big.LITTLE: code must run on the little cores */
			if (name.p[i] == '.' && find_cpu(t->arch, (word){ name.p, i }))
				name = (word){ name.p + i + 1, name.n - i - 1 };
		c = find_cpu(t->arch, name);
		if (!c) {
			vq_nearest near;

			vq_nearest_start(&near, name.p, name.n);
			for (c = t->arch->cpu; c->name; c++)
				vq_nearest_offer(&near, c->name);
			vq_error(d, "option -mcpu", "unknown CPU '%.*s' of %s", (int)name.n, name.p, t->arch->name);
			for (int i = 0; i < N_ARCHS; i++)
				if (find_cpu(archs[i], name)) {
					vq_hint(d, "it is a CPU of another target: -target=%s", archs[i]->name);
					return false;
				}
			if (near.best)
				vq_hint(d, "did you mean '%s'?", near.best);
			vq_hint(d, "vitqc -target=%s -mcpu=help lists the CPUs", t->arch->name);
			return false;
		}
		t->features |= c->features;
		t->cpu = c->name;
	}
	while (rest.n) {
		word w = cut(&rest, "+");
		bool off = starts(w, "no") && !find_feature(t->arch, w);

		if (off)
			w = (word){ w.p + 2, w.n - 2 };
		good &= apply_feature(t, d, "option -mcpu", !off, w, false);
	}
	return good;
}

/* ---- ABI ---- */

static bool check_abi(vq_diag *d, const vq_arch_table *a, const char *abi)
{
	for (const char *const *s = a->abi_names; *s; s++)
		if (strcmp(*s, abi) == 0)
			return true;
	return vq_error(
		d, "option -mabi", "ABI '%s' is not supported on %s: expected %s", abi, a->name, a->abi_names[0]);
}

static bool choose_float_abi(const parsed *t, vq_diag *d, vq_float_abi asked, bool *softfp)
{
	*softfp = t->triple_soft;
	if (asked == VQ_FLOAT_ABI_DEFAULT)
		return true;
	if (!t->arch->triple_softfp)
		return vq_error(d, "option -mfloat-abi", "only Arm targets have a choice of float ABI, this is %s",
			t->arch->name);
	if (asked == VQ_FLOAT_ABI_SOFTFP && t->triple_hard)
		return vq_error(
			d, "option -mfloat-abi", "softfp contradicts the target, which says hard float (…eabihf)");
	*softfp = asked == VQ_FLOAT_ABI_SOFTFP;
	return true;
}

/* A feature that was asked for by name, but only with others makes an instruction set: says which. */
static void warn_of_halves(const parsed *t, vq_arena *arena, vq_diag *d, const vq_isa_row *chosen)
{
	for (const vq_feature_row *f = t->arch->feature; f->name; f++) {
		uint32_t lost = f->bit & t->asked & t->features & ~chosen->needs & ~t->arch->base;
		const vq_isa_row *row = t->arch->isa;
		const char *others = "";

		if (!lost || f->use != VQ_FEATURE_USED)
			continue;
		while (row < chosen && !(row->needs & lost))
			row++;
		for (const vq_feature_row *o = t->arch->feature; o->name; o++)
			if (o->use == VQ_FEATURE_USED && (o->bit & row->needs & ~t->features))
				others = vq_arena_printf(arena, "%s%s%s", others, *others ? ", " : "", o->name);
		vq_warning(d, "option -mattr", "no kernels use %s without %s", f->name, others);
	}
}

const vq_target *vq_target_resolve(vq_arena *arena, vq_diag *diag, const vq_target_request *request)
{
	parsed t = { .arch = NULL };
	const char *name = request->target, *cpu = request->cpu;
	const vq_isa_row *isa;
	vq_target *r;
	bool good = true, softfp = false;
	uint32_t protect = 0;

	if (!name || strcmp(name, "native") == 0) {
		if (name && !cpu)
			cpu = "native";
		name = vq_host_arch();
		if (!name) {
			vq_error(diag, "option -target", "vitqc has no target for the machine it runs on: give one");
			return NULL;
		}
	}
	if (!parse_target(&t, diag, name))
		return NULL;
	if (cpu)
		good = apply_cpu(&t, diag, arena, cpu);
	else
		t.cpu = t.arch->cpu[0].name;
	if (request->attr)
		good &= apply_attr(&t, diag, request->attr);
	if (request->abi)
		good &= check_abi(diag, t.arch, request->abi);
	good &= choose_float_abi(&t, diag, request->float_abi, &softfp);
	good &= vq_protect_parse(&protect, diag, t.arch->name, request->branch_protection, request->cf_protection);
	if (!good)
		return NULL;

	isa = t.arch->isa;
	while ((t.features & isa->needs) != isa->needs)
		isa++; /* the last row needs only the base */
	warn_of_halves(&t, arena, diag, isa);
	r = VQ_NEW(arena, vq_target);
	*r = (vq_target){
		.arch = t.arch->arch,
		.isa = isa->isa,
		.name = t.arch->name,
		.triple = softfp ? t.arch->triple_softfp : t.arch->triple,
		.cpu = t.arch->llvm_cpu,
		.model = t.cpu,
		.features = isa->features,
		.abi = t.arch->abi,
		.softfp = softfp,
		.pic = true,
		.vector_bytes = isa->vector_bytes,
		.elf = t.arch->elf,
		.need = isa->hwcap,
		.protect = protect,
		.min_vlen = isa->min_vlen,
	};
	return r;
}

const char *vq_target_triple(const vq_target *t) { return t->triple; }

/* ---- listings ---- */

static const vq_arch_table *table_of(const vq_target *t)
{
	for (uint32_t i = 0; i < N_ARCHS; i++)
		if (archs[i]->arch == t->arch)
			return archs[i];
	return NULL;
}

void vq_print_targets(FILE *out)
{
	fprintf(out, "targets (-target=NAME or a triple):\n");
	for (uint32_t i = 0; i < N_ARCHS; i++) {
		const vq_arch_table *a = archs[i];

		fprintf(out, "  %-10s %s\n", a->name, a->triple);
		if (a->triple_softfp)
			fprintf(out, "  %-10s %s with -mfloat-abi=softfp\n", "", a->triple_softfp);
		fprintf(out, "  %-10s also written", "");
		for (const char *const *s = a->alias; *s; s++)
			fprintf(out, " %s", *s);
		fprintf(out, "\n  %-10s kernels for", "");
		for (uint32_t k = a->n_isas; k-- > 0;)
			fprintf(out, " %s%s", a->isa[k].label, k ? ";" : "\n");
	}
	fprintf(out, "  %-10s this machine (%s) and its CPU\n", "native",
		vq_host_arch() ? vq_host_arch() : "no target");
}

static const vq_isa_row *isa_of(const vq_arch_table *a, uint32_t features)
{
	const vq_isa_row *isa = a->isa;

	while (((features | a->base) & isa->needs) != isa->needs)
		isa++;
	return isa;
}

void vq_print_cpus(FILE *out, const vq_target *t)
{
	const vq_arch_table *a = table_of(t);

	fprintf(out, "CPUs of %s (-mcpu=NAME) and the kernels they get:\n", a->name);
	for (const vq_cpu_row *c = a->cpu; c->name; c++)
		fprintf(out, "  %-18s %s%s\n", c->name, isa_of(a, c->features)->label, c == a->cpu ? " (default)" : "");
	fprintf(out, "features (-mattr=+NAME,-NAME) that choose kernels:\n ");
	for (const vq_feature_row *f = a->feature; f->name; f++)
		if (f->use == VQ_FEATURE_USED)
			fprintf(out, " %s", f->name);
	fprintf(out, "\nfeatures known and without effect:\n ");
	for (const vq_feature_row *f = a->feature; f->name; f++)
		if (f->use != VQ_FEATURE_USED)
			fprintf(out, " %s", f->name);
	fprintf(out, "\n");
}
