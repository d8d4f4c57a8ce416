/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of a worker that are priced once: as those that are priced anew, whatever the order in
 * which they are asked for. */
#include "common/close.h"
#include "served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *model, *plan;
} workers[] = {
    {"qwen3-32b",    "tp=4"                 },
    {"llama-3.1-8b", "tp=1"                 },
    {"llama-3.1-8b", "tp=2,pp=2"            },
    {"deepseek-v3",  "tp=8,ep=8"            },
    {"deepseek-v3",  "tp=1,attn_dp=16,ep=16"},
    {"gpt-oss-120b", "tp=2"                 },
};

static sp_serving_problem *build_for(size_t i, sp_serving_plan *plan)
{
    sp_serving_question q = served_example();
    q.model = workers[i].model;
    sp_serving_problem *p = served_build(&q);
    *plan = served_plan(p, workers[i].plan);
    return p;
}

static void assert_alike(const sp_serve_step_time *a, const sp_serve_step_time *b, double relative)
{
    assert_close(a->step_s, b->step_s, relative);
    assert_close(a->stage_s, b->stage_s, relative);
    assert_within(a->projection_s, b->projection_s, relative * b->step_s);
    assert_within(a->attention_s, b->attention_s, relative * b->step_s);
    assert_within(a->experts_s, b->experts_s, relative * b->step_s);
    assert_within(a->element_s, b->element_s, relative * b->step_s);
    assert_within(a->collective_s, b->collective_s, relative * b->step_s);
    assert_within(a->host_s, b->host_s, relative * b->step_s);
    const double parts = a->projection_s + a->attention_s + a->experts_s + a->element_s +
                         a->collective_s + a->host_s;
    assert_close(parts, a->step_s, 1e-12);
}

/* Counts that are kept are exact; between them lines are drawn, off by less than 1 %. */
static void kept_steps_are_as_long_as_new_ones(void **state)
{
    (void)state;
    static const double counts[] = {1, 2, 17, 64, 128, 512}, between[] = {2.5, 71, 100, 333, 1000};
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        sp_serving_plan plan;
        sp_serving_base base;
        sp_serve_step_time kept, anew;
        sp_serving_problem *p = build_for(i, &plan);
        sp_serving_base_of(p, &plan, SP_ROLE_DECODE, &base);
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            const sp_serve_batch b = {
                .decodes = counts[k], .context = base.steps.context, .emitted = counts[k]};
            sp_step_table_step(&base.steps, &b, &kept);
            sp_serve_step(&base.worker, &b, &anew);
            assert_alike(&kept, &anew, 1e-12);
        }
        for (size_t k = 0; k < sizeof between / sizeof between[0]; k++) {
            const sp_serve_batch b = {
                .decodes = between[k], .context = base.steps.context, .emitted = between[k]};
            sp_step_table_step(&base.steps, &b, &kept);
            sp_serve_step(&base.worker, &b, &anew);
            assert_alike(&kept, &anew, 0.01);
        }
        sp_serving_problem_free(p);
    }
}

/* Of latent attention, answers have products of their own, whose start is lost beside prompts. */
static void mixed_steps_are_put_together_from_their_parts(void **state)
{
    (void)state;
    static const double chunks[] = {100, 512, 2000, 8000}, running[] = {1, 32, 200};
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        sp_serving_plan plan;
        sp_serving_base base;
        sp_serving_problem *p = build_for(i, &plan);
        sp_serving_base_of(p, &plan, SP_ROLE_DECODE, &base);
        for (size_t k = 0; k < 12; k++) {
            const double n = running[k % 3];
            const sp_serve_batch b = {.prompts = 1,
                                      .prompt_tokens = chunks[k / 3],
                                      .prompt_past = 1000,
                                      .decodes = n,
                                      .context = base.steps.context,
                                      .emitted = n + 0.5};
            sp_serve_step_time kept, anew;
            sp_step_table_step(&base.steps, &b, &kept);
            sp_serve_step(&base.worker, &b, &anew);
            assert_alike(&kept, &anew, 0.03);
        }
        sp_serving_problem_free(p);
    }
}

