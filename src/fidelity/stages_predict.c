/* SPDX-License-Identifier: Apache-2.0 */
/* A load stage as a worker, a pool and a load at an even rate, and what both tiers say of it. */
#include "fidelity/stages.h"
#include "shardplan/memory.h"
#include "shardplan/serve.h"

#include <math.h>
#include <stdio.h>

typedef struct parts {
    sp_server server;
    sp_server_timing timing;
    sp_worker_setup worker;
} parts;

static sp_status find_parts(sp_arena *arena, const char *home, const sp_stage_setup *s, parts *p,
                            sp_error *err)
{
    p->worker.timing = &p->timing;
    p->worker.layout = (sp_worker_layout){s->tp, 1, s->tp, 1, 1};
    p->worker.formats = (sp_serve_formats){"bfloat16", "bfloat16", 16.0};
    SP_TRY(sp_model_find(arena, home, s->model, &p->worker.model, err));
    SP_TRY(sp_cluster_find(arena, home, s->gpu, &p->worker.cluster, err));
    SP_TRY(sp_surfaces_load(arena, home, p->worker.cluster->gpu, &p->worker.surfaces, err));
    SP_TRY(sp_server_load(arena, home, s->engine, &p->server, err));
    return sp_server_timing_load(arena, home, s->engine, &p->timing, err);
}

/* Tokens of the engine's cache; 0 where its memory cannot be asked. */
static double cache_tokens(const parts *p, const sp_stage_setup *s)
{
    sp_error unasked = {0};
    sp_footprint footprint;
    sp_footprint_question q = {
        .model = p->worker.model, .gpu = p->worker.cluster->gpu, .server = p->server};
    sp_footprint_defaults(&q);
    q.tp = s->tp;
    q.batch = (uint64_t)fmax(1.0, s->batch);
    q.isl = (uint64_t)s->isl;
    q.osl = (uint64_t)s->osl;
    if (sp_footprint_check(&q, &unasked) != SP_OK) return 0.0;
    sp_footprint_evaluate(&q, &footprint);
    return footprint.tokens;
}

static void keep(const sp_tail *ttft, const sp_tail *e2e, double itl_s, double *figures)
{
    const double all[SP_N_STAGE_FIGURES] = {
        [SP_STAGE_TTFT] = ttft->mean,    [SP_STAGE_ITL] = itl_s,
        [SP_STAGE_E2E] = e2e->mean,      [SP_STAGE_TTFT_P50] = ttft->p50,
        [SP_STAGE_TTFT_P90] = ttft->p90, [SP_STAGE_TTFT_P95] = ttft->p95,
        [SP_STAGE_TTFT_P99] = ttft->p99, [SP_STAGE_E2E_P50] = e2e->p50,
        [SP_STAGE_E2E_P90] = e2e->p90,   [SP_STAGE_E2E_P95] = e2e->p95,
        [SP_STAGE_E2E_P99] = e2e->p99};
    for (int f = 0; f < SP_N_STAGE_FIGURES; f++) {
        figures[f] = all[f];
    }
}

/* The load's generator makes one prompt for each user of each group and asks them in turn
 * (inference- perf, shared_prefix_datagen.py): the first time a prompt shares what its group has,
 * later all of it is found in the cache, in whole blocks and but for its last token. */
static sp_serve_load load_of(const parts *p, const sp_stage_setup *s)
{
    const double block = fmax(1.0, p->server.block_tokens);
    const double first = floor(s->shared / block) * block;
    const double again = floor((s->isl - 1.0) / block) * block;
    const double fresh = fmin(1.0, s->prompts / s->requests);
    return (sp_serve_load){.isl = s->isl,
                           .osl = s->osl,
                           .rate = s->rate,
                           .prefix_hit_ratio = (fresh * first + (1.0 - fresh) * again) / s->isl};
}

static sp_status predict(sp_arena *arena, const parts *p, sp_stage *stage, sp_error *err)
{
    const sp_stage_setup *s = &stage->setup;
    sp_served closed;
    sp_simulated run;
    sp_pool pool = {.workers = 1,
                    .batch = s->batch,
                    .step_tokens = s->step_tokens > 0.0 ? s->step_tokens : p->timing.step_tokens,
                    .cache_tokens = cache_tokens(p, s)};
    const sp_serve_load load = load_of(p, s);
    SP_TRY(sp_worker_build(arena, &p->worker, &pool.worker, err));
    sp_serve_together(&pool, &load, &closed);
    SP_TRY(sp_serve_simulate(arena, &pool, &load, (uint64_t)s->requests, 1, &run, err));
    stage->most_rate = closed.most_requests_per_s;
    keep(&run.ttft_s, &run.e2e_s, run.tpot_s.mean, stage->run);
    keep(&closed.ttft_tail_s, &closed.e2e_tail_s, closed.tpot_s, stage->closed);
    return SP_OK;
}

sp_status sp_stage_predict(sp_arena *arena, const char *home, sp_stage *stage, sp_error *err)
{
    parts p = {0};
    sp_error why = {0};
    sp_status status = find_parts(arena, home, &stage->setup, &p, &why);
    if (status == SP_OK) status = predict(arena, &p, stage, &why);
    if (status == SP_OK) return SP_OK;
    if (status == SP_E_MEMORY) return sp_fail(err, SP_E_MEMORY, "the score needs more");
    char line[SP_ERROR_TEXT_BYTES];
    (void)sp_error_format(&why, line, sizeof line);
    stage->complaint = sp_arena_strdup(arena, line);
    return stage->complaint != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "the score needs more");
}
