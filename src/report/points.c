/* SPDX-License-Identifier: Apache-2.0 */
/* Points in the order in which people see them: by the first objective, then id. */
#include "report/report_priv.h"

#include <stdlib.h>
#include <string.h>

static int by_first_objective(const void *a, const void *b)
{
    const sp_point *x = a, *y = b;
    if (x->key[0] != y->key[0]) return x->key[0] < y->key[0] ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

void sp_points_sort(sp_point *points, uint32_t n)
{
    if (n > 0) qsort(points, n, sizeof *points, by_first_objective);
}

sp_point *sp_points_of_front(const sp_front *front)
{
    sp_point *points = sp_alloc((front->n_points + 1) * sizeof *points);
    if (points == NULL) return NULL;
    if (front->n_points > 0) memcpy(points, front->points, front->n_points * sizeof *points);
    sp_points_sort(points, front->n_points);
    return points;
}
