/* SPDX-License-Identifier: Apache-2.0 */
/* What a plan gives its users: the load of one worker, its times, and what all workers make of it
 * in throughput, money and energy. */
#include "serve/serving_priv.h"

#include <assert.h>
#include <math.h>

static bool is_apart(const sp_serving_plan *plan)
{
    return plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
}

/* Workers that take load: the others stand by. */
static double serving(const sp_serving_problem *problem, uint32_t workers)
{
    const uint32_t spare = problem->question.spare_replicas;
    return workers > spare ? workers - spare : 0.0;
}

/* ---- one worker under its load ---- */

/* Requests that a worker may have under way at once. */
static double room_of(const sp_serving_plan *plan)
{
    return (double)plan->value[SP_SERVING_AXIS_batch] * plan->value[SP_SERVING_AXIS_attn_dp];
}

static sp_serve_load load_of(const sp_serving_problem *problem, double concurrency)
{
    sp_serve_load load = problem->load;
    load.concurrency = concurrency;
    load.rate = 0.0;
    return load;
}

typedef struct pools {
    sp_pool prefill, decode; /* prefill.worker NULL: aggregated */
    sp_kv_link link;
    const sp_serving_problem *problem;
} pools;

/* Seconds that a cache is under way between pools. */
static double serve(const pools *p, double concurrency, sp_served *out)
{
    const sp_serve_load load = load_of(p->problem, concurrency);
    sp_joined joined;
    if (p->prefill.worker == NULL) {
        sp_serve_together(&p->decode, &load, out);
        return 0.0;
    }
    sp_serve_apart(&p->prefill, &p->decode, &load, &p->link, &joined);
    sp_joined_tails(&load, &joined);
    *out = joined.served;
    return joined.send_s;
}

static double requests_per_s(const pools *p, const sp_served *served)
{
    return served->tokens_per_s / p->problem->load.osl;
}

/* The closed loop that answers as many requests a second as arrive: throughput grows with what is
 * under way, so the interval is halved. */
