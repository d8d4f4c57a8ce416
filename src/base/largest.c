/* SPDX-License-Identifier: Apache-2.0 */
/* The largest whole number of which something holds, by bisection inside pieces: within a piece
 * what holds of a number holds of every smaller one, across pieces nothing is assumed. */
#include "base/base.h"

#include <assert.h>

static uint64_t piece_of(const sp_largest_of *of, uint64_t value)
{
    return of->piece != NULL ? of->piece(of->user, value) : 0;
}

/* The smallest number of the piece that `last` lies in. */
static uint64_t piece_begin(const sp_largest_of *of, uint64_t last)
{
    const uint64_t piece = piece_of(of, last);
    uint64_t outside = 0, inside = last;
    if (of->piece == NULL) return 1;
    while (inside - outside > 1) {
        const uint64_t middle = outside + (inside - outside) / 2;
        if (piece_of(of, middle) == piece) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    return inside;
}

/* `good` holds and so does nothing above `most`: steps that double keep small answers cheap. */
static uint64_t largest_within(const sp_largest_of *of, uint64_t good, uint64_t most)
{
    uint64_t bad = most + 1;
    for (uint64_t step = 1; step < bad - good; step *= 2) {
        if (of->holds(of->user, good + step)) {
            good += step;
        } else {
            bad = good + step;
        }
    }
    while (bad - good > 1) {
        const uint64_t middle = good + (bad - good) / 2;
        if (of->holds(of->user, middle)) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    return good;
}

uint64_t sp_largest(const sp_largest_of *of, uint64_t most)
{
    assert(of->holds != NULL && most < UINT64_MAX / 2);
    for (uint64_t last = most; last >= 1;) {
        const uint64_t first = piece_begin(of, last);
        if (of->holds(of->user, first)) return largest_within(of, first, last);
        last = first - 1;
    }
    return 0;
}
