/* SPDX-License-Identifier: Apache-2.0 */
/* The largest size whose plan fits. Memory never falls when a size grows and all else stays, so
 * sizes are bisected; where layers are dealt by weight, or models change their shape, all else does
 * not stay, and each way to deal them is a piece of its own. */
#include "shardplan/inverse.h"

#include "search/search_priv.h"
#include "shardplan/memory.h"

#include <assert.h>

#define MOST_MICRO_BATCH  65536u
#define MOST_ACCUMULATION 0x10000u
#define MOST_TOKENS       0x10000000u /* 2^28 */
#define MOST_RANK         65536u
#define MOST_MODEL        100000u
#define MODEL_STEP        1e8 /* parameters */

typedef struct finder {
    const sp_inverse_question *question;
    struct sp_arena *arena;
    const sp_shapes *shapes; /* of SP_LARGEST_MODEL */
    uint64_t unit;
    sp_stage_split *room;
    sp_sizes sizes; /* of the last size that was tried, with the plan and the problem */
    sp_plan plan;
    sp_problem at;
    sp_error *err;
} finder;

/* ---- sizes ---- */

static uint64_t least_common(uint64_t a, uint64_t b)
{
    return b == 0 ? a : a / sp_gcd_u64(a, b) * b;
}

/* Micro-batches of a pipeline come in multiples of these. */
static uint64_t rounds_of(const sp_plan *plan)
{
    if (sp_plan_is_mirrored(plan)) return 2;
    const bool chunks = plan->schedule == SP_SCHEDULE_INTERLEAVED ||
                        (plan->schedule == SP_SCHEDULE_ZB_H1 && plan->vpp > 1);
    return chunks ? plan->pp : 1;
}

static uint64_t unit_of(const sp_inverse_question *q)
{
    const sp_plan *plan = &q->plan;
    switch (q->goal) {
    case SP_LARGEST_SEQUENCE:
        return least_common(2u * (uint64_t)plan->tp * plan->cp, q->problem->question.doc_len);
    case SP_LARGEST_GLOBAL_BATCH:
        return (uint64_t)plan->dp * plan->micro_batch * rounds_of(plan);
    case SP_LARGEST_MICRO_BATCH:
    case SP_LARGEST_LORA_RANK:
    case SP_LARGEST_MODEL:
    case SP_N_INVERSE_GOALS:
        break;
    }
    return 1;
}

/* In units. */
static uint64_t most_of(const finder *f)
{
    const uint64_t positions = f->question->problem->model->positions;
    switch (f->question->goal) {
    case SP_LARGEST_MICRO_BATCH:
        return MOST_MICRO_BATCH;
    case SP_LARGEST_GLOBAL_BATCH:
        return MOST_ACCUMULATION;
    case SP_LARGEST_SEQUENCE:
        return (positions > 0 && positions < MOST_TOKENS ? positions : MOST_TOKENS) / f->unit;
    case SP_LARGEST_LORA_RANK:
        return MOST_RANK;
    case SP_LARGEST_MODEL:
        return MOST_MODEL;
    case SP_N_INVERSE_GOALS:
        break;
    }
    return 0;
}

/* Guesses of models stay in the arena: some dozens of some hundred bytes. */
static bool resize(finder *f, uint64_t value)
{
    sp_sizes *s = &f->sizes;
    switch (f->question->goal) {
    case SP_LARGEST_MICRO_BATCH:
        sp_plan_set(&f->plan, SP_AXIS_micro_batch, (uint32_t)value);
        if (f->question->batch_follows) s->global_batch = f->plan.gpus * value;
        break;
    case SP_LARGEST_GLOBAL_BATCH:
        s->global_batch = value * f->unit;
        break;
    case SP_LARGEST_SEQUENCE:
        s->seq_len = value * f->unit;
        break;
    case SP_LARGEST_LORA_RANK:
        s->lora_rank = (uint32_t)value;
        break;
    case SP_LARGEST_MODEL:
        return sp_shapes_guess(f->arena, f->shapes, (double)value * MODEL_STEP, &s->model,
                               f->err) == SP_OK;
    case SP_N_INVERSE_GOALS:
        break;
    }
    return true;
}

/* A model whose weights, gradients and optimizer alone fill more than the mean GPU has. */
static bool is_hopeless(const finder *f)
{
    const sp_problem *p = f->question->problem;
    const sp_plan *plan = &f->plan;
    const sp_units none = {0};
    if (plan->offload_optimizer > 0 || plan->offload_params > 0) return false;
    const double params = (double)sp_model_parameters(f->sizes.model).total;
    const sp_recipe recipe = sp_least_recipe(p);
    const sp_state_bytes s = sp_mem_state(&recipe, params / ((double)plan->tp * plan->pp), &none,
                                          plan->zero, sp_plan_shards(p, plan).dense);
    return s.weights + s.gradients + s.optimizer > p->allowed_bytes;
}

/* Takes on a size; false where no plan can be built of it. */
static bool take(finder *f, uint64_t value)
{
    if (f->err->status != SP_OK || !resize(f, value) || f->plan.pp > f->sizes.model->n_layers) {
        return false;
    }
    sp_problem_at(f->question->problem, &f->sizes, f->plan.pp, f->room, &f->at);
    sp_plan_derive(&f->plan, f->sizes.global_batch);
    return sp_plan_unbuildable(&f->at, &f->plan) == NULL;
}

