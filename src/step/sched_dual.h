/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What DualPipe and its half, DualPipeV, share: the passes of a stage with two blocks, the outer of
 * which micro-batches enter first (DeepSeek-AI, DeepSeek-V3, arXiv:2412.19437, section 3.2.1;
 * deepseek-ai/DualPipe, dualpipe.py and dualpipev.py, 2025-03). */
#include "step/schedule.h"

/* Stage `rank` of n, counted from the outer end; m micro-batches enter there. */
void sp_dual_list(uint32_t n, uint32_t m, uint32_t rank, sp_pass_list *list);
uint32_t sp_dual_held(uint32_t n, uint32_t rank, sp_held moments[SP_MAX_HELD]);
/*   step = (2 m - n - 2) P + 2 n F + (n + 2) B + 3 W + max(n F, (n - 1) B) + (n - 1) max(B, W)
 * of one block each, P a pair; that is the published bubble (n - 1)(P + B + W - 3 W) where W <= B
 * and n F <= (n - 1) B. */
double sp_dual_chain_s(const sp_chain *chain, uint32_t n);
