/* SPDX-License-Identifier: Apache-2.0 */
/* The attention core and the gate behind it. What the core keeps follows Korthikanti et al., MLSys
 * 2023, section 4. */
#include "graph/graph.h"

#include <assert.h>
#include <math.h>

double sp_kv_heads_local(const sp_attention *a, uint32_t tp)
{
    return a->kv_heads >= tp ? (double)a->kv_heads / tp : 1.0;
}

/* The fused core keeps its output and one log-sum-exp (4 bytes) a query and head. The unfused one
 * keeps the probabilities (2 bytes a score) and, under dropout, mask and dropped probabilities
 * (1 + 2 bytes). Recomputing it drops all but the output, which the projection or gate needs. */
static void keep_core(const sp_core *core, const sp_shape *s, sp_layer_work *work)
{
    const double score_bytes = core->dropout ? 5.0 : 2.0;
    const double rows = core->heads * s->tokens;
    sp_keep(work, core->flash ? 4.0 * rows : score_bytes * rows * s->length, SP_MODULE_CORE, false);
    sp_keep(work, 2.0 * rows * core->v_dim, 0, core->attention->gate == 0);
}

static void add_core(const sp_core *core, const sp_shape *s, const sp_sharding *shard,
                     sp_layer_work *work)
{
    const double visible = sp_visible_keys(core->attention, s);
    *sp_op_next(work) = (sp_op){
        .name = "attention_core",
        .class = SP_OP_ATTENTION,
        .part = SP_PART_ATTENTION,
        .modules = SP_MODULE_CORE,
        .m = s->length / shard->cp,
        .n = s->past + s->length,
        .k = core->head_dim,
        .count = core->heads * s->sequences,
        .v = (uint32_t)core->v_dim,
        .vectors = core->attention->sinks ? core->heads : 0.0,
        .flops = 2.0 * visible * core->heads * (core->head_dim + core->v_dim) * s->tokens,
        .bytes = 2.0 * s->sequences * core->key_elements * sp_touched_keys(core->attention, s)};
}

void sp_core_expand(const sp_core *core, const sp_shape *s, const sp_sharding *shard,
                    sp_layer_work *work)
{
    assert(fabs(s->sequences * s->length - s->tokens * shard->cp) <= 1e-9 * s->tokens * shard->cp);
    if (!work->without_ops) add_core(core, s, shard, work);
    keep_core(core, s, work);
    const double element_bytes = 2.0 * s->tokens;
    work->attention.kv_bytes = element_bytes * core->key_elements;
    work->attention.q_bytes = element_bytes * core->heads * core->head_dim;
    work->attention.o_bytes = element_bytes * core->heads * core->v_dim;
}

/* Its gradient needs the core's output and the gate, from which the gated output can be had again.
 */
void sp_gate_expand(const sp_attention *a, double heads, double hidden, double tokens,
                    sp_layer_work *work)
{
    const double columns = heads * a->gate, v = heads * sp_v_dim(a);
    sp_op_gemm(work, "attention_gate", SP_PART_ATTENTION, tokens, columns, hidden);
    sp_keep(work, 2.0 * columns * tokens, 0, false);
    sp_op_stream(work, "gated_output", SP_PART_ATTENTION, (v + columns) * tokens, v * tokens)
        ->modules = SP_MODULE_STREAMS;
    sp_keep(work, 2.0 * v * tokens, SP_MODULE_STREAMS, true);
}
