/* SPDX-License-Identifier: Apache-2.0 */
/* The attention core under context parallelism and packed documents, and the pieces that all blocks
 * share. */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

/* 8 ranks share sequences of 8192: each has 1024 queries of every sequence against all keys, and an
 * eighth of the causal scores. */
static void a_rank_has_its_queries_against_all_keys(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    const sp_sharding cut = {.tp = 2, .cp = 8, .ep = 1, .etp = 1, .sp = true};
    const sp_layer_work work = expand_layer(&llama.model, 0, 2, 8192, &cut, true);
    const sp_op *core = find_op(&work, "attention_core");
    assert_true(core->m == 1024 && core->n == 8192 && core->count == 2 * 4);
    assert_close(core->flops, 2 * 8192 * 4 * 4096.0 * 4 * 128 / 8, EXACT);
}

/* Unfused: the rank's rows of the scores, 2 bytes each. */
static void a_rank_keeps_its_rows_of_the_scores(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    const sp_sharding cut = {.tp = 1, .cp = 4, .ep = 1, .etp = 1, .sp = false};
    const sp_layer_work work = expand_layer(&llama.model, 0, 1, 8192, &cut, false);
    assert_close(layer_dropped(&work, SP_MODULE_CORE), 2 * 8 * 2048.0 * 8192, EXACT);
}

/* 2 of 8 key/value heads and 4 of 16 heads a rank; 2048 tokens of 8192. */
static void ranks_of_a_sequence_exchange_their_tokens(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 2048, 16, 8, 2816, 1);
    const sp_sharding cut = {.tp = 4, .cp = 4, .ep = 1, .etp = 1, .sp = true};
    const sp_layer_work work = expand_layer(&llama.model, 0, 1, 8192, &cut, true);
    assert_true(work.attention.kv_bytes == 2048.0 * 2 * 2 * (128 + 128));
    assert_true(work.attention.q_bytes == 2048.0 * 2 * 4 * 128);
    assert_true(work.attention.o_bytes == 2048.0 * 2 * 4 * 128);
    assert_true(work.ffn.kv_bytes == 0.0 && work.ffn.q_bytes == 0.0 && work.ffn.o_bytes == 0.0);
}

/* Four documents of 2048 in a sequence of 8192: a token sees 1024, not 4096; products and kept
 * bytes stay. */
static void packed_documents_shorten_attention_alone(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 2, 2816, 1);
    const sp_layer_work whole = expand_layer(&llama.model, 0, 1, 8192, &alone, true);
    const sp_layer_work packed = expand_layer(&llama.model, 0, 4, 2048, &alone, true);
    assert_close(4 * find_op(&packed, "attention_core")->flops,
                 find_op(&whole, "attention_core")->flops, EXACT);
    assert_close(ffn_flops(&packed), ffn_flops(&whole), EXACT);
    assert_close(layer_kept(&packed), layer_kept(&whole), EXACT);
}

static void the_block_with_most_gradients_counts(void **state)
{
    (void)state;
    sp_layer_work work = {0};
    sp_live(&work, 2.0);
    sp_live(&work, 5.0);
    sp_live(&work, 3.0);
    assert_true(work.gradient_bytes == 5.0);
}

/* Reads two tensors and writes one, 2 bytes each; under dropout a mask is written and the branch
 * read again, 2 bytes together. Only the mask is kept. */
static void a_residual_keeps_its_mask_alone(void **state)
{
    (void)state;
    sp_layer_work plain = {0}, masked = {0};
    sp_residual(&plain, "residual", 100, false);
    sp_residual(&masked, "residual", 100, true);
    assert_true(plain.n_tensors == 0 && plain.ops[0].bytes == 600 && plain.ops[0].modules == 0);
    assert_true(masked.n_tensors == 1 && masked.tensors[0].bytes == 100);
    assert_true(masked.ops[0].bytes == 800);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_has_its_queries_against_all_keys),
        cmocka_unit_test(a_rank_keeps_its_rows_of_the_scores),
        cmocka_unit_test(ranks_of_a_sequence_exchange_their_tokens),
        cmocka_unit_test(packed_documents_shorten_attention_alone),
        cmocka_unit_test(the_block_with_most_gradients_counts),
        cmocka_unit_test(a_residual_keeps_its_mask_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
