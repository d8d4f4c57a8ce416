/* SPDX-License-Identifier: Apache-2.0 */
/* The cache that an engine lays out: a share of some memory, less what counts against it. */
#include "analysis/memory_priv.h"

#include <math.h>

/* What is left out for chunks, graphs and ranks; engines round it to three digits. */
static double automatic_fraction(const sp_footprint_question *q)
{
    const sp_server *s = &q->server;
    const double total = q->gpu->memory_bytes;
    const double tokens = fmax(s->chunk_tokens, s->auto_least_tokens);
    const double groups = q->dp > 1 ? q->dp : 0.0;
    double left = s->auto_base_bytes + s->auto_token_bytes * tokens +
                  s->auto_graph_bytes * s->graph_max + s->auto_rank_bytes * q->tp * q->pp +
                  s->auto_group_bytes * s->graph_max * groups;
    if (total > s->auto_floor_from_bytes) left = fmax(left, s->auto_floor_bytes);
    return fmax(0.0, round((total - left) / total * 1000.0) / 1000.0);
}

double sp_pool_fraction(const sp_footprint_question *q)
{
    if (q->server.base == SP_POOL_GROWING) return 1.0;
    return q->server.fraction > 0.0 ? q->server.fraction : automatic_fraction(q);
}

/* The head runs behind the layers, in the memory that they have left. */
static double profile_pass(const sp_memory_stage *s)
{
    return fmax(s->profile, s->profile_logits);
}

/* Everything but the cache, while the largest pass runs. */
double sp_all_else(const sp_memory_stage *s)
{
    const double fixed = s->fixed[SP_PART_OF_communication] + s->fixed[SP_PART_OF_runtime] +
                         s->fixed[SP_PART_OF_context];
    const bool grows = s->share->question->server.base == SP_POOL_GROWING;
    const double pass = grows ? fmax(fmax(s->chunk, s->step), s->prefill_logits) : profile_pass(s);
    return s->weights + fixed + pass + s->graphs + s->workspace;
}

static double counted_inside(const sp_memory_stage *s)
{
    const sp_server *server = &s->share->question->server;
    double inside = s->weights;
    inside += server->peak_inside_ratio * (profile_pass(s) + s->workspace);
    if (server->runtime_inside > 0.0) {
        inside += s->fixed[SP_PART_OF_runtime] + s->fixed[SP_PART_OF_communication];
    }
    if (server->runtime_inside > 1.0) inside += s->fixed[SP_PART_OF_context];
    return inside + (server->graphs_inside > 0.0 ? s->graphs : 0.0);
}

static void size_by_base(sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    const double total = q->gpu->memory_bytes, context = q->gpu->context_bytes;
    switch (q->server.base) {
    case SP_POOL_TOTAL:
        s->base = total - q->server.leftover_bytes;
        s->inside = counted_inside(s);
        break;
    case SP_POOL_START:
        s->base = total - context - q->reserve_bytes - s->fixed[SP_PART_OF_communication];
        s->inside = s->weights;
        break;
    case SP_POOL_FREE:
    case SP_POOL_GROWING:
        s->base = total - q->reserve_bytes - sp_all_else(s);
        s->inside = 0.0;
        break;
    }
    const double share = sp_pool_fraction(q) * (1.0 - q->server.spare_ratio);
    const double pool = q->server.pool_ratio * (share * s->base - s->inside);
    s->pool = q->server.cached < 1.0 ? 0.0 : fmax(0.0, pool);
    const double request = sp_cached_sum(s->request);
    s->needed = s->running * request / (1.0 - q->server.watermark_ratio);
}

/* Bytes of a token on the stage, where the question's length has it. */
double sp_token_bytes(const sp_memory_stage *s, double tokens)
{
    const double block = s->share->question->server.block_tokens;
    const double now = sp_cached_sum(sp_cached_at(s->share, &s->layers, tokens));
    const double next = sp_cached_sum(sp_cached_at(s->share, &s->layers, tokens + block));
    return (next - now) / block;
}

static void limit_pool(sp_memory_stage *s)
{
    const sp_footprint_question *q = s->share->question;
    const double most = q->server.total_tokens;
    if (most <= 0.0) return;
    s->pool = fmin(s->pool, sp_cached_sum(sp_cached_at(s->share, &s->layers, most)));
}

void sp_pool_size(sp_memory_stage *s)
{
    size_by_base(s);
    limit_pool(s);
}
