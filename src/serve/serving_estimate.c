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

static uint32_t serving(const sp_serving_problem *problem, uint32_t workers)
{
    const uint32_t spare = problem->question.spare_replicas;
    return workers > spare ? workers - spare : 0;
}

/* Of a deployment without any, times are those of one worker, and its throughput is nothing. */
uint32_t sp_serving_workers_of(const sp_serving_problem *problem, uint32_t workers)
{
    const uint32_t taking = serving(problem, workers);
    return taking > 0 ? taking : 1;
}

sp_kv_link sp_serving_link_of(const sp_serving_problem *problem, const sp_serving_plan *plan)
{
    return sp_kv_link_between(problem->machine[SP_PLACE_PREFILL].cluster,
                              problem->machine[SP_PLACE_DECODE].cluster,
                              plan->value[SP_SERVING_AXIS_gpus]);
}

/* ---- one worker under its load ---- */

/* Requests that may answer at once. */
static double room_of(const sp_serving_plan *plan, double workers)
{
    return workers * plan->value[SP_SERVING_AXIS_batch] * plan->value[SP_SERVING_AXIS_attn_dp];
}

sp_serve_load sp_serving_load_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                                 double workers)
{
    const double share = workers / sp_serving_workers_of(problem, plan->workers);
    sp_serve_load load = problem->load;
    load.rate *= share;
    load.concurrency *= share;
    if (load.rate <= 0.0 && load.concurrency <= 0.0) {
        load.concurrency = problem->question.utilization * room_of(plan, workers);
    }
    return load;
}

/* Of `running` answers on a rank, and the prompts that the batch holds beside them. */
static void step_of(const sp_pool *pool, sp_serve_batch batch, double running, const sp_loaded *l,
                    sp_serve_step_time *out)
{
    const double width = 1.0 + pool->draft_tokens;
    batch.decodes = running * width;
    batch.context = l->context / width;
    batch.emitted += batch.decodes;
    sp_pool_step(pool, &batch, out);
}

/* A piece of a prompt, beside answers where both share a pool, and a step of answers alone. */
static void fill_parts(const sp_pool *prompts, const sp_pool *answers, const sp_serve_load *load,
                       sp_serving_point *point)
{
    const sp_loaded d = sp_loaded_make(answers, load), p = sp_loaded_make(prompts, load);
    const double beside = prompts == answers ? point->served.running : 0.0;
    const double steps = fmax(1.0, ceil(sp_loaded_steps(&p, 1.0, beside)));
    const double chunk = p.new_tokens / steps;
    const sp_serve_batch piece = {.prompts = 1.0,
                                  .prompt_tokens = chunk,
                                  .prompt_past = p.past + (p.new_tokens - chunk) / 2.0,
                                  .emitted = 1.0 / steps};
    step_of(answers, (sp_serve_batch){0}, point->served.running, &d, &point->decode_step);
    step_of(prompts, piece, beside, &p, &point->prefill_step);
}

/* The share of time in which a worker works: on prompts beside answers, or on answers alone. */
static void fill_busy(const sp_pool *pool, const sp_serve_load *load, sp_serving_point *point)
{
    const double ranks = pool->worker->layout.attn_dp, rate = point->served.requests_per_s / ranks;
    const double tokens = rate * load->osl / sp_pool_tokens_a_step(pool);
    const double filling = rate * point->prefill_s;
    const double answering = tokens * point->decode_step.step_s / fmax(1.0, point->served.running);
    point->prefill_busy_ratio = fmin(1.0, fmax(filling, answering));
    point->decode_busy_ratio = point->prefill_busy_ratio;
}

/* The sides of a pool of one worker as those of so many. */
static sp_prefill_side prefill_of(const sp_serving_side *side, uint32_t workers)
{
    sp_prefill_side p = side->prompts;
    p.gpus = (double)side->base->gpus * workers;
    p.servers *= workers;
    p.workers *= workers;
    p.most_rate *= workers;
    p.spill = sp_prefill_side_spill(p.workers);
    return p;
}

static sp_decode_side decode_of(const sp_serving_side *side, uint32_t workers)
{
    sp_decode_side d = side->answers;
    d.gpus *= workers;
    d.ranks *= workers;
    d.most_rate *= workers;
    return d;
}

