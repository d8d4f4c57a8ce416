/* SPDX-License-Identifier: Apache-2.0 */
/* The closed form beside the simulation over a grid of engines, loads and rooms: how far their
 * means and tails lie apart, and laws that both must obey. */
#include "base/base.h"
#include "common/close.h"
#include "common/shipped.h"
#include "serve/sim.h"
#include "shardplan/serve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct served {
    sp_arena arena;
    sp_error err;
    sp_server_timing timing;
    const sp_worker *worker;
} served;

static void serve(served *s, const char *model, const char *cluster, const char *engine,
                  uint32_t tp)
{
    *s = (served){0};
    sp_worker_setup setup = {
        .timing = &s->timing,
        .layout = {tp, 1, tp,                    1, 1},
        .formats = {.attention = "bfloat16", .ffn = "bfloat16",  .kv_bits = 16.0}
    };
    must(sp_model_find(&s->arena, source_home(), model, &setup.model, &s->err), &s->err);
    must(sp_cluster_find(&s->arena, source_home(), cluster, &setup.cluster, &s->err), &s->err);
    must(sp_server_timing_load(&s->arena, source_home(), engine, &s->timing, &s->err), &s->err);
    must(sp_surfaces_load(&s->arena, source_home(), setup.cluster->gpu, &setup.surfaces, &s->err),
         &s->err);
    must(sp_worker_build(&s->arena, &setup, &s->worker, &s->err), &s->err);
}

static void fini(served *s)
{
    sp_arena_fini(&s->arena);
}

/* ---- the grid ---- */

enum { TTFT, TPOT, ITL, E2E, RATE, TTFT90, TTFT99, TPOT90, ITL99, E2E90, N_FIGURES };
static const char *const figures[N_FIGURES] = {
    "ttft", "tpot", "itl", "e2e", "rate", "ttft p90", "ttft p99", "tpot p90", "itl p99", "e2e p90"};
#define MOST_CASES 512

typedef struct deviations {
    uint32_t n;
    double of[N_FIGURES][MOST_CASES];
} deviations;

static void note(deviations *d, const sp_served *c, const sp_simulated *r)
{
    const double closed[N_FIGURES] = {c->ttft_s,          c->tpot_s,          c->itl_tail_s.mean,
                                      c->e2e_tail_s.mean, c->tokens_per_s,    c->ttft_tail_s.p90,
                                      c->ttft_tail_s.p99, c->tpot_tail_s.p90, c->itl_tail_s.p99,
                                      c->e2e_tail_s.p90};
    const double run[N_FIGURES] = {r->ttft_s.mean,  r->tpot_s.mean, r->itl_s.mean, r->e2e_s.mean,
                                   r->tokens_per_s, r->ttft_s.p90,  r->ttft_s.p99, r->tpot_s.p90,
                                   r->itl_s.p99,    r->e2e_s.p90};
    assert_true(d->n < MOST_CASES);
    for (int f = 0; f < N_FIGURES; f++) {
        d->of[f][d->n] = fabs(closed[f] / run[f] - 1.0);
    }
    d->n++;
    if (getenv("QUEUE_VERBOSE") != NULL) {
        printf("   ");
        for (int f = 0; f < N_FIGURES; f++) {
            printf(" %s %.4g/%.4g", figures[f], closed[f], run[f]);
        }
        printf("\n");
    }
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, uint32_t n, double q)
{
    return sorted[(uint32_t)(q * (n - 1))];
}

static void judge(const char *what, deviations *d, const double *median, const double *p90)
{
    bool good = true;
    printf("%s: %u cases; closed form from simulation, median and 90th percentile\n", what, d->n);
    for (int f = 0; f < N_FIGURES; f++) {
        qsort(d->of[f], d->n, sizeof(double), ascending);
        const double m = quantile(d->of[f], d->n, 0.5), t = quantile(d->of[f], d->n, 0.9);
        const bool within = m <= median[f] && t <= p90[f];
        printf("  %-9s %5.1f %% %6.1f %%%s\n", figures[f], 100.0 * m, 100.0 * t,
               within ? "" : "  beyond what is stated");
        good = good && within;
    }
    assert_true(good);
}

