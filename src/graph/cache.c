/* SPDX-License-Identifier: Apache-2.0 */
/* What one layer remembers of a sequence while it decodes: keys and values, or the latent vector
 * that all heads share, of all tokens or of the newest; compressed keys, keys of the indexer; the
 * state of a recurrence and the inputs of its convolution. */
#include "graph/graph.h"

#include "spec/model_formula.h"

/* Keys and values of a token; what is shared by the heads is whole on every rank. */
static double attention_elements(const sp_attention *a, uint32_t tp)
{
    if (a->heads == 0 || a->kv_of_other) return 0.0;
    if (a->kv_lora > 0) return (double)a->kv_lora + a->rope_dim;
    const double values = a->kv_cached_once ? 0.0 : sp_v_dim(a);
    return sp_kv_heads_local(a, tp) * (a->head_dim + values);
}

static void add_attention(const sp_attention *a, uint32_t tp, sp_cache *cache)
{
    const double elements = attention_elements(a, tp);
    const double index = a->heads > 0 && a->index_heads > 0 ? a->index_dim : 0.0;
    const uint32_t near = a->chunk > 0 ? a->chunk : a->window;
    if (near > 0) {
        cache->near_token = elements;
        cache->near_tokens = near;
    } else if (a->compress == 0) {
        cache->token = elements;
    }
    cache->token += a->compress > 0 ? (elements + index) / a->compress : index;
}

static void add_recurrent(const sp_recurrent *r, uint32_t tp, sp_cache *cache)
{
    if (r->form == SP_RECURRENCE_NONE) return;
    const double kept = r->conv_kernel > 0 ? r->conv_kernel - 1.0 : 0.0;
    cache->convolution = (double)r->conv_width / tp * kept;
    if (r->form == SP_RECURRENCE_CONV) return;
    cache->state = (double)r->heads / tp * r->key_dim * r->value_dim;
}

sp_cache sp_graph_cache(const sp_layer_kind *kind, const sp_sharding *sharding)
{
    sp_cache cache = {0};
    if (kind->formula != NULL) {
        cache.token = (double)kind->formula->cache_elements;
        return cache;
    }
    add_attention(&kind->attention, sharding->tp, &cache);
    add_recurrent(&kind->recurrent, sharding->tp, &cache);
    return cache;
}

double sp_cache_elements(const sp_cache *cache, double tokens)
{
    const double near = tokens < cache->near_tokens ? tokens : cache->near_tokens;
    return cache->token * tokens + cache->near_token * near + cache->state + cache->convolution;
}