/* Means alone. */
static void fill_means(const sp_serve_load *load, sp_joined *joined)
{
    sp_served *s = &joined->served;
    const double answer_s = (load->osl - 1.0) * s->tpot_s;
    s->ttft_tail_s = (sp_tail){.mean = s->ttft_s};
    s->tpot_tail_s = (sp_tail){.mean = s->tpot_s};
    s->itl_tail_s = (sp_tail){.mean = joined->step_s};
    s->e2e_tail_s = (sp_tail){.mean = s->ttft_s + answer_s};
}

static bool asks_tails(const sp_serving_problem *problem)
{
    for (uint32_t i = 0; i < problem->n_limits; i++) {
        if (problem->limits[i].percentile != SP_MEAN) return true;
    }
    return false;
}

/* Whether a mean time to first token of at least so much breaks the first limit; a bound of the
 * others would not tell which of them is broken first. */
static bool breaks_first(const sp_serving_problem *problem, double ttft_s)
{
    const sp_limit *first = &problem->limits[0];
    const double rounding = 1e-9;
    return problem->n_limits > 0 && first->latency == SP_LATENCY_TTFT &&
           first->percentile == SP_MEAN && ttft_s * (1.0 - rounding) > first->most_s;
}

/* What is late by a bound is refused whatever else it does. */
static sp_served late(const sp_serve_load *load, double ttft_s)
{
    sp_joined joined = {
        .served = {.ttft_s = ttft_s, .tpot_s = ttft_s, .stable = true},
          .step_s = ttft_s
    };
    sp_served *s = &joined.served;
    s->requests_per_s = load->rate > 0.0 ? load->rate : load->concurrency / ttft_s;
    s->tokens_per_s = s->requests_per_s * load->osl;
    fill_means(load, &joined);
    return joined.served;
}

static void serve_apart(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        const sp_serving_side *prefill, const sp_serving_side *decode, bool brief,
                        sp_serving_point *point)
{
    const uint32_t first = plan->value[SP_SERVING_AXIS_prefill_workers];
    const sp_prefill_side p = prefill_of(prefill, sp_serving_workers_of(problem, first));
    const uint32_t workers = sp_serving_workers_of(problem, plan->workers);
    const sp_decode_side d = decode_of(decode, workers);
    const sp_serve_load load = sp_serving_load_of(problem, plan, workers);
    const sp_kv_link link = sp_serving_link_of(problem, plan);
    sp_joined joined;
    if (brief && load.rate <= 0.0) {
        const double least_s = sp_joined_least_ttft_s(&p, &d, &load, &link);
        if (breaks_first(problem, least_s)) {
            point->served = late(&load, least_s);
            return;
        }
    }
    sp_serve_join(&p, &d, &load, &link, &joined);
    if (isfinite(joined.served.ttft_s) && brief && !asks_tails(problem)) {
        fill_means(&load, &joined);
    } else {
        sp_joined_tails(&load, &joined);
    }
    point->served = joined.served;
    if (!brief) fill_parts(&prefill->pool, &decode->pool, &load, point);
    point->prefill_s = joined.prompt_s;
    point->queue_s = joined.wait_s + joined.slot_s + joined.burst_s;
    point->kv_transfer_s = joined.send_s;
    point->prefill_busy_ratio = fmin(1.0, joined.prefill_busy_ratio);
    point->decode_busy_ratio = fmin(1.0, joined.decode_busy_ratio);
}

static void serve_together(const sp_serving_problem *problem, const sp_serving_plan *plan,
                           const sp_serving_side *side, sp_serving_point *point)
{
    const sp_serve_load load = sp_serving_load_of(problem, plan, 1.0);
    sp_serve_together(&side->pool, &load, &point->served);
    const sp_loaded l = sp_loaded_make(&side->pool, &load);
    point->prefill_s = sp_loaded_prompts_s(&l, 1.0, point->served.running);
    fill_parts(&side->pool, &side->pool, &load, point);
    fill_busy(&side->pool, &load, point);
    point->queue_s =
        fmax(0.0, point->served.ttft_s - side->base->worker.timing->request_s - point->prefill_s);
}

static void find_point(const sp_serving_problem *problem, const sp_serving_plan *plan,
                       const sp_serving_side *prefill, const sp_serving_side *decode, bool brief,
                       sp_serving_point *point)
{
    *point = (sp_serving_point){0};
    if (prefill != NULL) {
        serve_apart(problem, plan, prefill, decode, brief, point);
    } else {
        serve_together(problem, plan, decode, point);
    }
}

