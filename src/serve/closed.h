/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The closed form of one pool, in pieces. */
#include "serve/serve_priv.h"

/* A rank with so many sequences that answer. */
typedef struct sp_flow {
    double running;
    double step_s, prompt_s; /* a step of answers; one prompt, beside them where the rule is so */
    double stall_s;          /* what that prompt delays the answers                             */
    double answer_steps;     /* of a request                                                    */
    double requests_per_s;
    double busy;   /* share of time in which prompts run                              */
    double tpot_s; /* stalls included                                                 */
} sp_flow;
sp_flow sp_flow_at(const sp_loaded *l, double running);

/* A first token, in parts. */
typedef struct sp_first {
    double looks_s;  /* between two chances to start, which is waited for by half */
    double queue_s;  /* behind other prompts, mean                                */
    double busy;     /* how often there are any                                   */
    double prompt_s; /* its own and those beside it                               */
    double turn_s;   /* for room or a place among those that run                  */
    double burst_share,
        burst_s; /* of requests that began together; until the last of them starts */
    double mean_s;
} sp_first;
sp_first sp_first_of(const sp_loaded *l, const sp_flow *f, double users);

/* ---- closed_tail.c ---- */
void sp_tails_of(const sp_loaded *l, const sp_flow *f, const sp_first *first, sp_served *out);
