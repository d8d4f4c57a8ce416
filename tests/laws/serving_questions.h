/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small random questions about serving: few enough plans to look at each, every rule and option met
 * sooner or later. */
#include "common/draw.h"
#include "shardplan/serving_space.h"

/* A question with the text that it points to; it must stay where it was drawn. */
typedef struct drawn_serving {
    sp_serving_question question;
    char sets[SP_MAX_SETS][128];
} drawn_serving;

void draw_serving(draw *d, drawn_serving *out);
/* Builds both or fails the test; *problem outlives *space. */
void build_serving(const sp_serving_question *question, sp_serving_problem **problem,
                   sp_serving_space **space);
/* The question in one line, for messages. */
void print_serving(const sp_serving_question *question);
