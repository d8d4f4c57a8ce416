/* SPDX-License-Identifier: Apache-2.0 */
/* Two pools: requests that can be followed by hand, laws, and the closed form beside the run. */
#include "base/base.h"
#include "common/close.h"
#include "common/shipped.h"
#include "cost/cost.h"
#include "serve/serve_priv.h"
#include "shardplan/serve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct two {
    sp_arena arena;
    sp_error err;
    sp_server_timing timing;
    const sp_cluster *cluster;
    const sp_worker *workers[2];
    sp_pool prefill, decode;
    sp_kv_link link;
} two;

static const sp_worker_layout alone = {1, 1, 1, 1, 1}, by_four = {4, 1, 4, 1, 1};
static const sp_worker_layout spread = {1, 8, 1, 8, 1};

static void serve(two *t, const char *model, const char *cluster, const sp_worker_layout layouts[2])
{
    *t = (two){0};
    sp_worker_setup setup = {
        .timing = &t->timing,
        .formats = {.attention = "bfloat16", .ffn = "bfloat16", .kv_bits = 16.0}
    };
    must(sp_model_find(&t->arena, source_home(), model, &setup.model, &t->err), &t->err);
    must(sp_cluster_find(&t->arena, source_home(), cluster, &setup.cluster, &t->err), &t->err);
    must(sp_server_timing_load(&t->arena, source_home(), "vllm", &t->timing, &t->err), &t->err);
    must(sp_surfaces_load(&t->arena, source_home(), setup.cluster->gpu, &setup.surfaces, &t->err),
         &t->err);
    for (int i = 0; i < 2; i++) {
        setup.layout = layouts[i];
        must(sp_worker_build(&t->arena, &setup, &t->workers[i], &t->err), &t->err);
    }
    t->cluster = setup.cluster;
    t->prefill = (sp_pool){.worker = t->workers[0], .workers = 1, .step_tokens = 8192};
    t->decode = (sp_pool){.worker = t->workers[1], .workers = 1, .step_tokens = 8192};
    t->link = (sp_kv_link){.bytes_per_s = 50e9, .latency_s = 5e-6};
}

static void small(two *t)
{
    const sp_worker_layout both[2] = {alone, alone};
    serve(t, "llama-3.1-8b", "dgx-h100", both);
}

static void fini(two *t)
{
    sp_arena_fini(&t->arena);
}

static double step_s(const sp_worker *worker, sp_serve_batch batch)
{
    sp_serve_step_time time;
    sp_serve_step(worker, &batch, &time);
    return time.step_s;
}

static sp_simulated run(two *t, const sp_serve_load *load, uint64_t requests)
{
    sp_simulated out;
    must(sp_serve_simulate_apart(&t->arena, &t->prefill, &t->decode, load, &t->link, requests, 1,
                                 &out, &t->err),
         &t->err);
    return out;
}

static sp_joined joined(const two *t, const sp_serve_load *load)
{
    sp_joined out;
    sp_serve_apart(&t->prefill, &t->decode, load, &t->link, &out);
    return out;
}

static double prompt_of(const two *t, double prompts)
{
    return step_s(t->workers[0],
                  (sp_serve_batch){.prompts = prompts, .prompt_tokens = 1000, .emitted = prompts});
}

/* Llama 3.1 8B: 32 layers, 8 key and 8 value heads of 128 elements, 2 bytes each. */
static double send_of(const two *t)
{
    const double bytes = 1000.0 * 32 * 2 * 8 * 128 * 2;
    return t->timing.transfer_base_s + t->link.latency_s + bytes / t->link.bytes_per_s;
}

