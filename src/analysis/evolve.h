/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the two files of NSGA-II share: ranks and crowding of a population. */
#include "shardplan/sweep.h"

#include <stddef.h>

/* scratch: room for sp_evolve_scratch_bytes(n). */
size_t sp_evolve_scratch_bytes(uint32_t n);
void sp_evolve_rank(sp_individual *all, uint32_t n, uint32_t n_objectives, uint32_t *scratch);
void sp_evolve_crowd(sp_individual *all, uint32_t n, uint32_t n_objectives, void *scratch);
/* By rank, of one rank the least crowded first. */
void sp_evolve_sort(sp_individual *all, uint32_t n);
