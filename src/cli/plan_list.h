/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Plans as `estimate` takes them. */
#include "cli/cli.h"

typedef struct sp_plan_list {
    sp_priced *plans;
    size_t n, capacity;
} sp_plan_list;

/* Only digits: an id, as opposed to plan text. */
bool sp_plan_is_id(const char *text);
/* An id of the space, or plan text over what the question fixes. */
sp_status sp_plan_read(const char *text, const sp_space *space, sp_plan *plan, sp_error *err);
/* A JSON list of ids and plan texts, {"ids": [..]}, or one a line ('#' begins a comment). */
sp_status sp_plan_list_read(sp_plan_list *list, const char *file, const sp_space *space,
                            sp_error *err);
void sp_plan_list_fini(sp_plan_list *list);
