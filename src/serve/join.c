/* SPDX-License-Identifier: Apache-2.0 */
/* Two pools joined in closed form. Prompts queue for servers that take all that wait at once;
 * answers share the steps of decode workers. A closed loop has the one rate at which all its
 * requests are somewhere (Little). Left out: that a pool's workers are not filled evenly. */
#include "serve/serve_priv.h"

#include <assert.h>
#include <math.h>

const char *sp_serve_bound_name(sp_serve_bound bound)
{
    static const char *const names[SP_N_SERVE_BOUNDS] = {"users", "prefill", "decode"};
    assert(bound < SP_N_SERVE_BOUNDS);
    return names[bound];
}

typedef struct join {
    const sp_prefill_side *prefill;
    const sp_decode_side *decode;
    const sp_serve_load *load;
    double users; /* 0: open loop */
    double send_s;
} join;

/* At one rate. */
typedef struct flow {
    double rate, wait_s, prompt_s, running, step_s;
} flow;

/* ---- answers ---- */

/* Answers under way are those that begin in the time of one: running ranks = rate steps step_s, on
 * the line through two points. */
static void find_running(const join *j, flow *f)
{
    const sp_decode_side *d = j->decode;
    const double load = f->rate * d->steps / d->ranks;
    uint32_t i = 0;
    while (i < d->n_points && d->running[i] < load * d->step_s[i]) {
        i++;
    }
    if (i == 0) {
        f->step_s = d->step_s[0];
        f->running = load * f->step_s;
        return;
    }
    if (i == d->n_points) {
        f->running = d->running[i - 1];
        f->step_s = d->step_s[i - 1];
        return;
    }
    const double slope = (d->step_s[i] - d->step_s[i - 1]) / (d->running[i] - d->running[i - 1]);
    const double rest_s = d->step_s[i - 1] - slope * d->running[i - 1];
    f->running = load * rest_s / (1.0 - load * slope);
    f->step_s = rest_s + slope * f->running;
}

/* ---- prompts ---- */

/* Requests that start together come back together, less so with every answer of another length:
 * the time over which they come, of a round, halfway through the run. */
static double window_s(const join *j, const flow *f, double round_s)
{
    const double work_s = j->users * j->prefill->crowd_s / j->prefill->servers;
    const double answer_s = j->decode->steps * f->step_s;
    const double rounds = j->load->requests_per_user;
    if (j->users <= 0.0 || rounds <= 0.0) return round_s;
    return fmin(round_s, work_s + 2.0 * j->load->length_spread * answer_s * sqrt(rounds / 2.0));
}

/* All that wait are taken at once: a server's step takes start + each n and n come in it. The wait
 * for it is Sakasegawa's for many servers, Eur. J. Oper. Res. 1977, with one server the mean of an
 * M/D/1 queue. Nobody waits for oneself. */
static void find_wait(const join *j, flow *f)
{
    const sp_prefill_side *p = j->prefill;
    const double round_s = j->users > 0.0 ? j->users / f->rate : 0.0;
    const double open_s = j->users > 0.0 ? window_s(j, f, round_s) : 0.0;
    const double others = j->users > 0.0 ? (j->users - 1.0) / j->users : 1.0;
    const double rate = j->users > 0.0 ? others * j->users / open_s : f->rate;
    const double each = rate / p->servers, full = fmin(1.0, each * p->crowd_s);
    const double grown_s =
        each * p->each_s < 1.0 ? p->start_s / (1.0 - each * p->each_s) : (double)INFINITY;
    const double step_s = fmin(p->full_s, fmax(p->alone_s, grown_s));
    const double found = pow(fmin(1.0, rate / p->workers * p->alone_s), p->spill);
    const double queue = pow(full, p->spill + 1.0) / fmax(1e-9, 1.0 - full);
    const double calm = j->users > 0.0 ? full * (1.0 - open_s / round_s) : 0.0;
    const double varies = j->users > 0.0 ? 1.0 - calm : j->load->burstiness;
    f->prompt_s = step_s;
    f->wait_s = varies * (found * step_s / p->workers + queue * p->crowd_s / p->servers) / 2.0;
    if (open_s < round_s) {
        f->wait_s = fmin(f->wait_s, j->users * p->crowd_s / p->servers / 2.0);
    }
}

