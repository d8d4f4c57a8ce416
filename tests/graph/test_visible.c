/* SPDX-License-Identifier: Apache-2.0 */
/* Closed forms of what queries meet against counting, and by hand. */
#include "common/close.h"
#include "common/draw.h"
#include "graph/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CLOSE 1e-12

/* `length` new tokens behind `past`, each of which meets itself. */
static sp_shape serving(double past, double length)
{
    return (sp_shape){.sequences = 1,
                      .tokens = length,
                      .length = length,
                      .context = past + (length + 1.0) / 2.0,
                      .past = past};
}

/* First key that the query at `place` (from 0) sees in a window or block. */
static uint32_t first_key(const sp_attention *a, uint32_t place)
{
    if (a->chunk > 0) return place - place % a->chunk;
    return a->window > 0 && place + 1 > a->window ? place + 1 - a->window : 0;
}

/* Compressed keys count as parts of one while their group is not full. */
static double seen(const sp_attention *a, uint32_t place)
{
    const double near = place + 1 - first_key(a, place);
    const double most = a->index_top_k > 0 ? (double)a->index_top_k : 1e9;
    if (a->compress == 0) return fmin(near, most);
    return (a->window > 0 ? near : 0.0) + fmin((place + 1.0) / a->compress, most);
}

static void count(const sp_attention *a, uint32_t past, uint32_t length)
{
    double sum = 0.0;
    for (uint32_t place = past; place < past + length; place++) {
        sum += seen(a, place);
    }
    const sp_shape shape = serving(past, length);
    assert_close(sp_visible_keys(a, &shape), sum / length, CLOSE);
}

/* All keys, a window or blocks; `sparse`: chosen or compressed ones too. */
static sp_attention draw_form(draw *d, bool sparse)
{
    sp_attention a = {.heads = 1};
    if (draw_coin(d)) a.window = draw_between(d, 1, 300);
    if (!sparse) {
        if (draw_coin(d)) a.chunk = draw_between(d, 1, 300);
        return a;
    }
    if (draw_coin(d)) a.compress = draw_between(d, 1, 9);
    if (draw_coin(d)) {
        a.index_heads = draw_coin(d) ? 1 : 0; /* chosen here, or by an earlier layer */
        a.index_top_k = draw_between(d, 1, 100);
    }
    return a;
}

static void visible_keys_are_those_that_counting_finds(void **state)
{
    (void)state;
    draw d = draw_begin("visible_keys_are_those_that_counting_finds");
    for (int i = 0; i < 3000; i++) {
        const sp_attention a = draw_form(&d, i % 2 == 0);
        const uint32_t past = draw_coin(&d) ? draw_between(&d, 0, 700) : 0;
        count(&a, past, draw_coin(&d) ? draw_between(&d, 1, 700) : 1);
    }
}

/* The new tokens together read the keys from the first that the first of them sees. */
static void touched_keys_reach_back_to_the_first_that_is_seen(void **state)
{
    (void)state;
    draw d = draw_begin("touched_keys_reach_back_to_the_first_that_is_seen");
    for (int i = 0; i < 3000; i++) {
        const sp_attention a = draw_form(&d, false);
        const uint32_t past = draw_between(&d, 0, 700), length = draw_between(&d, 1, 700);
        const sp_shape shape = serving(past, length);
        const uint32_t first = first_key(&a, past);
        assert_close(sp_touched_keys(&a, &shape), (double)(past + length - first), CLOSE);
    }
}

/* Llama 4: blocks of 8192. The token in place 100 of the third block meets 100; a prompt of two
 * blocks meets (8192 + 1) / 2 on average. */
static void blocks_of_llama_4_by_hand(void **state)
{
    (void)state;
    const sp_attention a = {.chunk = 8192};
    const sp_shape decode = serving(2 * 8192 + 99, 1), prompt = serving(0, 2 * 8192);
    assert_true(sp_visible_keys(&a, &decode) == 100);
    assert_true(sp_touched_keys(&a, &decode) == 100);
    assert_close(sp_visible_keys(&a, &prompt), 8193 / 2.0, CLOSE);
}

/* DeepSeek-V4: 128 keys of the window, and the best 512 of 4096 / 4 compressed ones. Where nothing
 * is chosen, 4096 / 128 of them. */
static void compressed_keys_by_hand(void **state)
{
    (void)state;
    const sp_shape decode = serving(4095, 1);
    const sp_attention chosen = {
        .window = 128, .compress = 4, .index_heads = 64, .index_dim = 128, .index_top_k = 512};
    assert_close(sp_visible_keys(&chosen, &decode), 128 + 512, CLOSE);
    assert_close(sp_touched_keys(&chosen, &decode), 128 + 512, CLOSE);
    assert_close(sp_weighed_keys(&chosen, &decode), 1024, CLOSE);
    const sp_attention all = {.window = 128, .compress = 128};
    assert_close(sp_visible_keys(&all, &decode), 128 + 32, CLOSE);
}

/* Under the convention of training a token meets half of itself: w - w^2 / (2 s), and in blocks of
 * s / 2 a quarter of the sequence. */
static void training_counts_a_token_by_half(void **state)
{
    (void)state;
    const sp_shape shape = {.sequences = 1, .tokens = 4096, .length = 4096, .context = 2048};
    const sp_attention window = {.window = 1024}, chunk = {.chunk = 2048};
    assert_true(sp_visible_keys(&window, &shape) == 1024 - 128);
    assert_true(sp_visible_keys(&chunk, &shape) == 1024);
}

/* Half of GLM-5's layers take over the choice of the layer before: 2048 keys without an indexer. An
 * indexer of blocks of 64 weighs 16 means where 1024 tokens are. */
static void a_choice_may_be_that_of_another_layer_or_of_blocks(void **state)
{
    (void)state;
    const sp_shape decode = serving(32767, 1), early = serving(1023, 1);
    const sp_attention reused = {.kv_lora = 512, .index_top_k = 2048};
    assert_close(sp_visible_keys(&reused, &decode), 2048, CLOSE);
    assert_close(sp_touched_keys(&reused, &decode), 2048, CLOSE);
    const sp_attention blocks = {
        .index_heads = 4, .index_dim = 128, .index_top_k = 512, .index_block = 64};
    assert_close(sp_weighed_keys(&blocks, &early), 16, CLOSE);
    assert_close(sp_visible_keys(&blocks, &early), 512, CLOSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visible_keys_are_those_that_counting_finds),
        cmocka_unit_test(touched_keys_reach_back_to_the_first_that_is_seen),
        cmocka_unit_test(blocks_of_llama_4_by_hand),
        cmocka_unit_test(compressed_keys_by_hand),
        cmocka_unit_test(a_choice_may_be_that_of_another_layer_or_of_blocks),
        cmocka_unit_test(training_counts_a_token_by_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
