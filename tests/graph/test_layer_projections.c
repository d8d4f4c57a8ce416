/* SPDX-License-Identifier: Apache-2.0 */
/* Matrices that no block names, in layers and outside them, and layers that share their weights. */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};
static const sp_sharding four = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = true};

/* Gates of RecurrentGemma-2B: ten blocks of 256 x 256; here eight, two on a rank of four. */
static void blocks_lie_whole_on_the_ranks(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 2048, 8, 8, 2816, 1);
    sp_layer_kind *kind = &made.model.kinds[0];
    kind->n_projections = 1;
    kind->projections[0] =
        (sp_projection){.name = "input_gate", .in = 256, .out = 256, .blocks = 8, .cut = true};
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 1024, &four, true);
    const sp_op *op = find_op(&work, "input_gate");
    assert_true(op->m == 1024 && op->n == 256 && op->k == 256 && op->count == 2);
    assert_true(op->flops == 2.0 * 1024 * 256 * 256 * 2);
    assert_true(sp_op_params(op) == 2.0 * 256 * 256);
    assert_true(op < &work.ops[work.n_attention_ops]);
}

/* A whole matrix works on the rank's slice of the sequence; one of the feed-forward part comes
 * behind the others. The layer's own vectors are whole. */
static void whole_matrices_and_vectors_are_on_every_rank(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 2048, 8, 8, 2816, 1);
    sp_layer_kind *kind = &made.model.kinds[0];
    const double before = sp_graph_layer_params(&made.model, kind, &four).dense;
    kind->vectors = 77;
    kind->n_projections = 1;
    kind->projections[0] =
        (sp_projection){.name = "receptance", .in = 2048, .out = 512, .blocks = 1, .ffn = true};
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 1024, &four, true);
    const sp_op *op = find_op(&work, "receptance");
    assert_true(op->m == 256 && op->n == 512 && op->k == 2048);
    assert_true(op >= &work.ops[work.n_attention_ops] && op->part == SP_PART_FFN);
    assert_true(sp_graph_layer_params(&made.model, kind, &four).dense - before ==
                2048.0 * 512 + 77);
}

/* OPT-350m: tables of 512 and projections to and from 1024; here beside a norm on embeddings, a
 * further table and an encoder. Forward FLOPs count the projection. */
static void what_tokens_meet_before_the_layers_is_the_embeddings(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 1024, 8, 8, 2816, 2);
    const double embedding = sp_graph_embedding_params(&made.model, &four);
    const double head = sp_graph_head_params(&made.model, &four);
    const double flops = sp_graph_forward_flops(&made.model, 1024, 1024);
    made.model.outer_norms = 2;
    made.model.vectors = 5;
    made.model.table_params = 1000;
    made.model.tower_params = 2000;
    made.model.head_bias = true;
    made.model.n_projections = 1;
    made.model.projections[0] =
        (sp_projection){.name = "project_in", .in = 512, .out = 1024, .blocks = 1};
    assert_true(sp_graph_embedding_params(&made.model, &four) - embedding ==
                1024 + 5 + 3000 + 512.0 * 1024);
    assert_true(sp_graph_head_params(&made.model, &four) - head == 64000.0 / 4);
    assert_true(sp_graph_forward_flops(&made.model, 1024, 1024) - flops == 1024 * 2.0 * 512 * 1024);
}