static void one_user_waits_for_nobody(void **state)
{
    (void)state;
    two t;
    small(&t);
    const sp_serve_load load = {.isl = 1000, .osl = 101, .concurrency = 1, .requests_per_user = 3};
    const sp_simulated r = run(&t, &load, 0);
    const sp_joined j = joined(&t, &load);
    const double first_s = t.timing.request_s + prompt_of(&t, 1) + send_of(&t);
    const double token_s = step_s(
        t.workers[1], (sp_serve_batch){.decodes = 1, .context = 1000 + 101 / 2.0, .emitted = 1});
    assert_int_equal(r.requests, 3);
    assert_close(r.ttft_s.mean, first_s, 1e-9);
    assert_close(r.ttft_s.p99, first_s, 1e-9);
    assert_close(r.tpot_s.mean, token_s, 1e-9);
    assert_close(r.e2e_s.mean, first_s + 100 * token_s, 1e-9);
    assert_close(j.served.ttft_s, first_s, 1e-6);
    assert_close(j.served.tpot_s, token_s, 1e-9);
    assert_close(j.served.requests_per_s, 1.0 / (first_s + 100 * token_s), 1e-6);
    assert_close(j.send_s, send_of(&t), 1e-9);
    assert_int_equal(j.bound, SP_BOUND_USERS);
    fini(&t);
}

/* Four come at once; a step holds two prompts: two steps, and the later two wait for the first. */
static void prompts_share_steps_up_to_the_chunk(void **state)
{
    (void)state;
    two t;
    small(&t);
    t.prefill.step_tokens = 2000;
    const sp_serve_load load = {.isl = 1000, .osl = 1, .concurrency = 4, .requests_per_user = 1};
    const sp_simulated r = run(&t, &load, 0);
    /* The first is there before the others are looked at: it starts alone. */
    const double one = prompt_of(&t, 1), both = prompt_of(&t, 2);
    const double rest = t.timing.request_s + send_of(&t);
    const double mean = (one + 2 * (one + both) + (2 * one + both)) / 4.0;
    assert_close(r.ttft_s.mean, rest + mean, 1e-9);
    fini(&t);
}

/* A decode worker with one place: the second answer begins when the first ends. */
static void answers_wait_for_a_place(void **state)
{
    (void)state;
    two t;
    small(&t);
    t.decode.batch = 1;
    const sp_serve_load load = {.isl = 1000, .osl = 201, .concurrency = 2, .requests_per_user = 1};
    const sp_simulated r = run(&t, &load, 0);
    const double first_s = t.timing.request_s + prompt_of(&t, 1) + send_of(&t);
    const double token_s = step_s(
        t.workers[1], (sp_serve_batch){.decodes = 1, .context = 1000 + 201 / 2.0, .emitted = 1});
    assert_close(r.ttft_s.mean, first_s + 0.5 * 200 * token_s, 1e-9);
    /* The same where the cache has room for one. */
    t.decode.batch = 0;
    t.decode.cache_tokens = 1500;
    assert_close(run(&t, &load, 0).ttft_s.mean, r.ttft_s.mean, 1e-9);
    sp_joined j = joined(&t, &load);
    assert_true(j.served.cache_limited && j.slot_s > 0.0);
    assert_int_equal(j.bound, SP_BOUND_DECODE);
    fini(&t);
}

static void the_seed_is_the_run(void **state)
{
    (void)state;
    two t;
    small(&t);
    const sp_serve_load load = {
        .isl = 1000, .osl = 100, .rate = 4.0, .burstiness = 1.0, .length_spread = 0.2};
    const sp_simulated a = run(&t, &load, 300), b = run(&t, &load, 300);
    assert_memory_equal(&a, &b, sizeof a);
    assert_close(a.requests_per_s, 4.0, 0.15);
    fini(&t);
}

/* Whoever prices sides once and joins them gets what both pools together give. */
static void sides_are_priced_once(void **state)
{
    (void)state;
    two t;
    small(&t);
    const sp_serve_load load = {.isl = 1000, .osl = 200, .concurrency = 64};
    sp_prefill_side p;
    sp_decode_side d;
    sp_joined j;
    sp_prefill_side_make(&t.prefill, &load, &p);
    sp_decode_side_make(&t.decode, &load, 64, &d);
    sp_serve_join(&p, &d, &load, &t.link, &j);
    const sp_joined whole = joined(&t, &load);
    assert_memory_equal(&whole, &j, sizeof j);
    for (uint32_t i = 0; i < d.n_points; i++) {
        assert_close(sp_decode_side_step_s(&d, d.running[i]), d.step_s[i], 1e-12);
        assert_true(i == 0 || d.step_s[i] >= d.step_s[i - 1]);
    }
    fini(&t);
}

