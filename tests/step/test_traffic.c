/* SPDX-License-Identifier: Apache-2.0 */
/* The collectives of a step: they add up to what the step is priced by, and their volumes are those
 * that the papers state. */
#include "shardplan/traffic.h"

#include "base/base.h"
#include "common/close.h"
#include "common/shipped.h"
#include "shardplan/search.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LLAMA_7B 6738415616.0 /* parameters of Llama-2-7B */

typedef struct asked {
    sp_problem *problem;
    sp_plan plan;
    sp_estimate estimate;
    sp_traffic traffic;
} asked;

static sp_question question_of(const char *model, const char *engine)
{
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = model;
    q.cluster = "8xa100-sxm-80g,8xib-hdr";
    q.gpus = "16";
    q.engine = engine;
    q.seq_len = 2048;
    q.global_batch = 64;
    q.moe_imbalance_ratio = 1.0; /* all ranks send alike */
    return q;
}

static void ask(asked *a, const sp_question *q, const char *plan)
{
    *a = (asked){.problem = build_problem(q)};
    a->plan = plan_on(a->problem, plan);
    sp_estimate_plan(a->problem, &a->plan, &a->estimate);
    sp_traffic_build(a->problem, &a->plan, &a->traffic);
}

static void ask_model(asked *a, const char *model, const char *plan)
{
    const sp_question q = question_of(model, "any");
    ask(a, &q, plan);
}

static const sp_exchange *need(const asked *a, sp_dimension dimension, sp_collective collective)
{
    for (uint32_t i = 0; i < a->traffic.n_rows; i++) {
        const sp_exchange *row = &a->traffic.rows[i];
        if (row->dimension == dimension && row->collective == collective) return row;
    }
    fail_msg("no %s by %s", sp_dimension_name(dimension), sp_collective_name(collective));
    return NULL;
}

static bool has(const asked *a, sp_dimension dimension, sp_collective collective)
{
    for (uint32_t i = 0; i < a->traffic.n_rows; i++) {
        const sp_exchange *row = &a->traffic.rows[i];
        if (row->dimension == dimension && row->collective == collective) return true;
    }
    return false;
}

/* A ring all-reduce sends 2 (n - 1) / n of the gradients (Thakur et al., IJHPCA 2005): 15/8 of
 * them. Under autocast DDP's parameters and their gradients have 4 bytes. */
static void plain_data_parallelism_reduces_its_gradients_once(void **state)
{
    asked a;
    (void)state;
    const sp_question q = question_of("llama-2-7b", "ddp");
    ask(&a, &q, "gpus=16,zero=0,micro_batch=2");
    const sp_exchange *row = need(&a, SP_BY_DP, SP_ALL_REDUCE);
    assert_int_equal(row->ranks, 16);
    assert_close(row->times * row->bytes / LLAMA_7B, 4.0, 1e-3);
    assert_close(row->sent_bytes, 2.0 * 15 / 16 * 4.0 * LLAMA_7B, 1e-3);
    assert_int_equal(a.traffic.n_rows, 1);
    sp_problem_free(a.problem);
}

/* ZeRO, Rajbhandari et al., arXiv:1910.02054, section 7: stages 1 and 2 scatter gradients and
 * gather weights, two volumes of (n - 1)/n; stage 3 gathers for both passes of each micro-batch,
 * three. */