/* Three layers of two kinds share attention and feed-forward, and each has its own projection. */
static void tied_layers_hold_their_weights_once(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 1024, 8, 8, 2816, 3);
    sp_layer_kind *kinds = made.model.kinds;
    const double layer = sp_graph_layer_params(&made.model, &kinds[0], &alone).dense;
    kinds[0].tied = 1;
    kinds[0].n_projections = 1;
    kinds[0].projections[0] =
        (sp_projection){.name = "adapter", .in = 1024, .out = 64, .blocks = 1};
    kinds[1] = kinds[0];
    kinds[1].projections[0].out = 128;
    made.model.n_kinds = made.model.n_runs = 2;
    made.runs[0] = (sp_layer_run){.kind = 0, .count = 2};
    made.runs[1] = (sp_layer_run){.kind = 1, .count = 1};
    const sp_layer_params tied[2] = {sp_graph_tied_params(&made.model, &kinds[0], &alone),
                                     sp_graph_tied_params(&made.model, &kinds[1], &alone)};
    assert_true(tied[0].dense == layer && tied[1].dense == layer);
    const double both[2] = {2.0, 1.0}, second[2] = {0.0, 1.0}, twice[2] = {0.0, 2.0};
    assert_true(sp_graph_spared_params(&made.model, tied, both).dense == 2 * layer);
    assert_true(sp_graph_spared_params(&made.model, tied, second).dense == 0.0);
    assert_true(sp_graph_spared_params(&made.model, tied, twice).dense == layer);
    assert_true(sp_graph_model_params(&made.model, &alone).dense ==
                layer + 1024.0 * (64 + 64 + 128) + 2 * 64000.0 * 1024 + 1024);
}

/* A layer may mix tokens alone, or not at all. */
static void a_layer_may_lack_either_part(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 1024, 8, 8, 2816, 1);
    made.model.kinds[0].attention = (sp_attention){0};
    const sp_layer_work ffn = expand_layer(&made.model, 0, 1, 1024, &four, true);
    assert_true(ffn.n_attention_ops == 0 && !ffn.attention.tp_exchange && ffn.ffn.tp_exchange);
    make_llama(&made, 1024, 8, 8, 0, 1);
    const sp_layer_work mixing = expand_layer(&made.model, 0, 1, 1024, &four, true);
    assert_true(mixing.n_attention_ops == mixing.n_ops && !mixing.ffn.tp_exchange);
}

/* DeepSeek-V4-Flash: projections of 4096 x 1024 and 1024 x 32768 make the queries, and 8 blocks
 * with a matrix of 8192 x 4096 take the place of the output's. What is left is the key, 4096 x 512.
 */
static void factored_queries_and_outputs_have_no_matrix(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 4096, 64, 1, 2048, 1);
    sp_layer_kind *kind = &made.model.kinds[0];
    kind->attention.head_dim = 512;
    kind->attention.keys_as_values = true;
    const double whole = sp_graph_layer_params(&made.model, kind, &alone).dense;
    kind->attention.factored = true;
    assert_true(whole - sp_graph_layer_params(&made.model, kind, &alone).dense ==
                2.0 * 4096 * 64 * 512);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 1024, &alone, true);
    assert_true(find_op(&work, "qkv_projection")->n == 512);
    for (uint32_t i = 0; i < work.n_ops; i++) {
        assert_string_not_equal(work.ops[i].name, "output_projection");
    }
    assert_true(find_op(&work, "attention_core")->count == 64); /* the core has all heads */
}

/* Zamba2: the attention of the embedding is shared with the other layers of its number, the adapter
 * is not. */
static void tied_projections_are_held_once(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 1024, 8, 8, 0, 2);
    sp_layer_kind *kind = &made.model.kinds[0];
    kind->attention = (sp_attention){0};
    kind->tied = 1;
    kind->n_projections = 2;
    kind->projections[0] =
        (sp_projection){.name = "shared", .in = 1024, .out = 64, .blocks = 1, .tied = true};
    kind->projections[1] = (sp_projection){.name = "own", .in = 1024, .out = 32, .blocks = 1};
    const sp_layer_params sum = sp_graph_model_params(&made.model, &alone);
    assert_true(sum.dense == (double)sp_model_parameters(&made.model).total);
    assert_true(sp_graph_tied_params(&made.model, kind, &alone).dense == 1024.0 * 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_lie_whole_on_the_ranks),
        cmocka_unit_test(whole_matrices_and_vectors_are_on_every_rank),
        cmocka_unit_test(what_tokens_meet_before_the_layers_is_the_embeddings),
        cmocka_unit_test(tied_layers_hold_their_weights_once),
        cmocka_unit_test(a_layer_may_lack_either_part),
        cmocka_unit_test(factored_queries_and_outputs_have_no_matrix),
        cmocka_unit_test(tied_projections_are_held_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
