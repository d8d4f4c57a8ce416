/* SPDX-License-Identifier: Apache-2.0 */
/* Tallies of blocks merge in any order, by joins and by messages, into the same whole. */
#include "search/ask.h"

#include "common/draw.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TOP_K = 6 };

static sp_tally tally_of(const sp_searchable *of)
{
    sp_error err = {0};
    sp_tally tally;
    assert_int_equal(sp_tally_init(&tally, of, TOP_K, &err), SP_OK);
    return tally;
}

/* The blocks of the question, and the tally of all of them. */
typedef struct whole {
    asked asked;
    sp_searchable of;
    sp_id_list blocks;
    sp_tally all;
} whole;

static void search_whole(whole *w)
{
    *w = (whole){.asked = ask()};
    w->of = sp_training_searchable(w->asked.space);
    w->all = tally_of(&w->of);
    uint64_t *pruned = sp_alloc(w->of.n_rules * sizeof *pruned);
    w->of.list(w->of.space, &w->blocks, pruned);
    sp_free(pruned);
    assert_true(w->blocks.n > 50);
    for (uint64_t i = 0; i < w->blocks.n; i++) {
        w->of.search(w->of.space, w->blocks.ids[i], false, NULL, &w->all);
    }
}

static void drop_whole(whole *w)
{
    sp_tally_fini(&w->all);
    sp_free(w->blocks.ids);
    drop(&w->asked);
}

/* Deals the blocks at random to tallies. */
static void deal(draw *d, const whole *w, uint32_t n, sp_tally *tallies)
{
    for (uint32_t i = 0; i < n; i++) {
        tallies[i] = tally_of(&w->of);
    }
    for (uint64_t i = 0; i < w->blocks.n; i++) {
        sp_tally *tally = &tallies[draw_between(d, 0, n - 1)];
        w->of.search(w->of.space, w->blocks.ids[i], draw_coin(d), NULL, tally);
    }
}

static void tallies_join_in_any_order(void **state)
{
    (void)state;
    whole w;
    search_whole(&w);
    draw d = draw_begin("joining tallies");
    for (uint32_t trial = 0; trial < 5; trial++) {
        sp_tally parts[3], sum = tally_of(&w.of), swapped = tally_of(&w.of);
        deal(&d, &w, 3, parts);
        for (uint32_t i = 0; i < 3; i++) {
            sp_tally_join(&sum, &parts[i]);
            sp_tally_join(&swapped, &parts[2 - i]);
        }
        assert_same_tally(&sum, &w.all);
        assert_same_tally(&swapped, &w.all);
        sp_tally_clear(&sum);
        sp_tally_join(&sum, &w.all);
        assert_same_tally(&sum, &w.all);
        for (uint32_t i = 0; i < 3; i++) {
            sp_tally_fini(&parts[i]);
        }
        sp_tally_fini(&sum);
        sp_tally_fini(&swapped);
    }
    drop_whole(&w);
}

/* A worker that sends unit after unit, leaving out what it knows to be superfluous. */
static void messages_carry_all_that_matters(void **state)
{
    (void)state;
    enum { N_UNITS = 7 };
    whole w;
    search_whole(&w);
    draw d = draw_begin("messages");
    sp_tally units[N_UNITS], known = tally_of(&w.of), received = tally_of(&w.of);
    deal(&d, &w, N_UNITS, units);
    size_t first_bytes = 0, all_bytes = 0;
    for (uint32_t i = 0; i < N_UNITS; i++) {
        sp_text text = {0}, whole_text = {0};
        sp_tally none = tally_of(&w.of);
        sp_message_pack(&units[i], &known, &text);
        sp_message_pack(&units[i], &none, &whole_text);
        assert_true(sp_message_unpack(text.data, text.length, &received));
        first_bytes += text.length;
        all_bytes += whole_text.length;
        sp_tally_join(&known, &units[i]);
        sp_text_fini(&text);
        sp_text_fini(&whole_text);
        sp_tally_fini(&none);
    }
    assert_same_tally(&received, &w.all);
    assert_true(first_bytes < all_bytes);
    for (uint32_t i = 0; i < N_UNITS; i++) {
        sp_tally_fini(&units[i]);
    }
    sp_tally_fini(&known);
    sp_tally_fini(&received);
    drop_whole(&w);
}

static void a_message_that_is_cut_short_is_no_message(void **state)
{
    (void)state;
    whole w;
    search_whole(&w);
    sp_tally none = tally_of(&w.of);
    sp_text text = {0};
    sp_message_pack(&w.all, &none, &text);
    draw d = draw_begin("short messages");
    for (uint32_t i = 0; i < 40; i++) {
        const size_t length = i == 0 ? text.length - 1 : draw_u64(&d) % text.length;
        sp_tally received = tally_of(&w.of);
        assert_false(sp_message_unpack(text.data, length, &received));
        sp_tally_fini(&received);
    }
    sp_text_fini(&text);
    sp_tally_fini(&none);
    drop_whole(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tallies_join_in_any_order),
        cmocka_unit_test(messages_carry_all_that_matters),
        cmocka_unit_test(a_message_that_is_cut_short_is_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