static double concurrency_at(const pools *p, double rate, double most)
{
    double low = 0.0, high = most;
    sp_served served;
    for (int round = 0; round < 24; round++) {
        const double middle = 0.5 * (low + high);
        serve(p, middle, &served);
        if (requests_per_s(p, &served) < rate) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

static void fill_steps(const sp_pool *pool, const sp_pool *prompts, const sp_serve_load *load,
                       sp_serving_point *point)
{
    const sp_loaded d = sp_loaded_make(pool, load), p = sp_loaded_make(prompts, load);
    const double running = point->served.running;
    const double beside = prompts->worker == pool->worker ? running : 0.0;
    const sp_serve_batch answers = {.decodes = running, .context = d.context, .emitted = running};
    const double chunk = fmin(p.new_tokens, fmax(1.0, prompts->step_tokens - beside));
    const sp_serve_batch prompt = {.prompts = 1.0,
                                   .prompt_tokens = chunk,
                                   .prompt_past = p.past + (p.new_tokens - chunk) / 2.0,
                                   .decodes = beside,
                                   .context = d.context,
                                   .emitted = beside};
    sp_pool_step(pool, &answers, &point->decode_step);
    sp_pool_step(prompts, &prompt, &point->prefill_step);
    point->prefill_s = sp_loaded_prompts_s(&p, 1.0, beside);
}

/* Gaps between tokens are steps; those with a piece of a prompt are longer. */
static void fill_gaps(const sp_pool *pool, const sp_serve_load *load, bool apart,
                      sp_serving_point *point)
{
    const double pieces = fmax(1.0, ceil(load->isl / fmax(1.0, pool->step_tokens)));
    point->gap_long_s = apart ? point->decode_step.step_s : point->prefill_s / pieces;
    point->gap_long_ratio = apart ? 0.0 : fmin(1.0, point->served.running * pieces / load->osl);
}

static void fill_busy(const pools *p, double rate, sp_serving_point *point)
{
    const sp_pool *prompts = p->prefill.worker != NULL ? &p->prefill : &p->decode;
    const double servers = (double)prompts->workers * prompts->worker->layout.attn_dp;
    const double ranks = (double)p->decode.workers * p->decode.worker->layout.attn_dp;
    const double prompts_busy = fmin(1.0, rate * point->prefill_s / servers);
    const double tokens = rate * p->problem->load.osl / ranks;
    const double answers_busy =
        fmin(1.0, tokens * point->decode_step.step_s / fmax(1.0, point->served.running));
    const bool apart = p->prefill.worker != NULL;
    point->prefill_busy_ratio = apart ? prompts_busy : fmax(prompts_busy, answers_busy);
    point->decode_busy_ratio = apart ? answers_busy : fmax(prompts_busy, answers_busy);
}

static pools pools_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                      const sp_serving_side *prefill, const sp_serving_side *decode)
{
    pools p = {.decode = decode->pool, .problem = problem};
    if (prefill == NULL) return p;
    p.prefill = prefill->pool;
    p.prefill.workers = (uint32_t)serving(problem, plan->value[SP_SERVING_AXIS_prefill_workers]);
    p.decode.workers = (uint32_t)serving(problem, plan->workers);
    p.link = sp_kv_link_between(problem->machine[SP_PLACE_PREFILL].cluster,
                                problem->machine[SP_PLACE_DECODE].cluster,
                                plan->value[SP_SERVING_AXIS_gpus]);
    return p;
}

/* Of the asked load, what falls to the pools that are looked at: one aggregated worker, or both
 * pools as they are. */
static double share_of(const sp_serving_problem *problem, const sp_serving_plan *plan)
{
    return is_apart(plan) ? 1.0 : 1.0 / serving(problem, plan->workers);
}

void sp_serving_point_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                         const sp_serving_side *prefill, const sp_serving_side *decode,
                         sp_serving_point *point)
{
    const pools p = pools_of(problem, plan, prefill, decode);
    const sp_serve_load *asked = &problem->load;
    const double most = room_of(plan) * p.decode.workers;
    const double share = share_of(problem, plan);
    sp_served full;
    *point = (sp_serving_point){0};
    serve(&p, most, &full);
    point->max_rate = requests_per_s(&p, &full);
    point->load_concurrency = problem->question.utilization * most;
    if (asked->concurrency > 0.0) point->load_concurrency = asked->concurrency * share;
    if (asked->rate > 0.0) {
        point->load_concurrency = concurrency_at(&p, asked->rate * share, most);
    }
    point->kv_transfer_s = serve(&p, point->load_concurrency, &point->served);
    const sp_serve_load load = load_of(problem, point->load_concurrency);
    fill_steps(&p.decode, prefill != NULL ? &p.prefill : &p.decode, &load, point);
    fill_gaps(&p.decode, &load, prefill != NULL, point);
    const double rate = requests_per_s(&p, &point->served);
    fill_busy(&p, rate, point);
    const double request_s = decode->base->worker.timing->request_s;
    point->queue_s =
        fmax(0.0, point->served.ttft_s - request_s - point->prefill_s - point->kv_transfer_s);
}

/* ---- percentiles ---- */

/* Share of requests below each, beside the mean. */
static const double shares[SP_N_PERCENTILES] = {0.0, 0.50, 0.90, 0.95, 0.99};

/* Waiting is memoryless, what follows it is not. */
static void spread_waiting(double least_s, double wait_s, double out[SP_N_PERCENTILES])
{
    out[SP_MEAN] = least_s + wait_s;
    for (int p = SP_P50; p < SP_N_PERCENTILES; p++) {
        out[p] = least_s - wait_s * log1p(-shares[p]);
    }
}

