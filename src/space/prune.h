/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The functions of prunes.def, one declaration a line of the list. */
#include "space/space.h"

#define SP_PRUNE(class, name, depth, meaning)                                                      \
    bool sp_prune_##name(const sp_problem *problem, const sp_plan *plan);
#include "space/prunes.def"
#undef SP_PRUNE
