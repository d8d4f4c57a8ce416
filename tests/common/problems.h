/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Problems made by hand, of any model on any machine, and plans that mean something for them: no
 * file is read, so that a test can change one figure and ask again. */
#include "common/models.h"
#include "step/step.h"

/* Set model, gpu, cluster, profile and question, then call derive_problem; it may be called again
 * after a change. The problem points into the struct, which must stay where it was made. */
typedef struct made_problem {
    made_model model;
    sp_gpu gpu;
    sp_cluster cluster;
    sp_engine_profile profile;
    sp_optimizer optimizer; /* where make_random_problem draws one */
    uint32_t gpus;
    sp_problem problem;
} made_problem;

/* Nodes of 8 GPUs of a current kind (1 PFLOP/s, 3 TB/s, 80 GB) at 300 GB/s, 40 GB/s between them,
 * and the overheads of a current framework; 512 sequences of 2048 tokens. The model is the
 * caller's. */
void make_machine(made_problem *made);
/* The same nodes of a machine whose only cost is arithmetic: 1 PFLOP/s at all sizes, no launches,
 * no memory traffic, no network, no host (all at 10^30 bytes/s). */
void make_calculator(made_problem *made);
/* A machine, a profile and a model with random figures. */
void make_random_problem(made_problem *made, draw *d);
/* Works out what sp_problem_build would. */
void derive_problem(made_problem *made);
void free_problem(made_problem *made);

/* All axes at their defaults but these. */
sp_plan make_plan(const made_problem *made, uint16_t tp, uint16_t pp, uint32_t dp,
                  uint32_t micro_batch);
/* Gives every sequence to cp ranks, so that the plan takes cp times the GPUs; dp stays. */
void cut_sequences(const made_problem *made, uint16_t cp, sp_plan *plan);
/* A plan that can be built, on all axes: every division without remainder, and nothing where the
 * rules of a space refuse it. */
sp_plan draw_plan(const made_problem *made, draw *d);