static void fill_latencies(const sp_serving_problem *problem, const sp_serving_point *point,
                           sp_serving_estimate *out)
{
    const sp_served *s = &point->served;
    const double answer_s = fmax(0.0, problem->load.osl - 1.0) * s->tpot_s;
    const double least_s = s->ttft_s - point->queue_s;
    spread_waiting(least_s, point->queue_s, out->latency_s[SP_LATENCY_TTFT]);
    spread_waiting(least_s + answer_s, point->queue_s, out->latency_s[SP_LATENCY_E2E]);
    for (int p = SP_MEAN; p < SP_N_PERCENTILES; p++) {
        const bool beside = shares[p] > 1.0 - point->gap_long_ratio;
        out->latency_s[SP_LATENCY_TPOT][p] = s->tpot_s;
        out->latency_s[SP_LATENCY_ITL][p] = p == SP_MEAN ? s->tpot_s
                                            : beside
                                                ? fmax(point->gap_long_s, point->decode_step.step_s)
                                                : point->decode_step.step_s;
    }
}

/* ---- all workers ---- */

static double all_gpus(const sp_serving_plan *plan, uint32_t *idle)
{
    uint32_t used = plan->workers * sp_serving_worker_gpus(plan, SP_ROLE_DECODE);
    if (is_apart(plan)) {
        used += plan->value[SP_SERVING_AXIS_prefill_workers] *
                sp_serving_worker_gpus(plan, SP_ROLE_PREFILL);
    }
    *idle = plan->value[SP_SERVING_AXIS_gpus] - used;
    return used;
}

static void fill_rates(const sp_serving_problem *problem, const sp_serving_plan *plan,
                       const sp_serving_point *point, sp_serving_estimate *out)
{
    const sp_serve_load *load = &problem->load;
    const double times = is_apart(plan) ? 1.0 : serving(problem, plan->workers);
    out->tokens_per_s = times * point->served.tokens_per_s;
    out->concurrency = times * point->load_concurrency;
    out->max_rate = times * point->max_rate;
    out->requests_per_s = out->tokens_per_s / load->osl;
    out->total_tokens_per_s = out->requests_per_s * (load->isl + load->osl);
    out->tokens_per_s_per_gpu = out->tokens_per_s / out->gpus;
    out->tokens_per_s_per_user = 1.0 / point->served.tpot_s;
}

static double usd_per_hour(const sp_serving_problem *problem, const sp_serving_plan *plan)
{
    const sp_serving_machine *m = problem->machine;
    const double gpus = plan->value[SP_SERVING_AXIS_gpus];
    if (!is_apart(plan)) return gpus * m[SP_PLACE_TOGETHER].usd_per_gpu_hour;
    const double prefill = (double)plan->value[SP_SERVING_AXIS_prefill_workers] *
                           sp_serving_worker_gpus(plan, SP_ROLE_PREFILL);
    return prefill * m[SP_PLACE_PREFILL].usd_per_gpu_hour +
           (gpus - prefill) * m[SP_PLACE_DECODE].usd_per_gpu_hour;
}

/* A busy GPU draws its design power; one that waits, what does not go into arithmetic. */
static double watts_of(const sp_gpu *gpu, double busy_ratio)
{
    return gpu->tdp_watts * (1.0 - gpu->compute_power_ratio * (1.0 - busy_ratio));
}

static double all_watts(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        const sp_serving_point *point, double gpus)
{
    const sp_serving_place place = sp_serving_place_of(plan, SP_ROLE_DECODE);
    const sp_gpu *decode = problem->machine[place].cluster->gpu;
    if (!is_apart(plan)) return gpus * watts_of(decode, point->decode_busy_ratio);
    const sp_gpu *prefill = problem->machine[SP_PLACE_PREFILL].cluster->gpu;
    const double first = (double)plan->value[SP_SERVING_AXIS_prefill_workers] *
                         sp_serving_worker_gpus(plan, SP_ROLE_PREFILL);
    if (prefill->tdp_watts <= 0.0) return 0.0;
    return first * watts_of(prefill, point->prefill_busy_ratio) +
           (gpus - first) * watts_of(decode, point->decode_busy_ratio);
}

