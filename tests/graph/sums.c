/* SPDX-License-Identifier: Apache-2.0 */
/* See sums.h. */
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

sp_shape causal_shape(double b, double s)
{
    return (sp_shape){.sequences = b, .tokens = b * s, .length = s, .context = s / 2.0};
}

sp_layer_work expand_layer(const sp_model *model, uint32_t kind, double b, double s,
                           const sp_sharding *sharding, bool flash)
{
    const sp_shape shape = causal_shape(b, s);
    sp_layer_work work;
    sp_graph_layer(model, &model->kinds[kind], &shape, sharding, flash, &work);
    assert_in_range(work.n_ops, 1, SP_MAX_OPS);
    return work;
}

typedef double (*op_figure)(const sp_op *op);

static double kept_of(const sp_op *op)
{
    return op->kept_bytes;
}
static double core_of(const sp_op *op)
{
    return op->core_bytes;
}
static double flops_of(const sp_op *op)
{
    return op->flops;
}

static double sum(const sp_layer_work *work, uint32_t first, uint32_t end, op_figure figure)
{
    double total = 0.0;
    for (uint32_t i = first; i < end; i++) {
        total += figure(&work->ops[i]);
    }
    return total;
}

double attention_kept(const sp_layer_work *work)
{
    return sum(work, 0, work->n_attention_ops, kept_of);
}

double ffn_kept(const sp_layer_work *work)
{
    return sum(work, work->n_attention_ops, work->n_ops, kept_of);
}

double layer_kept(const sp_layer_work *work)
{
    return sum(work, 0, work->n_ops, kept_of);
}

double attention_flops(const sp_layer_work *work)
{
    return sum(work, 0, work->n_attention_ops, flops_of);
}

double ffn_flops(const sp_layer_work *work)
{
    return sum(work, work->n_attention_ops, work->n_ops, flops_of);
}

double layer_core(const sp_layer_work *work)
{
    return sum(work, 0, work->n_ops, core_of);
}

const sp_op *find_op(const sp_layer_work *work, const char *name)
{
    for (uint32_t i = 0; i < work->n_ops; i++) {
        if (strcmp(work->ops[i].name, name) == 0) return &work->ops[i];
    }
    fail_msg("the layer has no operator %s", name);
    return NULL;
}
