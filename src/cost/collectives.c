/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the fastest algorithm for a collective, as communication libraries do by message size. */
#include "cost/cost.h"

#include <assert.h>
#include <stddef.h>

#define SP_COLL(name) extern const sp_coll_algorithm sp_coll_##name;
#include "cost/collectives.def"
#undef SP_COLL

static const sp_coll_algorithm *const algorithms[] = {
#define SP_COLL(name) &sp_coll_##name,
#include "cost/collectives.def"
#undef SP_COLL
};

#define N_ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

uint32_t sp_coll_algorithm_count(void)
{
    return (uint32_t)N_ALGORITHMS;
}

const sp_coll_algorithm *sp_coll_algorithm_describe(uint32_t idx)
{
    assert(idx < N_ALGORITHMS);
    return algorithms[idx];
}

double sp_coll_allgather_s(const sp_group *group, double bytes)
{
    if (group->n == 1 || bytes <= 0.0) {
        return 0.0;
    }
    double best = algorithms[0]->allgather_s(group, bytes);
    for (size_t i = 1; i < N_ALGORITHMS; i++) {
        const sp_coll_algorithm *a = algorithms[i];
        if (a->allgather_s != NULL && !(group->one_level && a->by_level)) {
            const double t = a->allgather_s(group, bytes);
            best = t < best ? t : best;
        }
    }
    return group->base_s + best;
}

double sp_coll_allreduce_s(const sp_group *group, double bytes)
{
    if (group->n == 1 || bytes <= 0.0) {
        return 0.0;
    }
    double best = algorithms[0]->allreduce_s(group, bytes);
    for (size_t i = 1; i < N_ALGORITHMS; i++) {
        if (!(group->one_level && algorithms[i]->by_level)) {
            const double t = algorithms[i]->allreduce_s(group, bytes);
            best = t < best ? t : best;
        }
    }
    return group->base_s + best;
}
