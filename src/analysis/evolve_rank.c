/* SPDX-License-Identifier: Apache-2.0 */
/* Who beats whom in a population, and who stands alone: ranks by constrained dominance, and the
 * crowding distance along each front. */
#include "analysis/evolve.h"

#include <math.h>
#include <stdlib.h>

/* What keeps the constraints beats what breaks them; of two that break them, the one that does so
 * less; of two that keep them, the one that is nowhere worse and somewhere better. */
static bool beats(const sp_individual *a, const sp_individual *b, uint32_t n_objectives)
{
    if (a->violation > 0.0 || b->violation > 0.0) return a->violation < b->violation;
    bool better = false;
    for (uint32_t m = 0; m < n_objectives; m++) {
        if (a->objectives[m] > b->objectives[m]) return false;
        better = better || a->objectives[m] < b->objectives[m];
    }
    return better;
}

/* Ranks are taken off like leaves: whoever nobody of the rest beats comes next. beaten_by holds
 * how many of the rest beat each. */
static void count_beaten(const sp_individual *all, uint32_t n, uint32_t n_objectives,
                         uint32_t *beaten_by)
{
    for (uint32_t i = 0; i < n; i++) {
        beaten_by[i] = 0;
        for (uint32_t j = 0; j < n; j++) {
            beaten_by[i] += beats(&all[j], &all[i], n_objectives);
        }
    }
}

static uint32_t take_rank(sp_individual *all, uint32_t n, uint32_t rank, const uint32_t *beaten_by,
                          uint32_t *taken)
{
    uint32_t n_taken = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (all[i].rank != UINT32_MAX || beaten_by[i] > 0) continue;
        all[i].rank = rank;
        taken[n_taken++] = i;
    }
    return n_taken;
}

void sp_evolve_rank(sp_individual *all, uint32_t n, uint32_t n_objectives, uint32_t *scratch)
{
    uint32_t *beaten_by = scratch, *taken = scratch + n;
    count_beaten(all, n, n_objectives, beaten_by);
    for (uint32_t i = 0; i < n; i++) {
        all[i].rank = UINT32_MAX;
    }
    for (uint32_t rank = 0, left = n; left > 0; rank++) {
        const uint32_t n_taken = take_rank(all, n, rank, beaten_by, taken);
        for (uint32_t i = 0; i < n; i++) {
            if (all[i].rank != UINT32_MAX) continue;
            for (uint32_t t = 0; t < n_taken; t++) {
                beaten_by[i] -= beats(&all[taken[t]], &all[i], n_objectives);
            }
        }
        left -= n_taken;
    }
}

typedef struct coordinate {
    double value;
    sp_individual *individual;
} coordinate;

static int by_value(const void *left, const void *right)
{
    const coordinate *a = left, *b = right;
    return a->value != b->value ? (a->value > b->value) - (a->value < b->value)
                                : (a->individual > b->individual) - (a->individual < b->individual);
}

/* The ends of a front along an objective stay whatever happens. */
static void crowd_along(coordinate *line, uint32_t n)
{
    qsort(line, n, sizeof *line, by_value);
    const double spread = line[n - 1].value - line[0].value;
    if (spread <= 0.0) return;
    line[0].individual->crowding = line[n - 1].individual->crowding = HUGE_VAL;
    for (uint32_t i = 1; i + 1 < n; i++) {
        line[i].individual->crowding += (line[i + 1].value - line[i - 1].value) / spread;
    }
}

static void crowd_rank(sp_individual *all, uint32_t n, uint32_t rank, uint32_t n_objectives,
                       coordinate *line)
{
    for (uint32_t m = 0; m < n_objectives; m++) {
        uint32_t n_line = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (all[i].rank != rank) continue;
            if (m == 0) all[i].crowding = 0.0;
            line[n_line++] = (coordinate){all[i].objectives[m], &all[i]};
        }
        if (n_line > 0) crowd_along(line, n_line);
    }
}

void sp_evolve_crowd(sp_individual *all, uint32_t n, uint32_t n_objectives, void *scratch)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < n; i++) {
        last = all[i].rank > last ? all[i].rank : last;
    }
    for (uint32_t rank = 0; rank <= last; rank++) {
        crowd_rank(all, n, rank, n_objectives, scratch);
    }
}

static int by_rank(const void *left, const void *right)
{
    const sp_individual *a = left, *b = right;
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    return (a->crowding < b->crowding) - (a->crowding > b->crowding);
}

/* In place and stable, so that the same seed keeps the same of equals on every C library. */
void sp_evolve_sort(sp_individual *all, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        const sp_individual moved = all[i];
        uint32_t at = i;
        for (; at > 0 && by_rank(&moved, &all[at - 1]) < 0; at--) {
            all[at] = all[at - 1];
        }
        all[at] = moved;
    }
}

size_t sp_evolve_scratch_bytes(uint32_t n)
{
    return n *
           (sizeof(coordinate) > 2 * sizeof(uint32_t) ? sizeof(coordinate) : 2 * sizeof(uint32_t));
}
