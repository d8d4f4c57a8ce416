/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention of DeepSeek-V3 by hand: h = 7168, 128 heads, queries and keys of 192 of which 64
 * are rotary, values of 128, latent vectors of 1536 and 512 (arXiv:2412.19437, section 4.2). */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

/* Down: 7168 (1536 + 512 + 64) = 15,138,816. Up: 1536 * 128 * 192 = 37,748,736 and
 * 512 * 128 * (128 + 128) = 16,777,216. Out: 128 * 128 * 7168 = 117,440,512. */
#define DOWN 15138816.0
#define UP   (37748736.0 + 16777216.0)
#define OUT  117440512.0

/* Two FLOPs a weight and token; the core 2 (s / 2) 128 (192 + 128). */
static void flops_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const double s = 4096, tokens = 2 * s;
    const sp_layer_work work = expand_layer(&made.model, 0, 2, s, &alone, true);
    assert_close(attention_flops(&work), tokens * (2 * (DOWN + UP + OUT) + 167772160.0), EXACT);
    const sp_op *core = find_op(&work, "attention_core");
    assert_close(core->flops, tokens * 167772160.0, EXACT);
    assert_true(core->k == 192 && core->m == s && core->n == s && core->count == 2 * 128);
}

/* Norms of the latent vectors 1536 + 512, of the block and the one behind it 2 * 7168. Projections
 * down and norms are whole on each of 8 ranks. */
static void parameters_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    sp_layer_kind *kind = &made.model.kinds[0];
    kind->ffn = (sp_ffn){0};
    assert_true(sp_graph_layer_params(&made.model, kind, &alone).dense ==
                187107328.0 + 7168); /* = DOWN + UP + OUT + 2048 */
    const sp_sharding eight = {.tp = 8, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    assert_true(sp_graph_layer_params(&made.model, kind, &eight).dense ==
                DOWN + (UP + OUT) / 8 + 2048 + 7168);
    kind->attention.sinks = kind->attention.qkv_bias = kind->attention.out_bias = true;
    assert_true(sp_graph_layer_params(&made.model, kind, &eight).dense ==
                DOWN + (UP + OUT) / 8 + 2048 + 7168 + 16 + (1536 + 512 + 64) + 7168);
}

/* DeepSeek-V2-Lite projects queries at once: 2048 * 16 * 192 in place of a latent vector. */
static void queries_without_a_latent_vector_are_projected_at_once(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    made.model.hidden = 2048;
    sp_layer_kind *kind = &made.model.kinds[0];
    kind->ffn = (sp_ffn){0};
    kind->attention.heads = kind->attention.kv_heads = 16;
    kind->attention.q_lora = 0;
    const double matrices =
        2048.0 * 16 * 192 + 2048 * (512 + 64) + 512.0 * 16 * 256 + 16 * 128 * 2048.0;
    assert_true(sp_graph_layer_params(&made.model, kind, &alone).dense ==
                matrices + 512 + 2048);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 2048, &alone, true);
    assert_close(attention_flops(&work), 2048.0 * (2 * matrices + 2 * 1024 * 16 * 320), EXACT);
    assert_true(find_op(&work, "q_up")->k == 2048);
}

/* Bytes a token: norm 2 * 7168 and its output 2 * 7168; latent query before and after its norm
 * 4 * 1536; latent keys and values 4 * 512 and the rotary key 2 * 64; queries and keys 2 * 2 * 128
 * * 192, values 2 * 128 * 128; the core's output 2 * 128 * 128 and 4 * 128 of log-sum-exp. */