typedef struct deployment {
    const char *model, *cluster, *engine;
    uint32_t tp;
} deployment;
static const deployment deployments[] = {
    {"llama-3.1-8b", "dgx-h100", "vllm",   1},
    {"llama-3.1-8b", "dgx-h100", "sglang", 1},
    {"qwen3-32b",    "dgx-h200", "trtllm", 4},
    {"qwen3-32b",    "dgx-h200", "vllm",   4},
    {"qwen3-32b",    "dgx-h200", "sglang", 4},
    {"qwen3-32b",    "dgx-h200", "tgi",    4}
};
static const double lengths[][2] = {
    {512,  128 },
    {1024, 1024},
    {4096, 256 }
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void compare(served *s, const sp_pool *pool, const sp_serve_load *load, uint64_t requests,
                    deviations *d)
{
    sp_arena arena = {0};
    sp_served closed;
    sp_simulated run;
    must(sp_serve_simulate(&arena, pool, load, requests, 1, &run, &s->err), &s->err);
    sp_serve_together(pool, load, &closed);
    if (getenv("QUEUE_VERBOSE") != NULL) {
        printf("C %g rate %g isl %g osl %g room %g preempted %lu\n", load->concurrency, load->rate,
               load->isl, load->osl, pool->cache_tokens, (unsigned long)run.preempted);
    }
    note(d, &closed, &run);
    sp_arena_fini(&arena);
}

static void users_in_both(void **state)
{
    (void)state;
    static deviations free_room, tight;
    for (size_t i = 0; i < COUNT(deployments); i++) {
        const deployment *at = &deployments[i];
        served s;
        serve(&s, at->model, at->cluster, at->engine, at->tp);
        if (getenv("QUEUE_VERBOSE") != NULL) printf("== %s %s\n", at->model, at->engine);
        for (size_t k = 0; k < COUNT(lengths); k++) {
            for (double users = 1.0; users <= 256.0; users *= 4.0) {
                const sp_serve_load load = {.isl = lengths[k][0],
                                            .osl = lengths[k][1],
                                            .concurrency = users,
                                            .length_spread = 0.3,
                                            .requests_per_user = users > 8.0 ? 10.0 : 40.0};
                sp_pool pool = {
                    .worker = s.worker, .workers = 1, .step_tokens = s.timing.step_tokens};
                compare(&s, &pool, &load, 0, &free_room);
                if (users < 16.0) continue;
                pool.cache_tokens = users / 2.0 * (load.isl + load.osl);
                compare(&s, &pool, &load, 0, &tight);
            }
        }
        fini(&s);
    }
    static const double median[N_FIGURES] = {0.08, 0.08, 0.08, 0.08, 0.08,
                                             0.3,  0.3,  0.12, 0.4,  0.1};
    static const double p90[N_FIGURES] = {0.25, 0.2, 0.2, 0.2, 0.2, 0.5, 0.5, 0.25, 0.7, 0.2};
    judge("users, room for all", &free_room, median, p90);
    judge("users, room for half", &tight, median, p90);
}

static void rates_in_both(void **state)
{
    (void)state;
    static const double shares[] = {0.2, 0.5, 0.8};
    static deviations d;
    for (size_t i = 0; i < COUNT(deployments); i++) {
        const deployment *at = &deployments[i];
        served s;
        serve(&s, at->model, at->cluster, at->engine, at->tp);
        if (getenv("QUEUE_VERBOSE") != NULL) printf("== %s %s\n", at->model, at->engine);
        for (size_t k = 0; k < COUNT(lengths); k++) {
            for (size_t j = 0; j < COUNT(shares); j++) {
                sp_pool pool = {.worker = s.worker,
                                .workers = 1,
                                .batch = 256,
                                .step_tokens = s.timing.step_tokens};
                sp_serve_load load = {.isl = lengths[k][0],
                                      .osl = lengths[k][1],
                                      .rate = 1e-3,
                                      .burstiness = 1.0,
                                      .length_spread = 0.3};
                sp_served idle;
                sp_serve_together(&pool, &load, &idle);
                load.rate = shares[j] * idle.most_requests_per_s;
                compare(&s, &pool, &load, 3000, &d);
            }
        }
        fini(&s);
    }
    static const double median[N_FIGURES] = {0.08, 0.08, 0.08, 0.08, 0.08,
                                             0.2,  0.35, 0.1,  0.3,  0.1};
    static const double p90[N_FIGURES] = {0.25, 0.6, 0.6, 0.6, 0.05, 0.5, 0.6, 0.3, 0.8, 0.3};
    judge("rates", &d, median, p90);
}

/* ---- laws ---- */

static sp_pool pool_of(const served *s)
{
    return (sp_pool){
        .worker = s->worker, .workers = 1, .batch = 256, .step_tokens = s->timing.step_tokens};
}

static void assert_ordered(const sp_tail *t)
{
    assert_at_most(t->p50, t->p90, 1e-12);
    assert_at_most(t->p90, t->p95, 1e-12);
    assert_at_most(t->p95, t->p99, 1e-12);
}

/* As far as steps are captured: beyond, each of them is launched kernel by kernel. */
static void more_users_never_lower_throughput(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(deployments); i++) {
        served s;
        serve(&s, deployments[i].model, deployments[i].cluster, deployments[i].engine,
              deployments[i].tp);
        const sp_pool pool = pool_of(&s);
        double least = 0.0;
        for (double users = 1.0; users <= fmin(256.0, s.timing.graph_tokens); users *= 2.0) {
            sp_served out;
            const sp_serve_load load = {.isl = 1024, .osl = 512, .concurrency = users};
            sp_serve_together(&pool, &load, &out);
            assert_at_most(least, out.tokens_per_s, 1e-3);
            assert_close(out.in_flight, users, 1e-9);
            least = out.tokens_per_s;
        }
        fini(&s);
    }
}

