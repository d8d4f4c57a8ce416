/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The functions of serving_prunes.def: true when the plan passes, asked where `axis` turns, with
 * all axes above it known. */
#include "space/serving.h"

#define SP_SERVING_PRUNE(rule_class, name, depths, meaning)                                        \
    bool sp_serving_prune_##name(const sp_serving_space *space, const sp_serving_plan *plan,       \
                                 sp_serving_axis_id axis);
#include "space/serving_prunes.def"
#undef SP_SERVING_PRUNE
