/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of two or three requests, followed by hand with steps of one second, and chance. */
#include "base/base.h"
#include "common/close.h"
#include "serve/sim.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* One second, whatever it runs. */
static double second(const void *of, const sp_serve_batch *batch)
{
    (void)of;
    (void)batch;
    return 1.0;
}

typedef struct rig {
    sp_server_timing timing;
    sp_pool pool;
    sp_serve_load load;
    sp_simulated out;
} rig;

static rig rig_of(sp_serve_rule rule, double step_tokens, double isl, double osl, double users)
{
    return (rig){
        .timing = {.rule = rule},
        .pool = {                     .workers = 1,          .step_tokens = step_tokens},
        .load = { .isl = isl, .osl = osl,               .concurrency = users, .requests_per_user = 1.0}
    };
}

static void go(rig *r)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_sim_setup setup = {
        .clock = {second, NULL},
        .pool = &r->pool,
        .load = &r->load,
        .timing = &r->timing,
        .ranks = 1.0,
        .gpus = 1.0,
        .requests = r->load.concurrency > 0.0 ? 0 : r->load.n_requests,
        .seed = 1
    };
    assert_int_equal(sp_sim_run(&arena, &setup, &r->out, &err), SP_OK);
    sp_arena_fini(&arena);
}

/* Prompts of 10 in steps of 10, answers of 3.
 *   A: prompt in step 1, tokens at 1, 2, 3.  B: 9 of its prompt beside A in step 2, the last in
 * step 3, tokens at 3, 4, 5. */
static void chunks_ride_beside_answers(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_MIXED, 10, 10, 3, 2);
    go(&r);
    assert_close(r.out.ttft_s.mean, (1.0 + 3.0) / 2.0, 1e-12);
    assert_close(r.out.e2e_s.mean, (3.0 + 5.0) / 2.0, 1e-12);
    assert_close(r.out.tpot_s.mean, 1.0, 1e-12);
    assert_close(r.out.requests_per_s, 2.0 / 5.0, 1e-12);
    assert_close(r.out.tokens_per_s, 6.0 / 5.0, 1e-12);
    assert_int_equal(r.out.steps, 5);
}

/* A's prompt in step 1, B's in step 2, then both answer: A's gap is 2 s once, all others 1 s. */
static void prompts_first_delay_answers(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_PROMPTS_FIRST, 10, 10, 3, 2);
    go(&r);
    assert_close(r.out.ttft_s.mean, (1.0 + 2.0) / 2.0, 1e-12);
    assert_close(r.out.e2e_s.p50, 4.0, 1e-12);
    assert_close(r.out.tpot_s.mean, (1.5 + 1.0) / 2.0, 1e-12);
    assert_close(r.out.itl_s.mean, (2.0 + 1.0 + 1.0 + 1.0) / 4.0, 1e-12);
    assert_close(r.out.itl_s.p99, 2.0, 0.02);
}

/* Of two prompts of 6 only one fits a step of 10; the other comes whole beside A's answer. */
static void whole_prompts_are_not_cut(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_WHOLE, 10, 6, 3, 2);
    go(&r);
    assert_close(r.out.ttft_s.mean, (1.0 + 2.0) / 2.0, 1e-12);
    assert_close(r.out.e2e_s.mean, (3.0 + 4.0) / 2.0, 1e-12);
}

/* A third request waits until both of the batch are done: prompts at 1, answers at 2 and 3. */
static void a_static_batch_is_emptied_first(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_STATIC, 100, 6, 3, 3);
    r.pool.batch = 2;
    go(&r);
    assert_close(r.out.ttft_s.mean, (1.0 + 1.0 + 4.0) / 3.0, 1e-12);
    assert_close(r.out.e2e_s.mean, (3.0 + 3.0 + 6.0) / 3.0, 1e-12);
}

/* Room for 8: prompts of 2 and two tokens each fill it at 2 s. B goes back, A ends at 4 s, then B's
 * prompt and what it told are computed again: its tokens come at 5 and 6 s. */
static void a_full_cache_sends_the_latest_back(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_MIXED, 100, 2, 4, 2);
    r.pool.cache_tokens = 8;
    go(&r);
    assert_int_equal(r.out.preempted, 1);
    assert_close(r.out.ttft_s.mean, 1.0, 1e-12);
    assert_close(r.out.e2e_s.mean, (4.0 + 6.0) / 2.0, 1e-12);
    assert_int_equal(r.out.steps, 6);
    r.timing.answer_reserve_ratio = 1.0; /* room for both whole answers would be 12: B waits */
    go(&r);
    assert_int_equal(r.out.preempted, 0);
    assert_close(r.out.ttft_s.mean, (1.0 + 5.0) / 2.0, 1e-12);
}

/* B comes at 0.5 s. The step from 1 s on is planned when A's begins, if the engine plans ahead. */
static void planned_steps_are_waited_for(void **state)
{
    (void)state;
    static const sp_serve_request trace[] = {
        {0.0, 1, 5},
        {0.5, 1, 5}
    };
    rig r = rig_of(SP_SERVE_MIXED, 100, 1, 5, 0);
    r.load.requests = trace;
    r.load.n_requests = 2;
    go(&r);
    assert_close(r.out.ttft_s.mean, (1.0 + 1.5) / 2.0, 1e-12);
    r.timing.ahead_steps = 1.0;
    go(&r);
    assert_close(r.out.ttft_s.mean, (1.0 + 2.5) / 2.0, 1e-12);
}