static void fill_interval(const sp_serving_problem *problem, const sp_serving_side *prefill,
                          const sp_serving_side *decode, sp_serving_estimate *out)
{
    const double own = decode->base->worker.timing->error_ratio;
    out->borrowed = decode->base->worker.rates.borrowed ||
                    (prefill != NULL && prefill->base->worker.rates.borrowed);
    const double loan = out->borrowed ? problem->loan_error_ratio : 0.0;
    const double error = sqrt(own * own + loan * loan);
    out->low_ratio = 1.0 / (1.0 + error);
    out->high_ratio = 1.0 + error;
}

static bool lacks_memory(const sp_serving_side *side)
{
    return side != NULL && side->memory.verdict == SP_FOOTPRINT_OOM;
}

static bool is_tight(const sp_serving_side *side)
{
    return side != NULL && side->memory.p_oom > 0.1;
}

static sp_serving_verdict judge(const sp_serving_problem *problem, const sp_serving_side *prefill,
                                const sp_serving_side *decode, const sp_serving_estimate *out)
{
    if (lacks_memory(prefill) || lacks_memory(decode)) return SP_SERVING_OVER_MEMORY;
    const double rate = problem->load.rate;
    if (rate > problem->question.utilization * out->max_rate) return SP_SERVING_OVERLOADED;
    if (out->limit != UINT32_MAX) return SP_SERVING_OVER_LIMIT;
    return is_tight(prefill) || is_tight(decode) ? SP_SERVING_TIGHT : SP_SERVING_FITS;
}

void sp_serving_combine(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        const sp_serving_side *prefill, const sp_serving_side *decode,
                        const sp_serving_point *point, sp_serving_estimate *out)
{
    *out = (sp_serving_estimate){.running = point->served.running,
                                 .prefill_s = point->prefill_s,
                                 .decode_step_s = point->decode_step.step_s,
                                 .queue_s = point->queue_s,
                                 .kv_transfer_s = point->kv_transfer_s,
                                 .prefill_step = point->prefill_step,
                                 .decode_step = point->decode_step,
                                 .prefill_busy_ratio = point->prefill_busy_ratio,
                                 .decode_busy_ratio = point->decode_busy_ratio,
                                 .cache_limited = point->served.cache_limited,
                                 .memory = decode->memory};
    const double gpus = all_gpus(plan, &out->gpus_idle);
    out->gpus = (uint32_t)gpus;
    fill_rates(problem, plan, point, out);
    fill_latencies(problem, point, out);
    out->usd_per_hour = usd_per_hour(problem, plan);
    out->usd_per_million_tokens = out->usd_per_hour / 3600.0 / out->tokens_per_s * 1e6;
    out->joules_per_token = all_watts(problem, plan, point, gpus) / out->tokens_per_s;
    fill_interval(problem, prefill, decode, out);
    out->limit = sp_limits_broken(problem, out);
    out->verdict = judge(problem, prefill, decode, out);
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        out->objective[i] = sp_serving_objective_value(problem->objectives[i], out);
    }
}

void sp_serving_estimate_plan(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              sp_serving_estimate *out)
{
    sp_serving_base bases[SP_N_ROLES];
    sp_serving_side prefill, decode;
    sp_serving_point point;
    const bool apart = is_apart(plan);
    if (apart) {
        sp_serving_base_of(problem, plan, SP_ROLE_PREFILL, &bases[SP_ROLE_PREFILL]);
        sp_serving_side_of(problem, plan, SP_ROLE_PREFILL, &bases[SP_ROLE_PREFILL], &prefill);
    }
    sp_serving_base_of(problem, plan, SP_ROLE_DECODE, &bases[SP_ROLE_DECODE]);
    sp_serving_side_of(problem, plan, SP_ROLE_DECODE, &bases[SP_ROLE_DECODE], &decode);
    sp_serving_point_of(problem, plan, apart ? &prefill : NULL, &decode, &point);
    sp_serving_combine(problem, plan, apart ? &prefill : NULL, &decode, &point, out);
}
