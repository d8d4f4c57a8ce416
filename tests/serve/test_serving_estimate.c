/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan gives its users: laws that hold for any kernel, sums that can be followed by hand,
 * and the same figures as the score of measured deployments predicts. */
#include "common/close.h"
#include "served.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static double mean_of(const sp_serving_estimate *e, sp_latency latency)
{
    return e->latency_s[latency][SP_MEAN];
}

/* Of 32 GPUs in 8 workers of 4, 64 requests each: 512 in all. Money: 32 GPUs at 3.6 usd an hour are
 * 0.032 usd a second. */
static void the_sums_of_a_deployment_can_be_followed(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.usd_per_gpu_hour = 3.6;
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate e = served_estimate(p, "tp=4,batch=64");
    assert_int_equal(e.gpus, 32);
    assert_int_equal(e.gpus_idle, 0);
    assert_close(e.concurrency, 512.0, 1e-12);
    const double request_s = mean_of(&e, SP_LATENCY_TTFT) + 999.0 * mean_of(&e, SP_LATENCY_TPOT);
    assert_close(mean_of(&e, SP_LATENCY_E2E), request_s, 1e-9);
    assert_close(e.requests_per_s, 512.0 / request_s, 1e-9);
    assert_close(e.tokens_per_s, 1000.0 * e.requests_per_s, 1e-9);
    assert_close(e.total_tokens_per_s, 5000.0 * e.requests_per_s, 1e-9);
    assert_close(e.tokens_per_s_per_gpu, e.tokens_per_s / 32.0, 1e-12);
    assert_close(e.tokens_per_s_per_user, 1.0 / mean_of(&e, SP_LATENCY_TPOT), 1e-12);
    assert_close(e.usd_per_hour, 115.2, 1e-12);
    assert_close(e.usd_per_million_tokens, 0.032 / e.tokens_per_s * 1e6, 1e-9);
    assert_true(e.joules_per_token > 0.0 && e.joules_per_token < 32.0 * 700.0 / e.tokens_per_s);
    assert_close(e.objective[0], e.tokens_per_s_per_gpu, 1e-15);
    assert_close(e.objective[1], e.tokens_per_s_per_user, 1e-15);
    assert_int_equal(e.verdict, SP_SERVING_FITS);
    assert_int_equal(e.limit, UINT32_MAX);
    sp_serving_problem_free(p);
}

/* A part whose kernels are another's is known less well. */
static void intervals_are_those_of_the_engine(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate e = served_estimate(p, "tp=4,batch=64");
    const sp_server_timing *t = &p->engines[0].timing;
    const double wider = e.borrowed ? 1.0 + t->borrowed_error_ratio : 1.0;
    assert_close(e.high_ratio, 1.0 + wider * t->error_ratio, 1e-12);
    assert_close(e.low_ratio, 1.0 / e.high_ratio, 1e-12);
    assert_close(e.ttft_high_ratio, 1.0 + wider * t->ttft_error_ratio, 1e-12);
    assert_close(e.rate_high_ratio, 1.0 + wider * t->rate_error_ratio, 1e-12);
    sp_serving_problem_free(p);
}

static void parts_of_memory_sum_to_its_peak(void **state)
{
    (void)state;
    static const char *const parts[] = {"weights", "kv_cache",      "activations", "logits",
                                        "graphs",  "communication", "workspace",   "reserve"};
    const sp_serving_question q = served_example();
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate e = served_estimate(p, "tp=2,batch=48");
    double sum = 0.0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char name[64] = "memory_bytes.";
        strcat(name, parts[i]);
        sum += sp_serving_field_get(&e, sp_serving_field_find(name));
    }
    assert_close(sum, e.memory.peak, 1e-9);
    sp_serving_problem_free(p);
}

static void percentiles_rise(void **state)
{
    (void)state;
    static const char *const plans[] = {"tp=1,batch=8", "tp=4,batch=200,chunk_tokens=512",
                                        "mode=disagg,prefill.tp=2,prefill.workers=4,tp=8,batch=64"};
    for (size_t i = 0; i < 6; i++) {
        sp_serving_question q = served_example();
        q.mode = "both";
        if (i >= 3) q.rate = 2.0;
        sp_serving_problem *p = served_build(&q);
        const sp_serving_estimate e = served_estimate(p, plans[i % 3]);
        for (int l = 0; l < SP_N_LATENCIES; l++) {
            assert_true(e.latency_s[l][SP_MEAN] > 0.0);
            for (int k = SP_P90; k < SP_N_PERCENTILES; k++) {
                assert_at_most(e.latency_s[l][k - 1], e.latency_s[l][k], 1e-12);
            }
        }
        sp_serving_problem_free(p);
    }
}

