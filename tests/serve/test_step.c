/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of an engine and loads on workers: laws that hold for any kernel, and small loads that can
 * be followed by hand. */
#include "base/base.h"
#include "common/close.h"
#include "common/shipped.h"
#include "shardplan/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct served {
    sp_arena arena;
    sp_error err;
    sp_server_timing timing;
    sp_worker_setup setup;
    const sp_worker *worker;
} served;

static void serve(served *s, const char *model, const char *cluster, const char *engine,
                  sp_worker_layout layout)
{
    *s = (served){0};
    s->setup = (sp_worker_setup){
        .timing = &s->timing,
        .layout = layout,
        .formats = {.attention = "bfloat16", .ffn = "bfloat16", .kv_bits = 16.0}
    };
    must(sp_model_find(&s->arena, source_home(), model, &s->setup.model, &s->err), &s->err);
    must(sp_cluster_find(&s->arena, source_home(), cluster, &s->setup.cluster, &s->err), &s->err);
    must(sp_server_timing_load(&s->arena, source_home(), engine, &s->timing, &s->err), &s->err);
    must(sp_surfaces_load(&s->arena, source_home(), s->setup.cluster->gpu, &s->setup.surfaces,
                          &s->err),
         &s->err);
    must(sp_worker_build(&s->arena, &s->setup, &s->worker, &s->err), &s->err);
}

static void fini(served *s)
{
    sp_arena_fini(&s->arena);
}

static double step_s(const served *s, sp_serve_batch batch)
{
    sp_serve_step_time t;
    sp_serve_step(s->worker, &batch, &t);
    const double sum =
        t.projection_s + t.attention_s + t.experts_s + t.element_s + t.collective_s + t.host_s;
    assert_close(sum, t.step_s, 1e-12);
    assert_true(t.stage_s <= t.step_s * (1.0 + 1e-12));
    return t.step_s;
}

static const sp_worker_layout alone = {1, 1, 1, 1, 1}, by_four = {4, 1, 4, 1, 1};
static const sp_worker_layout experts = {1, 8, 1, 8, 1};

static void a_step_grows_with_all_that_it_runs(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        sp_worker_layout layout;
    } cases[] = {
        {"llama-3.1-8b", alone  },
        {"qwen3-32b",    by_four},
        {"deepseek-v3",  experts}
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        served s;
        serve(&s, cases[i].model, "dgx-h200", "vllm", cases[i].layout);
        double last = 0.0;
        for (double n = 1.0; n <= 512.0; n *= 2.0) {
            const double t =
                step_s(&s, (sp_serve_batch){.decodes = n, .context = 1000, .emitted = n});
            assert_true(t >= last);
            last = t;
        }
        const sp_serve_batch batch = {
            .prompts = 1, .prompt_tokens = 512, .decodes = 32, .context = 1000, .emitted = 33};
        sp_serve_batch more = batch;
        more.context = 4000;
        assert_true(step_s(&s, more) > step_s(&s, batch));
        more = batch;
        more.prompt_tokens = 1024;
        assert_true(step_s(&s, more) > step_s(&s, batch));
        fini(&s);
    }
}

/* Weights are read once for both: together they take less than one after the other. */
static void prompts_ride_along(void **state)
{
    (void)state;
    served s;
    serve(&s, "llama-3.1-8b", "dgx-h100", "vllm", alone);
    const double both = step_s(
        &s, (sp_serve_batch){
                .prompts = 1, .prompt_tokens = 8192, .decodes = 32, .context = 512, .emitted = 33});
    const double prompts =
        step_s(&s, (sp_serve_batch){.prompts = 1, .prompt_tokens = 8192, .emitted = 1});
    const double answers =
        step_s(&s, (sp_serve_batch){.decodes = 32, .context = 512, .emitted = 32});
    assert_true(both > prompts && both > answers && both < prompts + answers);
    fini(&s);
}

/* 8 billion weights of 2 bytes cross the memory of an H100, 3.35 TB/s, once a token. */
static void one_token_takes_what_its_weights_take(void **state)
{
    (void)state;
    served s;
    serve(&s, "llama-3.1-8b", "dgx-h100", "trtllm", alone);
    const double weights_s = 7.5e9 * 2.0 / 3.35e12;
    const double t = step_s(&s, (sp_serve_batch){.decodes = 1, .context = 100, .emitted = 1});
    assert_true(t > weights_s && t < 2.0 * weights_s);
    fini(&s);
}

static sp_pool pool_of(const served *s, uint32_t workers)
{
    return (sp_pool){.worker = s->worker, .workers = workers, .step_tokens = s->timing.step_tokens};
}

