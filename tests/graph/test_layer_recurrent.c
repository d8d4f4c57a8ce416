/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent layers of published models by hand. */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

static void make_recurrent(made_model *made, uint32_t hidden, const sp_recurrent *recurrent)
{
    make_llama(made, hidden, 8, 8, 0, 1);
    made->model.kinds[0] = (sp_layer_kind){.recurrent = *recurrent};
}

/* A Mamba-2 layer of Nemotron-H-8B (config.json of nvidia/Nemotron-H-8B-Base-8K): 128 heads of 64
 * with states of 128 and 8 groups: 8192 channels, 8192 + 2 * 8 * 128 of them convolved. */
static void make_nemotron_h(made_model *made)
{
    const sp_recurrent mamba2 = {.form = SP_RECURRENCE_MAMBA2,
                                 .heads = 128,
                                 .key_dim = 128,
                                 .value_dim = 64,
                                 .in_width = 8192 + 10240 + 128,
                                 .conv_width = 10240,
                                 .conv_kernel = 4,
                                 .vectors = 8192 + 3 * 128,
                                 .norms = 1,
                                 .conv_bias = true};
    make_recurrent(made, 4096, &mamba2);
}

/* The linear layers of Qwen3-Next-80B-A3B (its config.json): 16 key heads and 32 value heads of
 * 128. */
static void make_qwen3_next(made_model *made)
{
    const sp_recurrent delta = {.form = SP_RECURRENCE_DELTA,
                                .heads = 32,
                                .key_dim = 128,
                                .value_dim = 128,
                                .in_width = 2 * 2048 + 2 * 4096 + 64,
                                .conv_width = 8192,
                                .conv_kernel = 4,
                                .vectors = 64,
                                .norms = 1};
    make_recurrent(made, 2048, &delta);
    made->model.kinds[0].vectors = 128;
}

static sp_layer_work decode(const sp_model *model, double sequences, double past)
{
    const sp_shape shape = {.sequences = sequences,
                            .tokens = sequences,
                            .length = 1,
                            .context = past + 1,
                            .past = past};
    sp_layer_work work;
    sp_graph_layer(model, &model->kinds[0], &shape, &alone, true, &work);
    return work;
}

/* In 4096 x 18560, taps 10240 * 5, vectors 8576, out 8192 x 4096, norm 4096. */
static void parameters_of_mamba_2_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_nemotron_h(&made);
    const sp_layer_kind *kind = &made.model.kinds[0];
    assert_true(sp_graph_layer_params(&made.model, kind, &alone).dense == 109640064.0);
    const sp_sharding eight = {.tp = 8, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    assert_true(sp_graph_layer_params(&made.model, kind, &eight).dense ==
                (109640064.0 - 4096) / 8 + 4096);
}

/* A token: projections 2 * 109,576,192; taps 2 * 4 * 10240; and in chunks of 128, a head,
 * 128 (128 + 64) + 4 * 128 * 64 = 57,344. */
static void flops_of_mamba_2_in_chunks_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_nemotron_h(&made);
    const sp_layer_work work = expand_layer(&made.model, 0, 2, 8192, &alone, true);
    assert_close(attention_flops(&work), 16384.0 * (2 * 109576192.0 + 81920 + 128 * 57344.0),
                 EXACT);
    const sp_op *chunks = find_op(&work, "chunk_products");
    assert_true(chunks->class == SP_OP_ATTENTION && chunks->part == SP_PART_RECURRENT);
    assert_true(chunks->m == 8192 && chunks->n == 128 && chunks->k == 128 && chunks->v == 64);
    assert_true(chunks->count == 2 * 128);
    assert_true(find_op(&work, "scan")->flops == 0.0);
    assert_true(find_op(&work, "scan")->bytes == 2.0 * 16384 * (10240 + 128 + 8192));
}

/* Chunks are no longer than the sequence: 64 (128 + 64) + 32,768 a head. */
static void short_sequences_are_one_chunk(void **state)
{
    (void)state;
    made_model made;
    make_nemotron_h(&made);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 64, &alone, true);
    assert_close(find_op(&work, "chunk_products")->flops, 64.0 * 128 * (64 * 192 + 32768), EXACT);
}

/* 3 sequences: states of 128 * 64 * 128 = 1,048,576 numbers are read and written once each, with
 * 5 FLOPs a number. */
static void decoding_reads_and_writes_the_state_once(void **state)
{
    (void)state;
    made_model made;
    make_nemotron_h(&made);
    const sp_layer_work work = decode(&made.model, 3, 1000);
    const sp_op *scan = find_op(&work, "scan");
    assert_true(scan->class == SP_OP_SCAN && scan->k == 8576);
    assert_true(scan->m == 3 * (10240 + 128 + 1048576.0));
    assert_true(scan->n == 3 * (8192 + 1048576.0));
    assert_true(scan->flops == 3 * 5 * 1048576.0);
    for (uint32_t i = 0; i < work.n_ops; i++) {
        assert_string_not_equal(work.ops[i].name, "chunk_products");
    }
}

