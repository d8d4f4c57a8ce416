/* SPDX-License-Identifier: Apache-2.0 */
/* A step of a pool's worker: by its table where it has one, and of as many workers side by side as
 * its prompts are cut for. Under context parallelism every rank computes its piece of each prompt
 * and holds that piece of its cache; the keys and values of a chunk are gathered by all, and all
 * run every answer over their pieces and add up what they find. */
#include "serve/step_table.h"

static void priced(const sp_pool *pool, const sp_serve_batch *batch, sp_serve_step_time *out)
{
    if (pool->steps != NULL) {
        sp_step_table_step(pool->steps, batch, out);
    } else {
        sp_serve_step(pool->worker, batch, out);
    }
}

/* The mean query of a rank's piece sees as much as the mean query of the whole. */
static sp_serve_batch cut(const sp_serve_batch *batch, double n)
{
    sp_serve_batch piece = *batch;
    piece.prompt_tokens = batch->prompt_tokens / n;
    piece.prompt_past = batch->prompt_past + (batch->prompt_tokens - piece.prompt_tokens) / 2.0;
    piece.context = batch->context / n;
    return piece;
}

static double exchange_s(const sp_pool *pool, const sp_serve_batch *batch)
{
    const sp_worker *w = pool->worker;
    const double tokens = batch->prompts * batch->prompt_tokens, width = w->formats.kv_bits / 8.0;
    double s = 0.0;
    for (uint32_t k = 0; k < w->model->n_kinds; k++) {
        const sp_layer_kind *kind = &w->model->kinds[k];
        const sp_attention *a = &kind->attention;
        if (a->heads == 0) continue;
        const sp_cache cache = sp_graph_cache(kind, &w->sharding);
        const double kept = width * tokens * (cache.token + cache.near_token);
        const double found = 4.0 * batch->decodes * a->heads / w->layout.tp * sp_v_dim(a);
        if (tokens > 0.0) s += w->n_layers[k] * sp_coll_allgather_s(pool->cp, kept);
        if (batch->decodes > 0.0) s += w->n_layers[k] * sp_coll_allreduce_s(pool->cp, found);
    }
    return s;
}

void sp_pool_step(const sp_pool *pool, const sp_serve_batch *batch, sp_serve_step_time *out)
{
    if (pool->cp == NULL) {
        priced(pool, batch, out);
        return;
    }
    const sp_serve_batch piece = cut(batch, pool->cp->n);
    const double between_s = exchange_s(pool, batch);
    priced(pool, &piece, out);
    out->collective_s += between_s;
    out->step_s += between_s;
    out->stage_s += between_s / pool->worker->layout.pp;
}
