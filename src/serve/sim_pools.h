/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Two pools of workers in a run: requests on their way from one to the other.
 *
 *     sent -> queue of a prefill rank -> its worker's step -> cache sent -> queue of a decode
 * worker
 *          -> its steps -> done
 *
 * Ranks of a prefill worker step together, each with prompts of its own. Answers of a decode worker
 * all move on by one token with a step. */
#include "serve/serve_priv.h"
#include "serve/sim.h"

typedef struct sp_pools_request {
    double sent_s, first_s;
    double isl, osl;
    double left;   /* tokens of its prompt to be computed           */
    double taken;  /* of these, by the step under way                */
    uint64_t end;  /* step of its decode worker that ends its answer */
    uint32_t next; /* in its queue                                   */
} sp_pools_request;

typedef struct sp_pools_queue {
    uint32_t first, last, n;
    double tokens; /* of prompts that wait or run */
} sp_pools_queue;

typedef struct sp_prefill_worker {
    sp_pools_queue *of_rank;
    double done_s; /* when its first stage takes the next step; INFINITY: idle */
    double rest_s; /* that the step under way then takes in later stages      */
} sp_prefill_worker;

/* Answers as a heap by their last step. */
typedef struct sp_decode_worker {
    sp_pools_queue queue;
    uint32_t n, *heap;
    double held;         /* tokens of cache */
    uint64_t step;       /* steps so far   */
    double at_s, step_s; /* when the last of them ended, what one takes now */
    double answer_s;     /* when its next answer ends; INFINITY: none       */
} sp_decode_worker;

/* A step of prompts that was priced. */
typedef struct sp_pools_step {
    sp_serve_batch batch;
    double step_s, stage_s;
} sp_pools_step;

#define SP_POOLS_STEPS 1024 /* that are remembered */

typedef struct sp_pools {
    const sp_pool *prefill_pool, *decode_pool;
    const sp_serve_load *load;
    sp_loaded prompts; /* what a prompt is */
    sp_decode_side side;
    double places, room; /* of a decode worker: answers, tokens; 0 = any */
    uint32_t ranks;      /* of a prefill worker */
    sp_pools_request *requests;
    uint32_t n_prefill, n_decode;
    sp_prefill_worker *prefill;
    sp_decode_worker *decode;
    sp_pools_step *steps; /* [SP_POOLS_STEPS], all 0 at first */
} sp_pools;

/* ---- sim_pools.c ---- */
void sp_pools_push(sp_pools *p, sp_pools_queue *queue, uint32_t idx);
uint32_t sp_pools_pop(sp_pools *p, sp_pools_queue *queue);
/* To the rank with the fewest tokens before it. */
void sp_pools_send(sp_pools *p, uint32_t idx, double now_s);
/* Ends a worker's step: `done` gets the prompts that it finished; returns how many. */
uint32_t sp_pools_end_step(sp_pools *p, sp_prefill_worker *worker, uint32_t *done);
/* To the decode worker with the fewest requests; those that find a place begin to answer. */
void sp_pools_receive(sp_pools *p, uint32_t idx, double now_s);
uint32_t sp_pools_end_answer(sp_pools *p, sp_decode_worker *worker);
