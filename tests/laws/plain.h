/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The plainest search that can be right: look at every id, ask every rule, price what is left,
 * sort. Of any space, by way of a few functions. */
#include "shardplan/search.h"

enum { PLAIN_TOP_K = 7 };

/* A space as the plain search sees it. */
typedef struct looked_at {
    const void *space;
    uint64_t n_ids, layout_ids; /* of all, of a layout */
    uint32_t n_rules, n_keys, n_cells;
    const sp_rule_info *(*rule)(const void *space, uint32_t rule);
    uint32_t (*cell_of)(const void *space, uint64_t id);
    uint32_t (*refusal)(const void *space, uint64_t id);
    bool (*reads_results)(const void *space, uint32_t rule); /* a --where over results */
    void (*keys)(const void *space, uint64_t id, double keys[SP_MAX_OBJECTIVES]);
} looked_at;

/* All that was found the plain way. */
typedef struct plain {
    looked_at of;
    sp_search_counts counts;
    uint32_t n_points;
    sp_point *points; /* feasible, by id */
    uint64_t *cell_refused;
} plain;

void plain_init(plain *p, const looked_at *of);
void plain_fini(plain *p);
/* Front, best K, layouts, grid and every count of a search with top_k = PLAIN_TOP_K. */
void assert_plain_finds(plain *p, const sp_search_result *result);
