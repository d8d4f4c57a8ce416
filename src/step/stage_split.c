/* SPDX-License-Identifier: Apache-2.0 */
/* Deals the layers of a model to pipeline stages, for every depth and policy, once per problem.
 * even: counts differ by one at most, the longer stages in the middle, where neither embedding nor
 * head lies. weighted: the last stage gets fewer layers, as many as make up for the head. */
#include "step/step.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Layers of stage i when the last stage has `last`: the others share the rest evenly, a remainder
 * going to the stages after the first. */
static uint32_t share_of(uint32_t n_layers, uint32_t p, uint32_t last, uint32_t stage)
{
    if (stage == p - 1) {
        return last;
    }
    const uint32_t rest = n_layers - last, q = rest / (p - 1), extra = rest % (p - 1);
    const uint32_t place = stage == 0 ? p - 2 : stage - 1;
    return q + (place < extra ? 1 : 0);
}

/* Weight in layers of what the last stage holds beside them, the head and the modules for further
 * tokens: FLOPs over those of a mean layer, per token. */
static double head_weight(const sp_problem *problem)
{
    const double length = sp_problem_attended(problem);
    const double head = 2.0 * problem->model->vocab * (double)problem->model->hidden;
    const double all = sp_graph_forward_flops(problem->model, length, 1.0);
    const double further = sp_graph_mtp_forward_flops(problem->model, length, 1.0);
    return (head + further) * problem->model->n_layers / (all - head);
}

/* Layers of the last stage that make the slowest stage shortest; ties keep more layers there. */
static uint32_t last_share(uint32_t n_layers, uint32_t p, double weight)
{
    uint32_t best = 1;
    double best_load = INFINITY;
    for (uint32_t last = 1; last <= n_layers / p && n_layers - last >= p - 1; last++) {
        const double others = ceil((double)(n_layers - last) / (p - 1));
        const double load = fmax(others, last + weight);
        if (load <= best_load) {
            best_load = load;
            best = last;
        }
    }
    return best;
}

/* Layers of the last of p stages. */
static uint32_t layers_of_last(const sp_problem *problem, uint32_t p, sp_stage_layers policy)
{
    const uint32_t n_layers = problem->model->n_layers;
    const bool weighted = policy == SP_STAGE_LAYERS_WEIGHTED && p > 1;
    return weighted ? last_share(n_layers, p, head_weight(problem)) : n_layers / p;
}

/* Counts the layers of each kind in [first, first + n). */
static sp_stage_class class_of(const sp_model *model, uint32_t first, uint32_t n)
{
    sp_stage_class c = {.n_stages = 1};
    uint32_t start = 0;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        const uint32_t end = start + model->runs[r].count;
        const uint32_t lo = first > start ? first : start;
        const uint32_t hi = first + n < end ? first + n : end;
        if (lo < hi) {
            c.layers[model->runs[r].kind] = (uint16_t)(c.layers[model->runs[r].kind] + hi - lo);
        }
        start = end;
    }
    return c;
}

static bool same_class(const sp_stage_class *a, const sp_stage_class *b)
{
    return memcmp(a->layers, b->layers, sizeof a->layers) == 0 && a->embedding == b->embedding &&
           a->head == b->head;
}

/* A model with more kinds of stages than the table holds is priced a little too dear: surplus
 * stages count as the element-wise larger of themselves and the last class. */
static void merge(sp_stage_class *into, const sp_stage_class *stage)
{
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        into->layers[k] = into->layers[k] > stage->layers[k] ? into->layers[k] : stage->layers[k];
    }
    into->embedding |= stage->embedding;
    into->head |= stage->head;
    into->n_stages++;
}

static uint32_t class_index(sp_stage_split *split, const sp_stage_class *stage)
{
    for (uint32_t i = 0; i < split->n_classes; i++) {
        if (same_class(&split->classes[i], stage)) {
            split->classes[i].n_stages++;
            return i;
        }
    }
    if (split->n_classes == SP_MAX_STAGE_CLASSES) {
        merge(&split->classes[SP_MAX_STAGE_CLASSES - 1], stage);
        return SP_MAX_STAGE_CLASSES - 1;
    }
    split->classes[split->n_classes] = *stage;
    return split->n_classes++;
}

static void add_stage(sp_stage_split *split, const sp_stage_class *stage)
{
    const uint32_t own = class_index(split, stage);
    for (uint32_t i = 0; i < split->n_classes; i++) {
        split->classes[i].after[own]++;
    }
    split->classes[own].last_stage = stage->first_stage;
    memset(split->classes[own].after, 0, sizeof split->classes[own].after);
}

