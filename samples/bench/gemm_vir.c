/* SPDX-License-Identifier: MIT */
/*
 * gemm_vir BASE M K N PRODUCTS: writes BASE.vir and BASE.vir.bin, a graph that quantizes x[M,K] once and multiplies it by PRODUCTS
 * weights [N,K] of pseudo-random codes. Results are s8.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *base = argc == 6 ? argv[1] : "", *leaf = strrchr(base, '/') ? strrchr(base, '/') + 1 : base;
	long m, k, n, products;
	char path[4096];
	uint32_t seed = 1;
	FILE *text, *data;

	if (argc != 6)
		return 2;
	m = atol(argv[2]);
	k = atol(argv[3]);
	n = atol(argv[4]);
	products = atol(argv[5]);
	snprintf(path, sizeof path, "%s.vir", base);
	text = fopen(path, "w");
	snprintf(path, sizeof path, "%s.vir.bin", base);
	data = fopen(path, "wb");
	if (!text || !data)
		return 1;
	fprintf(text, "graph gemm(x: f32[%ld,%ld]) {\n", m, k);
	for (long p = 0; p < products; p++) {
		uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

		for (long i = 0; i < n * k; i++) {
			unsigned char byte;

			seed = seed * 1664525u + 1013904223u;
			byte = (unsigned char)((seed >> 16) % 255 - 127);
			hash = (hash ^ byte) * 0x100000001b3u;
			putc(byte, data);
		}
		fprintf(text,
			"  const @%ld : s8<0x1p-9,0,-127:127>[%ld,%ld] = file \"%s.vir.bin\" %ld hash 0x%016llx\n", p,
			n, k, leaf, p * n * k, (unsigned long long)hash);
	}
	fprintf(text, "  %%q = quantize %%x : s8<0x1p-5,3>[%ld,%ld]\n", m, k);
	for (long p = 0; p < products; p++)
		fprintf(text, "  %%y%ld = linear %%q, @%ld : s8<0x1p-2,-5>[%ld,%ld]\n", p, p, m, n);
	fprintf(text, "  return ");
	for (long p = 0; p < products; p++)
		fprintf(text, "%s%%y%ld as \"y%ld\"", p ? ", " : "", p, p);
	fprintf(text, "\n}\n");
	return fclose(text) || fclose(data) ? 1 : 0;
}
