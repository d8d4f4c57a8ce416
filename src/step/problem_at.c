/* SPDX-License-Identifier: Apache-2.0 */
/* A problem at another size: a copy that borrows what files said and works out anew what follows
 * from model, sequence, batch and rank, for a pipeline of one depth. */
#include "step/step.h"

#include <assert.h>

sp_sizes sp_problem_sizes(const sp_problem *problem)
{
    return (sp_sizes){.model = problem->model,
                      .seq_len = problem->question.seq_len,
                      .global_batch = problem->question.global_batch,
                      .lora_rank = problem->question.lora_rank};
}

void sp_problem_at(const sp_problem *whole, const sp_sizes *sizes, uint32_t pp,
                   sp_stage_split *room, sp_problem *out)
{
    assert(pp >= 1 && pp <= sizes->model->n_layers);
    *out = *whole;
    out->model = sizes->model;
    out->question.seq_len = sizes->seq_len;
    out->question.global_batch = sizes->global_batch;
    out->question.lora_rank = sizes->lora_rank;
    sp_problem_read_model(out);
    sp_stage_split *own = &room[(pp - 1) * SP_N_STAGE_LAYERS * SP_N_LAYOUTS];
    for (uint32_t k = 0; k < SP_N_STAGE_LAYERS * SP_N_LAYOUTS; k++) {
        sp_split_build(out, pp, (sp_stage_layers)(k / SP_N_LAYOUTS),
                       (sp_block_layout)(k % SP_N_LAYOUTS), &own[k]);
    }
    out->splits = room;
}
