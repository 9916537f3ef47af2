/* SPDX-License-Identifier: MIT */
#include "frontend/sizes.h"

#include <ctype.h>
#include <string.h>

/*
 * What a size adds to C names: a batch dimension is called b, any other by its name, with an
 * underscore in front of the size if the name ends in a digit: batch=8 is b8, seq_len=64 is
 * seq_len64, s77=2 is s77_2.
 */
static const char *suffix_of(vq_arena *a, const char *name, size_t n, const char *size)
{
	char *text = vq_arena_strndup(a, name, n);
	bool batch = (n >= 5 && strncmp(text, "batch", 5) == 0) || strcmp(text, "N") == 0 || strcmp(text, "n") == 0 ||
		strcmp(text, "B") == 0;

	if (batch)
		return vq_arena_printf(a, "b%s", size);
	for (char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) || (unsigned char)*c > 127)
			*c = '_';
	return vq_arena_printf(a, "%s%s%s", text, n && isdigit((unsigned char)text[n - 1]) ? "_" : "", size);
}

static bool is_list(const char *dim)
{
	const char *equals = strrchr(dim, '=');

	return equals && strchr(equals, ',');
}

static void add_choice(vq_sizes *s, vq_arena *arena, const vq_strings *dims, uint32_t which, const char *size)
{
	const char *list = dims->item[which];
	size_t name = (size_t)(strrchr(list, '=') - list);
	vq_size_choice *c = &s->item[s->n];

	*c = (vq_size_choice){ .dims = *dims };
	c->dims.item = VQ_ARRAY(arena, dims->n, const char *);
	memcpy(c->dims.item, dims->item, dims->n * sizeof *dims->item);
	c->text = vq_arena_printf(arena, "%.*s=%s", (int)name, list, size);
	c->dims.item[which] = c->text;
	c->suffix = s->n ? suffix_of(arena, list, name, size) : NULL;
	s->n++;
}

bool vq_sizes_parse(vq_sizes *s, vq_arena *arena, vq_diag *diag, const vq_strings *dims)
{
	uint32_t which = dims->n;
	const char *at;

	*s = (vq_sizes){ .item = VQ_ARRAY(arena, 1, vq_size_choice), .n = 1 };
	s->item->dims = *dims;
	for (uint32_t i = 0; i < dims->n; i++) {
		if (!is_list(dims->item[i]))
			continue;
		if (which < dims->n) {
			vq_error(diag, vq_arena_printf(arena, "option -dim %s", dims->item[i]),
				"only one dimension can have several sizes, '%s' has them already", dims->item[which]);
			return vq_hint(diag,
				"each size is a function of the object; other shapes "
				"need an object of their own");
		}
		which = i;
	}
	if (which == dims->n)
		return true;
	at = strrchr(dims->item[which], '=') + 1;
	*s = (vq_sizes){ .item = VQ_ARRAY(arena, strlen(at), vq_size_choice) };
	for (;;) {
		size_t n = strcspn(at, ","), digits = strspn(at, "0123456789");
		const char *size = vq_arena_strndup(arena, at, n);

		if (n == 0 || digits != n || *at == '0')
			return vq_error(diag, vq_arena_printf(arena, "option -dim %s", dims->item[which]),
				"expected whole numbers of at least 1 with commas between, got "
				"'%s'",
				size);
		add_choice(s, arena, dims, which, size);
		for (uint32_t i = 0; i + 1 < s->n; i++)
			if (strcmp(s->item[i].text, s->item[s->n - 1].text) == 0)
				return vq_error(diag, vq_arena_printf(arena, "option -dim %s", dims->item[which]),
					"%s is given twice", s->item[i].text);
		if (!at[n])
			return true;
		at += n + 1;
	}
}
