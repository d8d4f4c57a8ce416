/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of a pool under a load: of answers alone, of prompts beside them, of a crowd of prompts. */
#include "serve/step_table.h"

#include <math.h>

void sp_pool_step(const sp_pool *pool, const sp_serve_batch *batch, sp_serve_step_time *out)
{
    if (pool->steps != NULL) {
        sp_step_table_step(pool->steps, batch, out);
    } else {
        sp_serve_step(pool->worker, batch, out);
    }
}

double sp_pool_tokens_a_step(const sp_pool *pool)
{
    const double k = pool->draft_tokens, a = pool->acceptance;
    if (k <= 0.0 || a <= 0.0) return 1.0;
    return a >= 1.0 ? k + 1.0 : (1.0 - pow(a, k + 1.0)) / (1.0 - a);
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

double sp_loaded_decode_s(const sp_loaded *l, double running)
{
    sp_serve_step_time t;
    const sp_serve_batch batch = {.decodes = running, .context = l->context, .emitted = running};
    sp_pool_step(l->pool, &batch, &t);
    return t.step_s;
}

/* `prompts` of them beside `running` answers, in as many steps as their tokens need. */
double sp_loaded_prompts_s(const sp_loaded *l, double prompts, double running)
{
    sp_serve_step_time t;
    const double room = fmax(1.0, l->pool->step_tokens - running);
    const double steps = ceil(prompts * l->new_tokens / room);
    const double chunk = l->new_tokens / fmax(1.0, steps / prompts);
    const sp_serve_batch batch = {.prompts = prompts / fmax(1.0, steps / ceil(steps / prompts)),
                                  .prompt_tokens = chunk,
                                  .prompt_past = l->past + (l->new_tokens - chunk) / 2.0,
                                  .decodes = running,
                                  .context = l->context,
                                  .emitted = running + prompts / steps};
    sp_pool_step(l->pool, &batch, &t);
    return steps * t.step_s;
}

/* Prompts that fit a step together: as they do when many wait. */
double sp_loaded_crowd_s(const sp_loaded *l, double waiting)
{
    const double most = fmax(1.0, floor(l->pool->step_tokens / l->new_tokens));
    const double prompts = fmin(most, fmax(1.0, waiting));
    return sp_loaded_prompts_s(l, prompts, 0.0) / prompts;
}

/* Sequences that a rank runs at once, of `wanted`. */
double sp_loaded_running(const sp_pool *pool, const sp_serve_load *load, double wanted,
                         bool *limited)
{
    double most = pool->batch > 0.0 ? pool->batch : wanted;
    const double room = pool->cache_tokens / (load->isl + load->osl);
    *limited = pool->cache_tokens > 0.0 && room < fmin(wanted, most);
    most = pool->cache_tokens > 0.0 ? fmin(most, room) : most;
    return fmax(1.0, fmin(wanted, most));
}

void sp_served_finish(const sp_serve_load *load, double gpus, sp_served *out)
{
    const double request_s = out->ttft_s + (load->osl - 1.0) * out->tpot_s;
    out->tokens_per_s = load->concurrency * load->osl / request_s;
    out->tokens_per_s_per_gpu = out->tokens_per_s / gpus;
}