/* More requests at once: more throughput, slower tokens. */
static void throughput_is_paid_for_with_latency(void **state)
{
    (void)state;
    const sp_serving_question q = served_example();
    sp_serving_problem *p = served_build(&q);
    static const char *const plans[] = {"tp=4,batch=1", "tp=4,batch=8", "tp=4,batch=64",
                                        "tp=4,batch=256"};
    double rate = 0.0, tpot_s = 0.0;
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        const sp_serving_estimate e = served_estimate(p, plans[i]);
        assert_true(e.tokens_per_s > rate);
        assert_true(mean_of(&e, SP_LATENCY_TPOT) > tpot_s);
        rate = e.tokens_per_s;
        tpot_s = mean_of(&e, SP_LATENCY_TPOT);
    }
    sp_serving_problem_free(p);
}

/* Twice the GPUs are twice the replicas with the same times. */
static void replicas_change_no_times(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.gpus = "16,32";
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate one = served_estimate(p, "gpus=16,tp=4,batch=32");
    const sp_serving_estimate two = served_estimate(p, "gpus=32,tp=4,batch=32");
    assert_memory_equal(one.latency_s, two.latency_s, sizeof one.latency_s);
    assert_close(two.tokens_per_s, 2.0 * one.tokens_per_s, 1e-12);
    assert_close(two.tokens_per_s_per_gpu, one.tokens_per_s_per_gpu, 1e-12);
    sp_serving_problem_free(p);
}

/* 8 replicas of which 2 stand by serve what 6 do. */
static void spare_replicas_take_no_load(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate all = served_estimate(p, "tp=4,batch=32");
    sp_serving_problem_free(p);
    q.spare_replicas = 2;
    p = served_build(&q);
    const sp_serving_estimate some = served_estimate(p, "tp=4,batch=32");
    assert_close(some.tokens_per_s, 0.75 * all.tokens_per_s, 1e-9);
    assert_int_equal(some.gpus, 32);
    sp_serving_problem_free(p);
    q.spare_replicas = 8;
    p = served_build(&q);
    const sp_serving_estimate none = served_estimate(p, "tp=4,batch=32");
    assert_int_equal(none.verdict, SP_SERVING_OVERLOADED);
    sp_serving_problem_free(p);
}

/* ---- loads ---- */

static void an_open_loop_serves_its_rate_or_is_overloaded(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.rate = 4.0;
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate e = served_estimate(p, "tp=4,batch=64");
    assert_int_equal(e.verdict, SP_SERVING_FITS);
    assert_close(e.requests_per_s, 4.0, 1e-9);
    assert_true(e.max_rate > 4.0);
    /* Little: requests under way are the rate times what one takes. */
    assert_close(e.concurrency, 4.0 * mean_of(&e, SP_LATENCY_E2E), 1e-6);
    const double most = e.max_rate;
    sp_serving_problem_free(p);
    q.utilization = 0.5;
    q.rate = 0.6 * most;
    p = served_build(&q);
    assert_int_equal(served_estimate(p, "tp=4,batch=64").verdict, SP_SERVING_OVERLOADED);
    sp_serving_problem_free(p);
    q.utilization = 1.0;
    p = served_build(&q);
    assert_int_equal(served_estimate(p, "tp=4,batch=64").verdict, SP_SERVING_FITS);
    sp_serving_problem_free(p);
    q.rate = 1.01 * most;
    p = served_build(&q);
    assert_int_equal(served_estimate(p, "tp=4,batch=64").verdict, SP_SERVING_OVERLOADED);
    sp_serving_problem_free(p);
}

