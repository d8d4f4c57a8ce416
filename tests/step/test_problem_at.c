/* SPDX-License-Identifier: Apache-2.0 */
/* A problem at another size is the problem that would have been built of it, as far as memory and
 * structure see: bit for bit, over random sizes, plans and models. */
#include "common/asked.h"
#include "common/draw.h"
#include "space/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const models[] = {"llama-3.1-8b", "mixtral-8x7b", "deepseek-v3", "gpt3-175b"};

static sp_question question_of(const char *model, uint64_t seq_len, uint64_t batch, uint32_t rank)
{
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = model;
    q.cluster = "dgx-h100";
    q.gpus = "64";
    q.task = SP_TASK_LORA;
    q.seq_len = seq_len;
    q.global_batch = batch;
    q.lora_rank = rank;
    return q;
}

static sp_plan draw_plan(draw *d)
{
    sp_plan plan = sp_plan_default();
    plan.gpus = 64;
    sp_plan_set(&plan, SP_AXIS_tp, draw_divisor(d, 8, 8));
    sp_plan_set(&plan, SP_AXIS_pp, draw_divisor(d, 8, 8));
    sp_plan_set(&plan, SP_AXIS_stage_layers, draw_between(d, 0, SP_N_STAGE_LAYERS - 1));
    sp_plan_set(&plan, SP_AXIS_recompute, draw_between(d, 0, SP_N_RECOMPUTE - 1));
    sp_plan_set(&plan, SP_AXIS_zero, draw_between(d, 0, 3));
    sp_plan_set(&plan, SP_AXIS_sp, plan.tp > 1 && draw_coin(d) ? SP_ON : SP_OFF);
    return plan;
}

static void it_is_the_problem_that_would_have_been_built(void **state)
{
    (void)state;
    draw d = draw_begin("problem at another size");
    for (int round = 0; round < 24; round++) {
        const char *model = models[draw_between(&d, 0, 3)], *other = models[draw_between(&d, 0, 3)];
        const uint64_t length = 16 * draw_between(&d, 1, 128), batch = 64 * draw_between(&d, 1, 9);
        const uint32_t rank = draw_between(&d, 1, 300);
        const sp_question here = question_of(model, 1024, 64, 8);
        const sp_question there = question_of(other, length, batch, rank);
        sp_problem *whole = build_problem(&here), *wanted = build_problem(&there), at;
        const sp_sizes sizes = sp_problem_sizes(wanted);
        for (int i = 0; i < 40; i++) {
            sp_stage_split room[8 * SP_N_STAGE_LAYERS * SP_N_LAYOUTS];
            sp_plan plan = draw_plan(&d);
            sp_memory a = {0}, b = {0};
            sp_problem_at(whole, &sizes, plan.pp, room, &at);
            sp_plan_derive(&plan, batch);
            assert_ptr_equal(sp_plan_unbuildable(&at, &plan), sp_plan_unbuildable(wanted, &plan));
            if (sp_plan_unbuildable(wanted, &plan) != NULL) continue;
            sp_estimate_memory(&at, &plan, &a);
            sp_estimate_memory(wanted, &plan, &b);
            assert_memory_equal(&a, &b, sizeof a);
        }
        assert_true(at.forward_flops == wanted->forward_flops);
        sp_problem_free(whole);
        sp_problem_free(wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_problem_that_would_have_been_built),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
