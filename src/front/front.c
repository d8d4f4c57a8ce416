/* SPDX-License-Identifier: Apache-2.0 */
/* The Pareto front: points sorted by id, and for each block of them the smallest of every key, so
 * that most blocks are passed over with one look. Neighbours in a search are covered by the same
 * point more often than not: that point is tried first. */
#include "shardplan/front.h"

#include "base/base.h"

#include <assert.h>
#include <string.h>

enum { BLOCK = 16 };

sp_status sp_front_init(sp_front *front, uint32_t n_keys, sp_error *err)
{
    assert(n_keys >= 1 && n_keys <= SP_MAX_OBJECTIVES);
    (void)err;
    *front = (sp_front){.n_keys = n_keys};
    return SP_OK;
}

void sp_front_fini(sp_front *front)
{
    sp_free(front->points);
    sp_free(front->block_least);
    *front = (sp_front){0};
}

static bool at_most(const double *a, const double *b, uint32_t n_keys)
{
    for (uint32_t k = 0; k < n_keys; k++) {
        if (a[k] > b[k]) return false;
    }
    return true;
}

static bool equal(const double *a, const double *b, uint32_t n_keys)
{
    for (uint32_t k = 0; k < n_keys; k++) {
        if (a[k] != b[k]) return false;
    }
    return true;
}

/* a makes (key, id) superfluous: as good in all keys, and better in one or older. */
static bool beats(const sp_point *a, const double *key, uint64_t id, uint32_t n_keys)
{
    return at_most(a->key, key, n_keys) && (a->id < id || !equal(a->key, key, n_keys));
}

/* The index of a point that beats (key, id), or n_points. */
static uint32_t find_cover(const sp_front *front, const double *key, uint64_t id)
{
    const uint32_t n_keys = front->n_keys, n = front->n_points;
    if (front->hint < n && beats(&front->points[front->hint], key, id, n_keys)) return front->hint;
    for (uint32_t start = 0; start < n; start += BLOCK) {
        const double *least = &front->block_least[(size_t)(start / BLOCK) * SP_MAX_OBJECTIVES];
        if (!at_most(least, key, n_keys)) continue;
        const uint32_t end = start + BLOCK < n ? start + BLOCK : n;
        for (uint32_t i = start; i < end; i++) {
            if (beats(&front->points[i], key, id, n_keys)) return i;
        }
    }
    return n;
}

bool sp_front_covers(const sp_front *front, const double *key, uint64_t id)
{
    return find_cover(front, key, id) < front->n_points;
}

static void refresh_blocks(sp_front *front, uint32_t first)
{
    for (uint32_t start = first - first % BLOCK; start < front->n_points; start += BLOCK) {
        double *least = &front->block_least[(size_t)(start / BLOCK) * SP_MAX_OBJECTIVES];
        memcpy(least, front->points[start].key, sizeof front->points[start].key);
        for (uint32_t i = start + 1; i < start + BLOCK && i < front->n_points; i++) {
            for (uint32_t k = 0; k < front->n_keys; k++) {
                const double key = front->points[i].key[k];
                if (key < least[k]) least[k] = key;
            }
        }
    }
}

static bool reserve(sp_front *front)
{
    if (front->n_points < front->capacity) return true;
    const uint32_t capacity = front->capacity == 0 ? 4 * BLOCK : 2 * front->capacity;
    sp_point *points = sp_realloc(front->points, capacity * sizeof *points);
    if (points == NULL) return false;
    front->points = points;
    double *least = sp_realloc(front->block_least,
                               (size_t)capacity / BLOCK * SP_MAX_OBJECTIVES * sizeof *least);
    if (least == NULL) return false;
    front->block_least = least;
    front->capacity = capacity;
    return true;
}

/* Drops what the new point beats; returns the index of the first one dropped. */
static uint32_t drop_beaten(sp_front *front, const sp_point *point)
{
    uint32_t kept = 0, first = front->n_points;
    for (uint32_t i = 0; i < front->n_points; i++) {
        const sp_point *old = &front->points[i];
        if (beats(point, old->key, old->id, front->n_keys)) {
            if (i < first) first = i;
        } else {
            front->points[kept++] = *old;
        }
    }
    front->n_points = kept;
    return first < kept ? first : kept;
}

static uint32_t place_of(const sp_front *front, uint64_t id)
{
    uint32_t lo = 0, hi = front->n_points;
    while (lo < hi) {
        const uint32_t middle = lo + (hi - lo) / 2;
        if (front->points[middle].id < id) {
            lo = middle + 1;
        } else {
            hi = middle;
        }
    }
    return lo;
}

bool sp_front_insert(sp_front *front, const sp_point *point, bool *failed)
{
    assert(front->n_keys > 0);
    /* A point that is there already is covered as well: its id is below id + 1. */
    const uint32_t cover = find_cover(front, point->key, point->id + 1);
    if (cover < front->n_points) {
        front->hint = cover;
        return false;
    }
    if (!reserve(front)) {
        *failed = true;
        return false;
    }
    const uint32_t dropped = drop_beaten(front, point);
    const uint32_t place = place_of(front, point->id);
    memmove(&front->points[place + 1], &front->points[place],
            (front->n_points - place) * sizeof *front->points);
    front->points[place] = *point;
    front->n_points++;
    front->hint = place;
    refresh_blocks(front, dropped < place ? dropped : place);
    return true;
}

bool sp_front_join(sp_front *front, const sp_front *other, bool *failed)
{
    assert(front->n_keys == other->n_keys);
    bool changed = false;
    for (uint32_t i = 0; i < other->n_points && !*failed; i++) {
        changed |= sp_front_insert(front, &other->points[i], failed);
    }
    return changed;
}