static void requests_beyond_what_is_served_wait_for_ever(void **state)
{
    (void)state;
    static const char *const plans[] = {"tp=4,batch=64",
                                        "mode=disagg,prefill.tp=2,prefill.workers=4,tp=8,batch=64"};
    sp_serving_question q = served_example();
    q.mode = "both";
    q.rate = 1e4;
    q.slo = "ttft:p99<=1000s";
    sp_serving_problem *p = served_build(&q);
    for (size_t i = 0; i < 2; i++) {
        const sp_serving_estimate e = served_estimate(p, plans[i]);
        assert_int_equal(e.verdict, SP_SERVING_OVERLOADED);
        assert_int_equal(e.limit, 0);
        for (int k = SP_MEAN; k < SP_N_PERCENTILES; k++) {
            assert_true(isinf(e.latency_s[SP_LATENCY_TTFT][k]));
            assert_true(isinf(e.latency_s[SP_LATENCY_E2E][k]));
            assert_true(isfinite(e.latency_s[SP_LATENCY_TPOT][k]));
        }
    }
    sp_serving_problem_free(p);
}

static void cached_prefixes_save_prompts(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate all = served_estimate(p, "tp=4,batch=64");
    sp_serving_problem_free(p);
    q.prefix_hit_ratio = 0.75;
    p = served_build(&q);
    const sp_serving_estimate quarter = served_estimate(p, "tp=4,batch=64");
    assert_true(quarter.prefill_s < 0.5 * all.prefill_s);
    assert_true(quarter.tokens_per_s > all.tokens_per_s);
    sp_serving_problem_free(p);
}

/* ---- verdicts ---- */

static void limits_are_judged_in_their_order(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate free_of = served_estimate(p, "tp=4,batch=64");
    sp_serving_problem_free(p);
    char slo[128];
    const double ttft_s = mean_of(&free_of, SP_LATENCY_TTFT);
    const double tpot_s = mean_of(&free_of, SP_LATENCY_TPOT);
    (void)snprintf(slo, sizeof slo, "ttft:mean<=%.9gs,tpot:mean<=%.9gs", 1.01 * ttft_s,
                   0.99 * tpot_s);
    q.slo = slo;
    p = served_build(&q);
    const sp_serving_estimate e = served_estimate(p, "tp=4,batch=64");
    assert_int_equal(e.verdict, SP_SERVING_OVER_LIMIT);
    assert_int_equal(e.limit, 1);
    assert_string_equal(sp_serving_verdict_name(e.verdict), "over_limit");
    sp_serving_problem_free(p);
}

/* 405 billion weights of 2 bytes: 203 GB on each of 4 GPUs of 150 GB, 101 GB on each of 8. */
static void what_has_no_room_is_over_memory(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.model = "llama-3.1-405b";
    sp_serving_problem *p = served_build(&q);
    assert_int_equal(served_estimate(p, "tp=4,batch=1").verdict, SP_SERVING_OVER_MEMORY);
    assert_int_equal(served_estimate(p, "tp=8,batch=1").verdict, SP_SERVING_FITS);
    sp_serving_problem_free(p);
}

static void reserved_memory_is_not_used(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.engine = "sglang";
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate all = served_estimate(p, "tp=2,batch=16");
    sp_serving_problem_free(p);
    q.reserve_bytes = 20e9;
    p = served_build(&q);
    const sp_serving_estimate less = served_estimate(p, "tp=2,batch=16");
    assert_close(all.memory.usable - less.memory.usable, 20e9, 1e-9);
    assert_true(less.memory.tokens < all.memory.tokens);
    sp_serving_problem_free(p);
}

/* ---- speculation ---- */

/* One draft that is always accepted: two tokens a step. */
static void drafts_give_tokens_where_they_are_accepted(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.model = "deepseek-v3";
    q.spec_acceptance = 0.9;
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate none = served_estimate(p, "tp=8,ep=8,batch=8");
    const sp_serving_estimate one = served_estimate(p, "tp=8,ep=8,batch=8,spec=1");
    assert_true(one.tokens_per_s_per_user > 1.2 * none.tokens_per_s_per_user);
    assert_true(one.tokens_per_s_per_user < 2.0 * none.tokens_per_s_per_user);
    assert_true(one.memory.weights > none.memory.weights);
    sp_serving_problem_free(p);
}

static void drafts_need_modules_and_a_stated_acceptance(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.sets[q.n_sets++] = "spec=0,1";
    const sp_error none = served_refusal(&q, SP_E_INCONSISTENT);
    assert_non_null(strstr(none.message, "no modules that draft"));
    q.model = "deepseek-v3";
    const sp_error unsaid = served_refusal(&q, SP_E_USAGE);
    assert_non_null(strstr(unsaid.message, "--spec-acceptance"));
}

/* ---- context parallelism ---- */

