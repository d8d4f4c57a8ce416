/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A pipeline run event by event: every stage works through its list of passes in order, each as
 * soon as the pass that it depends on is done. Messages take no time. The judge of the closed
 * forms. */
#include <stdint.h>

#define PIPELINE_MAX_STAGES 16
#define PIPELINE_MAX_PASSES 2048 /* of one stage: 2 m v */

/* p stages of v chunks, m micro-batches; chunk c of stage i is block c p + i of the model. */
typedef struct pipeline {
    uint32_t p, v, m;
    double forward_s[PIPELINE_MAX_STAGES], backward_s[PIPELINE_MAX_STAGES]; /* of one chunk */
} pipeline;

typedef struct pipeline_result {
    double step_s;
    uint32_t chunks_held[PIPELINE_MAX_STAGES]; /* at the peak: forward done, backward not */
} pipeline_result;

/* One forward, one backward; v = 1. */
pipeline_result run_1f1b(const pipeline *pipe);
/* All forward passes, then all backward passes; v = 1. */
pipeline_result run_gpipe(const pipeline *pipe);
/* Interleaved 1F1B in the order of Megatron-LM; m a multiple of p. */
pipeline_result run_interleaved(const pipeline *pipe);
