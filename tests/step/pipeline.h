/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A pipeline run pass by pass (src/step/pipeline.c), and what its stages hold meanwhile: the judge
 * of the closed forms. */
#include "step/schedule.h"

#define PIPELINE_MAX_STAGES 16

/* p stages of v chunks, m micro-batches in each direction; seconds of one chunk, the same for all
 * chunks of a stage. */
typedef struct pipeline {
    uint32_t p, v, m;
    bool pairs;
    double forward_s[PIPELINE_MAX_STAGES], backward_s[PIPELINE_MAX_STAGES];
    double weight_s[PIPELINE_MAX_STAGES]; /* gradients of weights, beside backward_s */
    double hidden_s[PIPELINE_MAX_STAGES];
    double message_s;
} pipeline;

typedef struct pipeline_result {
    double step_s;
    uint32_t chunks_held[PIPELINE_MAX_STAGES]; /* at the peak: forward done, backward not */
    double span_s; /* the longest that a stage takes from its first pass to its last one */
} pipeline_result;

sp_pipeline_shape shape_of(const pipeline *pipe);
pipeline_result run_schedule(sp_schedule schedule, const pipeline *pipe);
pipeline_result run_1f1b(const pipeline *pipe);
pipeline_result run_gpipe(const pipeline *pipe);
pipeline_result run_interleaved(const pipeline *pipe);
/* Most that a stage holds by its list, a chunk weighing `whole` until the gradient of its input is
 * there and `weight_grad` from then on. */
double list_peak(sp_schedule schedule, const pipeline *pipe, uint32_t stage, double whole,
                 double weight_grad);
/* The longest chain over all stages: the closed form of a step. */
double closed_form_s(sp_schedule schedule, const pipeline *pipe);