/* Two ranks share each prompt: nearly half its time, for twice the GPUs and room for the cache. */
static void cut_prompts_take_less_time_and_more_gpus(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.isl = 32000;
    q.mode = "both";
    sp_serving_problem *p = served_build(&q);
    const sp_serving_estimate whole = served_estimate(p, "tp=4,batch=8,chunk_tokens=32768");
    const sp_serving_estimate cut =
        served_estimate(p, "tp=4,cp_prefill=2,batch=8,chunk_tokens=32768");
    assert_true(cut.prefill_s < 0.65 * whole.prefill_s && cut.prefill_s > 0.5 * whole.prefill_s);
    assert_close(cut.concurrency, 0.5 * whole.concurrency, 1e-9);
    assert_int_equal(cut.gpus, 32);
    const sp_serving_estimate apart = served_estimate(
        p, "mode=disagg,prefill.tp=4,prefill.workers=2,tp=8,batch=8,chunk_tokens=32768");
    const sp_serving_estimate apart_cut =
        served_estimate(p, "mode=disagg,prefill.tp=4,cp_prefill=2,prefill.workers=2,tp=8,batch=8,"
                           "chunk_tokens=32768");
    assert_true(apart_cut.prefill_s < 0.65 * apart.prefill_s);
    assert_int_equal(
        served_plan(p, "mode=disagg,prefill.tp=4,cp_prefill=2,prefill.workers=2,tp=8").workers, 2);
    sp_serving_problem_free(p);
}

/* ---- two pools ---- */

static void pools_on_two_clusters_have_their_own_parts(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.mode = "disagg";
    q.prefill_cluster = "dgx-h100";
    q.decode_cluster = "dgx-h200";
    q.cluster = NULL;
    q.usd_per_gpu_hour = 2.0;
    sp_serving_problem *p = served_build(&q);
    assert_string_equal(sp_serving_problem_cluster(p, SP_ROLE_PREFILL)->name, "dgx-h100");
    assert_string_equal(sp_serving_problem_cluster(p, SP_ROLE_DECODE)->name, "dgx-h200");
    const sp_serving_estimate e =
        served_estimate(p, "mode=disagg,prefill.tp=4,prefill.workers=2,tp=4,batch=64");
    assert_int_equal(e.gpus, 32);
    assert_close(e.concurrency, 6.0 * 64.0, 1e-9);
    assert_true(e.kv_transfer_s > 0.0);
    assert_close(e.usd_per_hour, 64.0, 1e-9);
    assert_close(e.memory.usable, sp_serving_problem_cluster(p, SP_ROLE_DECODE)->gpu->memory_bytes,
                 1e-9);
    sp_serving_problem_free(p);
}

/* ---- beside the score of measured deployments ---- */

/* A pool as the score makes it: the worker by itself, no table of steps. */
static sp_pool measured_pool(const sp_serving_problem *p, const sp_serving_plan *plan,
                             sp_serving_role role, sp_arena *arena, uint32_t workers)
{
    sp_error err = {0};
    sp_serving_base base;
    sp_pool pool = {.workers = workers,
                    .batch = plan->value[SP_SERVING_AXIS_batch],
                    .step_tokens = plan->value[SP_SERVING_AXIS_chunk_tokens]};
    sp_serving_base_of(p, plan, role, &base);
    const sp_serving_machine *m = &p->machine[sp_serving_place_of(plan, role)];
    const sp_worker_setup setup = {.surfaces = m->surfaces,
                                   .model = p->model,
                                   .cluster = m->cluster,
                                   .timing = base.worker.timing,
                                   .layout = base.worker.layout,
                                   .formats = base.worker.formats};
    must(sp_worker_build(arena, &setup, &pool.worker, &err), &err);
    return pool;
}

static void the_figures_are_those_of_the_score(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.engine = "any";
    q.concurrency = 256;
    sp_serving_problem *p = served_build(&q);
    assert_int_equal(p->n_engines, 6);
    for (uint32_t e = 0; e < p->n_engines; e++) {
        sp_arena arena = {0};
        sp_served served;
        sp_serving_estimate estimate;
        sp_serving_plan plan = served_plan(p, "tp=4,batch=200,chunk_tokens=8192");
        plan.value[SP_SERVING_AXIS_engine] = e;
        const sp_pool pool = measured_pool(p, &plan, SP_ROLE_DECODE, &arena, 8);
        sp_serve_together(&pool, &p->load, &served);
        sp_serving_estimate_plan(p, &plan, &estimate);
        assert_close(mean_of(&estimate, SP_LATENCY_TPOT), served.tpot_s, 0.01);
        assert_close(mean_of(&estimate, SP_LATENCY_TTFT), served.ttft_s, 0.01);
        assert_close(estimate.tokens_per_s, served.tokens_per_s, 0.01);
        assert_close(estimate.tokens_per_s_per_gpu, served.tokens_per_s_per_gpu, 0.01);
        sp_arena_fini(&arena);
    }
    sp_serving_problem_free(p);
}