static bool fits(void *user, uint64_t value)
{
    finder *f = user;
    sp_memory memory;
    if (!take(f, value)) return false;
    sp_estimate_memory(&f->at, &f->plan, &memory);
    return sp_memory_fits(&f->at, &memory);
}

/* ---- pieces ---- */

static uint64_t layers_of_last(const finder *f)
{
    const sp_stage_split *split = sp_plan_split(&f->at, &f->plan);
    const sp_stage_class *with_head = &split->classes[0]; /* of a folded pipeline, else the last */
    for (uint32_t i = 0; i < split->n_classes; i++) {
        if (split->classes[i].head) with_head = &split->classes[i];
    }
    uint64_t layers = 0;
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        layers += with_head->layers[k];
    }
    return layers;
}

/* How layers are dealt at a length. The weight of the head over that of a layer moves one way as
 * sequences grow, and the layers of the last stage move with it. */
static uint64_t dealing_at(void *user, uint64_t value)
{
    finder *f = user;
    (void)take(f, value);
    return layers_of_last(f);
}

/* A shape; by weight each number of layers is dealt its own way. Shallow models may not fill the
 * pipeline: whether they do is decided once as layers are added. */
static uint64_t shape_at(void *user, uint64_t value)
{
    finder *f = user;
    const uint64_t shape = sp_shapes_nearest(f->shapes, (double)value * MODEL_STEP);
    if (f->plan.stage_layers == SP_STAGE_LAYERS_WEIGHTED) {
        return shape << 32 | sp_shapes_layers(f->shapes, (double)value * MODEL_STEP);
    }
    return shape << 32 | (take(f, value) ? 1 : 0);
}

static uint64_t shape_of(void *user, uint64_t value)
{
    const finder *f = user;
    return sp_shapes_nearest(f->shapes, (double)value * MODEL_STEP);
}

static bool has_hope(void *user, uint64_t value)
{
    finder *f = user;
    return resize(f, value) && !is_hopeless(f);
}

static uint64_t largest(finder *f)
{
    const sp_inverse_goal goal = f->question->goal;
    const bool by_weight = f->plan.stage_layers == SP_STAGE_LAYERS_WEIGHTED && f->plan.pp > 1;
    sp_largest_of of = {.holds = fits, .user = f};
    uint64_t most = most_of(f);
    if (goal == SP_LARGEST_SEQUENCE && by_weight) of.piece = dealing_at;
    if (goal == SP_LARGEST_MODEL) {
        of.piece = shape_at;
        most = sp_largest(&(sp_largest_of){.holds = has_hope, .piece = shape_of, .user = f}, most);
    }
    return sp_largest(&of, most);
}

/* The global batch stays: the micro-batch is one of the divisors of a rank's share of it, tried
 * from the largest on. */
static uint64_t largest_divisor(finder *f)
{
    const uint64_t share = f->sizes.global_batch / f->plan.dp;
    uint64_t root = 1;
    for (; root * root <= share; root++) {
        const uint64_t large = share / root;
        if (share % root == 0 && large <= MOST_MICRO_BATCH && fits(f, large)) return large;
    }
    for (uint64_t small = root - 1; small >= 1; small--) {
        if (share % small == 0 && small <= MOST_MICRO_BATCH && fits(f, small)) return small;
    }
    return 0;
}

/* ---- the answer ---- */

static sp_status begin(finder *f, sp_error *err)
{
    const sp_problem *problem = f->question->problem;
    const size_t n = (size_t)f->question->plan.pp * SP_N_STAGE_LAYERS * SP_N_LAYOUTS;
    f->plan = f->question->plan;
    f->sizes = sp_problem_sizes(problem);
    sp_plan_derive(&f->plan, f->sizes.global_batch);
    f->unit = unit_of(
        &(sp_inverse_question){.goal = f->question->goal, .problem = problem, .plan = f->plan});
    f->room = sp_arena_alloc(f->arena, n * sizeof *f->room);
    if (f->room == NULL) return sp_fail(err, SP_E_MEMORY, "the question needs more");
    if (f->question->goal != SP_LARGEST_MODEL) return SP_OK;
    return sp_shapes_load(f->arena, problem->question.home, &f->shapes, err);
}

sp_status sp_inverse_largest(struct sp_arena *arena, const sp_inverse_question *q,
                             sp_inverse *answer, sp_error *err)
{
    finder f = {.question = q, .arena = arena, .err = err};
    *answer = (sp_inverse){.plan = q->plan};
    err->status = SP_OK;
    SP_TRY(begin(&f, err));
    if (f.plan.dp == 0 || f.unit == 0) return SP_OK;
    const bool divides = q->goal == SP_LARGEST_MICRO_BATCH && !q->batch_follows;
    const uint64_t value = divides ? largest_divisor(&f) : largest(&f);
    if (err->status != SP_OK) return err->status;
    answer->found = value > 0 && fits(&f, value);
    assert(answer->found == (value > 0));
    answer->unbounded = value == most_of(&f) && !divides;
    answer->value = value * f.unit;
    answer->global_batch = f.sizes.global_batch;
    answer->model = f.sizes.model;
    answer->plan = f.plan;
    return err->status;
}
