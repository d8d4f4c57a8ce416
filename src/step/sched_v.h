/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the V-shaped schedules with controllable memory share (Qi et al., NeurIPS 2024,
 * arXiv:2405.15362): the passes of one micro-batch form a block of slots, the block is repeated
 * every six slots, and idle slots are squeezed out. */
#include "step/schedule.h"

/* Slots of one micro-batch on a stage, by chunk; distinct modulo six. Gradients of weights follow
 * in the two slots that are left. */
typedef struct sp_v_block {
    uint32_t forward[2], back[2];
} sp_v_block;

void sp_v_block_list(const sp_pipeline_shape *shape, const sp_v_block *block, sp_pass_list *list);

/* Chains by how many passes of a chunk they have beyond the 2 m of each kind of a stage. */
/* One that keeps crossing the stages: of a mean stage. */
double sp_v_steady_s(const sp_chain *chain, double forward, double input_grad, double weight_grad);
/* One that stays on the pivot but for both ends, where it crosses the others and leaves out
 * gradients of weights. */
double sp_v_ends_s(const sp_chain *chain, double forward, double input_grad, double weight_grad);
