/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The closed form of one pool, in pieces. */
#include "serve/serve_priv.h"

/* A rank with so many sequences that answer. Its time is cut into rounds: steps of answers until
 * the next look for prompts, or a step that has prompts. */
typedef struct sp_flow {
    double running;
    double answer_steps; /* of a request                                                    */
    double step_s;       /* of answers alone                                                */
    double look_steps;   /* of them in a round                                              */
    double group;        /* prompts that go together                                        */
    double steps;        /* that they take                                                  */
    double prompts_s;    /* all of them, beside the answers where the rule is so            */
    double first_s;      /* until one of them is through, mean                              */
    double stall_s;      /* what each of them delays the answers                            */
    double requests_per_s;
    double busy;   /* share of time in which prompts run                              */
    double filled; /* share of the room for prompts that is used                      */
    double room;   /* prompts that fit a step                                         */
    double tpot_s; /* stalls included                                                 */
} sp_flow;
/* `users`: that share the rank; the prompts of one cannot meet its own. */
sp_flow sp_flow_at(const sp_loaded *l, double running, double users);

/* A first token, in parts. */
typedef struct sp_first {
    double looks_s;  /* between two chances to start, which is waited for by half */
    double queue_s;  /* behind other prompts, mean                                */
    double filled;   /* how often there are any                                   */
    double prompt_s; /* its own and those beside it                               */
    double turn_s;   /* for room or a place among those that run                  */
    double ahead;    /* requests whose end that waits for                         */
    double burst_share,
        burst_s; /* of requests that began together; until the last of them starts */
    double mean_s;
} sp_first;
sp_first sp_first_of(const sp_loaded *l, const sp_flow *f, double users);

/* ---- closed_tail.c ---- */
void sp_tails_of(const sp_loaded *l, const sp_flow *f, const sp_first *first, sp_served *out);
