/* SPDX-License-Identifier: Apache-2.0 */
/* Activations of a layer: what waits for the backward pass under each recompute choice.
 * Source: Korthikanti et al., MLSys 2023, table 2. */
#include "cost/cost.h"

#include <assert.h>

sp_layer_bytes sp_mem_layer(const sp_layer_work *work, uint32_t modules, bool full,
                            double product_bytes)
{
    assert(product_bytes > 0.0);
    const double product_ratio = product_bytes / 2.0;
    double kept = 0.0, dropped = 0.0;
    for (uint32_t i = 0; i < work->n_tensors; i++) {
        const sp_tensor *t = &work->tensors[i];
        const double bytes = t->bytes * (t->product_input ? product_ratio : 1.0);
        const bool again = (t->modules & modules) != 0;
        kept += again ? 0.0 : bytes;
        dropped += again ? bytes : 0.0;
    }
    /* What is computed again is there while its layer runs backwards: under full the whole set. */
    if (full) {
        return (sp_layer_bytes){.kept = work->input_bytes,
                                .working = work->working_bytes + kept + dropped};
    }
    return (sp_layer_bytes){.kept = kept, .working = work->working_bytes + dropped};
}

double sp_mem_logits(double tokens, double vocab_columns)
{
    return (2.0 + 4.0 + 2.0) * tokens * vocab_columns;
}
