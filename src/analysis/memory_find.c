/* SPDX-License-Identifier: Apache-2.0 */
/* The questions turned round: bisection over exact evaluations, since more requests, tokens or
 * parameters never need less memory; GPUs are tried from the fewest on. */
#include "analysis/memory_priv.h"
#include "base/base.h"

#include <assert.h>

#define MOST_BATCH  0x100000u
#define MOST_TOKENS 0x40000000u
#define MOST_STAGES 16u
#define MODEL_STEP  1e8 /* parameters */
#define MOST_MODEL  100000u

static bool serves(const sp_footprint_question *q)
{
    sp_error err = {0};
    sp_footprint out;
    if (sp_footprint_check(q, &err) != SP_OK) return false;
    sp_footprint_evaluate(q, &out);
    /* A pool bounds itself; an engine that grows is left its headroom. */
    if (q->server.base == SP_POOL_GROWING) return out.verdict == SP_FOOTPRINT_FITS;
    return sp_footprint_serves(&out);
}

/* ---- batch and context ---- */

static bool serves_at(const sp_footprint_question *q, sp_footprint_find find, uint64_t value)
{
    sp_footprint_question tried = *q;
    if (find == SP_FIND_MAX_BATCH) {
        tried.batch = value * q->dp;
    } else {
        tried.isl = value;
    }
    return serves(&tried);
}

/* The largest value that is served, 0 where 1 is not. */
static uint64_t largest(const sp_footprint_question *q, sp_footprint_find find, uint64_t most)
{
    uint64_t good = 0, bad = 1;
    while (bad <= most && serves_at(q, find, bad)) {
        good = bad;
        bad *= 2;
    }
    if (bad > most) bad = most + 1;
    while (bad - good > 1) {
        const uint64_t middle = good + (bad - good) / 2;
        if (serves_at(q, find, middle)) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    return good;
}

/* ---- the model ---- */

static sp_status serves_model(struct sp_arena *arena, const char *home,
                              const sp_footprint_question *q, uint64_t steps,
                              const sp_model **model, bool *served, sp_error *err)
{
    sp_footprint_question tried = *q;
    SP_TRY(sp_model_guess(arena, home, (double)steps * MODEL_STEP, model, err));
    tried.model = *model;
    *served = serves(&tried);
    return SP_OK;
}

static sp_status largest_model(struct sp_arena *arena, const char *home, sp_footprint_question *q,
                               bool *found, sp_error *err)
{
    uint64_t good = 0, bad = MOST_MODEL;
    const sp_model *model = NULL, *best = NULL;
    while (bad - good > 1) {
        const uint64_t middle = good + (bad - good) / 2;
        bool served = false;
        SP_TRY(serves_model(arena, home, q, middle, &model, &served, err));
        if (served) {
            good = middle;
            best = model;
        } else {
            bad = middle;
        }
    }
    *found = best != NULL;
    if (*found) q->model = best;
    return SP_OK;
}

/* ---- GPUs ---- */

/* The fewest equally large nodes of `domain` GPUs that hold whole stages. */
static uint32_t nodes_of(uint32_t tp, uint32_t pp, uint32_t domain)
{
    for (uint32_t nodes = 1; nodes < pp; nodes++) {
        if (pp % nodes == 0 && pp / nodes * tp <= domain) return nodes;
    }
    return pp;
}

static bool fewest_gpus(sp_footprint_question *q, uint32_t domain)
{
    for (uint32_t gpus = 1; gpus <= domain * MOST_STAGES; gpus++) {
        for (uint32_t tp = domain; tp >= 1; tp--) {
            if (gpus % tp != 0 || gpus / tp > MOST_STAGES) continue;
            sp_footprint_question tried = *q;
            tried.tp = tp;
            tried.pp = gpus / tp;
            tried.dp = tried.ep = 1;
            if (q->nodes == 1) tried.nodes = nodes_of(tp, tried.pp, domain);
            if (!serves(&tried)) continue;
            *q = tried;
            return true;
        }
    }
    return false;
}

sp_status sp_footprint_search(struct sp_arena *arena, const char *home, sp_footprint_find find,
                              uint32_t domain, sp_footprint_question *q, bool *found, sp_error *err)
{
    uint64_t value = 0;
    *found = false;
    switch (find) {
    case SP_FIND_NOTHING:
        *found = serves(q);
        return SP_OK;
    case SP_FIND_MAX_BATCH:
        value = largest(q, find, MOST_BATCH);
        *found = value > 0;
        if (*found) q->batch = value * q->dp;
        return SP_OK;
    case SP_FIND_MAX_CONTEXT:
        value = largest(q, find, MOST_TOKENS);
        *found = value > 0;
        if (*found) q->isl = value;
        return SP_OK;
    case SP_FIND_MAX_MODEL:
        return largest_model(arena, home, q, found, err);
    case SP_FIND_MIN_GPUS:
        *found = fewest_gpus(q, domain);
        return SP_OK;
    }
    assert(!"a question");
    return SP_OK;
}
