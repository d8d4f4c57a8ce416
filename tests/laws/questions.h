/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small random questions over the models and clusters as shipped: few enough plans to look at each,
 * every rule and option met sooner or later. */
#include "common/draw.h"
#include "shardplan/space.h"

/* A question with the text that it points to; it must stay where it was drawn. */
typedef struct drawn_question {
    sp_question question;
    char gpus[64];
    char sets[SP_N_AXES][256];
    char objectives[128];
} drawn_question;

void draw_question(draw *d, drawn_question *out);
/* Builds both or fails the test; *problem outlives *space. */
void build_question(const sp_question *question, sp_problem **problem, sp_space **space);
/* The question in one line, for messages. */
void print_question(const sp_question *question);