static void more_users_get_more_and_wait_longer(void **state)
{
    (void)state;
    two t;
    small(&t);
    sp_served last = {0};
    sp_prefill_side p;
    sp_decode_side d;
    sp_serve_load load = {.isl = 1000, .osl = 200};
    sp_prefill_side_make(&t.prefill, &load, &p);
    sp_decode_side_make(&t.decode, &load, 4096, &d);
    for (double users = 1; users <= 4096; users *= 2) {
        sp_joined j;
        load.concurrency = users;
        sp_serve_join(&p, &d, &load, &t.link, &j);
        sp_joined_tails(&load, &j);
        const sp_served *s = &j.served;
        assert_true(s->requests_per_s >= last.requests_per_s * (1.0 - 1e-6));
        assert_true(s->requests_per_s <= s->most_requests_per_s * (1.0 + 1e-6));
        assert_true(s->tpot_s >= last.tpot_s * (1.0 - 1e-6));
        assert_close(s->requests_per_s * (s->ttft_s + 199 * s->tpot_s), users, 1e-6);
        assert_true(s->ttft_tail_s.p50 <= s->ttft_tail_s.p90);
        assert_true(s->ttft_tail_s.p90 <= s->ttft_tail_s.p95);
        assert_true(s->ttft_tail_s.p95 <= s->ttft_tail_s.p99);
        assert_true(s->e2e_tail_s.p50 <= s->e2e_tail_s.p99);
        last = *s;
    }
    fini(&t);
}

/* From pools that wait for users to users that wait for pools. */
static void no_first_token_is_earlier_than_its_bound(void **state)
{
    (void)state;
    two t;
    uint32_t n_tight = 0;
    small(&t);
    for (double users = 1.0; users <= 4096.0; users *= 2.0) {
        const sp_serve_load load = {
            .isl = 2000, .osl = 100, .concurrency = users, .requests_per_user = 10.0};
        sp_prefill_side p;
        sp_decode_side d;
        sp_joined joined;
        sp_prefill_side_make(&t.prefill, &load, &p);
        sp_decode_side_make(&t.decode, &load, sp_pools_most(&t.decode, &load), &d);
        sp_serve_join(&p, &d, &load, &t.link, &joined);
        const double least_s = sp_joined_least_ttft_s(&p, &d, &load, &t.link);
        assert_true(least_s <= joined.served.ttft_s * (1.0 + 1e-9));
        n_tight += least_s > 0.8 * joined.served.ttft_s;
    }
    assert_true(n_tight >= 2);
    fini(&t);
}

/* A rate above what the slower pool takes has no steady state; below it all that comes is served.
 */
static void open_loops_name_the_pool_that_is_full(void **state)
{
    (void)state;
    two t;
    small(&t);
    sp_serve_load load = {.isl = 4000, .osl = 50, .rate = 0.1, .burstiness = 1.0};
    sp_joined j = joined(&t, &load);
    assert_true(j.served.stable && isfinite(j.served.ttft_s));
    assert_close(j.served.requests_per_s, 0.1, 1e-9);
    load.rate = 2.0 * j.served.most_requests_per_s;
    j = joined(&t, &load);
    assert_false(j.served.stable);
    assert_true(isinf(j.served.ttft_s));
    assert_int_equal(j.bound, SP_BOUND_PREFILL);
    load.osl = 4000;
    load.isl = 100;
    load.rate = 2.0 * joined(&t, &load).served.most_requests_per_s;
    j = joined(&t, &load);
    assert_int_equal(j.bound, SP_BOUND_DECODE);
    assert_true(isinf(j.served.ttft_s) && j.prefill_busy_ratio < 0.5);
    sp_joined_tails(&load, &j);
    const sp_served *s = &j.served;
    assert_true(isinf(s->ttft_tail_s.mean) && isinf(s->ttft_tail_s.p50) &&
                isinf(s->ttft_tail_s.p99));
    assert_true(isinf(s->e2e_tail_s.p50) && isinf(s->e2e_tail_s.p99));
    assert_close(s->tpot_tail_s.p99, s->tpot_s, 1e-12);
    fini(&t);
}