static double busy_s(const join *j, const flow *f)
{
    return j->prefill->request_s + f->wait_s + f->prompt_s + j->send_s;
}

/* ---- the link ---- */

/* Every GPU sends and gets at its own link: whichever has more of the cache. */
double sp_pools_send_s(const sp_prefill_side *p, const sp_decode_side *d, const sp_kv_link *link)
{
    const double senders = p->gpus / p->servers;
    const double bytes = fmax(d->received_bytes, d->received_in_all_bytes / senders);
    return p->transfer_s + link->latency_s + p->exposed_ratio * bytes / link->bytes_per_s;
}

/* ---- the rate ---- */

/* Requests that are somewhere, at this rate. */
static double under_way(const join *j, double rate, flow *f)
{
    f->rate = rate;
    find_running(j, f);
    find_wait(j, f);
    return rate * busy_s(j, f) + j->decode->ranks * f->running;
}

#define MOST_ROUNDS 32
#define SLOW_ROUNDS 8    /* after so many, every other one halves what is left */
#define CLOSE_RATIO 1e-9 /* of the users, that may be missing */

/* Of a request that meets no other. */
static double least_cycle_s(const join *j)
{
    const sp_prefill_side *p = j->prefill;
    return p->request_s + fmin(p->alone_s, p->full_s) + j->send_s +
           j->decode->steps * j->decode->step_s[0];
}

/* The rate at which all users are under way. Between what their round at some rate yields and that
 * rate is a difference that falls almost straight, also where queues grow without end; chords of it
 * halve the weight of an end that stays twice (Dowell, Jarratt, BIT 11, 1971). */
static flow closed_flow(const join *j, double most)
{
    flow f = {0};
    double all = under_way(j, most, &f);
    if (all <= j->users) return f;
    enum { NEITHER, LOW, HIGH } moved = NEITHER;
    double low = 0.0, high = most;
    double below = j->users / least_cycle_s(j), above = (j->users / all - 1.0) * most;
    for (int i = 0; i < MOST_ROUNDS; i++) {
        const bool halve = i >= SLOW_ROUNDS && i % 2 == 0;
        const double at = halve ? 0.5 * (low + high) : low + below * (high - low) / (below - above);
        all = under_way(j, at, &f);
        if (fabs(all - j->users) <= CLOSE_RATIO * j->users) return f;
        const double over = (j->users / all - 1.0) * at;
        if (over > 0.0) {
            low = at;
            below = over;
            above *= moved == LOW ? 0.5 : 1.0;
            moved = LOW;
        } else {
            high = at;
            above = over;
            below *= moved == HIGH ? 0.5 : 1.0;
            moved = HIGH;
        }
    }
    return f;
}

/* No rate is above the most that both pools do, and no step below it longer. */
double sp_joined_least_ttft_s(const sp_prefill_side *prefill, const sp_decode_side *decode,
                              const sp_serve_load *load, const sp_kv_link *link)
{
    assert(load->rate <= 0.0);
    const join j = {.prefill = prefill,
                    .decode = decode,
                    .load = load,
                    .users = fmax(1.0, load->concurrency),
                    .send_s = sp_pools_send_s(prefill, decode, link)};
    flow f = {.rate = fmin(prefill->most_rate, decode->most_rate)};
    const double alone_s = least_cycle_s(&j) - decode->steps * decode->step_s[0];
    find_running(&j, &f);
    return fmax(alone_s, j.users / f.rate - decode->steps * f.step_s);
}

/* Of a place in a decode worker, when answers come and go at random. */
static double open_slot_s(const join *j, const flow *f)
{
    const sp_decode_side *d = j->decode;
    const double places = d->ranks * d->most, full = f->rate / d->most_rate;
    if (!(full < 1.0)) return INFINITY;
    return j->load->burstiness * d->steps * f->step_s *
           pow(full, sqrt(2.0 * (places + 1.0)) - 1.0) / (2.0 * places * (1.0 - full));
}

/* ---- the start ---- */

/* All users send at once; a worker begins with the first that it sees and then takes full step by
 * full step, so that their first tokens come halfway on average. The mean over the run has one such
 * round. */