/* B comes at 1.5 s, just after a look; the next is after three steps of answers, at 4 s. */
static void looks_are_waited_for(void **state)
{
    (void)state;
    static const sp_serve_request trace[] = {
        {0.0, 1, 9},
        {1.5, 1, 2}
    };
    rig r = rig_of(SP_SERVE_PROMPTS_FIRST, 100, 1, 9, 0);
    r.load.requests = trace;
    r.load.n_requests = 2;
    r.pool.poll_steps = 3;
    go(&r);
    assert_close(r.out.ttft_s.mean, (1.0 + 3.5) / 2.0, 1e-12);
}

/* Three drafts of which each is accepted with 1/2: 1 + 1/2 + 1/4 + 1/8 tokens a step, so that 15
 * more tokens take 8 steps. */
static void drafts_are_tokens_of_a_step(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_MIXED, 100, 1, 16, 1);
    r.pool.draft_tokens = 3;
    r.pool.acceptance = 0.5;
    assert_close(sp_pool_tokens_a_step(&r.pool), 1.875, 1e-12);
    go(&r);
    assert_close(r.out.e2e_s.mean, 1.0 + 8.0, 1e-12);
    r.pool.acceptance = 1.0;
    assert_close(sp_pool_tokens_a_step(&r.pool), 4.0, 1e-12);
}

/* Half of what a request takes outside lies before the engine, half behind. */
static void the_way_to_the_engine_counts_once(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_MIXED, 100, 1, 2, 1);
    r.timing.request_s = 0.5;
    go(&r);
    assert_close(r.out.ttft_s.mean, 1.5, 1e-12);
    assert_close(r.out.e2e_s.mean, 2.5, 1e-12);
}

static void chance_has_its_mean_and_variance(void **state)
{
    (void)state;
    static const double variances[] = {0.25, 1.0, 4.0};
    for (int v = 0; v < 3; v++) {
        sp_chance chance = sp_chance_make(7);
        double sum = 0.0, squares = 0.0;
        const int n = 200000;
        for (int i = 0; i < n; i++) {
            const double x = sp_chance_gamma(&chance, variances[v]);
            sum += x;
            squares += x * x;
        }
        const double mean = sum / n;
        assert_close(mean, 1.0, 0.02);
        assert_close(squares / n - mean * mean, variances[v], 0.05);
    }
    sp_chance even = sp_chance_make(7);
    assert_close(sp_chance_gamma(&even, 0.0), 1.0, 0.0);
}

static void logarithms_are_logarithms(void **state)
{
    (void)state;
    for (double x = 1e-12; x < 1e12; x *= 1.37) {
        assert_within(sp_ln(x), log(x), 1e-14 * (1.0 + fabs(log(x))));
    }
}

/* 0, 1 .. 100 in an order that is neither; then a value that comes often. */
static void quantiles_do_not_ask_for_order(void **state)
{
    (void)state;
    double values[101], same[10] = {2, 1, 2, 2, 2, 3, 2, 2, 2, 2};
    for (uint32_t i = 0; i <= 100; i++) {
        values[i] = i * 37 % 101;
    }
    const sp_tail tail = sp_tail_of(values, 101);
    assert_true(tail.mean == 50.0 && tail.p50 == 50.0 && tail.p90 == 90.0);
    assert_true(tail.p95 == 95.0 && tail.p99 == 99.0);
    const sp_tail often = sp_tail_of(same, 10);
    assert_true(often.p50 == 2.0);
    assert_close(often.p90, 2.1, 1e-12); /* a tenth of the way from rank 8 to rank 9 */
}

/* 1 ms to 1 s, each once: the q-quantile is q seconds. */
static void tallies_keep_quantiles(void **state)
{
    (void)state;
    sp_tally *tally = calloc(1, sizeof *tally);
    assert_non_null(tally);
    for (int i = 1; i <= 1000; i++) {
        sp_tally_add(tally, 1e-3 * i, 1.0);
    }
    const sp_tail tail = sp_tally_tail(tally);
    assert_close(tail.mean, 0.5005, 1e-12);
    assert_close(tail.p50, 0.5, 0.016);
    assert_close(tail.p90, 0.9, 0.016);
    assert_close(tail.p99, 0.99, 0.016);
    free(tally);
}

/* Requests that end with their first token leave nothing behind: one user sends 1000 prompts of a
 * step each. */
static void answers_of_one_token_end_with_the_prompt(void **state)
{
    (void)state;
    rig r = rig_of(SP_SERVE_MIXED, 10, 10, 1, 1);
    r.load.requests_per_user = 1000.0;
    go(&r);
    assert_int_equal(r.out.requests, 1000);
    assert_int_equal(r.out.steps, 1000);
    assert_close(r.out.ttft_s.mean, 1.0, 1e-12);
    assert_close(r.out.e2e_s.p99, 1.0, 1e-12);
    assert_close(r.out.tokens_per_s, 1.0, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_ride_beside_answers),
        cmocka_unit_test(prompts_first_delay_answers),
        cmocka_unit_test(whole_prompts_are_not_cut),
        cmocka_unit_test(a_static_batch_is_emptied_first),
        cmocka_unit_test(a_full_cache_sends_the_latest_back),
        cmocka_unit_test(planned_steps_are_waited_for),
        cmocka_unit_test(looks_are_waited_for),
        cmocka_unit_test(drafts_are_tokens_of_a_step),
        cmocka_unit_test(the_way_to_the_engine_counts_once),
        cmocka_unit_test(chance_has_its_mean_and_variance),
        cmocka_unit_test(logarithms_are_logarithms),
        cmocka_unit_test(quantiles_do_not_ask_for_order),
        cmocka_unit_test(tallies_keep_quantiles),
        cmocka_unit_test(answers_of_one_token_end_with_the_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
