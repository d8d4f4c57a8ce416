/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What one GPU of a plan sends in a step, collective by collective: those that the engine really
 * calls under the plan's ZeRO stage, schedule and sharding.
 *
 * The rows are those of the slowest stage, by which the step is priced; their sent bytes add up to
 * the sums of sp_network (estimate.h). busy_s is how long the network is at it, whatever it hides
 * beside; what the step waits for is in sp_time.
 *
 *     sp_traffic traffic;
 *     sp_traffic_build(problem, &plan, &traffic);
 */
#include "shardplan/estimate.h"

typedef enum sp_dimension {
    SP_BY_TP,
    SP_BY_CP,
    SP_BY_EP,
    SP_BY_PP,
    SP_BY_DP,
    SP_N_DIMENSIONS
} sp_dimension;
const char *sp_dimension_name(sp_dimension dimension); /* "tp" */

typedef enum sp_collective {
    SP_ALL_REDUCE,
    SP_REDUCE_SCATTER,
    SP_ALL_GATHER,
    SP_ALL_TO_ALL,
    SP_SEND, /* to a neighbour */
    SP_N_COLLECTIVES
} sp_collective;
const char *sp_collective_name(sp_collective collective); /* "all-reduce" */

typedef struct sp_exchange {
    sp_dimension dimension;
    sp_collective collective;
    const char *what;        /* "gradients"                                                      */
    uint32_t ranks;          /* of one group                                                     */
    bool leaves_domain;      /* it goes beyond the fastest links                                 */
    double link_bytes_per_s; /* what one GPU reaches on the slowest link that it takes           */
    double times;            /* calls in a step                                                  */
    double bytes;            /* the whole tensor of one call, on average                         */
    double sent_bytes;       /* by one GPU in a step                                             */
    double busy_s;           /* of a step                                                        */
} sp_exchange;

#define SP_MAX_EXCHANGES 24

typedef struct sp_traffic {
    uint32_t n_rows;
    sp_exchange rows[SP_MAX_EXCHANGES];
} sp_traffic;

/* dp and accumulation of the plan are filled. */
void sp_traffic_build(const struct sp_problem *problem, const sp_plan *plan, sp_traffic *out);
/* Of all rows of a dimension. */
double sp_traffic_sent_bytes(const sp_traffic *traffic, sp_dimension dimension);
double sp_traffic_busy_s(const sp_traffic *traffic, sp_dimension dimension);
/* What the step waits for the dimension. */
double sp_traffic_waits_s(const sp_time *time, sp_dimension dimension);
