/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The score of serving memory while it is made and written. */
#include "base/base.h"
#include "fidelity/score.h"
#include "shardplan/fidelity.h"
#include "shardplan/memory.h"

typedef enum sp_served_figure {
    SP_SERVED_TOKENS,  /* of the cache                                                        */
    SP_SERVED_OTHER,   /* bytes of the engine's share that are not the cache                  */
    SP_SERVED_WEIGHTS, /* bytes                                                               */
    SP_SERVED_PASS,    /* bytes at the peak of the profiled pass                              */
    SP_N_SERVED_FIGURES
} sp_served_figure;
const char *sp_served_figure_name(sp_served_figure figure);

/* A log: what an engine printed when it started, and what we say. 0 = not printed. */
typedef struct sp_served_row {
    const char *id, *engine;
    bool fitted; /* a constant was read off it */
    double measured[SP_N_SERVED_FIGURES], predicted[SP_N_SERVED_FIGURES];
    const char *complaint; /* why it cannot be asked; NULL: it can */
} sp_served_row;

/* Logs of one engine; of all; of those that nothing was fitted on. */
typedef struct sp_served_group {
    const char *engine; /* NULL: any */
    bool held_out;
    sp_metric metric[SP_N_SERVED_FIGURES];
} sp_served_group;

#define SP_MAX_SERVED_ENGINES 16

struct sp_memory_score {
    sp_arena arena;
    const char *file;
    uint32_t n_rows, n_scored, n_engines;
    sp_served_row *rows;
    sp_served_group engines[SP_MAX_SERVED_ENGINES], overall, held_out;
};

/* ---- serving_log.c ---- */
/* One entry of the file; an entry that cannot be asked about has a complaint and is no error. */
sp_status sp_served_read(sp_arena *arena, const char *home, const sp_json *entry,
                         sp_served_row *row, sp_error *err);

/* score_json.c */
void sp_put_metric(sp_json_writer *w, const char *key, const sp_metric *m);
