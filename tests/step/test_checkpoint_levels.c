/* SPDX-License-Identifier: Apache-2.0 */
/* The levels of activation checkpointing, in bytes of one layer of GPT-3 175B worked out by hand
 * from Korthikanti et al., arXiv:2205.05198, section 4.1, table 2. */
#include "common/shipped.h"
#include "cost/cost.h"
#include "shardplan/problem.h"
#include "step/step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* s b h of 2,048 tokens, one sequence and 12,288; a s^2 b of 96 heads. */
#define SBH  25165824.0
#define AS2B 402653184.0

static void kept(const char *text, bool flash, double right)
{
    const sp_model *model = NULL;
    sp_arena arena = {0};
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    sp_layer_work work;
    const sp_shape shape = {.sequences = 1, .tokens = 2048, .length = 2048, .context = 1024};
    must(sp_model_find(&arena, source_home(), "gpt3-175b", &model, &err), &err);
    must(sp_plan_parse(text, &plan, &err), &err);
    const sp_sharding sharding = {
        .tp = plan.tp, .cp = 1, .ep = 1, .etp = 1, .sp = plan.sp == SP_ON};
    sp_graph_layer(model, &model->kinds[0], &shape, &sharding, flash, &work);
    const sp_redo redo = sp_plan_redo(&plan);
    const sp_keeping keeping = {.modules = redo.modules, .full = redo.full, .product_bytes = 2.0};
    const double bytes = sp_mem_layer(&work, &keeping).kept;
    if (fabs(bytes - right) > 1e-9 * right)
        fail_msg("%s: %.0f bytes, not %.0f", text, bytes, right);
    sp_arena_fini(&arena);
}

/* 34 s b h = 855,638,016 bytes, and 5 a s^2 b = 2,013,265,920 for scores, softmax and its mask. */
static void without_checkpointing_a_layer_keeps_34_sbh_and_its_scores(void **state)
{
    (void)state;
    kept("recompute=none", false, 855638016.0 + 2013265920.0);
    /* A fused core keeps 4 bytes of log-sum-exp for each head and token instead. */
    kept("recompute=none", true, 855638016.0 + 4.0 * 96 * 2048);
}

static void selective_drops_the_core_alone(void **state)
{
    (void)state;
    kept("recompute=selective", false, 855638016.0);
    kept("recompute=selective", true, 855638016.0);
}

/* Outputs of the two norms, 2 s b h each; output of GeLU, 8 s b h. */
static void norms_and_activations_drop_their_outputs(void **state)
{
    const double core = 4.0 * 96 * 2048;
    (void)state;
    kept("recompute=layernorm", true, (34.0 - 4.0) * SBH + core);
    kept("recompute=act", true, (34.0 - 8.0) * SBH + core);
    kept("recompute=layernorm_act", true, (34.0 - 12.0) * SBH + core);
    /* The dense block from the output of its norm: input and output of GeLU. */
    kept("recompute=mlp", true, (34.0 - 16.0) * SBH + core);
}

/* The layer's input: 2 s b h = 50,331,648 bytes. */
static void full_keeps_the_input(void **state)
{
    (void)state;
    kept("recompute=full", false, 50331648.0);
    kept("recompute=full", true, 50331648.0);
}

/* Table 2: tensor parallelism cuts 24 of the 34, sequence parallelism all of them. */
static void parallelism_cuts_24_or_all_of_the_34(void **state)
{
    (void)state;
    kept("tp=8,recompute=selective", false, (10.0 + 24.0 / 8) * SBH);
    kept("tp=8,sp=on,recompute=selective", false, 34.0 / 8 * SBH);
    kept("tp=8,recompute=none", false, (10.0 + 24.0 / 8) * SBH + 5.0 * AS2B / 8);
    kept("tp=8,sp=on,recompute=none", false, 34.0 / 8 * SBH + 5.0 * AS2B / 8);
    kept("tp=8,recompute=full", false, 2.0 * SBH);
    kept("tp=8,sp=on,recompute=full", false, 2.0 / 8 * SBH);
}

/* k of 96 layers on one stage keep 2 s b h, the others 34 s b h. */
static void layers_are_checkpointed_one_by_one(void **state)
{
    sp_question q = sp_question_default();
    sp_problem *problem = NULL;
    sp_error err = {0};
    (void)state;
    q.home = getenv("SHARDPLAN_HOME");
    q.model = "gpt3-175b";
    q.cluster = "dgx-a100-80g";
    q.gpus = "8";
    q.engine = "any";
    q.seq_len = 2048;
    q.global_batch = 8;
    if (sp_problem_build(&q, &problem, &err) != SP_OK) fail_msg("%s", err.message);
    double before = 0.0;
    for (uint32_t layers = 16; layers <= 80; layers += 16) {
        sp_plan plan = sp_plan_default();
        sp_inputs in;
        plan.gpus = 8;
        plan.recompute = SP_RECOMPUTE_FULL;
        plan.recompute_layers = (uint16_t)layers;
        sp_plan_derive(&plan, 8);
        sp_inputs_build(problem, &plan, false, &in);
        const double bytes = sp_stage_kept_bytes(
            &in, &sp_problem_split(problem, 1, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW)->classes[0]);
        const double whole = 34.0 * SBH + 4.0 * 96 * 2048;
        const double right = layers * 2.0 * SBH + (96.0 - layers) * whole;
        assert_true(fabs(bytes - right) < 1e-9 * right);
        assert_true(before == 0.0 || bytes < before);
        before = bytes;
    }
    sp_problem_free(problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_checkpointing_a_layer_keeps_34_sbh_and_its_scores),
        cmocka_unit_test(selective_drops_the_core_alone),
        cmocka_unit_test(norms_and_activations_drop_their_outputs),
        cmocka_unit_test(full_keeps_the_input),
        cmocka_unit_test(parallelism_cuts_24_or_all_of_the_34),
        cmocka_unit_test(layers_are_checkpointed_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
