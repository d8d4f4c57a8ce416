/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this room share: the table of operators while it grows. */
#include "cost/cost.h"
#include "shardplan/analysis.h"

/* Rows that a layer can have: one for each operator, two more where scores are written to memory,
 * the write of the cache, and what is sent. The ends of the model have fewer. */
#define SP_ROWS_OF_A_LAYER (SP_MAX_OPS + 16)
/* Those of a phase: every kind of layer, prediction modules, the ends. */
#define SP_PHASE_MAX_ROWS ((SP_MODEL_MAX_KINDS + 2) * SP_ROWS_OF_A_LAYER)

/* One pass through the model, as one accelerator sees it, and the layers being expanded. */
typedef struct sp_pass {
    const sp_analysis_question *question;
    sp_phase phase;
    sp_shape shape;     /* of the tokens that this accelerator's tp group runs                   */
    double head_tokens; /* of those, the ones that become logits                                 */
    double routed_tokens; /* of all groups that share one copy of the experts */
    sp_sharding sharding;
    const sp_fabric *fabric; /* NULL: no cluster */
    const sp_rates *rates;   /* NULL: nothing measured */
    sp_precision precision;  /* of the products, where something is measured */

    const sp_layer_kind *kind; /* NULL outside layers */
    uint32_t layers;      /* that are like this one                                           */
    uint32_t held_layers; /* of those, the ones that do not borrow their weights              */
} sp_pass;

/* FlashAttention-2 (Dao, arXiv:2307.08691): five products backward where forward has two, the
 * scores being computed again. */
#define SP_ANALYSIS_BACKWARD_PRODUCTS 2.5

/* Rows in the making; a row that equals an earlier one of its phase is counted to it. */
typedef struct sp_rows {
    sp_operator *row;
    uint32_t n, room;     /* room: of the asked phases at their most */
    uint32_t phase_first; /* of the phase being filled */
} sp_rows;

/* ---- pass.c ---- */
bool sp_phase_is_training(sp_phase phase);
/* One new token a sequence. */
bool sp_phase_is_step(sp_phase phase);
/* The pass of a phase; shapes and shares follow from the question. */
sp_pass sp_pass_build(const sp_analysis_question *question, sp_phase phase, const sp_fabric *fabric,
                      const sp_rates *rates);

/* ---- rates.c: measured kernels ---- */
/* Fills *rates as kernels on their own have them, without the losses of an engine. False where the
 * accelerator has no measurements of the format. */
bool sp_analysis_rates(const sp_analysis_question *question, sp_rates *rates);
/* The format of the products among those that are measured. */
sp_precision sp_analysis_precision(const sp_analysis_question *question);
/* Seconds of a row whose shape, FLOPs and bytes are filled; 0 where nothing is measured. */
double sp_expected_product_s(const sp_pass *pass, const sp_operator *row, bool grouped);
double sp_expected_core_s(const sp_pass *pass, const sp_operator *row, const sp_op *op);
double sp_expected_stream_s(const sp_pass *pass, const sp_operator *row);

/* ---- rows.c: operators of the graph as rows ---- */
double sp_weight_bits(const sp_widths *bits, sp_part part);
/* Room in the arena for n_phases phases of a model with n_kinds kinds of layers. Error: SP_E_MEMORY. */
sp_status sp_rows_init(sp_rows *rows, struct sp_arena *arena, uint32_t n_phases, uint32_t n_kinds,
                       sp_error *err);
/* A row with the name, category and layers of an operator of the pass. */
sp_operator sp_row_of(const sp_pass *pass, const sp_op *op, const char *name);
/* Appends the rows of one operator. */
void sp_rows_add_op(sp_rows *rows, const sp_pass *pass, const sp_op *op);
/* Fills what follows from the rest of a row and appends it, or counts it to an equal one. */
void sp_rows_add(sp_rows *rows, const sp_pass *pass, const sp_operator *row);

/* ---- counted.c: operators whose counts a formula model states ---- */
void sp_rows_add_counted(sp_rows *rows, const sp_pass *pass, const sp_op *op);

/* ---- attention.c: the core as one fused kernel or as three, and other products of activations
 * ---- */
void sp_rows_add_core(sp_rows *rows, const sp_pass *pass, const sp_op *op);

/* ---- collectives.c ---- */
/* After a block: what the tp group reduces and the experts' ranks exchange. */
void sp_rows_add_collectives(sp_rows *rows, const sp_pass *pass, const sp_layer_work *work,
                             bool attention);
/* Of the tp group: partial rows of the token table, and columns of the logits. */
void sp_rows_add_embedding_sum(sp_rows *rows, const sp_pass *pass);
void sp_rows_add_logits(sp_rows *rows, const sp_pass *pass);
/* Tokens are exchanged between ranks that hold experts, each rank sending its share of them. */
bool sp_pass_dispatches(const sp_pass *pass);

/* ---- layers.c: the whole model, embedding to head ---- */
/* The weights of an operator are the layer's own, not shared with the layers of its number. */
bool sp_op_is_own(const sp_layer_kind *kind, const sp_op *op);
/* Of the layers of a tied kind, those that bring the shared weights along. */
uint32_t sp_tied_holders(const sp_model *model, const sp_layer_kind *kind);
void sp_rows_add_model(sp_rows *rows, const sp_pass *pass);

/* ---- totals.c ---- */
void sp_analysis_total(const sp_rows *rows, sp_phase phase, double tokens, sp_phase_total *total);

/* ---- cache.c ---- */
/* Elements that the new tokens of a pass add to the cache of a layer. */
double sp_cache_written(const sp_pass *pass);
void sp_analysis_cache(const sp_analysis_question *question, sp_analysis *analysis);

/* ---- notes.c: what a reader must know beside the figures ---- */
sp_status sp_analysis_notes(struct sp_arena *arena, const sp_analysis_question *question,
                            sp_analysis *analysis, sp_error *err);

/* ---- notes_measured.c ---- */
/* *note: that operators lie beyond what was measured; NULL when none do, or nothing was. */
sp_status sp_note_measured(struct sp_arena *arena, const sp_analysis_question *question,
                           const sp_analysis *analysis, const char **note, sp_error *err);

/* ---- check.c: what the question must obey ---- */
sp_status sp_analysis_check(const sp_analysis_question *question, sp_error *err);
