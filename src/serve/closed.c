/* SPDX-License-Identifier: Apache-2.0 */
/* A closed loop of requests in closed form: means of time to first token, time per token and
 * throughput. A request's prompt delays each sequence that runs beside it once; its own first token
 * waits for the step in progress, for prompts ahead of it, and for the burst in which all users
 * began. The event simulation has what this leaves out: batches of prompts, chunks that wait. */
#include "serve/serve_priv.h"

#include <math.h>

/* ---- steps of a load ---- */

typedef struct loaded {
    const sp_pool *pool;
    const sp_serve_load *load;
    double new_tokens, past; /* of a prompt: computed, found in the cache */
    double context;          /* of an answer half way */
} loaded;

static loaded load_pool(const sp_pool *pool, const sp_serve_load *load)
{
    const double hit = load->prefix_hit_ratio * load->isl;
    return (loaded){.pool = pool,
                    .load = load,
                    .new_tokens = fmax(1.0, load->isl - hit),
                    .past = hit,
                    .context = load->isl + load->osl / 2.0};
}

static double decode_s(const loaded *l, double running)
{
    sp_serve_step_time t;
    const sp_serve_batch batch = {.decodes = running, .context = l->context, .emitted = running};
    sp_serve_step(l->pool->worker, &batch, &t);
    return t.step_s;
}

/* `prompts` of them beside `running` answers, in as many steps as their tokens need. */
static double prompts_s(const loaded *l, double prompts, double running)
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
    sp_serve_step(l->pool->worker, &batch, &t);
    return steps * t.step_s;
}

/* Prompts that fit a step together: as they do when many wait. */
static double crowd_s(const loaded *l, double waiting)
{
    const double most = fmax(1.0, floor(l->pool->step_tokens / l->new_tokens));
    const double prompts = fmin(most, fmax(1.0, waiting));
    return prompts_s(l, prompts, 0.0) / prompts;
}

/* ---- one pool for prompts and answers ---- */

/* Sequences that a rank runs at once, of `wanted`. */
static double running_of(const sp_pool *pool, const sp_serve_load *load, double wanted,
                         bool *limited)
{
    double most = pool->batch > 0.0 ? pool->batch : wanted;
    const double room = pool->cache_tokens / (load->isl + load->osl);
    *limited = pool->cache_tokens > 0.0 && room < fmin(wanted, most);
    most = pool->cache_tokens > 0.0 ? fmin(most, room) : most;
    return fmax(1.0, fmin(wanted, most));
}

/* The first tokens of a burst come after half of the prompts before them. */
static double burst_s(const loaded *l, double running)
{
    const double users = l->load->requests_per_user;
    return users > 0.0 ? (running - 1.0) / 2.0 * crowd_s(l, running) / users : 0.0;
}

static void finish(const sp_serve_load *load, double gpus, sp_served *out)
{
    const double request_s = out->ttft_s + (load->osl - 1.0) * out->tpot_s;
    out->tokens_per_s = load->concurrency * load->osl / request_s;
    out->tokens_per_s_per_gpu = out->tokens_per_s / gpus;
}

void sp_serve_together(const sp_pool *pool, const sp_serve_load *load, sp_served *out)
{
    const sp_worker *worker = pool->worker;
    const sp_server_timing *timing = worker->timing;
    const loaded l = load_pool(pool, load);
    const double ranks = (double)pool->workers * worker->layout.attn_dp;
    const double wanted = fmax(1.0, load->concurrency / ranks);
    const double running = running_of(pool, load, wanted, &out->cache_limited);
    const double step_s = decode_s(&l, running);
    const double mixed_s = timing->rule == SP_SERVE_PROMPTS_FIRST ? prompts_s(&l, 1.0, 0.0) + step_s
                                                                  : prompts_s(&l, 1.0, running);
    const double stall_s = fmax(0.0, mixed_s - step_s);
    const double busy = running * stall_s / (load->osl * step_s + running * stall_s);
    const double ahead = fmin(1.0 / (1.0 - busy), running);
    out->running = running;
    out->tpot_s = step_s + running / load->osl * stall_s;
    out->ttft_s = timing->request_s + mixed_s + (1.0 + timing->poll_steps) / 2.0 * step_s +
                  busy * mixed_s / 2.0 * ahead + burst_s(&l, running);
    out->ttft_s += (wanted - running) / running * (mixed_s + load->osl * out->tpot_s);
    finish(load, (double)pool->workers * worker->gpus, out);
}

/* ---- two pools ---- */

static double cache_bytes_of_rank(const sp_worker *worker, double tokens)
{
    double elements = 0.0;
    for (uint32_t k = 0; k < worker->model->n_kinds; k++) {
        const sp_cache cache = sp_graph_cache(&worker->model->kinds[k], &worker->sharding);
        elements += worker->n_layers[k] * sp_cache_elements(&cache, tokens);
    }
    return elements * worker->formats.kv_bits / 8.0;
}

/* Prompts: servers take one after the other, in crowds when many wait. Answers: one clock for all
 * that run. What the slower pool lets through, the other sees; a few rounds settle it. */
void sp_serve_apart(const sp_pool *prefill, const sp_pool *decode, const sp_serve_load *load,
                    double link_bytes_per_s, sp_served *out)
{
    const sp_server_timing *timing = prefill->worker->timing;
    const loaded p = load_pool(prefill, load), d = load_pool(decode, load);
    const double servers = (double)prefill->workers * prefill->worker->layout.attn_dp;
    const double ranks = (double)decode->workers * decode->worker->layout.attn_dp;
    const double prompt_s = prompts_s(&p, 1.0, 0.0);
    const double send_s = timing->transfer_base_s +
                          cache_bytes_of_rank(prefill->worker, load->isl) / link_bytes_per_s;
    double active = load->concurrency, tpot_s = 0.0, queue_s = 0.0;
    for (int round = 0; round < 12; round++) {
        const double running =
            running_of(decode, load, fmax(1.0, active / ranks), &out->cache_limited);
        const double waiting = fmax(1.0, (load->concurrency - active) / servers);
        tpot_s = decode_s(&d, running) * fmax(1.0, active / ranks / running);
        const double answer_s = (load->osl - 1.0) * tpot_s;
        const double full_s = load->concurrency / servers * crowd_s(&p, waiting);
        queue_s = fmax(0.0, full_s - (prompt_s + send_s + answer_s));
        const double cycle_s = timing->request_s + queue_s + prompt_s + send_s + answer_s;
        active = 0.5 * active + 0.5 * load->concurrency * answer_s / cycle_s;
        out->running = running;
    }
    const double users = load->requests_per_user;
    const double burst = users > 0.0 ? (load->concurrency / servers - 1.0) / 2.0 *
                                           crowd_s(&p, load->concurrency / servers) / users
                                     : 0.0;
    out->tpot_s = tpot_s;
    out->ttft_s = timing->request_s + queue_s + prompt_s + send_s + fmax(0.0, burst);
    finish(load,
           (double)prefill->workers * prefill->worker->gpus +
               (double)decode->workers * decode->worker->gpus,
           out);
}