static void the_figures_of_two_pools_are_those_of_the_score(void **state)
{
    (void)state;
    sp_serving_question q = served_example();
    q.mode = "disagg";
    q.engine = "sglang";
    q.concurrency = 128;
    sp_serving_problem *p = served_build(&q);
    sp_arena arena = {0};
    sp_joined joined;
    const char *text = "mode=disagg,prefill.tp=2,prefill.workers=4,tp=8,batch=64,chunk_tokens=8192";
    const sp_serving_estimate e = served_estimate(p, text);
    const sp_serving_plan plan = served_plan(p, text);
    const sp_pool prefill = measured_pool(p, &plan, SP_ROLE_PREFILL, &arena, 4);
    const sp_pool decode = measured_pool(p, &plan, SP_ROLE_DECODE, &arena, 3);
    const sp_kv_link link = sp_serving_link_of(p, &plan);
    sp_serve_apart(&prefill, &decode, &p->load, &link, &joined);
    assert_close(mean_of(&e, SP_LATENCY_TPOT), joined.served.tpot_s, 0.01);
    assert_close(mean_of(&e, SP_LATENCY_TTFT), joined.served.ttft_s, 0.01);
    assert_close(e.tokens_per_s, joined.served.tokens_per_s, 0.01);
    sp_arena_fini(&arena);
    sp_serving_problem_free(p);
}

/* ---- runs ---- */

static void a_run_agrees_with_the_closed_form(void **state)
{
    (void)state;
    static const char *const plans[] = {"tp=4,batch=32",
                                        "mode=disagg,prefill.tp=4,prefill.workers=3,tp=4,batch=32"};
    sp_serving_question q = served_example();
    q.mode = "both";
    sp_serving_problem *p = served_build(&q);
    for (size_t i = 0; i < 2; i++) {
        sp_error err = {0};
        sp_serving_run run, again;
        const sp_serving_plan plan = served_plan(p, plans[i]);
        const sp_serving_estimate e = served_estimate(p, plans[i]);
        must(sp_serving_simulate(p, &plan, 7, &run, &err), &err);
        must(sp_serving_simulate(p, &plan, 7, &again, &err), &err);
        assert_memory_equal(&run, &again, sizeof run);
        assert_close(run.simulated.tokens_per_s, e.tokens_per_s, 0.12);
        assert_close(run.simulated.tpot_s.mean, mean_of(&e, SP_LATENCY_TPOT), 0.12);
    }
    sp_serving_problem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sums_of_a_deployment_can_be_followed),
        cmocka_unit_test(intervals_are_those_of_the_engine),
        cmocka_unit_test(parts_of_memory_sum_to_its_peak),
        cmocka_unit_test(percentiles_rise),
        cmocka_unit_test(throughput_is_paid_for_with_latency),
        cmocka_unit_test(replicas_change_no_times),
        cmocka_unit_test(spare_replicas_take_no_load),
        cmocka_unit_test(an_open_loop_serves_its_rate_or_is_overloaded),
        cmocka_unit_test(requests_beyond_what_is_served_wait_for_ever),
        cmocka_unit_test(cached_prefixes_save_prompts),
        cmocka_unit_test(limits_are_judged_in_their_order),
        cmocka_unit_test(what_has_no_room_is_over_memory),
        cmocka_unit_test(reserved_memory_is_not_used),
        cmocka_unit_test(drafts_give_tokens_where_they_are_accepted),
        cmocka_unit_test(drafts_need_modules_and_a_stated_acceptance),
        cmocka_unit_test(cut_prompts_take_less_time_and_more_gpus),
        cmocka_unit_test(pools_on_two_clusters_have_their_own_parts),
        cmocka_unit_test(the_figures_are_those_of_the_score),
        cmocka_unit_test(the_figures_of_two_pools_are_those_of_the_score),
        cmocka_unit_test(a_run_agrees_with_the_closed_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
