/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Plans as `estimate` and `compare` take them. */
#include "cli/cli.h"

typedef struct sp_plan_list {
    sp_priced *plans;
    size_t n, capacity;
} sp_plan_list;

/* Only digits: an id, as opposed to plan text. */
bool sp_plan_is_id(const char *text);
/* An id of the space, or plan text over what the question fixes. */
sp_status sp_plan_read(const char *text, const sp_space *space, sp_plan *plan, sp_error *err);
sp_status sp_plan_parse_id(const char *text, uint64_t count, uint64_t *id, sp_error *err);

/* Room for one plan more in an array that grows. */
sp_status sp_plan_grow(void **plans, size_t n, size_t *capacity, size_t bytes, sp_error *err);
/* Hands over each id or plan text of a file; errors get its place. */
typedef sp_status (*sp_plan_text_fn)(void *user, const char *text, sp_error *err);
sp_status sp_plan_file_each(const char *file, sp_plan_text_fn add, void *user, sp_error *err);
/* A JSON list of ids and plan texts, {"ids": [..]}, or one a line ('#' begins a comment). */
sp_status sp_plan_list_read(sp_plan_list *list, const char *file, const sp_space *space,
                            sp_error *err);
void sp_plan_list_fini(sp_plan_list *list);

/* ---- plan_files.c: the question behind them ---- */
/* Refuses "@FILE". */
sp_status sp_plan_check_launch_file(const char *plan, sp_error *err);
/* An id means something only together with the answer that numbered it; plan text passes. */
sp_status sp_plan_check_id(const sp_settings *settings, const char *plan, const char *fingerprint,
                           sp_error *err);
/* Refuses ids when the question is not that of the answer they come from. */
sp_status sp_plan_check_fingerprint(const sp_settings *settings, const char *fingerprint,
                                    sp_error *err);
/* Ids of a file are those of --result; without it they are ids of the question that was asked. A
 * plan (ids == NULL) is checked as above. */
sp_status sp_plan_check_ids(const sp_settings *settings, const char *plan, const char *ids,
                            const char *fingerprint, sp_error *err);
/* The question of --result or of a job file (NULL = none). */
sp_status sp_plan_read_files(sp_context *context, const char *job, sp_error *err);
