/* SPDX-License-Identifier: Apache-2.0 */
/* Tallies of layouts merge in any order, by joins and by messages, into the same whole. */
#include "search/ask.h"

#include "common/draw.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TOP_K = 6 };

static sp_tally tally_of(const asked *a)
{
    sp_error err = {0};
    sp_tally tally;
    assert_int_equal(sp_tally_init(&tally, a->space, TOP_K, &err), SP_OK);
    return tally;
}

/* The layouts of the question, and the tally of all of them. */
typedef struct whole {
    asked asked;
    uint64_t n_layouts, *layouts;
    sp_tally all;
} whole;

static whole search_whole(void)
{
    whole w = {.asked = ask()};
    sp_error err = {0};
    w.all = tally_of(&w.asked);
    uint64_t *pruned = sp_alloc(sp_space_rule_count(w.asked.space) * sizeof *pruned);
    assert_int_equal(sp_layouts_list(w.asked.space, &w.layouts, &w.n_layouts, pruned, &err), SP_OK);
    sp_free(pruned);
    assert_true(w.n_layouts > 50);
    for (uint64_t i = 0; i < w.n_layouts; i++) {
        sp_layout_search(w.asked.space, w.layouts[i], false, &w.all);
    }
    return w;
}

static void drop_whole(whole *w)
{
    sp_tally_fini(&w->all);
    sp_free(w->layouts);
    drop(&w->asked);
}

/* Deals the layouts at random to tallies. */
static void deal(draw *d, const whole *w, uint32_t n, sp_tally *tallies)
{
    for (uint32_t i = 0; i < n; i++) {
        tallies[i] = tally_of(&w->asked);
    }
    for (uint64_t i = 0; i < w->n_layouts; i++) {
        sp_tally *tally = &tallies[draw_between(d, 0, n - 1)];
        sp_layout_search(w->asked.space, w->layouts[i], draw_coin(d), tally);
    }
}

static void tallies_join_in_any_order(void **state)
{
    (void)state;
    whole w = search_whole();
    draw d = draw_begin("joining tallies");
    for (uint32_t trial = 0; trial < 5; trial++) {
        sp_tally parts[3], sum = tally_of(&w.asked), swapped = tally_of(&w.asked);
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
    whole w = search_whole();
    draw d = draw_begin("messages");
    sp_tally units[N_UNITS], known = tally_of(&w.asked), received = tally_of(&w.asked);
    deal(&d, &w, N_UNITS, units);
    size_t first_bytes = 0, all_bytes = 0;
    for (uint32_t i = 0; i < N_UNITS; i++) {
        sp_text text = {0}, whole_text = {0};
        sp_tally none = tally_of(&w.asked);
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
    whole w = search_whole();
    sp_tally none = tally_of(&w.asked);
    sp_text text = {0};
    sp_message_pack(&w.all, &none, &text);
    draw d = draw_begin("short messages");
    for (uint32_t i = 0; i < 40; i++) {
        const size_t length = i == 0 ? text.length - 1 : draw_u64(&d) % text.length;
        sp_tally received = tally_of(&w.asked);
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
