/* SPDX-License-Identifier: Apache-2.0 */
/* The arena: pieces are zeroed, aligned and apart from each other, and lack of memory is said. */
#include "base/base.h"

#include "random.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void pieces_are_zeroed_and_aligned_to_16_bytes(void **state)
{
    (void)state;
    sp_arena arena = {0};
    for (size_t bytes = 0; bytes < 300; bytes++) {
        const unsigned char *piece = sp_arena_alloc(&arena, bytes);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % 16, 0);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(piece[i], 0);
    }
    sp_arena_fini(&arena);
}

static void pieces_of_any_size_do_not_overlap(void **state)
{
    (void)state;
    enum { N = 400 };
    sp_arena arena = {0};
    uint64_t seed = 1;
    unsigned char *pieces[N];
    size_t sizes[N];
    for (size_t i = 0; i < N; i++) {
        sizes[i] = random_below(&seed, i % 10 == 0 ? 100000 : 500);
        pieces[i] = sp_arena_alloc(&arena, sizes[i]);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(pieces[i][k], i % 251);
    }
    sp_arena_fini(&arena);
}

static void a_large_piece_leaves_the_rest_of_the_chunk_in_use(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const char *first = sp_arena_alloc(&arena, 16);
    assert_non_null(sp_arena_alloc(&arena, 1000000));
    const char *second = sp_arena_alloc(&arena, 16);
    assert_ptr_equal(second, first + 16);
    sp_arena_fini(&arena);
}

static void fini_leaves_an_empty_arena_that_can_be_used_again(void **state)
{
    (void)state;
    sp_arena arena = {0};
    assert_non_null(sp_arena_alloc(&arena, 10));
    sp_arena_fini(&arena);
    assert_null(arena.head);
    assert_non_null(sp_arena_alloc(&arena, 10));
    sp_arena_fini(&arena);
    sp_arena_fini(&arena);
}

static void strings_are_copied_and_printed(void **state)
{
    (void)state;
    sp_arena arena = {0};
    assert_string_equal(sp_arena_strdup(&arena, ""), "");
    assert_string_equal(sp_arena_strdup(&arena, "gpu"), "gpu");
    assert_string_equal(sp_arena_printf(&arena, "tp=%d,%s", 8, "pp"), "tp=8,pp");
    sp_arena_fini(&arena);
}

static void lack_of_memory_yields_null_and_harms_nothing(void **state)
{
    (void)state;
    sp_arena arena = {0};
    char *kept = sp_arena_strdup(&arena, "kept");
    sp_alloc_fail_at(1);
    assert_null(sp_arena_alloc(&arena, 1000000));
    assert_non_null(sp_arena_alloc(&arena, 1000000));
    assert_null(sp_arena_alloc(&arena, SIZE_MAX));
    assert_string_equal(kept, "kept");
    sp_arena_fini(&arena);
    sp_alloc_fail_at(1);
    assert_null(sp_arena_printf(&arena, "%d", 1));
    sp_arena_fini(&arena);
}

static void the_failure_hook_fails_one_allocation_and_goes_off(void **state)
{
    (void)state;
    sp_alloc_fail_at(3);
    void *first = sp_alloc(1), *second = sp_alloc(0);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(sp_realloc(first, 100));
    first = sp_realloc(first, 100);
    assert_non_null(first);
    sp_free(first);
    sp_free(second);
    sp_alloc_fail_at(1);
    sp_alloc_fail_at(0);
    first = sp_alloc(1);
    assert_non_null(first);
    sp_free(first);
    sp_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_and_aligned_to_16_bytes),
        cmocka_unit_test(pieces_of_any_size_do_not_overlap),
        cmocka_unit_test(a_large_piece_leaves_the_rest_of_the_chunk_in_use),
        cmocka_unit_test(fini_leaves_an_empty_arena_that_can_be_used_again),
        cmocka_unit_test(strings_are_copied_and_printed),
        cmocka_unit_test(lack_of_memory_yields_null_and_harms_nothing),
        cmocka_unit_test(the_failure_hook_fails_one_allocation_and_goes_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
