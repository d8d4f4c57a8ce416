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
    sp_shape shape = causal_shape(b, s);
    shape.tokens /= sharding->cp;
    sp_layer_work work;
    sp_graph_layer(model, &model->kinds[kind], &shape, sharding, flash, &work);
    assert_in_range(work.n_ops, 1, SP_MAX_OPS);
    assert_in_range(work.n_tensors, 1, SP_MAX_TENSORS);
    return work;
}

static double flops(const sp_layer_work *work, uint32_t first, uint32_t end)
{
    double total = 0.0;
    for (uint32_t i = first; i < end; i++) {
        total += work->ops[i].flops;
    }
    return total;
}

/* Kept bytes of the tensors first .. end - 1 that none of the modules drops. */
static double kept(const sp_layer_work *work, uint32_t first, uint32_t end, uint32_t modules)
{
    double total = 0.0;
    for (uint32_t i = first; i < end; i++) {
        total += (work->tensors[i].modules & modules) == 0 ? work->tensors[i].bytes : 0.0;
    }
    return total;
}

double attention_kept(const sp_layer_work *work)
{
    return kept(work, 0, work->n_attention_tensors, 0);
}

double ffn_kept(const sp_layer_work *work)
{
    return kept(work, work->n_attention_tensors, work->n_tensors, 0);
}

double layer_kept(const sp_layer_work *work)
{
    return kept(work, 0, work->n_tensors, 0);
}

double layer_dropped(const sp_layer_work *work, uint32_t modules)
{
    return layer_kept(work) - kept(work, 0, work->n_tensors, modules);
}

double product_inputs(const sp_layer_work *work)
{
    double total = 0.0;
    for (uint32_t i = 0; i < work->n_tensors; i++) {
        total += work->tensors[i].product_input ? work->tensors[i].bytes : 0.0;
    }
    return total;
}

double attention_flops(const sp_layer_work *work)
{
    return flops(work, 0, work->n_attention_ops);
}

double ffn_flops(const sp_layer_work *work)
{
    return flops(work, work->n_attention_ops, work->n_ops);
}

double flops_again(const sp_layer_work *work, uint32_t modules)
{
    double total = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        total += (work->ops[i].modules & modules) != 0 ? work->ops[i].flops : 0.0;
    }
    return total;
}

const sp_op *find_op(const sp_layer_work *work, const char *name)
{
    for (uint32_t i = 0; i < work->n_ops; i++) {
        if (strcmp(work->ops[i].name, name) == 0) return &work->ops[i];
    }
    fail_msg("the layer has no operator %s", name);
    return NULL;
}
