/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of evidence share: a run as the distance sees it, and its weights. */
#include "base/base.h"
#include "shardplan/cluster.h"
#include "shardplan/evidence.h"
#include "shardplan/model.h"
#include "shardplan/surface.h"

/* A plan and the question it answers. */
typedef struct sp_evidence_run {
    const sp_plan *plan;
    const sp_model *model;
    const sp_gpu *gpu;
    double active_parameters;
    bool experts, latent; /* the kind of model */
    double seq_len, step_tokens;
} sp_evidence_run;

typedef struct sp_evidence_weights {
    double kind, gpu, peak_flops, active_parameters, gpus, seq_len, batch;
    double axes[SP_N_AXES];
    double size_doublings; /* beyond it the size counts as another */
} sp_evidence_weights;

/* ---- evidence_price.c -------------------------------------------------------------------------
 */
/* Our estimate of the recipe beside what was measured; `run` describes the recipe. */
sp_status sp_recipe_price(const char *home, const sp_training_recipe *recipe,
                          const sp_evidence_run *run, sp_recipe_answer *out, sp_error *err);

/* ---- evidence_weights.c -----------------------------------------------------------------------
 */
sp_status sp_evidence_weights_load(const char *file, sp_evidence_weights *out, sp_error *err);
/* |log2(a / b)| */
double sp_doublings(double a, double b);
/* Symmetric; 0 for equal runs. */
double sp_evidence_distance(const sp_evidence_weights *weights, const sp_evidence_run *a,
                            const sp_evidence_run *b);
/* Fills the three other_... of *out. */
void sp_evidence_extrapolate(const sp_evidence_weights *weights, const sp_evidence_run *asked,
                             const sp_evidence_run *run, sp_evidence *out);

/* ---- evidence_measured.c ----------------------------------------------------------------------
 */
/* Nothing where the GPU has no surfaces. */
sp_beyond sp_beyond_measured(const sp_surfaces *surfaces, const sp_problem *problem,
                             const sp_plan *plan);
