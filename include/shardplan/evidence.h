/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What was measured near a plan: the published run that resembles it most, and how far our own
 * estimate of that run is off. Evidence is shown beside an estimate and never enters it.
 *
 * Near is a weighted sum of doublings (configs/evidence.json says which and why). A run is priced
 * under its own question, plan and engine when it is first needed, and kept: the base is therefore
 * not const, and one thread uses it at a time.
 *
 *     sp_evidence_base *base;
 *     SP_TRY(sp_evidence_base_load(home, &base, err));
 *     const sp_evidence e = sp_evidence_nearest(base, problem, &plan);
 *     if (e.priced) printf("%s: %+.0f %%\n", e.nearest->about, 100.0 * e.error_ratio);
 *     sp_evidence_base_free(base);
 */
#include "shardplan/estimate.h"
#include "shardplan/problem.h"
#include "shardplan/recipe.h"

#include <stdbool.h>

typedef struct sp_evidence_base sp_evidence_base;

/* Reads configs/recipes and configs/evidence.json, and the models and clusters that the recipes
 * name: an unknown one is an error. */
sp_status sp_evidence_base_load(const char *home, sp_evidence_base **base, sp_error *err);
void sp_evidence_base_free(sp_evidence_base *base); /* NULL is fine */
const sp_recipes *sp_evidence_recipes(const sp_evidence_base *base);

/* The question that a recipe answers; it borrows the recipe's strings. */
sp_question sp_recipe_question(const char *home, const sp_training_recipe *recipe);

/* A recipe asked as a question. */
typedef struct sp_recipe_answer {
    double measured_step_s; /* the published figure as seconds of a step                          */
    sp_estimate estimate;
    double error_ratio;     /* estimated over measured step, less 1                               */
} sp_recipe_answer;
/* Prices recipe `idx` (once). Fails where its question cannot be built. */
sp_status sp_evidence_price(sp_evidence_base *base, uint32_t idx, const sp_recipe_answer **answer,
                            sp_error *err);

/* Kernels with shapes beyond those that were measured on the GPU. */
typedef struct sp_beyond {
    bool products, attention, collectives;
} sp_beyond;

typedef struct sp_evidence {
    const sp_training_recipe *nearest; /* NULL: there are no recipes                              */
    double distance;                   /* doublings                                               */
    bool priced;                       /* the figures below are there                             */
    double measured_step_s, predicted_step_s, error_ratio;
    bool other_hardware; /* the run had another GPU,                                              */
    bool other_size;     /* far more or fewer GPUs or active parameters,                          */
    bool other_kind;     /* or another kind of model: dense or experts, latent attention or not   */
    sp_beyond beyond;
} sp_evidence;
sp_evidence sp_evidence_nearest(sp_evidence_base *base, const sp_problem *problem,
                                const sp_plan *plan);
