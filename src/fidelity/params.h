/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The score of parameter counts while it is made and written. */
#include "base/base.h"
#include "fidelity/score.h"
#include "shardplan/fidelity.h"
#include "shardplan/model.h"

typedef enum sp_params_figure {
    SP_PARAMS_TOTAL,
    SP_PARAMS_EMBEDDING,
    SP_PARAMS_ACTIVE,
    SP_N_PARAMS_FIGURES
} sp_params_figure;
const char *sp_params_figure_name(sp_params_figure figure);

typedef struct sp_params_row {
    const char *name;
    uint64_t expected[SP_N_PARAMS_FIGURES];
    uint64_t counted[SP_N_PARAMS_FIGURES];
    const char *complaint; /* why it cannot be read; NULL: it can */
    sp_error refusal;
} sp_params_row;
bool sp_params_row_is_exact(const sp_params_row *row);

struct sp_params_score {
    sp_arena arena;
    const char *folder;
    uint32_t n_rows, n_scored, n_all_exact;
    sp_params_row *rows;
    uint32_t n_exact[SP_N_PARAMS_FIGURES];
    sp_metric overall[SP_N_PARAMS_FIGURES];
};

/* score_json.c */
void sp_put_metric(sp_json_writer *w, const char *key, const sp_metric *m);
