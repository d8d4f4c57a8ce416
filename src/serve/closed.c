/* SPDX-License-Identifier: Apache-2.0 */
/* A closed loop of requests in closed form: means of time to first token, time per token and
 * throughput. A request's prompt delays each sequence that runs beside it once; its own first token
 * waits for the step in progress, for prompts ahead of it, and for the burst in which all users
 * began. The event simulation has what this leaves out: batches of prompts, chunks that wait. */
#include "serve/serve_priv.h"

#include <math.h>

/* ---- one pool for prompts and answers ---- */

/* The first tokens of a burst come after half of the prompts before them. */
static double burst_s(const sp_loaded *l, double running)
{
    const double users = l->load->requests_per_user;
    return users > 0.0 ? (running - 1.0) / 2.0 * sp_loaded_crowd_s(l, running) / users : 0.0;
}

void sp_serve_together(const sp_pool *pool, const sp_serve_load *load, sp_served *out)
{
    const sp_worker *worker = pool->worker;
    const sp_server_timing *timing = worker->timing;
    const sp_loaded l = sp_loaded_make(pool, load);
    const double ranks = (double)pool->workers * worker->layout.attn_dp;
    const double wanted = fmax(1.0, load->concurrency / ranks);
    const double running = sp_loaded_running(pool, load, wanted, &out->cache_limited);
    const double step_s = sp_loaded_decode_s(&l, running);
    const double mixed_s = sp_pool_rule(pool, timing) == SP_SERVE_PROMPTS_FIRST
                               ? sp_loaded_prompts_s(&l, 1.0, 0.0) + step_s
                               : sp_loaded_prompts_s(&l, 1.0, running);
    const double stall_s = fmax(0.0, mixed_s - step_s);
    const double busy = running * stall_s / (load->osl * step_s + running * stall_s);
    const double ahead = fmin(1.0 / (1.0 - busy), running);
    out->running = running;
    out->tpot_s = step_s + running / load->osl * stall_s;
    out->ttft_s = timing->request_s + mixed_s + (1.0 + timing->poll_steps) / 2.0 * step_s +
                  busy * mixed_s / 2.0 * ahead + burst_s(&l, running);
    out->ttft_s += (wanted - running) / running * (mixed_s + load->osl * out->tpot_s);
    sp_served_finish(load, (double)pool->workers * worker->gpus, out);
}
