/* SPDX-License-Identifier: Apache-2.0 */
/* The questions turned round: bisection over exact evaluations, since more requests, tokens or
 * layers of a shape never need less memory; GPUs are tried from the fewest on. */
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

typedef struct finder {
    const sp_footprint_question *question;
    sp_footprint_find find;
    struct sp_arena *arena;
    const sp_shapes *shapes; /* of SP_FIND_MAX_MODEL */
    sp_error *err;
} finder;

static bool serves_at(void *user, uint64_t value)
{
    const finder *f = user;
    sp_footprint_question tried = *f->question;
    if (f->find == SP_FIND_MAX_BATCH) {
        tried.batch = value * tried.dp;
    } else {
        tried.isl = value;
    }
    return serves(&tried);
}

/* The largest value that is served, 0 where 1 is not. */
static uint64_t largest(const sp_footprint_question *q, sp_footprint_find find, uint64_t most)
{
    finder f = {.question = q, .find = find};
    return sp_largest(&(sp_largest_of){.holds = serves_at, .user = &f}, most);
}

/* ---- the model ---- */

static bool take_model(const finder *f, uint64_t steps, sp_footprint_question *tried)
{
    const double parameters = (double)steps * MODEL_STEP;
    *tried = *f->question;
    return f->err->status == SP_OK &&
           sp_shapes_guess(f->arena, f->shapes, parameters, &tried->model, f->err) == SP_OK;
}

static bool serves_model(void *user, uint64_t steps)
{
    sp_footprint_question tried;
    return take_model(user, steps, &tried) && serves(&tried);
}

/* Within a shape a larger model never needs less; the shallowest may not fill a pipeline. */
static uint64_t shape_of(void *user, uint64_t steps)
{
    const finder *f = user;
    sp_footprint_question tried;
    sp_error refused = {0};
    const uint64_t shape = sp_shapes_nearest(f->shapes, (double)steps * MODEL_STEP);
    const bool can = take_model(f, steps, &tried) && sp_footprint_check(&tried, &refused) == SP_OK;
    return shape << 1 | (can ? 1 : 0);
}

static sp_status largest_model(struct sp_arena *arena, const char *home, sp_footprint_question *q,
                               bool *found, sp_error *err)
{
    finder f = {.question = q, .arena = arena, .err = err};
    err->status = SP_OK;
    SP_TRY(sp_shapes_load(arena, home, &f.shapes, err));
    const uint64_t steps = sp_largest(
        &(sp_largest_of){.holds = serves_model, .piece = shape_of, .user = &f}, MOST_MODEL);
    if (err->status != SP_OK) return err->status;
    *found = steps > 0;
    if (!*found) return SP_OK;
    return sp_shapes_guess(arena, f.shapes, (double)steps * MODEL_STEP, &q->model, err);
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