static void higher_rates_wait_longer_until_there_is_no_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(deployments); i++) {
        served s;
        serve(&s, deployments[i].model, deployments[i].cluster, deployments[i].engine,
              deployments[i].tp);
        const sp_pool pool = pool_of(&s);
        sp_serve_load load = {.isl = 1024, .osl = 512, .rate = 0.01, .burstiness = 1.0};
        sp_served out;
        sp_serve_together(&pool, &load, &out);
        const double most = out.most_requests_per_s;
        double least = 0.0;
        for (double share = 0.1; share < 0.95; share += 0.1) {
            load.rate = share * most;
            sp_serve_together(&pool, &load, &out);
            assert_true(out.stable);
            assert_at_most(least, out.ttft_s, 0.01);
            assert_ordered(&out.ttft_tail_s);
            assert_ordered(&out.tpot_tail_s);
            assert_ordered(&out.itl_tail_s);
            assert_ordered(&out.e2e_tail_s);
            assert_close(out.in_flight, load.rate * out.e2e_tail_s.mean, 1e-9);
            least = out.ttft_s;
        }
        load.rate = 1.01 * most;
        sp_serve_together(&pool, &load, &out);
        assert_false(out.stable);
        assert_true(isinf(out.ttft_s));
        fini(&s);
    }
}

/* In the run requests are counted as they come and go, times as they are told. */
static void a_rate_below_the_most_is_served_and_little_holds(void **state)
{
    (void)state;
    served s;
    serve(&s, "llama-3.1-8b", "dgx-h100", "vllm", 1);
    const sp_pool pool = pool_of(&s);
    sp_serve_load load = {
        .isl = 512, .osl = 128, .rate = 8.0, .burstiness = 1.0, .length_spread = 0.3};
    static const double kinds[] = {0.0, 0.5, 1.0, 4.0};
    double least = 0.0;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        sp_simulated run;
        load.burstiness = kinds[i];
        must(sp_serve_simulate(&s.arena, &pool, &load, 5000, 3, &run, &s.err), &s.err);
        assert_close(run.requests_per_s, load.rate, 0.05);
        const double inside_s = run.e2e_s.mean - s.timing.request_s;
        assert_close(run.in_flight, run.requests_per_s * inside_s, 0.01);
        assert_ordered(&run.ttft_s);
        assert_ordered(&run.itl_s);
        assert_at_most(least, run.ttft_s.p99, 0.02);
        least = run.ttft_s.p99;
    }
    fini(&s);
}

/* Batches that are filled, answered and emptied: who comes waits for the one under way, and for no
 * more where few come. */
static void static_batches_at_a_rate_wait_for_the_one_under_way(void **state)
{
    (void)state;
    static const double shares[] = {0.001, 0.2, 0.6, 0.8};
    served s;
    serve(&s, "llama-3.1-8b", "dgx-h100", "hf", 1);
    const sp_pool pool = {
        .worker = s.worker, .workers = 1, .batch = 16, .step_tokens = s.timing.step_tokens};
    sp_serve_load load = {.isl = 1024, .osl = 256, .rate = 1e-3, .burstiness = 1.0};
    sp_served c;
    sp_serve_together(&pool, &load, &c);
    const double most = c.most_requests_per_s;
    for (size_t i = 0; i < COUNT(shares); i++) {
        sp_simulated run;
        load.rate = shares[i] * most;
        sp_serve_together(&pool, &load, &c);
        must(sp_serve_simulate(&s.arena, &pool, &load, 4000, 3, &run, &s.err), &s.err);
        if (getenv("QUEUE_VERBOSE") != NULL)
            printf("%g %g %g\n", shares[i], c.ttft_s, run.ttft_s.mean);
        assert_close(c.ttft_s, run.ttft_s.mean, 0.25);
        assert_close(c.tpot_s, run.tpot_s.mean, 0.05);
        assert_ordered(&c.ttft_tail_s);
    }
    load.rate = 1.01 * most;
    sp_serve_together(&pool, &load, &c);
    assert_true(!c.stable && isinf(c.ttft_s));
    fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_in_both),
        cmocka_unit_test(rates_in_both),
        cmocka_unit_test(more_users_never_lower_throughput),
        cmocka_unit_test(higher_rates_wait_longer_until_there_is_no_end),
        cmocka_unit_test(a_rate_below_the_most_is_served_and_little_holds),
        cmocka_unit_test(static_batches_at_a_rate_wait_for_the_one_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
