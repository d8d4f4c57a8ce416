/* SPDX-License-Identifier: Apache-2.0 */
/* The best K points by their first key, as a set by id: inserting a point twice changes nothing. */
#include "shardplan/front.h"

#include "base/base.h"

#include <assert.h>
#include <string.h>

sp_status sp_best_init(sp_best *best, uint32_t k, sp_error *err)
{
    *best = (sp_best){.capacity = k};
    best->points = sp_alloc(((size_t)k + 1) * sizeof *best->points);
    return best->points != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the best plans");
}

void sp_best_fini(sp_best *best)
{
    sp_free(best->points);
    *best = (sp_best){0};
}

bool sp_point_precedes(const sp_point *a, const sp_point *b)
{
    return a->key[0] < b->key[0] || (a->key[0] == b->key[0] && a->id < b->id);
}

bool sp_best_insert(sp_best *best, const sp_point *point)
{
    uint32_t n = best->n_points, place = n;
    if (n == best->capacity && (n == 0 || !sp_point_precedes(point, &best->points[n - 1])))
        return false;
    while (place > 0 && sp_point_precedes(point, &best->points[place - 1])) {
        place--;
    }
    if (place > 0 && best->points[place - 1].id == point->id) return false;
    if (n == best->capacity) n--;
    memmove(&best->points[place + 1], &best->points[place], (n - place) * sizeof *best->points);
    best->points[place] = *point;
    best->n_points = n + 1;
    return true;
}

void sp_best_join(sp_best *best, const sp_best *other)
{
    for (uint32_t i = 0; i < other->n_points; i++) {
        (void)sp_best_insert(best, &other->points[i]);
    }
}
