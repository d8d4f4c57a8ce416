/* SPDX-License-Identifier: Apache-2.0 */
/* Two pools in closed form: one for prompts, one for answers, and the cache of each request sent
 * from the first to the second. */
#include "serve/serve_priv.h"

#include <math.h>

static double cache_bytes_of_rank(const sp_worker *worker, double tokens)
{
    double elements = 0.0;
    for (uint32_t k = 0; k < worker->model->n_kinds; k++) {
        const sp_cache cache = sp_graph_cache(&worker->model->kinds[k], &worker->sharding);
        elements += worker->n_layers[k] * sp_cache_elements(&cache, tokens);
    }
    return elements * worker->formats.kv_bits / 8.0;
}

double sp_serve_transfer_s(const sp_pool *prefill, const sp_serve_load *load,
                           double link_bytes_per_s)
{
    return prefill->worker->timing->transfer_base_s +
           cache_bytes_of_rank(prefill->worker, load->isl) / link_bytes_per_s;
}

/* Prompts: servers take one after the other, in crowds when many wait. Answers: one clock for all
 * that run. What the slower pool lets through, the other sees; a few rounds settle it. */
void sp_serve_apart(const sp_pool *prefill, const sp_pool *decode, const sp_serve_load *load,
                    double link_bytes_per_s, sp_served *out)
{
    const sp_server_timing *timing = prefill->worker->timing;
    const sp_loaded p = sp_loaded_make(prefill, load), d = sp_loaded_make(decode, load);
    const double servers = (double)prefill->workers * prefill->worker->layout.attn_dp;
    const double ranks = (double)decode->workers * decode->worker->layout.attn_dp;
    const double prompt_s = sp_loaded_prompts_s(&p, 1.0, 0.0);
    const double send_s = sp_serve_transfer_s(prefill, load, link_bytes_per_s);
    double active = load->concurrency, tpot_s = 0.0, queue_s = 0.0;
    for (int round = 0; round < 12; round++) {
        const double running =
            sp_loaded_running(decode, load, fmax(1.0, active / ranks), &out->cache_limited);
        const double waiting = fmax(1.0, (load->concurrency - active) / servers);
        tpot_s = sp_loaded_decode_s(&d, running) * fmax(1.0, active / ranks / running);
        const double answer_s = (load->osl - 1.0) * tpot_s;
        const double full_s = load->concurrency / servers * sp_loaded_crowd_s(&p, waiting);
        queue_s = fmax(0.0, full_s - (prompt_s + send_s + answer_s));
        const double cycle_s = timing->request_s + queue_s + prompt_s + send_s + answer_s;
        active = 0.5 * active + 0.5 * load->concurrency * answer_s / cycle_s;
        out->running = running;
    }
    const double users = load->requests_per_user;
    const double burst = users > 0.0
                             ? (load->concurrency / servers - 1.0) / 2.0 *
                                   sp_loaded_crowd_s(&p, load->concurrency / servers) / users
                             : 0.0;
    out->tpot_s = tpot_s;
    out->ttft_s = timing->request_s + queue_s + prompt_s + send_s + fmax(0.0, burst);
    sp_served_finish(load,
                     (double)prefill->workers * prefill->worker->gpus +
                         (double)decode->workers * decode->worker->gpus,
                     out);
}
