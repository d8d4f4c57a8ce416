/* SPDX-License-Identifier: Apache-2.0 */
/* Inverse questions against brute force: every size is tried, and every plan of every number of
 * GPUs, in problems small enough for that. */
#include "shardplan/inverse.h"

#include "common/asked.h"
#include "common/draw.h"
#include "search/search_priv.h"
#include "shardplan/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const models[] = {"llama-3.1-8b", "mixtral-8x7b", "gpt3-175b", "gpt-oss-20b"};

static sp_question draw_question(draw *d, const char *gpus)
{
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = models[draw_between(d, 0, 3)];
    q.cluster = "dgx-h100";
    q.gpus = gpus;
    q.seq_len = 512;
    q.global_batch = 64;
    q.task = draw_coin(d) ? SP_TASK_LORA : SP_TASK_PRETRAIN;
    q.lora_rank = 8;
    /* What is left differs from question to question, so that answers do. */
    q.reserve_bytes = draw_scale(d, 1e9, 70e9);
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
    sp_plan_set(&plan, SP_AXIS_schedule, draw_coin(d) ? SP_SCHEDULE_GPIPE : SP_SCHEDULE_1F1B);
    sp_plan_set(&plan, SP_AXIS_sp, plan.tp > 1 && draw_coin(d) ? SP_ON : SP_OFF);
    return plan;
}

/* ---- sizes ---- */

typedef struct trial {
    sp_arena arena;
    const sp_problem *problem;
    const sp_shapes *shapes;
    sp_plan plan;
    sp_stage_split room[8 * SP_N_STAGE_LAYERS * SP_N_LAYOUTS];
} trial;

static bool fits(trial *t, const sp_sizes *sizes, sp_plan plan)
{
    sp_problem at;
    sp_memory memory;
    if (plan.pp > sizes->model->n_layers) return false;
    sp_problem_at(t->problem, sizes, plan.pp, t->room, &at);
    sp_plan_derive(&plan, sizes->global_batch);
    if (sp_plan_unbuildable(&at, &plan) != NULL) return false;
    sp_estimate_memory(&at, &plan, &memory);
    return sp_memory_fits(&at, &memory);
}

static bool fits_at(trial *t, sp_inverse_goal goal, uint64_t value)
{
    sp_error err = {0};
    sp_sizes s = sp_problem_sizes(t->problem);
    sp_plan plan = t->plan;
    const uint64_t dp = 64u / ((uint64_t)plan.tp * plan.pp);
    if (goal == SP_LARGEST_MICRO_BATCH) {
        sp_plan_set(&plan, SP_AXIS_micro_batch, (uint32_t)value);
        s.global_batch = 64 * value;
    } else if (goal == SP_LARGEST_GLOBAL_BATCH) {
        s.global_batch = value * dp;
    } else if (goal == SP_LARGEST_SEQUENCE) {
        s.seq_len = value * 2 * plan.tp;
        if (t->problem->model->positions > 0 && s.seq_len > t->problem->model->positions) {
            return false;
        }
    } else if (goal == SP_LARGEST_LORA_RANK) {
        s.lora_rank = (uint32_t)value;
    } else {
        must(sp_shapes_guess(&t->arena, t->shapes, 1e8 * (double)value, &s.model, &err), &err);
    }
    return fits(t, &s, plan);
}

static uint64_t unit_of(const trial *t, sp_inverse_goal goal)
{
    if (goal == SP_LARGEST_SEQUENCE) return 2u * (uint64_t)t->plan.tp;
    return goal == SP_LARGEST_GLOBAL_BATCH ? 64u / ((uint64_t)t->plan.tp * t->plan.pp) : 1;
}

static void compare(trial *t, sp_inverse_goal goal)
{
    const sp_inverse_question q = {
        .goal = goal, .problem = t->problem, .plan = t->plan, .batch_follows = true};
    sp_error err = {0};
    sp_inverse answer;
    uint64_t largest = 0;
    must(sp_inverse_largest(&t->arena, &q, &answer, &err), &err);
    const uint64_t unit = unit_of(t, goal), value = answer.found ? answer.value / unit : 0;
    const uint64_t most = answer.unbounded ? value : 2 * value + 3000;
    assert_int_equal(answer.found ? answer.value % unit : 0, 0);
    for (uint64_t i = 1; i <= most; i++) {
        if (fits_at(t, goal, i)) largest = i;
    }
    if (largest == value) return;
    char text[SP_PLAN_TEXT_BYTES];
    sp_plan_format(&t->plan, text, sizeof text);
    fail_msg("%s, goal %d, %s: %llu found, %llu by trying", t->problem->model->name, (int)goal,
             text, (unsigned long long)value, (unsigned long long)largest);
}

static void the_largest_size_is_the_one_found_by_trying_all(void **state)
{
    (void)state;
    draw d = draw_begin("inverse sizes");
    for (int round = 0; round < 16; round++) {
        const sp_question q = draw_question(&d, "64");
        sp_error err = {0};
        asked a = build(&q);
        trial t = {.problem = a.problem, .plan = draw_plan(&d)};
        must(sp_shapes_load(&t.arena, q.home, &t.shapes, &err), &err);
        for (int goal = 0; goal < SP_N_INVERSE_GOALS; goal++) {
            if (goal != SP_LARGEST_LORA_RANK || q.task == SP_TASK_LORA) {
                compare(&t, (sp_inverse_goal)goal);
            }
        }
        sp_arena_fini(&t.arena);
        drop(&a);
    }
}

