/* SPDX-License-Identifier: Apache-2.0 */
/* The points of a plane that no other point beats: sort by one side, then walk with the best of the
 * other so far. O(n log n). */
#include "shardplan/sweep.h"

#include <math.h>
#include <stdlib.h>

/* Faster first, of those the cheaper, of those the first. Heap sort because qsort hands its
 * comparison no pointer to the values. */
static bool precedes(const double *x, const double *y, uint32_t a, uint32_t b)
{
    if (x[a] != x[b]) return x[a] > x[b];
    if (y[a] != y[b]) return y[a] < y[b];
    return a < b;
}

/* Moves order[root] down until no child stands behind it in the order. */
static void sift(const double *x, const double *y, uint32_t *order, uint32_t root, uint32_t n)
{
    for (uint32_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
        if (child + 1 < n && precedes(x, y, order[child], order[child + 1])) child++;
        if (!precedes(x, y, order[root], order[child])) return;
        const uint32_t moved = order[root];
        order[root] = order[child];
        order[child] = moved;
        root = child;
    }
}

static void heap_sort(const double *x, const double *y, uint32_t *order, uint32_t n)
{
    for (uint32_t root = n / 2; root-- > 0;) {
        sift(x, y, order, root, n);
    }
    for (uint32_t last = n; last-- > 1;) {
        const uint32_t moved = order[0];
        order[0] = order[last];
        order[last] = moved;
        sift(x, y, order, 0, last);
    }
}

uint32_t sp_front_2d(const double *x, const double *y, uint32_t n, uint32_t *order)
{
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    heap_sort(x, y, order, n);
    uint32_t n_front = 0;
    double best = HUGE_VAL;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = order[i];
        const uint32_t last = n_front > 0 ? order[n_front - 1] : at;
        const bool same = n_front > 0 && x[at] == x[last] && y[at] == y[last];
        if (y[at] < best || same) order[n_front++] = at;
        best = fmin(best, y[at]);
    }
    return n_front;
}
