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

/* Any engine, optimizer and format of gradients. */
static sp_question draw_recipe(draw *d)
{
    static const char *const engines[] = {"any", "megatron", "deepspeed", "fsdp", "torchtitan"};
    static const char *const optimizers[] = {"adamw", "adamw-bf16",   "adamw8bit", "adafactor",
                                             "sgd",   "sgd-momentum", "muon"};
    sp_question q = draw_question(d, "64");
    q.cluster = draw_coin(d) ? "dgx-b200" : "dgx-h100";
    q.engine = engines[draw_between(d, 0, 4)];
    q.optimizer = optimizers[draw_between(d, 0, 6)];
    q.gradients = (sp_gradients)draw_between(d, 0, SP_N_GRADIENTS - 1);
    q.task = (sp_task)draw_between(d, 0, SP_N_TASKS - 1);
    return q;
}

/* What the floor says nothing of, beside draw_plan. */
static sp_plan draw_below(draw *d, const sp_plan *geometry)
{
    sp_plan plan = draw_plan(d);
    const sp_axis_id geometric[] = {SP_AXIS_tp,       SP_AXIS_cp,          SP_AXIS_pp,
                                    SP_AXIS_ep,       SP_AXIS_micro_batch, SP_AXIS_schedule,
                                    SP_AXIS_precision};
    for (size_t i = 0; i < sizeof geometric / sizeof geometric[0]; i++) {
        sp_plan_set(&plan, geometric[i], sp_plan_get(geometry, geometric[i]));
    }
    sp_plan_set(&plan, SP_AXIS_cp_kind, draw_between(d, 0, SP_N_CP_KINDS - 1));
    sp_plan_set(&plan, SP_AXIS_sp, plan.tp > 1 && draw_coin(d) ? SP_ON : SP_OFF);
    return plan;
}

static sp_plan draw_geometry(draw *d, const sp_problem *problem)
{
    const sp_plan drawn = draw_plan(d);
    sp_plan plan = sp_plan_default();
    plan.gpus = 64;
    plan.tp = drawn.tp;
    plan.pp = drawn.pp;
    plan.schedule = drawn.schedule;
    sp_plan_set(&plan, SP_AXIS_cp, draw_divisor(d, 4, 64u / ((uint32_t)plan.tp * plan.pp)));
    sp_plan_set(&plan, SP_AXIS_ep, problem->has_experts ? draw_divisor(d, 8, 8) : 1);
    sp_plan_set(&plan, SP_AXIS_precision, draw_between(d, 0, SP_N_PRECISIONS - 1));
    sp_plan_derive(&plan, problem->question.global_batch);
    return plan;
}

static void fail_floor(const sp_question *q, const sp_plan *plan, double floor_bytes,
                       double peak_bytes)
{
    char text[SP_PLAN_TEXT_BYTES];
    sp_plan_format(plan, text, sizeof text);
    fail_msg("%s, %s, %s, task %d, gradients %d, %s: %g bytes, and a floor of %g", q->model,
             q->engine, q->optimizer, (int)q->task, (int)q->gradients, text, peak_bytes,
             floor_bytes);
}

static void no_plan_of_a_geometry_lies_below_its_floor(void **state)
{
    (void)state;
    draw d = draw_begin("floor of memory");
    for (int round = 0; round < 24; round++) {
        const sp_question q = draw_recipe(&d);
        asked a = build(&q);
        for (int i = 0; i < 200; i++) {
            const sp_plan geometry = draw_geometry(&d, a.problem);
            sp_plan plan = draw_below(&d, &geometry);
            sp_memory memory;
            sp_plan_derive(&plan, q.global_batch);
            if (sp_plan_unbuildable(a.problem, &plan) != NULL) continue;
            sp_estimate_memory(a.problem, &plan, &memory);
            const double bytes = sp_memory_floor_bytes(a.problem, &geometry, plan.zero);
            if (bytes > memory.peak_bytes) fail_floor(&q, &plan, bytes, memory.peak_bytes);
            assert_true(sp_memory_floor_bytes(a.problem, &geometry, 3) <= bytes);
        }
        drop(&a);
    }
}

/* Where weights in one byte replace those in two, and where a twin of the gradients goes. */
static void fewest_gpus_are_found_in_any_precision(void **state)
{
    (void)state;
    static const char *const engines[] = {"megatron", "deepspeed"};
    static const char *const precisions[] = {"precision=bf16,fp8", "precision=bf16,fp16"};
    draw d = draw_begin("fewest GPUs in any precision");
    for (int round = 0; round < 40; round++) {
        const uint32_t which = draw_between(&d, 0, 1);
        sp_error err = {0};
        sp_inverse answer;
        sp_question q = draw_question(&d, "1..16");
        q.model = "llama-3.1-8b";
        q.cluster = "dgx-b200";
        q.engine = engines[which];
        q.optimizer = "sgd";
        q.gradients = SP_GRADIENTS_FP32;
        q.task = SP_TASK_PRETRAIN;
        q.reserve_bytes = draw_scale(&d, 120e9, 172e9);
        q.sets[q.n_sets++] = "micro_batch=1";
        q.sets[q.n_sets++] = "zero=0,1";
        q.sets[q.n_sets++] = precisions[which];
        asked a = build(&q);
        must(sp_inverse_fewest_gpus(a.space, true, &answer, &err), &err);
        assert_int_equal(answer.found ? answer.value : 0, fewest_by_trying(a.space));
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
        cmocka_unit_test(fewest_gpus_are_found_in_any_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