void sp_serving_point_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                         const sp_serving_side *prefill, const sp_serving_side *decode,
                         sp_serving_point *point)
{
    find_point(problem, plan, prefill, decode, false, point);
}

void sp_serving_point_judged(const sp_serving_problem *problem, const sp_serving_plan *plan,
                             const sp_serving_side *prefill, const sp_serving_side *decode,
                             sp_serving_point *point)
{
    find_point(problem, plan, prefill, decode, true, point);
}

/* ---- what users see ---- */

static void put_tail(const sp_tail *tail, double out[SP_N_PERCENTILES])
{
    out[SP_MEAN] = tail->mean;
    out[SP_P50] = tail->p50;
    out[SP_P90] = tail->p90;
    out[SP_P95] = tail->p95;
    out[SP_P99] = tail->p99;
}

static void fill_latencies(const sp_served *s, sp_serving_estimate *out)
{
    put_tail(&s->ttft_tail_s, out->latency_s[SP_LATENCY_TTFT]);
    put_tail(&s->tpot_tail_s, out->latency_s[SP_LATENCY_TPOT]);
    put_tail(&s->itl_tail_s, out->latency_s[SP_LATENCY_ITL]);
    put_tail(&s->e2e_tail_s, out->latency_s[SP_LATENCY_E2E]);
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

/* How often the point is there. */
static double times_of(const sp_serving_problem *problem, const sp_serving_plan *plan)
{
    const uint32_t workers = serving(problem, plan->workers);
    if (!is_apart(plan)) return workers;
    const uint32_t prefill = serving(problem, plan->value[SP_SERVING_AXIS_prefill_workers]);
    return workers > 0 && prefill > 0 ? 1.0 : 0.0;
}

static void fill_rates(const sp_serving_problem *problem, const sp_serving_plan *plan,
                       const sp_serving_point *point, sp_serving_estimate *out)
{
    const sp_serve_load *load = &problem->load;
    const double times = times_of(problem, plan);
    out->tokens_per_s = times * point->served.tokens_per_s;
    out->concurrency = times * point->served.in_flight;
    out->max_rate = times * point->served.most_requests_per_s;
    out->requests_per_s = times * point->served.requests_per_s;
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

static void put_interval(double error_ratio, double *low, double *high)
{
    *high = 1.0 + error_ratio;
    *low = 1.0 / *high;
}

/* Wider where kernels of another part or format stand in. */
static void fill_intervals(const sp_serving_side *prefill, const sp_serving_side *decode,
                           sp_serving_estimate *out)
{
    const sp_server_timing *t = decode->base->worker.timing;
    const bool apart = prefill != NULL;
    out->borrowed = sp_worker_borrows(&decode->base->worker) ||
                    (apart && sp_worker_borrows(&prefill->base->worker));
    const double wider = out->borrowed ? 1.0 + t->borrowed_error_ratio : 1.0;
    const double token = apart ? t->apart_error_ratio : t->error_ratio;
    const double first = apart ? t->apart_ttft_error_ratio : t->ttft_error_ratio;
    const double rate = apart ? t->apart_rate_error_ratio : t->rate_error_ratio;
    put_interval(wider * token, &out->low_ratio, &out->high_ratio);
    put_interval(wider * first, &out->ttft_low_ratio, &out->ttft_high_ratio);
    put_interval(wider * rate, &out->rate_low_ratio, &out->rate_high_ratio);
}

bool sp_serving_side_fits(const sp_serving_side *side)
{
    return side->memory.verdict != SP_FOOTPRINT_OOM;
}

static bool lacks_memory(const sp_serving_side *side)
{
    return side != NULL && !sp_serving_side_fits(side);
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
    const double most = problem->question.utilization * out->max_rate;
    if (out->tokens_per_s <= 0.0 || rate > most) return SP_SERVING_OVERLOADED;
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
    fill_latencies(&point->served, out);
    out->usd_per_hour = usd_per_hour(problem, plan);
    out->usd_per_million_tokens = out->usd_per_hour / 3600.0 / out->tokens_per_s * 1e6;
    out->joules_per_token = all_watts(problem, plan, point, gpus) / out->tokens_per_s;
    fill_intervals(prefill, decode, out);
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