static void a_micro_batch_divides_the_global_batch_that_stays(void **state)
{
    (void)state;
    draw d = draw_begin("inverse micro-batch under a global batch");
    for (int round = 0; round < 20; round++) {
        sp_question q = draw_question(&d, "64");
        q.global_batch = 64u * draw_between(&d, 1, 60);
        asked a = build(&q);
        trial t = {.problem = a.problem, .plan = draw_plan(&d)};
        const sp_inverse_question asked_for = {
            .goal = SP_LARGEST_MICRO_BATCH, .problem = a.problem, .plan = t.plan};
        sp_error err = {0};
        sp_inverse answer;
        uint32_t largest = 0;
        const sp_sizes sizes = sp_problem_sizes(a.problem);
        for (uint32_t m = 1; m <= q.global_batch; m++) {
            sp_plan plan = t.plan;
            sp_plan_set(&plan, SP_AXIS_micro_batch, m);
            if (fits(&t, &sizes, plan)) largest = m;
        }
        must(sp_inverse_largest(&t.arena, &asked_for, &answer, &err), &err);
        assert_int_equal(answer.found ? answer.value : 0, largest);
        if (answer.found) assert_int_equal(answer.global_batch, q.global_batch);
        sp_arena_fini(&t.arena);
        drop(&a);
    }
}

/* ---- GPUs ---- */

/* The fewest of the space on which a plan fits, of all plans and not in steps. */
static uint64_t fewest_by_trying(const sp_space *space)
{
    uint64_t *pruned = calloc(sp_space_rule_count(space), sizeof *pruned), fewest = 0;
    assert_non_null(pruned);
    sp_problem problem = *space->problem;
    sp_space at = *space;
    at.problem = &problem;
    const sp_axis *gpus = &space->axes[SP_AXIS_gpus];
    for (uint32_t i = 0; i < gpus->n_values && fewest == 0; i++) {
        sp_walk walk;
        problem.question.global_batch = gpus->values[i];
        sp_walk_begin(&walk, &at, i * gpus->stride, SP_AXIS_tp, SP_AXIS_sp, pruned);
        while (fewest == 0 && sp_walk_next(&walk)) {
            if (walk.refused[SP_AXIS_sp] == SP_NO_RULE) fewest = gpus->values[i];
        }
    }
    free(pruned);
    return fewest;
}

static void the_fewest_gpus_are_those_found_by_trying_all_plans(void **state)
{
    (void)state;
    static const char *const sets[] = {"zero=0,1", "recompute=none,selective", "pp=1,2,4",
                                       "zero=3"};
    static const char *const spared[] = {"schedule=1f1b", "ep_overlap=off", "placement=tp_dp_pp"};
    draw d = draw_begin("fewest GPUs");
    for (int round = 0; round < 12; round++) {
        sp_error err = {0};
        sp_inverse answer;
        sp_question q = draw_question(&d, "1..64");
        q.seq_len = 512u << draw_between(&d, 0, strcmp(q.model, "gpt3-175b") == 0 ? 2 : 6);
        q.sets[q.n_sets++] = "micro_batch=1";
        if (draw_coin(&d)) q.sets[q.n_sets++] = sets[draw_between(&d, 0, 3)];
        asked all = build(&q);
        for (int i = 0; i < 3; i++)
            q.sets[q.n_sets++] = spared[i];
        asked few = build(&q);
        must(sp_inverse_fewest_gpus(few.space, true, &answer, &err), &err);
        const uint64_t fewest = fewest_by_trying(all.space);
        assert_int_equal(answer.found ? answer.value : 0, fewest);
        if (answer.found) assert_int_equal(answer.plan.gpus, fewest);
        drop(&all);
        drop(&few);
    }
}

static void no_plan_of_a_geometry_lies_below_its_floor(void **state)
{
    (void)state;
    draw d = draw_begin("floor of memory");
    for (int round = 0; round < 8; round++) {
        const sp_question q = draw_question(&d, "64");
        asked a = build(&q);
        for (int i = 0; i < 400; i++) {
            sp_plan plan = draw_plan(&d);
            sp_memory memory;
            sp_plan_derive(&plan, q.global_batch);
            if (sp_plan_unbuildable(a.problem, &plan) != NULL) continue;
            sp_estimate_memory(a.problem, &plan, &memory);
            assert_true(sp_memory_floor_bytes(a.problem, &plan, 3) <= memory.peak_bytes);
            assert_true(sp_memory_floor_bytes(a.problem, &plan, plan.zero) <= memory.peak_bytes);
        }
        drop(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_size_is_the_one_found_by_trying_all),
        cmocka_unit_test(a_micro_batch_divides_the_global_batch_that_stays),
        cmocka_unit_test(the_fewest_gpus_are_those_found_by_trying_all_plans),
        cmocka_unit_test(no_plan_of_a_geometry_lies_below_its_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
