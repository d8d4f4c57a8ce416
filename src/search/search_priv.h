/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a search is put together, from the inside out: a block of ids into a tally (tally.c), a run
 * of blocks over threads (team.c, threads_omp.c), runs of blocks over ranks (coordinator.c and
 * worker.c by way of messages over ranks_mpi.c), the whole (search.c).
 *
 * None of these knows an axis: what they ask of a space is sp_searchable, which plans of training
 * (training.c) and of serving (serving.c) answer. */
#include "shardplan/search.h"
#include "space/space.h"

#include <stdatomic.h>

/* ---- what is searched ------------------------------------------------------------------------ */
struct sp_tally;

/* Ids in a list that grows. */
typedef struct sp_id_list {
    uint64_t *ids, n, capacity;
    bool failed; /* memory is gone: ids are missing */
} sp_id_list;
void sp_id_list_add(sp_id_list *list, uint64_t id);

/* A space cut into blocks of consecutive ids, all of one size. A block is settled by one thread in
 * one go; no layout (sp_layout) lies in two of them, so that its best plan and the number of its
 * variants are known for good. All functions are pure
 * but for what they remember. */
typedef struct sp_searchable {
    const void *space;
    const char *fingerprint;
    uint64_t n_ids, block_ids; /* of all, of a block */
    uint32_t n_rules, n_keys, n_cells;
    /* First ids of the blocks that may hold a plan. What the rules refuse above them is added to
     * pruned, by rule, so that the blocks hold the rest of the ids. */
    void (*list)(const void *space, sp_id_list *blocks, uint64_t *pruned);
    void (*search)(const void *space, uint64_t block, bool no_bounds, void *memo,
                   struct sp_tally *tally);
    /* What one thread remembers from block to block, which changes no answer; NULL: nothing. */
    void *(*memo_begin)(const void *space); /* NULL when memory is gone */
    void (*memo_end)(void *memo);
    void (*label)(const void *space, uint32_t cell, sp_cell *out); /* fills tp and pp */
} sp_searchable;

/* All of sp_search_run but which space it is. */
sp_status sp_search_all(const sp_searchable *of, const sp_search_options *options,
                        sp_search_result *result, sp_error *err);

/* ---- tally.c: what one thread, one rank or all have found ------------------------------------ */
#define SP_NO_PLAN UINT64_MAX

/* The k layouts with the best plans: a set by the id of that plan. */
typedef struct sp_layouts {
    uint32_t capacity, n_layouts;
    sp_layout *layouts; /* sorted by (best.key[0], best.id) */
} sp_layouts;

typedef struct sp_tally {
    const sp_searchable *of;
    sp_front front;
    sp_best ranked;
    sp_layouts layouts;
    uint32_t n_cells;
    sp_point *cell_best;    /* id SP_NO_PLAN where nothing is feasible */
    uint64_t *cell_refused; /* [cell][rule]: admitted plans refused */
    sp_search_counts counts;
    bool failed; /* memory is gone: the tally is incomplete */
} sp_tally;

sp_status sp_tally_init(sp_tally *tally, const sp_searchable *of, uint32_t top_k, sp_error *err);
void sp_tally_fini(sp_tally *tally);
void sp_tally_clear(sp_tally *tally);
/* Sets are joined, counts are added: each plan's counts must come once. */
void sp_tally_join(sp_tally *tally, const sp_tally *other);
bool sp_layouts_insert(sp_layouts *layouts, const sp_layout *layout);

/* A plan that nothing refuses: into the front, the best plans and its layout. Keys are raw. */
void sp_tally_keep(sp_tally *tally, sp_layout *layout, uint64_t id, const double *keys);
/* A layout that is done: among the best ones, and in its cell. */
void sp_tally_close(sp_tally *tally, uint32_t cell, const sp_layout *layout);

/* ---- training.c: blocks of a training space -------------------------------------------------- */
sp_searchable sp_training_searchable(const sp_space *space);

/* ---- serving.c: blocks of a space of serving plans --------------------------------------------
 */
sp_searchable sp_serving_searchable(const sp_serving_space *space);

/* ---- threads_omp.c: the only file that knows OpenMP ------------------------------------------ */
uint32_t sp_threads_available(void); /* threads that this process is told to use */
uint32_t sp_threads_cores(void);     /* cores that this process may run on */
/* Calls work(user, thread) on up to n threads at once, the caller being thread 0, and waits.
 * Returns how many there were. */
uint32_t sp_threads_run(uint32_t n, void (*work)(void *user, uint32_t thread), void *user);