static bool holds_as_much(const sp_stage_class *a, const sp_stage_class *b)
{
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        if (a->layers[k] < b->layers[k]) {
            return false;
        }
    }
    return a->embedding >= b->embedding && a->head >= b->head && a->first_stage <= b->first_stage;
}

/* Memory grows with layers and ends and falls along the pipeline, so it need not be priced for
 * these. */
static void mark_never_fullest(sp_stage_split *split)
{
    for (uint32_t i = 0; i < split->n_classes; i++) {
        for (uint32_t k = 0; k < split->n_classes; k++) {
            split->classes[i].never_fullest |=
                i != k && holds_as_much(&split->classes[k], &split->classes[i]);
        }
    }
}

static void add_block(sp_stage_class *stage, const sp_stage_class *block)
{
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        stage->layers[k] = (uint16_t)(stage->layers[k] + block->layers[k]);
    }
}

/* What a layout can be cut into: each block holds a layer, the embedding, the head or a prediction
 * module; a mirrored pipeline has stages in pairs. */
static bool can_cut(const sp_model *model, uint32_t p, sp_block_layout layout)
{
    switch (layout) {
    case SP_LAYOUT_V:
        return 2 * p <= model->n_layers + 2 + model->mtp_layers;
    case SP_LAYOUT_MIRROR:
        return p % 2 == 0;
    case SP_LAYOUT_ROW:
    case SP_N_LAYOUTS:
        break;
    }
    return true;
}

/* A row has a block a stage; the others fold the row of blocks in the middle, with the embedding
 * and the head on the first stage. */
void sp_split_build(const sp_problem *problem, uint32_t p, sp_stage_layers policy,
                    sp_block_layout layout, sp_stage_split *split)
{
    split->n_classes = 0;
    if (!can_cut(problem->model, p, layout)) return;
    const bool folds = layout != SP_LAYOUT_ROW;
    const uint32_t n_layers = problem->model->n_layers;
    const uint32_t n_blocks = layout == SP_LAYOUT_V ? 2 * p : p;
    const uint32_t n_stages = folds ? n_blocks / 2 : p;
    const uint32_t last = layers_of_last(problem, n_blocks, policy);
    uint32_t first = 0, end = n_layers;
    for (uint32_t i = 0; i < n_stages; i++) {
        const uint32_t n = share_of(n_layers, n_blocks, last, i);
        sp_stage_class stage = class_of(problem->model, first, n);
        first += n;
        if (folds) {
            const uint32_t far = share_of(n_layers, n_blocks, last, n_blocks - 1 - i);
            end -= far;
            const sp_stage_class block = class_of(problem->model, end, far);
            add_block(&stage, &block);
        }
        stage.first_stage = (uint16_t)i;
        stage.embedding = i == 0;
        stage.head = i == (folds ? 0 : p - 1);
        add_stage(split, &stage);
    }
    assert(first == end);
    mark_never_fullest(split);
}

sp_status sp_splits_build(sp_problem *problem, sp_error *err)
{
    const uint32_t n_layers = problem->model->n_layers;
    sp_stage_split *splits = sp_arena_alloc(&problem->arena, sizeof(sp_stage_split) * n_layers *
                                                                 SP_N_STAGE_LAYERS * SP_N_LAYOUTS);
    if (splits == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the stages of %u layers", n_layers);
    }
    for (uint32_t p = 1; p <= n_layers; p++) {
        for (uint32_t k = 0; k < SP_N_STAGE_LAYERS * SP_N_LAYOUTS; k++) {
            sp_split_build(problem, p, (sp_stage_layers)(k / SP_N_LAYOUTS),
                           (sp_block_layout)(k % SP_N_LAYOUTS),
                           &splits[(p - 1) * SP_N_STAGE_LAYERS * SP_N_LAYOUTS + k]);
        }
    }
    problem->splits = splits;
    return SP_OK;
}

const sp_stage_split *sp_problem_split(const sp_problem *problem, uint32_t pp,
                                       sp_stage_layers policy, sp_block_layout layout)
{
    assert(pp >= 1 && pp <= problem->model->n_layers);
    const sp_stage_split *split =
        &problem->splits[((pp - 1) * SP_N_STAGE_LAYERS + policy) * SP_N_LAYOUTS + layout];
    assert(split->n_classes > 0);
    return split;
}

const sp_stage_split *sp_plan_split(const sp_problem *problem, const sp_plan *plan)
{
    return sp_problem_split(problem, plan->pp, (sp_stage_layers)plan->stage_layers,
                            sp_schedule_describe((sp_schedule)plan->schedule)->layout);
}
