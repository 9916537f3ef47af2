/* SPDX-License-Identifier: MIT */
/* Memory: alignment, growth, running out. */
#include "ir/arena.h"
#include "ir/diag.h"
#include "ir/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void aligned_zeroed_and_apart(void **state)
{
	vq_arena a = { 0 };
	unsigned char *block[300];

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		size_t bytes = i * i * 7 % 5000;

		block[i] = vq_arena_alloc(&a, bytes);
		assert_int_equal((uintptr_t)block[i] % (bytes >= 64 ? 64 : 16), 0);
		for (size_t j = 0; j < bytes; j++)
			assert_int_equal(block[i][j], 0);
		memset(block[i], (int)(i & 255), bytes);
	}
	for (size_t i = 0; i < 300; i++)
		for (size_t j = 0; j < i * i * 7 % 5000; j++)
			assert_int_equal(block[i][j], i & 255);
	vq_arena_free(&a);
	assert_null(a.block);
}

/* a large block stands alone; the small one before it is still used up */
static void large_blocks(void **state)
{
	vq_arena a = { 0 };
	char *small = vq_arena_alloc(&a, 16), *large = vq_arena_alloc(&a, 10 << 20), *next = vq_arena_alloc(&a, 16);

	(void)state;
	assert_int_equal((uintptr_t)large % 64, 0);
#ifdef VQ_WITH_ASAN
	assert_ptr_equal(next, small + 32);
	assert_true(__asan_address_is_poisoned(small + 16));
	assert_true(__asan_address_is_poisoned(next + 16));
	assert_true(__asan_address_is_poisoned(large + (10 << 20)));
	assert_null(__asan_region_is_poisoned(small, 16));
#else
	assert_ptr_equal(next, small + 16);
#endif
	large[(10 << 20) - 1] = 1;
	vq_arena_free(&a);
}

/* of four large pieces three are marked and two of those kept, one by a pointer into its middle */
static void released_pieces(void **state)
{
	enum { PIECE = 300000 }; /* more than a shared block has */
	vq_arena a = { 0 };
	char *small = vq_arena_alloc(&a, 100), *p[4], *block = vq_alloc(10);
	const void *kept[2];

	(void)state;
	for (int i = 0; i < 4; i++) {
		p[i] = vq_arena_alloc(&a, PIECE);
		memset(p[i], 'a' + i, PIECE);
		if (i != 3)
			vq_arena_mark(&a, p[i]);
	}
	vq_arena_mark(&a, small);    /* shares its block: stays */
	vq_arena_mark(&a, p[0] + 1); /* no piece starts there */
	kept[0] = p[0];
	kept[1] = p[2] + PIECE - 1;
	assert_int_equal(vq_arena_release(&a, kept, 2), PIECE);
	assert_int_equal(vq_arena_release(&a, kept, 2), 0);
	for (int i = 0; i < 4; i++)
		assert_true(i == 1 || (p[i][0] == 'a' + i && p[i][PIECE - 1] == 'a' + i));
	assert_int_equal(small[99], 0);
	assert_int_equal(vq_arena_release(&a, kept, 0), 2 * PIECE);
	assert_int_equal(p[3][PIECE - 1], 'd');

	block[9] = 'x';
	block = vq_resize(block, 1 << 20);
	assert_int_equal(block[9], 'x');
	assert_ptr_equal(vq_arena_adopt(&a, block), block);
	memset(vq_arena_alloc(&a, 1000), 'y', 1000); /* the arena goes on */
	assert_int_equal(block[9], 'x');
	vq_arena_free(&a);
	vq_arena_adopt(&a, vq_alloc(1)); /* into an empty one */
	vq_arena_free(&a);
}

static void growing_keeps_items(void **state)
{
	vq_arena a = { 0 };
	uint32_t cap = 0, *item = NULL;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		item = vq_arena_grow(&a, item, &cap, i + 1, sizeof *item);
		assert_int_equal(item[i], 0);
		item[i] = i;
	}
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(item[i], i);
	assert_true(cap >= 5000);
	vq_arena_free(&a);
}

static void texts(void **state)
{
	vq_arena a = { 0 };
	char long_text[3000];

	(void)state;
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = 0;
	assert_string_equal(vq_arena_printf(&a, "%d %s", 7, "seven"), "7 seven");
	assert_string_equal(vq_arena_printf(&a, "%s", long_text), long_text);
	assert_string_equal(vq_arena_printf(&a, "%s", ""), "");
	assert_string_equal(vq_arena_strndup(&a, "abcdef", 3), "abc");
	vq_arena_free(&a);
}

static jmp_buf escape;

static void escape_from(void *user)
{
	++*(int *)user;
	longjmp(escape, 1);
}

/* the handler is called for the allocation that was asked to fail, and for sizes that overflow */
static void running_out(void **state)
{
	static vq_arena a;
	static int calls;

	(void)state;
	vq_set_oom_handler(escape_from, &calls);
	if (!setjmp(escape)) {
		vq_fail_allocation(3);
		vq_free(vq_alloc(1));
		vq_free(vq_alloc(1));
		assert_int_equal(calls, 0);
		vq_alloc(1);
		fail();
	}
	assert_int_equal(calls, 1);
	if (!setjmp(escape)) {
		vq_arena_array(&a, SIZE_MAX / 2, 4);
		fail();
	}
	assert_int_equal(calls, 2);
	if (!setjmp(escape)) {
		vq_arena_alloc(&a, SIZE_MAX - 100);
		fail();
	}
	assert_int_equal(calls, 3);
	/* it failed once; the next one succeeds, and the arena is as it was */
	assert_non_null(vq_arena_alloc(&a, 100));
	vq_arena_free(&a);
	vq_set_oom_handler(NULL, NULL);
	vq_fail_allocation(0);
}

static void messages(void **state)
{
	vq_arena a = { 0 };
	vq_diag d;

	(void)state;
	vq_diag_init(&d, &a, "vit.onnx");
	assert_false(vq_error(&d, "node 'a' (Add)", "got %d", 3));
	vq_note(&d, "from %s", "here");
	vq_hint(&d, "do that");
	vq_warning(&d, NULL, "odd");
	assert_int_equal(d.n, 4);
	assert_int_equal(d.errors, 1);
	assert_non_null(strstr(vq_message_text(&d, &d.item[0]), "vit.onnx: "));
	assert_non_null(strstr(vq_message_text(&d, &d.item[0]), "node 'a' (Add): got 3\n"));
	assert_string_equal(vq_message_text(&d, &d.item[1]), "  note: from here\n");
	assert_string_equal(vq_message_text(&d, &d.item[2]), "  hint: do that\n");
	vq_arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligned_zeroed_and_apart),
		cmocka_unit_test(large_blocks),
		cmocka_unit_test(released_pieces),
		cmocka_unit_test(growing_keeps_items),
		cmocka_unit_test(texts),
		cmocka_unit_test(running_out),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
