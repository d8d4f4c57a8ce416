/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A run of an engine's loop: its requests, its chance and what is counted. One rank stands for all
 * that work in step with it.
 *
 *     sent -> waiting (a ring, oldest first) -> filling (prompt) -> buckets by last step -> done
 *                  ^------------------- preempted, latest first ----------------'            */
#include "shardplan/serve.h"

/* ---- chance.c: the same numbers on every machine: sums, products and roots alone ---- */
typedef struct sp_chance {
    uint64_t state;
} sp_chance;
sp_chance sp_chance_make(uint64_t seed);
double sp_chance_even(sp_chance *chance); /* 0 <= x < 1 */
/* Of mean 1 and this variance; 0 is always 1, 1 is exponential. */
double sp_chance_gamma(sp_chance *chance, double variance);
double sp_ln(double x);

/* ---- tally.c: values with their tails ---- */
#define SP_TALLY_OCTAVES 44 /* from 2^-30 s, 1 ns, to 2^14 s; others count at the ends */
#define SP_TALLY_PARTS   64 /* of an octave: within 0.8 %                              */
typedef struct sp_tally {
    double n, sum;
    double count[SP_TALLY_OCTAVES * SP_TALLY_PARTS];
} sp_tally;
void sp_tally_add(sp_tally *tally, double value, double times);
sp_tail sp_tally_tail(const sp_tally *tally);
/* Sorts the values. */
sp_tail sp_tail_of(double *values, uint64_t n);

/* ---- requests ---- */
#define SP_NOBODY UINT32_MAX
typedef struct sp_sim_link {
    uint32_t prev, next;
} sp_sim_link;
typedef struct sp_sim_list {
    uint32_t first, last;
} sp_sim_list;
enum { SP_SIM_ORDER, SP_SIM_BUCKET, SP_SIM_LINKS }; /* of admission; of the step it ends in */

typedef struct sp_sim_request {
    double sent_s, first_s, last_s; /* last_s: when it was last heard of */
    double isl, osl;
    double need, done; /* tokens that must be, and are, in the cache before it answers */
    double told;       /* tokens of its answer, at step `since`                        */
    uint64_t since;
    uint64_t last_step; /* its bucket */
    bool answers, is_fresh;
    sp_sim_link link[SP_SIM_LINKS];
} sp_sim_request;

/* What a step takes: the worker's own price, or a test's. */
typedef struct sp_sim_clock {
    double (*step_s)(const void *of, const sp_serve_batch *batch);
    const void *of;
} sp_sim_clock;

typedef struct sp_sim_setup {
    sp_sim_clock clock;
    const sp_pool *pool;
    const sp_serve_load *load;
    const sp_server_timing *timing;
    double ranks, gpus;
    uint64_t requests, seed;
} sp_sim_setup;

typedef struct sp_sim_ring {
    uint32_t first, n, capacity;
    uint32_t *of;
} sp_sim_ring;

typedef struct sp_sim {
    const sp_sim_setup *up;
    sp_chance chance;
    double now_s, heard_s; /* heard_s: end of the last step that told something */
    uint32_t n_users;      /* 0: open loop */
    double gap_s, next_s;  /* between arrivals; of the next one */
    uint64_t n_wanted, n_skipped, n_sent, n_over;
    uint32_t n_slots;
    sp_sim_request *slots;
    sp_sim_ring coming, waiting, filling; /* coming: sent, and not yet with the engine */
    uint32_t n_received;                  /* of those waiting, that may be admitted           */
    uint32_t n_known;                     /* that waited when the step in progress began      */
    sp_sim_list order;
    uint32_t n_admitted, n_answering;
    uint64_t answer_steps, looked_at; /* steps with answers so far, and at the last look */
    bool look;
    uint32_t n_buckets;
    sp_sim_list *buckets;
    double tokens_a_step;               /* of an answer */
    double held, rest, context, prefix; /* sums over those admitted; context: those that answer */
    double *ttft, *tpot, *e2e;          /* of requests that are over */
    double began_s, tokens;             /* measured from here on     */
    double area_s;                      /* requests with the engine, over time */
    double *chunk;                      /* of filling i in this step */
    uint32_t n_fresh, *fresh;           /* that began to answer since the last step of answers */
    uint64_t n_steps, n_preempted;
    sp_tally itl;
} sp_sim;

/* ---- sim_rules.c: who runs ---- */
void sp_sim_push(sp_sim_ring *ring, uint32_t idx);
void sp_sim_pop(sp_sim_ring *ring);
uint32_t sp_sim_at(const sp_sim_ring *ring, uint32_t i);
/* Steps of answers between looks for new requests. */
double sp_sim_poll(const sp_sim *s);
void sp_sim_admit(sp_sim *s);
/* Makes room for a step's answers, the latest going back first. */
void sp_sim_make_room(sp_sim *s);
sp_serve_batch sp_sim_plan(sp_sim *s);
void sp_sim_start_answer(sp_sim *s, uint32_t idx);
void sp_sim_leave(sp_sim *s, uint32_t idx);

/* ---- simulate.c ---- */
sp_status sp_sim_run(struct sp_arena *arena, const sp_sim_setup *setup, sp_simulated *out,
                     sp_error *err);
