/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of one request on one rank: whole blocks of all tokens where attention sees all, of the
 * newest where it has a window; states of recurrences, whatever the length. */
#include "analysis/memory_priv.h"

#include <math.h>

static double whole_blocks(const sp_server *server, double tokens)
{
    return ceil(tokens / server->block_tokens) * server->block_tokens;
}

/* `behind` tokens are computed at once and see the window before them. */
static double window_tokens(const sp_server *server, double window, double all, double behind)
{
    const double more = server->window_blocks * server->block_tokens;
    const double seen = window > 0.0 && behind > 0.0 ? window - 1.0 + behind : window;
    const double near = window > 0.0 ? whole_blocks(server, seen) + more : 0.0;
    return fmin(all, fmax(near, server->window_ratio * all));
}

/* Layers without and with a window. */
typedef struct sp_grouped {
    double n[2];
    double size; /* of a group; 0 = no groups */
} sp_grouped;

static bool has_window(const sp_kind_share *kind)
{
    return kind->cache.near_token > 0.0 && kind->cache.token <= 0.0;
}

/* Groups share one kind of block, so the last of each is padded to the others' layers. */
static sp_grouped group_layers(const sp_share *share, const sp_held_layers *layers)
{
    const sp_footprint_question *q = share->question;
    sp_grouped g = {
        {0.0, 0.0},
        0.0
    };
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        const sp_kind_share *kind = &share->kind[k];
        if (has_window(kind) || kind->cache.token > 0.0) g.n[has_window(kind)] += layers->n[k];
    }
    const double fewer = fmin(g.n[0], g.n[1]), more = fmax(g.n[0], g.n[1]);
    if (q->server.group_ratio > 0.0) g.size = more < q->server.group_ratio * fewer ? more : fewer;
    return g;
}

static double padding(const sp_grouped *g, const sp_kind_share *kind)
{
    const double n = g->n[has_window(kind)];
    return g->size > 0.0 && n > 0.0 ? ceil(n / g->size) * g->size / n : 1.0;
}

static sp_cached cached(const sp_share *share, const sp_held_layers *layers, double tokens,
                        double behind)
{
    const sp_footprint_question *q = share->question;
    const double all = whole_blocks(&q->server, tokens);
    const double bits = q->server.kv_formats[q->server.kv].bits;
    sp_cached sum = {0.0, 0.0, 0.0};
    const sp_grouped groups = group_layers(share, layers);
    if (q->server.cached < 1.0) return sum;
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        const sp_kind_share *kind = &share->kind[k];
        const double near = window_tokens(&q->server, kind->cache.near_tokens, all, behind);
        const double elements =
            padding(&groups, kind) * (kind->cache.token * all + kind->cache.near_token * near);
        sum.values += layers->n[k] * elements * bits / 8.0;
        sum.scales += layers->n[k] * elements * kind->scale_bits / 8.0;
        sum.states +=
            layers->n[k] * (kind->cache.state + kind->cache.convolution) * q->bits.norm / 8.0;
    }
    return sum;
}

sp_cached sp_cached_at(const sp_share *share, const sp_held_layers *layers, double tokens)
{
    return cached(share, layers, tokens, 0.0);
}

sp_cached sp_cached_admitted(const sp_share *share, const sp_held_layers *layers, double tokens)
{
    const sp_server *server = &share->question->server;
    const double chunk = server->chunk_tokens > 0.0 ? fmin(server->chunk_tokens, tokens) : tokens;
    return cached(share, layers, tokens, server->window_chunk > 0.0 ? chunk : 0.0);
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
