/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a GPU that serves: what lies there in each phase of an engine's life, how many
 * requests its cache holds, and whether that is enough. */
#include "analysis/memory_priv.h"

#include <math.h>

#define Z_80 1.2815515655446004 /* of the normal distribution: 80 % lie within */

/* ---- phases ---- */

static void put_cache(const sp_memory_stage *s, sp_cached request, double *bytes)
{
    const double needed = s->running * sp_cached_sum(request);
    const bool grows = s->share->question->server.base == SP_POOL_GROWING;
    const double held = grows || needed <= s->pool ? 1.0 : s->pool / needed;
    bytes[SP_PART_OF_kv_cache] = held * s->running * request.values;
    bytes[SP_PART_OF_kv_scales] = held * s->running * request.scales;
    bytes[SP_PART_OF_states] = held * s->running * request.states;
    bytes[SP_PART_OF_kv_spare] = grows ? 0.0 : fmax(0.0, s->pool - held * needed);
}

/* The head runs behind the layers, in the memory that they have left. */
static void put_pass(double *bytes, double activations, double logits)
{
    bytes[activations >= logits ? SP_PART_OF_activations : SP_PART_OF_logits] =
        fmax(activations, logits);
}

static void fill_phases(const sp_memory_stage *s, sp_footprint *out)
{
    const sp_footprint_question *q = s->share->question;
    for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
        for (sp_memory_part part = 0; part < SP_N_MEMORY_PARTS; part++) {
            out->bytes[phase][part] = s->fixed[part];
        }
        if (phase >= SP_MEMORY_PROFILE) out->bytes[phase][SP_PART_OF_workspace] = s->workspace;
        if (phase >= SP_MEMORY_PREFILL) out->bytes[phase][SP_PART_OF_graphs] = s->graphs;
    }
    if (q->server.base != SP_POOL_GROWING) {
        put_pass(out->bytes[SP_MEMORY_PROFILE], s->profile, s->profile_logits);
    }
    put_pass(out->bytes[SP_MEMORY_PREFILL], s->chunk, s->prefill_logits);
    put_pass(out->bytes[SP_MEMORY_DECODE], s->step, s->logits);
    put_cache(s, sp_cached_at(s->share, &s->layers, (double)q->isl), out->bytes[SP_MEMORY_PREFILL]);
    put_cache(s, s->request, out->bytes[SP_MEMORY_DECODE]);
}

static void find_peak(sp_footprint *out)
{
    out->peak = 0.0;
    for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
        out->total[phase] = 0.0;
        for (sp_memory_part part = 0; part < SP_N_MEMORY_PARTS; part++) {
            out->total[phase] += out->bytes[phase][part];
        }
        if (out->total[phase] <= out->peak) continue;
        out->peak = out->total[phase];
        out->peak_phase = phase;
    }
}

/* Weights and cache are counted; what a release of the engine allocates beside them is not. */
static void find_chance(const sp_footprint_question *q, sp_footprint *out)
{
    const double *bytes = out->bytes[out->peak_phase];
    const double uncertain = bytes[SP_PART_OF_activations] + bytes[SP_PART_OF_logits] +
                             bytes[SP_PART_OF_graphs] + bytes[SP_PART_OF_communication] +
                             bytes[SP_PART_OF_workspace] + bytes[SP_PART_OF_runtime];
    const double spread = q->server.error_ratio * uncertain;
    out->low = out->peak - spread;
    out->high = out->peak + spread;
    const double z = spread > 0.0 ? (out->usable - out->peak) / (spread / Z_80) : (double)INFINITY;
    out->p_oom = out->peak > out->usable && spread <= 0.0 ? 1.0 : 0.5 * erfc(z / sqrt(2.0));
}

/* ---- the answer ---- */

static void fill_cache(const sp_memory_stage *s, sp_footprint *out)
{
    const sp_footprint_question *q = s->share->question;
    const double length = sp_longest(q), block = q->server.block_tokens;
    const double whole = sp_cached_sum(sp_cached_admitted(s->share, &s->layers, length));
    out->request = sp_cached_sum(s->request);
    out->needed = s->needed;
    out->pool = s->pool;
    out->token = sp_token_bytes(s, length);
    out->concurrency = whole > 0.0 ? s->pool / whole : 0.0;
    out->blocks = floor(out->concurrency * ceil(length / block));
    out->tokens = out->blocks * block;
    out->concurrency = length > 0.0 ? out->tokens / (ceil(length / block) * block) : 0.0;
    out->fraction = sp_pool_fraction(q);
    out->fraction_needed = q->server.fraction_flag != NULL && s->base > 0.0
                               ? (s->needed / fmax(q->server.pool_ratio, 1e-9) + s->inside) /
                                     s->base / (1.0 - q->server.spare_ratio)
                               : 0.0;
}

static sp_footprint_verdict judge(const sp_footprint_question *q, const sp_footprint *out)
{
    const bool grows = q->server.base == SP_POOL_GROWING, cached = q->server.cached >= 1.0;
    if (out->peak > out->usable) return SP_FOOTPRINT_OOM;
    if (cached && !grows && out->pool < out->request) return SP_FOOTPRINT_OOM;
    if (sp_requests(q) > sp_running(q)) return SP_FOOTPRINT_QUEUES;
    if (cached && !grows && out->pool < out->needed) return SP_FOOTPRINT_QUEUES;
    const bool full = out->peak > (1.0 - q->headroom_ratio) * out->usable;
    return full || out->p_oom > 0.1 ? SP_FOOTPRINT_TIGHT : SP_FOOTPRINT_FITS;
}

/* Of the stage with the least room, which also bounds the cache of all: every stage holds the same
 * requests. */
static double room(const sp_memory_stage *s)
{
    if (s->share->question->server.base == SP_POOL_GROWING) return s->pool - s->needed;
    const double request = sp_cached_sum(s->request);
    return request > 0.0 ? s->pool / request : -sp_all_else(s);
}

static sp_memory_stage build_stage(const sp_share *share, uint32_t index)
{
    sp_memory_stage s = {.share = share, .layers = sp_share_stage(share->question, index)};
    sp_memory_stage_fill(&s);
    sp_pool_size(&s);
    return s;
}

static void evaluate(const sp_footprint_question *q, const sp_share *share, sp_footprint *out)
{
    sp_memory_stage tightest = {0};
    *out = (sp_footprint){.usable = q->gpu->memory_bytes - q->reserve_bytes,
                          .host = q->server.host_bytes};
    for (uint32_t index = 0; index < q->pp; index++) {
        const sp_memory_stage s = build_stage(share, index);
        if (index > 0 && room(&s) >= room(&tightest)) continue;
        tightest = s;
        out->stage = index;
    }
    out->weights = tightest.weights;
    out->host += tightest.offloaded;
    fill_phases(&tightest, out);
    find_peak(out);
    find_chance(q, out);
    fill_cache(&tightest, out);
    out->verdict = judge(q, out);
}

void sp_footprint_evaluate(const sp_footprint_question *question, sp_footprint *out)
{
    sp_share share;
    sp_footprint_question here = *question;
    here.server = sp_server_on_gpu(question);
    sp_share_build(&here, &share);
    evaluate(&here, &share, out);
}

void sp_footprint_evaluate_shared(const sp_footprint_question *question, const sp_share *share,
                                  sp_footprint *out)
{
    sp_share here = *share;
    here.question = question;
    evaluate(question, &here, out);
}

bool sp_footprint_serves(const sp_footprint *footprint)
{
    return footprint->verdict == SP_FOOTPRINT_FITS || footprint->verdict == SP_FOOTPRINT_TIGHT;
}
