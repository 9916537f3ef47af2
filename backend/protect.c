/* SPDX-License-Identifier: MIT */
/* The two options of branch protection, as GCC and clang define them. */
#include "backend/protect.h"

#include <string.h>

/* the next word of a list with '+' between its words; NULL at the end */
static const char *next_word(vq_arena *arena, const char **text)
{
	size_t n;
	const char *word;

	if (!*text)
		return NULL;
	n = strcspn(*text, "+");
	word = vq_arena_strndup(arena, *text, n);
	*text = (*text)[n] ? *text + n + 1 : NULL;
	return word;
}

/* none | standard | WORD{+WORD}, words bti, pac-ret and, after pac-ret, leaf and b-key (GCC manual, "AArch64 Options") */
static bool parse_aarch64(uint32_t *bits, vq_diag *diag, const char *text)
{
	const char *rest = text, *word;

	if (strcmp(text, "none") == 0)
		return true;
	if (strncmp(text, "standard", 8) == 0 && (!text[8] || text[8] == '+')) {
		*bits |= VQ_PROTECT_BRANCH | VQ_PROTECT_RETURN;
		rest = text[8] ? text + 9 : NULL;
	}
	while ((word = next_word(diag->arena, &rest)) != NULL) {
		if (strcmp(word, "bti") == 0)
			*bits |= VQ_PROTECT_BRANCH;
		else if (strcmp(word, "pac-ret") == 0)
			*bits |= VQ_PROTECT_RETURN;
		else if (strcmp(word, "leaf") == 0 && *bits & VQ_PROTECT_RETURN)
			*bits |= VQ_PROTECT_LEAF;
		else if (strcmp(word, "b-key") == 0 && *bits & VQ_PROTECT_RETURN)
			*bits |= VQ_PROTECT_B_KEY;
		else
			return vq_error(diag, "option -mbranch-protection",
				"'%s' in '%s': expected none, standard, or bti and pac-ret[+leaf][+b-key] with + between them",
				word, text);
	}
	return true;
}

static bool parse_x86(uint32_t *bits, vq_diag *diag, const char *text)
{
	static const struct {
		const char *name;
		uint32_t bits;
	} kinds[] = {
		{ "none", 0 },
		{ "branch", VQ_PROTECT_BRANCH },
		{ "return", VQ_PROTECT_RETURN },
		{ "full", VQ_PROTECT_BRANCH | VQ_PROTECT_RETURN },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(text, kinds[i].name) == 0) {
			*bits |= kinds[i].bits;
			return true;
		}
	return vq_error(
		diag, "option -fcf-protection", "unknown kind '%s': expected none, branch, return or full", text);
}

static bool of_another(vq_diag *diag, const char *option, const char *whose, const char *target)
{
	return vq_error(diag, vq_arena_printf(diag->arena, "option %s", option), "it is for %s, the target is %s",
		whose, target);
}

bool vq_protect_parse(
	uint32_t *bits, vq_diag *diag, const char *target, const char *branch_protection, const char *cf_protection)
{
	bool good = true;

	*bits = 0;
	if (branch_protection && strcmp(target, "aarch64") == 0)
		good = parse_aarch64(bits, diag, branch_protection);
	else if (branch_protection && strcmp(branch_protection, "none") != 0)
		good = of_another(diag, "-mbranch-protection", "aarch64", target);
	if (cf_protection && strcmp(target, "x86-64") == 0)
		good &= parse_x86(bits, diag, cf_protection);
	else if (cf_protection && strcmp(cf_protection, "none") != 0)
		good &= of_another(diag, "-fcf-protection", "x86-64", target);
	return good;
}
