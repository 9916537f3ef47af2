/* SPDX-License-Identifier: MIT */
/*
 * Damaged files: malformed TINY FILE TRUNCATIONS FLIPS [all|dynamic]
 *
 * Tries FILE cut at so many places, evenly spread, then with single bytes changed at so many places that a generator
 * with a fixed seed chooses. Afterwards the file itself, which must be accepted.
 */
#include "tests/fuzz/chance.h"
#include "tests/fuzz/try.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char *read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	unsigned char *data;
	long end;

	if (!f || fseek(f, 0, SEEK_END) || (end = ftell(f)) <= 0) {
		perror(path);
		exit(2);
	}
	rewind(f);
	*n = (size_t)end;
	data = malloc(*n);
	if (!data || fread(data, 1, *n, f) != *n) {
		perror(path);
		exit(2);
	}
	fclose(f);
	return data;
}

int main(int argc, char **argv)
{
	bool all = argc == 6 && !strcmp(argv[5], "all"), dynamic = argc == 6 && !strcmp(argv[5], "dynamic");
	unsigned long cuts, flips;
	uint64_t state = 0x9e3779b97f4a7c15u;
	const try_counts *c;
	unsigned char *data, *copy;
	char name[64];
	size_t n;

	if (argc < 5) {
		fprintf(stderr, "usage: malformed TINY FILE TRUNCATIONS FLIPS [all|dynamic]\n");
		return 2;
	}
	cuts = strtoul(argv[3], NULL, 10);
	flips = strtoul(argv[4], NULL, 10);
	data = read_file(argv[2], &n);
	copy = malloc(n);
	if (!copy)
		return 2;
	try_begin(argv[1], dynamic);
	if (try_bytes(argv[2], "whole", data, n, true) != TRY_ACCEPTED) {
		fprintf(stderr, "malformed: %s itself is refused; TRY_VERBOSE=1 shows why\n", argv[2]);
		free(data);
		free(copy);
		return 1;
	}
	for (unsigned long i = 0; i < cuts; i++) {
		size_t at = (size_t)((double)n * (double)i / (double)cuts);
		unsigned char *exact = malloc(at ? at : 1); /* reading past its end is caught */

		if (!exact)
			return 2;
		memcpy(exact, data, at);
		snprintf(name, sizeof name, "cut to %zu bytes", at);
		try_bytes(argv[2], name, exact, at, all);
		free(exact);
	}
	for (unsigned long i = 0; i < flips; i++) {
		uint64_t r = chance_next(&state);
		size_t at = (size_t)(r >> 8) % n;
		/* half of them one bit, half of them any other byte */
		unsigned char mask = (unsigned char)(r & 1 ? 1u << ((r >> 1) & 7) : (unsigned)(r >> 56) | 1);

		memcpy(copy, data, n);
		copy[at] ^= mask;
		snprintf(name, sizeof name, "byte %zu changed by %02x", at, (unsigned)mask);
		try_bytes(argv[2], name, copy, n, all);
	}
	c = try_end();
	printf("%lu truncations, %lu changed bytes: %u accepted, %u refused (%u with a place), %u objects checked\n",
		cuts, flips, c->accepted, c->refused, c->placed, c->compiled);
	free(data);
	free(copy);
	return 0;
}
