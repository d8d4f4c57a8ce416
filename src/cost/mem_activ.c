/* SPDX-License-Identifier: Apache-2.0 */
/* Activations of a layer: what waits for the backward pass under each recompute choice.
 * Source: Korthikanti et al., MLSys 2023, table 2. */
#include "cost/cost.h"

#include <assert.h>

sp_layer_bytes sp_mem_layer(const sp_layer_work *work, sp_recompute recompute)
{
    double kept = 0.0, core = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        kept += work->ops[i].kept_bytes;
        core += work->ops[i].core_bytes;
    }
    switch (recompute) {
    case SP_RECOMPUTE_NONE:
        return (sp_layer_bytes){.kept = kept, .working = work->working_bytes};
    case SP_RECOMPUTE_SELECTIVE:
        return (sp_layer_bytes){.kept = kept - core, .working = work->working_bytes + core};
    case SP_RECOMPUTE_FULL:
        break;
    case SP_N_RECOMPUTE:
        assert(false);
        break;
    }
    /* The layer that is being computed again holds its whole set. */
    return (sp_layer_bytes){.kept = work->input_bytes, .working = work->working_bytes + kept};
}

double sp_mem_logits(double tokens, double vocab_columns)
{
    return (2.0 + 4.0 + 2.0) * tokens * vocab_columns;
}