static void the_cost_of_a_recurrence_does_not_grow_with_the_past(void **state)
{
    (void)state;
    made_model made;
    make_nemotron_h(&made);
    const sp_layer_work early = decode(&made.model, 1, 10), late = decode(&made.model, 1, 1e6);
    assert_true(attention_flops(&early) == attention_flops(&late));
    assert_true(find_op(&early, "scan")->bytes == find_op(&late, "scan")->bytes);
}

/* In 2048 x 12352, taps 8192 * 4, vectors 64, out 4096 x 2048, norm 2048, and 128 of the gate's
 * norm. */
static void parameters_of_gated_delta_net_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_qwen3_next(&made);
    assert_true(sp_graph_layer_params(&made.model, &made.model.kinds[0], &alone).dense ==
                33720512.0);
}

/* Chunks of 128, a head: 128 * 256 + 4 * 16384 as without the delta rule; keys against keys, and
 * the inverse times keys and values, 128 * (2 * 128 + 128); the inverse 128^2 / 3; what the state
 * knows of the keys 2 * 16384. One token alone: 7 * 16384 a head. */
static void flops_of_gated_delta_net_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_qwen3_next(&made);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 4096, &alone, true);
    assert_close(find_op(&work, "chunk_products")->flops,
                 4096.0 * 32 * (98304 + 49152 + 16384 / 3.0 + 32768), EXACT);
    const sp_layer_work one = decode(&made.model, 1, 4096);
    assert_true(find_op(&one, "scan")->flops == 32 * 7 * 16384.0);
}

/* Norm 2 h and its output 2 h; projection 2 * 18560; convolved 2 * 10240; output of the
 * recurrence and gated output 2 * 2 * 8192. Element-wise outputs go under `ops`. */
static void kept_bytes_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_nemotron_h(&made);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 4096, &alone, true);
    assert_close(layer_kept(&work), 4096.0 * (4 * 4096 + 2 * 18560 + 2 * 10240 + 4 * 8192), EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_STREAMS),
                 4096.0 * (2 * 4096 + 2 * 10240 + 2 * 8192), EXACT);
    assert_close(product_inputs(&work), 4096.0 * (2 * 4096 + 2 * 8192), EXACT);
    assert_true(work.attention.tp_exchange && work.n_attention_ops == work.n_ops);
}

/* RG-LRU of RecurrentGemma-2B: 2560 channels, 9 FLOPs each; Mamba of falcon-mamba-7b: 8192 channels
 * with 16 numbers, 7 FLOPs each. Neither has products. */
static void recurrences_of_single_numbers_are_scans(void **state)
{
    (void)state;
    made_model made;
    const sp_recurrent gated = {.form = SP_RECURRENCE_GATED,
                                .heads = 10,
                                .key_dim = 1,
                                .value_dim = 256,
                                .in_width = 5120,
                                .conv_width = 2560,
                                .conv_kernel = 4};
    make_recurrent(&made, 2560, &gated);
    const sp_layer_work lru = expand_layer(&made.model, 0, 1, 1024, &alone, true);
    assert_true(find_op(&lru, "scan")->flops == 1024.0 * 9 * 2560);
    const sp_recurrent mamba = {.form = SP_RECURRENCE_MAMBA,
                                .heads = 8192,
                                .key_dim = 16,
                                .value_dim = 1,
                                .in_width = 16384,
                                .conv_width = 8192,
                                .conv_kernel = 4};
    make_recurrent(&made, 4096, &mamba);
    const sp_layer_work one = expand_layer(&made.model, 0, 1, 1024, &alone, true);
    assert_true(find_op(&one, "scan")->flops == 1024.0 * 7 * 8192 * 16);
}

/* A short convolution (LFM2) has no state but its taps' inputs, and no scan. */
static void a_convolution_alone_has_no_scan(void **state)
{
    (void)state;
    made_model made;
    const sp_recurrent conv = {.form = SP_RECURRENCE_CONV,
                               .heads = 2048,
                               .value_dim = 1,
                               .in_width = 6144,
                               .conv_width = 2048,
                               .conv_kernel = 3};
    make_recurrent(&made, 2048, &conv);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 1024, &alone, true);
    assert_close(attention_flops(&work), 1024.0 * 2 * (2048.0 * 6144 + 3 * 2048 + 2048.0 * 2048),
                 EXACT);
    const sp_cache cache = sp_graph_cache(&made.model.kinds[0], &alone);
    assert_true(cache.state == 0.0 && cache.convolution == 2.0 * 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters_of_mamba_2_by_hand),
        cmocka_unit_test(flops_of_mamba_2_in_chunks_by_hand),
        cmocka_unit_test(short_sequences_are_one_chunk),
        cmocka_unit_test(decoding_reads_and_writes_the_state_once),
        cmocka_unit_test(the_cost_of_a_recurrence_does_not_grow_with_the_past),
        cmocka_unit_test(parameters_of_gated_delta_net_by_hand),
        cmocka_unit_test(flops_of_gated_delta_net_by_hand),
        cmocka_unit_test(kept_bytes_by_hand),
        cmocka_unit_test(recurrences_of_single_numbers_are_scans),
        cmocka_unit_test(a_convolution_alone_has_no_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