/* ---- team.c: the threads of one rank --------------------------------------------------------- */
typedef struct sp_team {
    const sp_searchable *of;
    const sp_search_options *options;
    const uint64_t *blocks;
    uint32_t n_threads, n_ran; /* wanted; most that ever ran */
    sp_tally *tallies;         /* one a thread */
    void **memos;              /* likewise     */
    double start_s, deadline_s;
    /* Called by thread 0 between blocks; may be NULL. */
    void (*between)(void *user);
    void *user;
    /* The run in progress. */
    _Atomic uint64_t next;
    uint64_t end;
    atomic_bool stop;
    _Atomic uint64_t settled, admitted, evaluated; /* since the team began */
} sp_team;

sp_status sp_team_init(sp_team *team, const sp_searchable *of, const sp_search_options *options,
                       const uint64_t *blocks, sp_error *err);
void sp_team_fini(sp_team *team);
/* Searches blocks [first, end) or, when told to stop, the first of them; returns where it ended.
 */
uint64_t sp_team_run(sp_team *team, uint64_t first, uint64_t end);
/* Moves what the threads have found into the tally. */
void sp_team_collect(sp_team *team, sp_tally *tally);

/* ---- message.c: what ranks say to each other ------------------------------------------------- */
typedef enum sp_message_kind {
    SP_MESSAGE_HELLO,  /* worker: who I am; give me work */
    SP_MESSAGE_FOUND,  /* worker: what became of my unit; give me more */
    SP_MESSAGE_FAILED, /* worker: I cannot go on */
    SP_MESSAGE_UNIT,   /* coordinator: search these blocks */
    SP_MESSAGE_STOP    /* coordinator: nothing left to do */
} sp_message_kind;

/* The head of every message; fields that a kind does not need are 0. Ranks run the same program, so
 * structs travel as they are. */
typedef struct sp_message {
    uint32_t kind;           /* sp_message_kind */
    uint32_t threads, cores; /* HELLO */
    char fingerprint[33];    /* HELLO */
    char host[63];           /* HELLO */
    uint64_t first, end;     /* UNIT, FOUND: blocks of the unit */
    uint64_t reached;        /* FOUND: blocks [first, reached) were searched */
    double seconds;          /* FOUND: what that took */
    sp_error err;            /* FAILED; STOP: why the rank is refused, SP_OK when it is not */
} sp_message;

/* Adds to a FOUND message what is in `unit` and not superfluous beside `known`. */
void sp_message_pack(const sp_tally *unit, const sp_tally *known, sp_text *out);
/* Joins what such a message brings; false when it is not one. */
bool sp_message_unpack(const char *data, size_t bytes, sp_tally *tally);

/* ---- ranks_mpi.c: the only file that knows MPI ----------------------------------------------- */
/* True when a message has come: from whom and how long. Never waits. */
bool sp_ranks_probe(uint32_t *from, size_t *bytes);
sp_status sp_ranks_receive(uint32_t from, void *data, size_t bytes, sp_error *err);
sp_status sp_ranks_send(uint32_t to, const void *data, size_t bytes, sp_error *err);
void sp_ranks_host(char *host, size_t capacity);
void sp_ranks_nap(void); /* between two looks for a message */

/* ---- deal.c: how much a rank is given at once ------------------------------------------------ */
typedef struct sp_pace {
    double block_s;          /* seconds of a rank for one block so far; 0 = not known */
    double service_s;        /* seconds of the coordinator for one message */
    uint32_t ranks, threads; /* threads of one rank */
} sp_pace;
/* Blocks of the next unit, 1 .. left: a share of what is left, from 0.5 s down to the time in
 * which the coordinator can serve all ranks twice, and 1 ms at least. */
uint64_t sp_pace_unit(const sp_pace *pace, uint64_t left);

/* ---- coordinator.c, worker.c ----------------------------------------------------------------- */
typedef struct sp_run {
    const sp_searchable *of;
    const sp_search_options *options;
    uint64_t n_blocks;
    const uint64_t *blocks;
    sp_search_result *result; /* its threads, ranks and warning are filled */
} sp_run;

/* Rank 0: deals units, works itself, joins all into the answer; *settled blocks are in it. */
sp_status sp_coordinate(const sp_run *run, sp_tally *answer, uint64_t *settled, sp_error *err);
/* The other ranks: until told to stop. */
sp_status sp_work(const sp_run *run, sp_error *err);
/* Tells the coordinator that this rank cannot take part. */
void sp_work_fail(const sp_error *err);
