/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of a pool under a load: of answers alone, of prompts beside them, of a crowd of prompts. */
#include "serve/serve_priv.h"

#include <math.h>

double sp_pool_tokens_a_step(const sp_pool *pool)
{
    const double k = pool->draft_tokens, a = pool->acceptance;
    if (k <= 0.0 || a <= 0.0) return 1.0;
    return a >= 1.0 ? k + 1.0 : (1.0 - pow(a, k + 1.0)) / (1.0 - a);
}

sp_serve_rule sp_pool_rule(const sp_pool *pool, const sp_server_timing *timing)
{
    return pool->mixes && timing->rule == SP_SERVE_PROMPTS_FIRST ? SP_SERVE_MIXED : timing->rule;
}

sp_loaded sp_loaded_make(const sp_pool *pool, const sp_serve_load *load)
{
    const double hit = load->prefix_hit_ratio * load->isl;
    return (sp_loaded){.pool = pool,
                       .load = load,
                       .new_tokens = fmax(1.0, load->isl - hit),
                       .past = hit,
                       .context = load->isl + load->osl / 2.0};
}

/* Each draft is a token of its own over one reading of the cache. */
static void add_answers(const sp_loaded *l, double running, sp_serve_batch *b)
{
    const double width = 1.0 + l->pool->draft_tokens;
    b->decodes = running * width;
    b->context = l->context / width;
    b->emitted += b->decodes;
}

static double step_s(const sp_loaded *l, const sp_serve_batch *batch)
{
    sp_serve_step_time t;
    sp_pool_step(l->pool, batch, &t);
    if (batch->decodes <= 0.0) return t.step_s;
    return t.step_s * (1.0 + l->pool->draft_tokens * l->pool->draft_ratio);
}

double sp_loaded_decode_s(const sp_loaded *l, double running)
{
    sp_serve_batch batch = {0};
    add_answers(l, running, &batch);
    return step_s(l, &batch);
}

/* Chunks fill a step to the last token; of whole prompts as many as fit, and at least one. */
double sp_loaded_per_step(const sp_loaded *l, double running)
{
    const sp_serve_rule rule = sp_pool_rule(l->pool, l->pool->worker->timing);
    const double width = 1.0 + l->pool->draft_tokens;
    const double fit = fmax(1.0, l->pool->step_tokens - running * width) / l->new_tokens;
    const bool whole = rule == SP_SERVE_WHOLE || rule == SP_SERVE_STATIC;
    return whole ? fmax(1.0, floor(fit)) : fit;
}

double sp_loaded_steps(const sp_loaded *l, double prompts, double running)
{
    return ceil(prompts / sp_loaded_per_step(l, running));
}

double sp_loaded_prompts_s(const sp_loaded *l, double prompts, double running)
{
    const double steps = sp_loaded_steps(l, prompts, running);
    const double together = fmax(1.0, prompts / steps); /* in one step */
    const double chunk = prompts * l->new_tokens / steps / together;
    sp_serve_batch batch = {.prompts = together,
                            .prompt_tokens = chunk,
                            .prompt_past = l->past + (l->new_tokens - chunk) / 2.0,
                            .emitted = prompts / steps};
    add_answers(l, running, &batch);
    return steps * step_s(l, &batch);
}

/* Prompts that fit a step together: as they do when many wait. */
double sp_loaded_crowd_s(const sp_loaded *l, double waiting)
{
    const double most = fmax(1.0, floor(l->pool->step_tokens / l->new_tokens));
    const double prompts = fmin(most, fmax(1.0, waiting));
    return sp_loaded_prompts_s(l, prompts, 0.0) / prompts;
}

/* A request holds its prompt and, on average, half of its answer; room for the other half is kept
 * only by engines that never send anyone back. */
double sp_loaded_running(const sp_pool *pool, const sp_serve_load *load, double wanted,
                         bool *limited)
{
    const double kept = (1.0 + pool->worker->timing->answer_reserve_ratio) / 2.0;
    const double most = pool->batch > 0.0 ? fmin(wanted, pool->batch) : wanted;
    const double room = pool->cache_tokens / (load->isl + kept * load->osl);
    *limited = pool->cache_tokens > 0.0 && room < most;
    return fmax(1.0, *limited ? room : most);
}

void sp_served_finish(const sp_serve_load *load, double gpus, sp_served *out)
{
    const double request_s = out->ttft_s + (load->osl - 1.0) * out->tpot_s;
    out->tokens_per_s = load->concurrency * load->osl / request_s;
    out->tokens_per_s_per_gpu = out->tokens_per_s / gpus;
}