static double burst_s(const join *j, const flow *f)
{
    const sp_prefill_side *p = j->prefill;
    const double each = j->users / p->servers, fitting = p->full_s / p->crowd_s;
    if (j->load->requests_per_user <= 0.0 || j->users <= 0.0) return 0.0;
    const double later = fmax(0.0, 1.0 - p->workers / j->users); /* all but the first of each */
    const double together_s = each <= fitting ? p->start_s + fmax(1.0, each) * p->each_s
                                              : p->crowd_s * (each + fitting) / 2.0;
    const double first_s = later * p->alone_s + together_s;
    return fmax(0.0, first_s - f->wait_s - f->prompt_s) / j->load->requests_per_user;
}

/* Answers under way vary as their square root where they come at random; a closed loop's number is
 * its own. */
static double step_spread_s(const join *j, const flow *f)
{
    const sp_decode_side *d = j->decode;
    const double more = f->running + sqrt(f->running / d->ranks);
    if (j->users > 0.0 || f->running <= 0.0) return 0.0;
    return sp_decode_side_step_s(d, fmin(more, d->most)) - f->step_s;
}

static void fill(const join *j, const flow *f, sp_joined *out)
{
    sp_served *s = &out->served;
    out->wait_s = f->wait_s;
    out->prompt_s = f->prompt_s;
    out->send_s = j->send_s;
    out->burst_s = burst_s(j, f);
    out->step_s = f->step_s;
    out->step_spread_s = step_spread_s(j, f);
    s->tpot_s = f->step_s / j->decode->tokens_a_step;
    s->ttft_s = busy_s(j, f) + out->slot_s + out->burst_s;
    const double all_s = s->ttft_s + j->decode->steps * f->step_s;
    s->requests_per_s = j->users > 0.0 ? j->users / all_s : f->rate;
    s->in_flight = j->users > 0.0 ? j->users : f->rate * all_s;
    s->tokens_per_s = s->requests_per_s * j->load->osl;
    s->tokens_per_s_per_gpu = s->tokens_per_s / (j->prefill->gpus + j->decode->gpus);
    s->running = f->running;
    s->cache_limited = j->decode->cache_limited;
    out->prefill_busy_ratio = f->rate / j->prefill->most_rate;
    out->decode_busy_ratio = f->running / j->decode->most;
}

void sp_serve_join(const sp_prefill_side *prefill, const sp_decode_side *decode,
                   const sp_serve_load *load, const sp_kv_link *link, sp_joined *out)
{
    join j = {.prefill = prefill, .decode = decode, .load = load};
    const double most = fmin(prefill->most_rate, decode->most_rate);
    flow f = {0};
    *out = (sp_joined){
        .served = {.most_requests_per_s = most, .stable = load->rate < most}
    };
    j.send_s = sp_pools_send_s(prefill, decode, link);
    if (load->rate > 0.0) {
        under_way(&j, fmin(load->rate, most), &f);
        out->slot_s = open_slot_s(&j, &f);
        if (load->rate >= prefill->most_rate) f.wait_s = (double)INFINITY;
    } else {
        j.users = fmax(1.0, load->concurrency);
        f = closed_flow(&j, most);
        out->slot_s = fmax(0.0, j.users / f.rate - busy_s(&j, &f) - decode->steps * f.step_s);
    }
    fill(&j, &f, out);
    out->bound = most < decode->most_rate ? SP_BOUND_PREFILL : SP_BOUND_DECODE;
    if (f.rate < 0.98 * most) out->bound = SP_BOUND_USERS;
}

double sp_pools_most(const sp_pool *decode, const sp_serve_load *load)
{
    const double ranks = (double)decode->workers * decode->worker->layout.attn_dp;
    return load->rate > 0.0 ? decode->worker->timing->graph_tokens : load->concurrency / ranks;
}

void sp_serve_apart(const sp_pool *prefill, const sp_pool *decode, const sp_serve_load *load,
                    const sp_kv_link *link, sp_joined *out)
{
    sp_prefill_side p;
    sp_decode_side d;
    sp_prefill_side_make(prefill, load, &p);
    sp_decode_side_make(decode, load, sp_pools_most(decode, load), &d);
    sp_serve_join(&p, &d, load, link, out);
}