/* Of a prompt of 4,000 tokens in equal pieces, and of several prompts together. */
static void prompts_alone_are_as_long_as_new_ones(void **state)
{
    (void)state;
    static const double pieces[] = {1, 100, 333.3, 777, 2000, 3999};
    for (size_t i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        sp_serving_plan plan;
        sp_serving_base base;
        sp_serve_step_time kept, anew;
        sp_serving_problem *p = build_for(i, &plan);
        sp_serving_base_of(p, &plan, SP_ROLE_DECODE, &base);
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            const sp_serve_batch b = {.prompts = 1,
                                      .prompt_tokens = pieces[k],
                                      .prompt_past = (4000.0 - pieces[k]) / 2.0,
                                      .emitted = 1.0};
            sp_step_table_step(&base.steps, &b, &kept);
            sp_serve_step(&base.worker, &b, &anew);
            assert_alike(&kept, &anew, 0.01);
        }
        for (double n = 1.0; n <= 4.0; n += 1.0) {
            const sp_serve_batch b = {.prompts = n, .prompt_tokens = 4000, .emitted = n};
            sp_step_table_step(&base.steps, &b, &kept);
            sp_serve_step(&base.worker, &b, &anew);
            assert_alike(&kept, &anew, 1e-9);
        }
        sp_serving_problem_free(p);
    }
}

/* A search fills a table with many plans, an estimate with one. */
static void the_order_of_questions_does_not_matter(void **state)
{
    (void)state;
    enum { N = 200 };
    static sp_serve_step_time forth[N], back[N];
    sp_serving_plan plan;
    sp_serving_base base;
    sp_serving_problem *p = build_for(3, &plan);
    for (int direction = 0; direction < 2; direction++) {
        sp_serving_base_of(p, &plan, SP_ROLE_DECODE, &base);
        for (int n = 0; n < N; n++) {
            const int i = direction == 0 ? n : N - 1 - n;
            const sp_serve_batch b = {.prompts = i % 2,
                                      .prompt_tokens = 37.0 * i,
                                      .decodes = 1.0 + 1.7 * i,
                                      .context = base.steps.context,
                                      .emitted = 2.0 + 1.7 * i};
            sp_step_table_step(&base.steps, &b, direction == 0 ? &forth[i] : &back[i]);
        }
    }
    assert_memory_equal(forth, back, sizeof forth);
    sp_serving_problem_free(p);
}

/* Answers of another length, or more tokens than any engine has, are priced anew. */
static void what_the_table_does_not_cover_is_priced_anew(void **state)
{
    (void)state;
    sp_serving_plan plan;
    sp_serving_base base;
    sp_serving_problem *p = build_for(0, &plan);
    sp_serving_base_of(p, &plan, SP_ROLE_DECODE, &base);
    const sp_serve_batch cases[] = {
        {.decodes = 71,   .context = 100, .emitted = 71},
        {.decodes = 71,               .context = base.steps.context                },
        {.decodes = 1e7,               .context = base.steps.context,.emitted = 1e7},
        {.prompts = 3, .prompt_tokens = 1234               },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_serve_step_time kept, anew;
        sp_step_table_step(&base.steps, &cases[i], &kept);
        sp_serve_step(&base.worker, &cases[i], &anew);
        assert_memory_equal(&kept, &anew, sizeof kept);
    }
    sp_serving_problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_steps_are_as_long_as_new_ones),
        cmocka_unit_test(prompts_alone_are_as_long_as_new_ones),
        cmocka_unit_test(mixed_steps_are_put_together_from_their_parts),
        cmocka_unit_test(the_order_of_questions_does_not_matter),
        cmocka_unit_test(what_the_table_does_not_cover_is_priced_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
