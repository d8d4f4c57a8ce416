/* SPDX-License-Identifier: Apache-2.0 */
/* Each of two pools by itself: what a prompt takes of a prefill worker, alone and in a crowd, and
 * what a step takes of a decode worker, by how many answers it runs. Whoever compares many pairs
 * prices each side once. */
#include "serve/serve_priv.h"

#include <math.h>

/* ---- the link ---- */

static sp_kv_link link_of(const sp_level *level)
{
    return (sp_kv_link){.bytes_per_s = level->bytes_per_s * level->efficiency_ratio,
                        .latency_s = level->latency_s};
}

sp_kv_link sp_kv_link_between(const sp_cluster *prefill, const sp_cluster *decode, double gpus)
{
    uint32_t i = 0;
    const sp_kv_link here = link_of(&prefill->levels[prefill->n_levels - 1]);
    if (prefill != decode) {
        const sp_kv_link there = link_of(&decode->levels[decode->n_levels - 1]);
        return here.bytes_per_s < there.bytes_per_s ? here : there;
    }
    while (i + 1 < prefill->n_levels && prefill->levels[i].n_gpus < gpus) {
        i++;
    }
    return link_of(&prefill->levels[i]);
}

/* ---- caches ---- */

/* Of one sequence on one GPU, which holds the layers of its stage. */
static double cache_bytes(const sp_worker *worker, double tokens)
{
    double elements = 0.0;
    for (uint32_t k = 0; k < worker->model->n_kinds; k++) {
        const sp_cache cache = sp_graph_cache(&worker->model->kinds[k], &worker->sharding);
        elements += worker->n_layers[k] * sp_cache_elements(&cache, tokens);
    }
    return elements * worker->formats.kv_bits / 8.0 / worker->layout.pp;
}

/* ---- prompts ---- */

/* Seconds until `prompts` that a rank begins together are done; *share_s: of each of them when
 * others follow at once, as stages are left to them. Prompts longer than a step take several. */
static double prompts_s(const sp_loaded *l, double prompts, double *share_s)
{
    sp_serve_step_time t;
    const double steps = fmax(1.0, ceil(prompts * l->new_tokens / l->pool->step_tokens));
    const double chunk = l->new_tokens / steps;
    const sp_serve_batch batch = {.prompts = prompts,
                                  .prompt_tokens = chunk,
                                  .prompt_past = l->past + (l->new_tokens - chunk) / 2.0,
                                  .emitted = prompts / steps};
    sp_pool_step(l->pool, &batch, &t);
    *share_s = steps * t.stage_s / prompts;
    return t.step_s + (steps - 1.0) * t.stage_s;
}

/* As many as fit a step, the batch and the cache, and at least one. */
static double prompts_at_once(const sp_loaded *l)
{
    const sp_pool *pool = l->pool;
    double most = floor(pool->step_tokens / l->new_tokens);
    if (pool->batch > 0.0) most = fmin(most, pool->batch);
    if (pool->cache_tokens > 0.0) most = fmin(most, floor(pool->cache_tokens / l->load->isl));
    return fmax(1.0, most);
}

double sp_prefill_side_spill(double workers)
{
    return sqrt(2.0 * (workers + 1.0)) - 1.0;
}

void sp_prefill_side_make(const sp_pool *pool, const sp_serve_load *load, sp_prefill_side *out)
{
    const sp_worker *worker = pool->worker;
    const sp_loaded l = sp_loaded_make(pool, load);
    const double most = prompts_at_once(&l);
    double crowd_s = 0.0, alone_share_s = 0.0;
    *out = (sp_prefill_side){.gpus = (double)pool->workers * worker->gpus,
                             .workers = pool->workers,
                             .servers = (double)pool->workers * worker->layout.attn_dp,
                             .request_s = worker->timing->request_s,
                             .transfer_s = worker->timing->transfer_base_s,
                             .exposed_ratio = 1.0 - worker->timing->transfer_overlap_ratio};
    out->alone_s = prompts_s(&l, 1.0, &alone_share_s);
    out->full_s = most > 1.0 ? prompts_s(&l, most, &crowd_s) : out->alone_s;
    out->crowd_s = most > 1.0 ? fmin(crowd_s, alone_share_s) : alone_share_s;
    out->each_s =
        most > 1.0 ? fmax(0.0, (out->full_s - out->alone_s) / (most - 1.0)) : out->alone_s;
    out->start_s = fmax(0.0, out->alone_s - out->each_s);
    out->spill = sp_prefill_side_spill(out->workers);
    out->most_rate = out->servers / out->crowd_s;
}

/* ---- answers ---- */

static double most_of(const sp_pool *pool, const sp_serve_load *load, double wanted, bool *limited)
{
    const double batch = pool->batch > 0.0 ? fmin(pool->batch, wanted) : wanted;
    const double room = pool->cache_tokens / (load->isl + load->osl);
    *limited = pool->cache_tokens > 0.0 && room < batch;
    return fmax(1.0, *limited ? room : batch);
}

/* Points lie closest where a rank runs few answers. */
void sp_decode_side_make(const sp_pool *pool, const sp_serve_load *load, double most,
                         sp_decode_side *out)
{
    const sp_worker *worker = pool->worker;
    const sp_loaded l = sp_loaded_make(pool, load);
    const double tokens = sp_pool_tokens_a_step(pool);
    *out = (sp_decode_side){.gpus = (double)pool->workers * worker->gpus,
                            .ranks = (double)pool->workers * worker->layout.attn_dp,
                            .steps = fmax(0.0, load->osl - 1.0) / tokens,
                            .tokens_a_step = tokens,
                            .received_bytes = cache_bytes(worker, load->isl)};
    out->received_in_all_bytes = out->received_bytes * worker->layout.tp * worker->layout.pp;
    out->most = most_of(pool, load, most, &out->cache_limited);
    out->n_points = out->most > 1.0 ? SP_DECODE_POINTS : 1;
    double least_s = 0.0;
    for (uint32_t i = 0; i < out->n_points; i++) {
        out->running[i] = pow(out->most, (double)i / (SP_DECODE_POINTS - 1));
        out->step_s[i] = fmax(least_s, sp_loaded_decode_s(&l, out->running[i]));
        least_s = out->step_s[i];
    }
    const double answer_s = out->steps * least_s;
    out->most_rate = answer_s > 0.0 ? out->ranks * out->most / answer_s : (double)INFINITY;
}

double sp_decode_side_step_s(const sp_decode_side *side, double running)
{
    uint32_t i = 1;
    if (side->n_points == 1 || running <= side->running[0]) return side->step_s[0];
    while (i + 1 < side->n_points && side->running[i] < running) {
        i++;
    }
    const double part =
        (running - side->running[i - 1]) / (side->running[i] - side->running[i - 1]);
    return side->step_s[i - 1] + part * (side->step_s[i] - side->step_s[i - 1]);
}
