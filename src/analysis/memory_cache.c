/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of one request on one rank: whole blocks of all tokens where attention sees all, of the
 * newest where it has a window; states of recurrences, whatever the length. */
#include "analysis/memory_priv.h"

#include <math.h>

static double whole_blocks(const sp_server *server, double tokens)
{
    return ceil(tokens / server->block_tokens) * server->block_tokens;
}

static double window_tokens(const sp_server *server, double tokens)
{
    const double more = server->window_blocks * server->block_tokens;
    return tokens > 0.0 ? whole_blocks(server, tokens) + more : 0.0;
}

sp_cached sp_cached_at(const sp_share *share, const sp_held_layers *layers, double tokens)
{
    const sp_footprint_question *q = share->question;
    const double all = whole_blocks(&q->server, tokens);
    const double bits = q->server.kv_formats[q->server.kv].bits;
    sp_cached sum = {0.0, 0.0, 0.0};
    if (q->server.cached < 1.0) return sum;
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        const sp_kind_share *kind = &share->kind[k];
        const double near = fmin(all, window_tokens(&q->server, kind->cache.near_tokens));
        const double elements = kind->cache.token * all + kind->cache.near_token * near;
        sum.values += layers->n[k] * elements * bits / 8.0;
        sum.scales += layers->n[k] * elements * kind->scale_bits / 8.0;
        sum.states +=
            layers->n[k] * (kind->cache.state + kind->cache.convolution) * q->bits.norm / 8.0;
    }
    return sum;
}

/* Beams share the prompt and differ in what they generate. */
sp_cached sp_cached_request(const sp_share *share, const sp_held_layers *layers)
{
    const sp_footprint_question *q = share->question;
    const double more = q->server.beams - 1.0;
    sp_cached all = sp_cached_at(share, layers, (double)q->isl + (double)q->osl);
    const sp_cached prompt = sp_cached_at(share, layers, (double)q->isl);
    all.values += more * (all.values - prompt.values);
    all.scales += more * (all.scales - prompt.scales);
    all.states *= q->server.beams;
    return all;
}

double sp_cached_sum(sp_cached cached)
{
    return cached.values + cached.scales + cached.states;
}
