/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of this room ask of an expanded layer: sums over the operators of a block. */
#include "graph/graph.h"

/* Expands the layer kind `kind` of the model for b sequences of s tokens, the whole over cp ranks.
 */
sp_layer_work expand_layer(const sp_model *model, uint32_t kind, double b, double s,
                           const sp_sharding *sharding, bool flash);
sp_shape causal_shape(double b, double s);
/* Over the attention block, over the rest, or over the layer. */
double attention_kept(const sp_layer_work *work);
double ffn_kept(const sp_layer_work *work);
double layer_kept(const sp_layer_work *work);
double attention_flops(const sp_layer_work *work);
double ffn_flops(const sp_layer_work *work);
/* Kept bytes that go when any of the modules is recomputed, and FLOPs that run again. */
double layer_dropped(const sp_layer_work *work, uint32_t modules);
double flops_again(const sp_layer_work *work, uint32_t modules);
/* Kept bytes that are inputs of matrix products. */
double product_inputs(const sp_layer_work *work);
/* The operator of that name; fails the test when there is none. */
const sp_op *find_op(const sp_layer_work *work, const char *name);
