/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this room share: the table of operators while it grows. */
#include "cost/cost.h"
#include "shardplan/analysis.h"

#define SP_ANALYSIS_MAX_ROWS 512

/* One pass through the model, as one accelerator sees it. */
typedef struct sp_pass {
    const sp_analysis_question *question;
    sp_phase phase;
    sp_shape shape;     /* of the tokens that this accelerator's tp group runs                   */
    double head_tokens; /* of those, the ones that become logits                                 */
    double routed_tokens; /* in all groups that share the experts */
    uint32_t groups; /* tp groups (data-parallel ranks) that work at the same time            */
    sp_sharding sharding;
    const sp_fabric *fabric; /* NULL: no cluster */
    const sp_rates *rates;   /* NULL: nothing measured */
} sp_pass;

/* FlashAttention-2 (Dao, arXiv:2307.08691): five products backward where forward has two, the
 * scores being computed again. */
#define SP_ANALYSIS_BACKWARD_PRODUCTS 2.5

/* Rows in the making; a row that equals an earlier one of its phase is counted to it. */
typedef struct sp_rows {
    sp_operator row[SP_ANALYSIS_MAX_ROWS];
    uint32_t n;
    uint32_t phase_first; /* of the phase being filled */
} sp_rows;

/* ---- pass.c ---- */
/* The pass of a phase; shapes and shares follow from the question. */
sp_pass sp_pass_build(const sp_analysis_question *question, sp_phase phase, const sp_fabric *fabric,
                      const sp_rates *rates);

/* ---- rows.c: operators of the graph as rows ---- */
/* Appends the rows of one operator of `layers` layers. */
void sp_rows_add_op(sp_rows *rows, const sp_pass *pass, const sp_layer_kind *kind, const sp_op *op,
                    uint32_t layers);
/* Fills what follows from the rest of a row and appends it, or counts it to an equal one. */
void sp_rows_add(sp_rows *rows, const sp_pass *pass, const sp_operator *row);

/* Bits of the weights of a part, and where the table lists an operator. */
double sp_rows_weight_bits(const sp_widths *bits, sp_part part);
const char *sp_rows_category(const sp_op *op);

/* ---- counted.c: operators whose counts a formula model states ---- */
void sp_rows_add_counted(sp_rows *rows, const sp_pass *pass, const sp_op *op, uint32_t layers);

/* ---- attention.c: the core as one fused kernel or as three ---- */
void sp_rows_add_core(sp_rows *rows, const sp_pass *pass, const sp_attention *attention,
                      const sp_op *op, uint32_t layers);

/* ---- collectives.c ---- */
/* After a block of `layers` layers: what the tp group reduces and the experts' ranks exchange. */
void sp_rows_add_collectives(sp_rows *rows, const sp_pass *pass, const sp_layer_work *work,
                             bool attention, uint32_t layers);

/* ---- layers.c: the whole model, embedding to head ---- */
void sp_rows_add_model(sp_rows *rows, const sp_pass *pass);

/* ---- totals.c ---- */
void sp_analysis_total(const sp_rows *rows, sp_phase phase, double tokens, sp_phase_total *total);

/* ---- cache.c ---- */
void sp_analysis_cache(const sp_analysis_question *question, sp_analysis *analysis);

/* ---- check.c: what the question must obey ---- */
sp_status sp_analysis_check(const sp_analysis_question *question, sp_error *err);
