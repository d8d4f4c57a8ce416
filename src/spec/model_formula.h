/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What models hold that are described by cost formulas (model_formula.c). Formulas are those of one
 * device: nothing here can be cut. */
#include "formula/flat.h"

struct sp_layer_formula {
    const sp_flat *flat;
    const char *class_name;
    uint64_t parameters, active_parameters; /* of one layer: all, and those that a token uses */
    uint64_t cache_elements; /* that one token leaves in the cache of the layer     */
};

struct sp_model_formulas {
    const sp_flat *embedding, *head;
    uint64_t embedding_parameters; /* the token table */
    uint64_t head_parameters;  /* the output head, 0 where it is the token table               */
    uint64_t other_parameters; /* outside layers: the final norm                               */
};