/* A drafted token that is always accepted: two tokens a step, in half as many steps. */
static void drafts_save_steps_of_the_decode_pool(void **state)
{
    (void)state;
    two t;
    small(&t);
    t.decode.draft_tokens = 1;
    t.decode.acceptance = 1.0;
    const sp_serve_load load = {.isl = 1000, .osl = 201, .concurrency = 1, .requests_per_user = 3};
    sp_joined j = joined(&t, &load);
    const sp_simulated r = run(&t, &load, 0);
    const double step =
        step_s(t.workers[1],
               (sp_serve_batch){.decodes = 2, .context = (1000 + 201 / 2.0) / 2.0, .emitted = 2});
    sp_joined_tails(&load, &j);
    assert_close(j.served.tpot_s, step / 2.0, 1e-9);
    assert_close(j.served.itl_tail_s.p50, step, 1e-9);
    assert_close(r.tpot_s.mean, step / 2.0, 1e-9);
    assert_close(j.served.requests_per_s, 1.0 / (j.served.ttft_s + 100.0 * step), 1e-6);
    fini(&t);
}

/* Users long under way have the burst at the start behind them: means of the run are those of the
 * closed form, which has none. */
static void the_start_is_left_out_of_long_runs(void **state)
{
    (void)state;
    two t;
    small(&t);
    const sp_serve_load load = {.isl = 2000, .osl = 400, .concurrency = 64, .length_spread = 0.3};
    const sp_joined j = joined(&t, &load);
    const sp_simulated r = run(&t, &load, 640);
    assert_int_equal(r.requests, 640);
    if (getenv("QUEUE_VERBOSE") != NULL) {
        printf("%g %g  %g %g\n", j.served.ttft_s, r.ttft_s.mean, j.served.requests_per_s,
               r.requests_per_s);
    }
    assert_close(r.requests_per_s, j.served.requests_per_s, 0.05);
    assert_close(r.in_flight, 64.0, 0.05);
    fini(&t);
}

/* Prompts behind one another in two stages: the second comes a stage later, not a step. */
static void stages_of_prompts_overlap(void **state)
{
    (void)state;
    static const sp_worker_layout staged = {1, 1, 1, 1, 2};
    const sp_worker_layout both[2] = {staged, alone};
    two t;
    sp_serve_step_time one;
    serve(&t, "llama-3.1-8b", "dgx-h100", both);
    t.prefill.step_tokens = 1000;
    const sp_serve_load load = {.isl = 1000, .osl = 1, .concurrency = 2, .requests_per_user = 1};
    const sp_serve_batch prompt = {.prompts = 1, .prompt_tokens = 1000, .emitted = 1};
    sp_serve_step(t.workers[0], &prompt, &one);
    assert_true(one.stage_s < 0.7 * one.step_s);
    const sp_simulated r = run(&t, &load, 0);
    const double first_s = t.timing.request_s + one.step_s + send_of(&t);
    assert_close(r.ttft_s.mean, first_s + one.stage_s / 2.0, 1e-9);
    fini(&t);
}

/* Of prompts that would share a step, those run together that the cache has room for. */
static void a_full_cache_keeps_prompts_out_of_a_step(void **state)
{
    (void)state;
    two t;
    small(&t);
    t.prefill.cache_tokens = 2500;
    const sp_serve_load load = {.isl = 1000, .osl = 1, .concurrency = 4, .requests_per_user = 1};
    sp_prefill_side p;
    sp_prefill_side_make(&t.prefill, &load, &p);
    assert_close(p.full_s, prompt_of(&t, 2), 1e-9);
    const double one = prompt_of(&t, 1), both = prompt_of(&t, 2);
    const double rest = t.timing.request_s + send_of(&t);
    const double mean = (one + 2 * (one + both) + (2 * one + both)) / 4.0;
    assert_close(run(&t, &load, 0).ttft_s.mean, rest + mean, 1e-9);
    fini(&t);
}