static void zero_sends_two_volumes_and_three_at_stage_3(void **state)
{
    const double volume = 15.0 / 16 * 2.0 * LLAMA_7B;
    static const struct stage {
        const char *plan;
        double gathers, scatters;
    } stages[] = {
        {"gpus=16,zero=1,micro_batch=4", 1.0, 1.0},
        {"gpus=16,zero=2,micro_batch=4", 1.0, 1.0},
        {"gpus=16,zero=3,micro_batch=4", 2.0, 1.0},
        {"gpus=16,zero=1,micro_batch=1", 1.0, 1.0}, /* four micro-batches */
        {"gpus=16,zero=2,micro_batch=1", 1.0, 4.0},
        {"gpus=16,zero=3,micro_batch=1", 8.0, 4.0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        asked a;
        const sp_question q = question_of("llama-2-7b", "deepspeed");
        ask(&a, &q, stages[i].plan);
        assert_close(need(&a, SP_BY_DP, SP_ALL_GATHER)->sent_bytes, stages[i].gathers * volume,
                     1e-3);
        assert_close(need(&a, SP_BY_DP, SP_REDUCE_SCATTER)->sent_bytes, stages[i].scatters * volume,
                     1e-3);
        assert_false(has(&a, SP_BY_DP, SP_ALL_REDUCE));
        sp_problem_free(a.problem);
    }
}

/* HSDP over groups of 8: scatters inside a group, then adds up eighths of gradients over 2 groups.
 */
static void groups_of_shards_add_up_their_shards(void **state)
{
    asked a;
    (void)state;
    const sp_question q = question_of("llama-2-7b", "fsdp");
    ask(&a, &q, "gpus=16,zero=3,micro_batch=4,shard_group=8");
    const double wide = need(&a, SP_BY_DP, SP_REDUCE_SCATTER)->sent_bytes / (7.0 / 8 * LLAMA_7B);
    const sp_exchange *far = need(&a, SP_BY_DP, SP_ALL_REDUCE);
    assert_true(far->leaves_domain && far->ranks == 2);
    assert_false(need(&a, SP_BY_DP, SP_ALL_GATHER)->leaves_domain);
    assert_close(far->sent_bytes, 2.0 * 1 / 2 * wide * LLAMA_7B / 8, 1e-3);
    sp_problem_free(a.problem);
}

/* Korthikanti et al., arXiv:2205.05198, section 4.2.2: a layer has 4 all-reduces of 2 s b h bytes
 * without sequence parallelism; with it as many all-gathers and reduce-scatters, and one more
 * gather a block of what is kept in slices. Beside the 32 layers the embedding and the head have
 * one each. 8 micro-batches of 1 sequence. */
static void tensor_parallelism_reduces_four_times_a_layer(void **state)
{
    const double tensor = 2.0 * 2048 * 4096, m = 32.0;
    asked a;
    (void)state;
    ask_model(&a, "llama-2-7b", "gpus=16,tp=8,zero=1");
    const sp_exchange *reduce = need(&a, SP_BY_TP, SP_ALL_REDUCE);
    assert_close(reduce->times, m * (32.0 * 4 + 2), 1e-12);
    assert_close(reduce->sent_bytes, reduce->times * 2.0 * 7 / 8 * tensor, 1e-12);
    assert_false(reduce->leaves_domain);
    sp_problem_free(a.problem);
    ask_model(&a, "llama-2-7b", "gpus=16,tp=8,zero=1,sp=on");
    assert_close(need(&a, SP_BY_TP, SP_ALL_GATHER)->times, m * (32.0 * 6 + 3), 1e-12);
    assert_close(need(&a, SP_BY_TP, SP_REDUCE_SCATTER)->times, m * (32.0 * 4 + 2), 1e-12);
    assert_close(need(&a, SP_BY_TP, SP_ALL_GATHER)->bytes, tensor, 1e-12);
    sp_problem_free(a.problem);
}

/* Narayanan et al., arXiv:2104.04473, section 3.2: b s h elements each way for every micro-batch
 * and chunk, a tp-th of them under sequence parallelism. */
static void stages_send_a_tensor_each_way_for_every_micro_batch(void **state)
{
    const double tensor = 2.0 * 2048 * 4096;
    asked a;
    (void)state;
    ask_model(&a, "llama-2-7b", "gpus=16,tp=2,pp=8,zero=1");
    assert_close(need(&a, SP_BY_PP, SP_SEND)->sent_bytes, 64.0 * 2 * tensor, 1e-12);
    assert_true(need(&a, SP_BY_PP, SP_SEND)->leaves_domain);
    sp_problem_free(a.problem);
    ask_model(&a, "llama-2-7b", "gpus=16,tp=2,pp=8,zero=1,sp=on");
    assert_close(need(&a, SP_BY_PP, SP_SEND)->sent_bytes, 64.0 * 2 * tensor / 2, 1e-12);
    sp_problem_free(a.problem);
}

/* The same paper, section 4.1: each of 8 tensor-parallel ranks sends an eighth, and all gather the
 * tensor behind, once each way for each of 64 micro-batches. */
static void old_engines_send_a_share_and_gather_it(void **state)
{
    const double tensor = 2.0 * 2048 * 4096;
    asked a;
    (void)state;
    sp_question q = question_of("llama-2-7b", "any");
    q.engine = "megatron-lm@2.5";
    ask(&a, &q, "gpus=16,tp=8,pp=2,zero=0");
    const double each_way = 2.0 * a.plan.accumulation;
    assert_close(need(&a, SP_BY_PP, SP_SEND)->sent_bytes, each_way * tensor / 8, 1e-12);
    assert_close(need(&a, SP_BY_PP, SP_ALL_GATHER)->sent_bytes, each_way * 7 / 8 * tensor, 1e-12);
    sp_problem_free(a.problem);
}

/* A ring of 4 passes the keys and values of a quarter of the sequence on 3 times, with their
 * gradients (twice as much) on the way back; 32 heads of 128, 2 bytes. */
static void a_ring_passes_keys_and_values_on(void **state)
{
    asked a;
    (void)state;
    ask_model(&a, "llama-2-7b", "gpus=16,cp=4,zero=1,cp_kind=ring,micro_batch=4");
    const double block = 4.0 * 512 * 2 * 4096 * 2;
    assert_close(sp_traffic_sent_bytes(&a.traffic, SP_BY_CP), 4.0 * 32 * 3 * 3 * block, 1e-12);
    sp_problem_free(a.problem);
}

/* Two choices of a token each way: dispatch and combine, forward and backward, 7/8 of them to other
 * ranks; Mixtral has 32 layers of experts. */
static void experts_exchange_tokens_four_times_a_layer(void **state)
{
    asked a;
    (void)state;
    ask_model(&a, "mixtral-8x7b", "gpus=16,ep=8,zero=1,micro_batch=4");
    const double tokens = 4.0 * 2048 * 2 * 4096 * 2;
    assert_close(need(&a, SP_BY_EP, SP_ALL_TO_ALL)->sent_bytes, 32.0 * 4 * 7 / 8 * tokens, 1e-12);
    sp_problem_free(a.problem);
}

/* ---- law: the rows add up to the sums of the estimate ---- */

static void compare_sums(const sp_space *space, uint64_t id)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_plan plan = sp_space_unrank(space, id);
    sp_estimate e;
    sp_traffic traffic;
    sp_estimate_plan(problem, &plan, &e);
    sp_traffic_build(problem, &plan, &traffic);
    const double sums[SP_N_DIMENSIONS] = {e.network.tp_bytes, e.network.cp_bytes,
                                          e.network.ep_bytes, e.network.pp_bytes,
                                          e.network.dp_bytes};
    for (uint32_t d = 0; d < SP_N_DIMENSIONS; d++) {
        const double rows = sp_traffic_sent_bytes(&traffic, (sp_dimension)d);
        if (fabs(rows - sums[d]) > 1e-9 * (sums[d] + 1.0)) {
            char text[SP_PLAN_TEXT_BYTES];
            (void)sp_plan_format(&plan, text, sizeof text);
            fail_msg("%s of %s: rows have %.9g, the estimate %.9g",
                     sp_dimension_name((sp_dimension)d), text, rows, sums[d]);
        }
    }
}