/* One request at a time waits for nobody: its own prompt, then one step a token. */
static void a_single_user_waits_for_nobody(void **state)
{
    (void)state;
    served s;
    sp_served closed;
    sp_simulated run;
    serve(&s, "llama-3.1-8b", "dgx-h100", "vllm", alone);
    const sp_pool pool = pool_of(&s, 1);
    const sp_serve_load load = {.isl = 1000, .osl = 100, .concurrency = 1, .requests_per_user = 4};
    must(sp_serve_simulate(&s.arena, &pool, &load, 0, 1, &run, &s.err), &s.err);
    sp_serve_together(&pool, &load, &closed);
    const double prompt_s =
        step_s(&s, (sp_serve_batch){.prompts = 1, .prompt_tokens = 1000, .emitted = 1});
    const double token_s =
        step_s(&s, (sp_serve_batch){.decodes = 1, .context = 1050, .emitted = 1});
    assert_int_equal(run.requests, 4);
    assert_close(run.ttft_s.mean, prompt_s + s.timing.request_s, 1e-9);
    assert_close(run.ttft_s.p99, run.ttft_s.p50, 1e-9);
    assert_close(run.tpot_s.mean, token_s, 0.01);
    assert_close(closed.tpot_s, run.tpot_s.mean, 0.05);
    fini(&s);
}

/* Little: requests under way are throughput times time, in the run as in the closed form. */
static void requests_are_conserved(void **state)
{
    (void)state;
    served s;
    sp_served closed;
    sp_simulated run;
    serve(&s, "qwen3-32b", "dgx-h200", "vllm", by_four);
    const sp_pool pool = pool_of(&s, 2);
    const sp_serve_load load = {
        .isl = 1000, .osl = 500, .concurrency = 64, .requests_per_user = 40, .length_spread = 0.2};
    must(sp_serve_simulate(&s.arena, &pool, &load, 0, 1, &run, &s.err), &s.err);
    sp_serve_together(&pool, &load, &closed);
    const double between_s = run.e2e_s.mean - s.timing.request_s; /* in the engine */
    assert_close(run.requests_per_s * between_s, 64.0, 0.05);
    assert_close(closed.tokens_per_s, run.tokens_per_s, 0.15);
    assert_true(run.ttft_s.p50 <= run.ttft_s.p90 && run.ttft_s.p90 <= run.ttft_s.p99);
    fini(&s);
}

/* The same seed is the same run; a rate that a worker cannot serve makes its queue grow. */
static void open_loops_queue(void **state)
{
    (void)state;
    served s;
    sp_simulated slow, fast, again;
    serve(&s, "llama-3.1-8b", "dgx-h100", "vllm", alone);
    sp_pool pool = pool_of(&s, 1);
    pool.batch = 64;
    sp_serve_load load = {.isl = 1000, .osl = 200, .rate = 1.0, .burstiness = 1.0};
    must(sp_serve_simulate(&s.arena, &pool, &load, 300, 7, &slow, &s.err), &s.err);
    must(sp_serve_simulate(&s.arena, &pool, &load, 300, 7, &again, &s.err), &s.err);
    assert_memory_equal(&slow, &again, sizeof slow);
    load.rate = 1000.0;
    must(sp_serve_simulate(&s.arena, &pool, &load, 300, 7, &fast, &s.err), &s.err);
    assert_close(slow.requests_per_s, 1.0, 0.2);
    assert_true(fast.ttft_s.p90 > 5.0 * slow.ttft_s.p90);
    fini(&s);
}

static void layouts_that_do_not_divide_are_refused(void **state)
{
    (void)state;
    served s;
    serve(&s, "qwen3-32b", "dgx-h100", "vllm", alone);
    s.setup.layout = (sp_worker_layout){3, 1, 3, 1, 1};
    assert_int_equal(sp_worker_build(&s.arena, &s.setup, &s.worker, &s.err), SP_E_INCONSISTENT);
    s.setup.layout = (sp_worker_layout){4, 2, 4, 1, 1};
    assert_int_equal(sp_worker_build(&s.arena, &s.setup, &s.worker, &s.err), SP_E_INCONSISTENT);
    fini(&s);
}

static void every_engine_has_its_timing(void **state)
{
    (void)state;
    static const char *const engines[] = {"vllm", "sglang", "trtllm", "tgi", "hf", "dashinfer"};
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        served s = {0};
        must(sp_server_timing_load(&s.arena, source_home(), engines[i], &s.timing, &s.err), &s.err);
        assert_non_null(s.timing.frameworks[0]);
        assert_true(s.timing.step_tokens >= 1.0);
        fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_grows_with_all_that_it_runs),
        cmocka_unit_test(prompts_ride_along),
        cmocka_unit_test(one_token_takes_what_its_weights_take),
        cmocka_unit_test(a_single_user_waits_for_nobody),
        cmocka_unit_test(requests_are_conserved),
        cmocka_unit_test(open_loops_queue),
        cmocka_unit_test(layouts_that_do_not_divide_are_refused),
        cmocka_unit_test(every_engine_has_its_timing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