static void kept_bytes_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const double tokens = 2.0 * 4096, whole = 28672 + 6144 + 2048 + 128, heads = 131072 + 32768;
    const sp_layer_work work = expand_layer(&made.model, 0, 2, 4096, &alone, true);
    assert_close(attention_kept(&work), tokens * (whole + heads + 512), EXACT);
    assert_close(attention_kept(&work), tokens * 201344, EXACT);
    /* Heads are cut by tp, the rest by sequence parallelism alone. */
    sp_sharding eight = {.tp = 8, .cp = 1, .ep = 1, .etp = 1, .sp = false};
    const sp_layer_work cut = expand_layer(&made.model, 0, 2, 4096, &eight, true);
    assert_close(attention_kept(&cut), tokens * (whole + (heads + 512) / 8), EXACT);
    eight.sp = true;
    const sp_layer_work all_cut = expand_layer(&made.model, 0, 2, 4096, &eight, true);
    assert_close(attention_kept(&all_cut), tokens * 201344 / 8, EXACT);
}

/* Up-projections give back queries, keys and values, and run their two products again; norms of
 * latent vectors are no norms before blocks, but element-wise. The dense block: 2 * 7168 and
 * 6 * 18432. */
static void modules_by_hand(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 4096, &alone, true);
    assert_close(layer_dropped(&work, SP_MODULE_MLA_UP), 4096.0 * 131072, EXACT);
    assert_close(flops_again(&work, SP_MODULE_MLA_UP), 4096.0 * 2 * UP, EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_CORE), 4096.0 * 512, 1e-12);
    assert_close(layer_dropped(&work, SP_MODULE_NORM), 4096.0 * 4 * 7168, EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_STREAMS),
                 4096.0 * (4 * 7168 + 2 * (1536 + 512) + 2 * 18432), EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_MLA_UP | SP_MODULE_FFN),
                 4096.0 * (131072 + 6 * 18432), EXACT);
}

/* Sequence parallelism cuts the rows of what works on latent vectors; without it every rank does
 * all of it. */
static void ranks_repeat_the_way_down_unless_the_sequence_is_cut(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    sp_sharding four = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    const double tokens = 4096, core = 167772160.0;
    const sp_layer_work cut = expand_layer(&made.model, 0, 1, 4096, &four, true);
    assert_close(4 * attention_flops(&cut), tokens * (2 * (DOWN + UP + OUT) + core), EXACT);
    four.sp = false;
    const sp_layer_work again = expand_layer(&made.model, 0, 1, 4096, &four, true);
    assert_close(4 * attention_flops(&again), tokens * (2 * (4 * DOWN + UP + OUT) + core), EXACT);
}

/* What context parallelism moves are whole heads: 2 * 128 / tp * (192 + 128) bytes a token. */
static void expanded_heads_travel_between_ranks_of_a_sequence(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const sp_sharding cut = {.tp = 4, .cp = 8, .ep = 1, .etp = 1, .sp = true};
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 4096, &cut, true);
    assert_true(work.attention.kv_bytes == 512.0 * 2 * 32 * (192 + 128));
    assert_true(work.attention.q_bytes == 512.0 * 2 * 32 * 192);
    assert_true(work.attention.o_bytes == 512.0 * 2 * 32 * 128);
}

/* Gradients of queries, keys, values and output, 2 * 128 * (2 * 192 + 2 * 128), outweigh those of
 * the dense block, 2 * 3 * 18432; beside them the gradient of the layer's input. */
static void gradients_of_the_heads_are_live_while_the_layer_runs_backwards(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const sp_layer_work work = expand_layer(&made.model, 0, 1, 4096, &alone, true);
    assert_true(work.working_bytes == 4096.0 * (2 * 7168 + 163840));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flops_by_hand),
        cmocka_unit_test(parameters_by_hand),
        cmocka_unit_test(queries_without_a_latent_vector_are_projected_at_once),
        cmocka_unit_test(kept_bytes_by_hand),
        cmocka_unit_test(modules_by_hand),
        cmocka_unit_test(ranks_repeat_the_way_down_unless_the_sequence_is_cut),
        cmocka_unit_test(expanded_heads_travel_between_ranks_of_a_sequence),
        cmocka_unit_test(gradients_of_the_heads_are_live_while_the_layer_runs_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
