/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Load stages: an engine under requests at a rate for some minutes, with what its users saw. */
#include "base/base.h"
#include "fidelity/score.h"
#include "shardplan/fidelity.h"

/* SP_STAGE_FIGURE(id, name) */
#define SP_STAGE_FIGURE_LIST(X)                                                                    \
    X(TTFT, "ttft")                                                                                \
    X(ITL, "itl")                                                                                  \
    X(E2E, "e2e")                                                                                  \
    X(TTFT_P50, "ttft_p50")                                                                        \
    X(TTFT_P90, "ttft_p90")                                                                        \
    X(TTFT_P95, "ttft_p95")                                                                        \
    X(TTFT_P99, "ttft_p99")                                                                        \
    X(E2E_P50, "e2e_p50")                                                                          \
    X(E2E_P90, "e2e_p90")                                                                          \
    X(E2E_P95, "e2e_p95")                                                                          \
    X(E2E_P99, "e2e_p99")
#define SP_ENUMERATOR(id, name) SP_STAGE_##id,
typedef enum sp_stage_figure {
    SP_STAGE_FIGURE_LIST(SP_ENUMERATOR) SP_N_STAGE_FIGURES
} sp_stage_figure;
#undef SP_ENUMERATOR
const char *sp_stage_figure_name(sp_stage_figure figure);

/* What was served, as the file says. */
typedef struct sp_stage_setup {
    const char *gpu, *engine, *model;
    uint32_t tp;
    double step_tokens, batch; /* limits of the engine, 0 = not stated */
    double isl, osl, shared;   /* shared: of isl, the same for many    */
    double prompts;            /* different ones, asked in turn        */
    double rate, requests;
} sp_stage_setup;

typedef struct sp_stage {
    const char *id;
    sp_stage_setup setup;
    const char *complaint; /* why it cannot be predicted; NULL: it can */
    bool failed;           /* requests failed: more came than it could serve */
    double most_rate;      /* that we say it can serve */
    double measured[SP_N_STAGE_FIGURES];
    double run[SP_N_STAGE_FIGURES], closed[SP_N_STAGE_FIGURES]; /* simulated, closed form */
} sp_stage;

struct sp_stages_score {
    sp_arena arena;
    const char *file;
    uint32_t n_rows, n_predicted, n_failed, n_failed_seen; /* seen: called too much by us */
    uint32_t n_false_alarms;                               /* called too much, and were served */
    sp_stage *rows;
    sp_metric run[SP_N_STAGE_FIGURES], closed[SP_N_STAGE_FIGURES]; /* of stages without failures */
};

/* ---- stages_predict.c ---- */
/* From the setup alone; a stage that cannot be asked about has a complaint and is no error. */
sp_status sp_stage_predict(sp_arena *arena, const char *home, sp_stage *stage, sp_error *err);