static uint32_t compare_space(const char *model)
{
    sp_question q = question_of(model, "any");
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    sp_error err = {0};
    uint32_t n = 0;
    q.space = "all";
    q.seq_len = 1024; /* GPT-2 knows no further positions */
    if (sp_problem_build(&q, &problem, &err) != SP_OK ||
        sp_space_build(problem, &space, &err) != SP_OK) {
        fail_msg("%s (%s)", err.message, err.value);
    }
    uint64_t id = 1;
    for (uint32_t i = 0; i < 200000 && n < 300; i++) {
        id = (id * 6364136223846793005u + 1442695040888963407u);
        const uint64_t drawn = (id >> 11) % sp_space_count(space);
        const sp_plan plan = sp_space_unrank(space, drawn);
        if (sp_plan_unbuildable(problem, &plan) != NULL) continue;
        compare_sums(space, drawn);
        n++;
    }
    sp_space_free(space);
    sp_problem_free(problem);
    return n;
}

static void rows_add_up_to_the_sums_of_the_estimate(void **state)
{
    static const char *const models[] = {"llama-2-7b", "mixtral-8x7b", "deepseek-v3", "gpt2-xl"};
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        const uint32_t n = compare_space(models[i]);
        if (n < 50) fail_msg("only %u plans of %s were drawn", n, models[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_data_parallelism_reduces_its_gradients_once),
        cmocka_unit_test(zero_sends_two_volumes_and_three_at_stage_3),
        cmocka_unit_test(groups_of_shards_add_up_their_shards),
        cmocka_unit_test(tensor_parallelism_reduces_four_times_a_layer),
        cmocka_unit_test(stages_send_a_tensor_each_way_for_every_micro_batch),
        cmocka_unit_test(old_engines_send_a_share_and_gather_it),
        cmocka_unit_test(a_ring_passes_keys_and_values_on),
        cmocka_unit_test(experts_exchange_tokens_four_times_a_layer),
        cmocka_unit_test(rows_add_up_to_the_sums_of_the_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