/* Over workers, users, lengths and layouts: tolerances are what was found, rounded up. */
static void the_closed_form_follows_the_run(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        sp_worker_layout layouts[2];
        double isl, osl, ttft_off; /* ranks that step together are not evenly full in the run */
    } cases[] = {
        {"llama-3.1-8b", {alone, alone},     1000, 200, 0.12},
        {"qwen3-32b",    {by_four, by_four}, 4000, 500, 0.12},
        {"deepseek-v3",  {spread, spread},   2000, 300, 0.50},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        two t;
        serve(&t, cases[c].model, "dgx-h200", cases[c].layouts);
        for (uint32_t workers = 1; workers <= 4; workers *= 2) {
            t.prefill.workers = workers;
            for (double users = 4; users <= 256; users *= 4) {
                const sp_serve_load load = {.isl = cases[c].isl,
                                            .osl = cases[c].osl,
                                            .concurrency = users,
                                            .length_spread = 0.1,
                                            .requests_per_user = 10};
                const sp_simulated r = run(&t, &load, 0);
                const sp_joined j = joined(&t, &load);
                const double rate = users / r.e2e_s.mean;
                assert_close(j.served.tpot_s, r.tpot_s.mean, 0.06);
                assert_close(j.served.requests_per_s, rate, 0.08);
                assert_close(j.served.ttft_s, r.ttft_s.mean, cases[c].ttft_off);
            }
        }
        fini(&t);
    }
}

/* 32 GPUs of an NVL72 rack meet over NVLink, as do two pools that the rack has room for. */
static void a_rack_is_one_domain(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_cluster *rack = NULL, *dgx = NULL;
    must(sp_cluster_find(&arena, source_home(), "gb200-nvl72", &rack, &err), &err);
    must(sp_cluster_find(&arena, source_home(), "dgx-h100", &dgx, &err), &err);
    const double near = sp_kv_link_between(rack, rack, 48).bytes_per_s;
    const double far = sp_kv_link_between(rack, rack, 144).bytes_per_s;
    assert_true(near > 400e9 && far < 60e9);
    assert_true(sp_kv_link_between(rack, dgx, 16).bytes_per_s < 60e9);
    sp_fabric whole;
    sp_fabric_build(rack, &whole);
    const sp_fabric own = sp_fabric_fit(&whole, 32);
    const sp_group group = sp_group_build(&own, 32, 1);
    assert_true(group.one_level);
    const double one_by_one = sp_coll_dispatch_s(&group, 1e6, 8, 1.0);
    const double at_once = sp_coll_put_s(&group, 1e6, 8, 1.0);
    assert_close(one_by_one - at_once, 30.0 * whole.level[0].latency_s, 1e-9);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_user_waits_for_nobody),
        cmocka_unit_test(prompts_share_steps_up_to_the_chunk),
        cmocka_unit_test(answers_wait_for_a_place),
        cmocka_unit_test(the_seed_is_the_run),
        cmocka_unit_test(sides_are_priced_once),
        cmocka_unit_test(more_users_get_more_and_wait_longer),
        cmocka_unit_test(no_first_token_is_earlier_than_its_bound),
        cmocka_unit_test(open_loops_name_the_pool_that_is_full),
        cmocka_unit_test(drafts_save_steps_of_the_decode_pool),
        cmocka_unit_test(the_start_is_left_out_of_long_runs),
        cmocka_unit_test(stages_of_prompts_overlap),
        cmocka_unit_test(a_full_cache_keeps_prompts_out_of_a_step),
        cmocka_unit_test(the_closed_form_follows_the_run),
        cmocka_unit_test(a_rack_is_one_domain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
