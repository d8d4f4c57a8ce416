/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A complete search of a space, over threads and, under mpirun or srun, over ranks.
 *
 * The answer (everything of sp_search_result but `counts` and the run's own figures) is identical
 * bit for bit for any number of threads and ranks. Every rank calls sp_search_run with the same
 * problem; rank 0 gets the answer, the others an empty one.
 */
#include "shardplan/front.h"
#include "shardplan/serving_space.h"
#include "shardplan/space.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sp_progress {
    uint64_t done, total;     /* layouts settled, of those that may hold a plan                    */
    uint64_t evaluated;
    double seconds, plans_per_s;
    uint32_t front_points;
} sp_progress;

typedef struct sp_search_options {
    uint32_t threads;         /* 0 = all that this process may use                                */
    uint32_t top_k;
    double timeout_s;         /* 0 = none                                                         */
    bool alone;               /* the caller searches for itself; no other rank does          */
    bool no_bounds;           /* evaluate every admitted plan, skip nothing early                 */
    const volatile sig_atomic_t *cancel; /* set to stop early; NULL = never                       */
    void (*progress)(void *user, const sp_progress *progress); /* rank 0, at most 5 a second      */
    void *user;
} sp_search_options;

/* The best plan of one layout (one geometry but for placement) and its variants. */
typedef struct sp_layout {
    sp_point best;
    uint64_t n_variants; /* feasible plans of the layout */
} sp_layout;

/* One cell of the tp x pp grid: its best plan, or what emptied it. */
typedef struct sp_cell {
    uint32_t tp, pp;
    bool feasible;
    sp_point best;    /* when feasible */
    uint32_t rule;    /* otherwise the rule that refused most of its admitted plans; UINT32_MAX = nothing there was admitted */
    uint64_t refused; /* how many it refused */
} sp_cell;

typedef struct sp_search_counts {
    uint64_t space;     /* ids */
    uint64_t admitted;  /* pass the canonical and structure rules */
    uint64_t evaluated; /* estimate completed */
    uint64_t feasible;  /* of those, within memory, network and --where */
    uint64_t uncovered; /* ids not settled (stopped early) */
    uint64_t *pruned;   /* by rule of the space; space = evaluated + sum(pruned) + uncovered */
} sp_search_counts;

typedef struct sp_search_result {
    sp_front front;
    sp_best ranked;
    uint32_t n_layouts;
    sp_layout *layouts;   /* the best top_k layouts, sorted by (key[0], id)                       */
    uint32_t n_cells;
    sp_cell *cells;       /* row by row: tp ascending, then pp                                    */
    sp_search_counts counts;
    bool exact;
    double covered_ratio; /* settled layouts over those that admit anything                          */
    double seconds;
    uint32_t threads, ranks, ranks_lost;
    char warning[256];    /* a sentence on what slowed the search down, or ""                     */
} sp_search_result;

sp_status sp_search_run(const sp_space *space, const sp_search_options *options,
                        sp_search_result *result, sp_error *err);
void sp_search_result_fini(sp_search_result *result);
/* The same for plans of serving: a layout is what differs in chunk_tokens and batch alone. */
sp_status sp_serving_search(const sp_serving_space *space, const sp_search_options *options,
                            sp_search_result *result, sp_error *err);

/* ---- ranks: MPI is started only under a launcher ------------------------------------------------ */
/* Call once at the start and end of the process. rank 0 of 1 without a launcher or without MPI. */
sp_status sp_ranks_init(int *argc, char ***argv, sp_error *err);
void sp_ranks_fini(void);
uint32_t sp_ranks_rank(void);
uint32_t sp_ranks_size(void);
