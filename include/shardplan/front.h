/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sets of plans that can be joined in any order: the Pareto front and the best K.
 *
 * Both compare keys (smaller is better) that were quantised to SP_KEY_BITS significant bits, ties to
 * the lowest id, so that insertion and join are commutative, associative and idempotent: threads,
 * ranks and restarts merge in any order and the result is the same bit for bit.
 */
#include "shardplan/estimate.h"

#include <stdbool.h>
#include <stdint.h>

#define SP_KEY_BITS 20

typedef struct sp_point {
    uint64_t id;
    double key[SP_MAX_OBJECTIVES]; /* quantised; unused ones are 0 */
} sp_point;

/* Plans that no other plan beats or equals in all keys (of equals the lowest id stays), sorted by id. */
typedef struct sp_front {
    uint32_t n_keys;
    uint32_t n_points, capacity;
    sp_point *points;
    double *block_least; /* of each run of 16 points the smallest of every key: a first look      */
    uint32_t hint;       /* the point that covered the last one                                   */
} sp_front;

sp_status sp_front_init(sp_front *front, uint32_t n_keys, sp_error *err);
void sp_front_fini(sp_front *front);
/* True when the point changed the front. Grows the front; false with *failed set when memory is gone. */
bool sp_front_insert(sp_front *front, const sp_point *point, bool *failed);
/* True when some point is <= key in all and (< in one or has a lower id than `id`). */
bool sp_front_covers(const sp_front *front, const double *key, uint64_t id);
bool sp_front_join(sp_front *front, const sp_front *other, bool *failed);

/* By (key[0], id): the order of rankings. */
bool sp_point_precedes(const sp_point *a, const sp_point *b);

/* The k points with the smallest (key[0], id): a set by id. */
typedef struct sp_best {
    uint32_t capacity, n_points;
    sp_point *points; /* sorted by (key[0], id) */
} sp_best;

sp_status sp_best_init(sp_best *best, uint32_t k, sp_error *err);
void sp_best_fini(sp_best *best);
bool sp_best_insert(sp_best *best, const sp_point *point);
void sp_best_join(sp_best *best, const sp_best *other);
