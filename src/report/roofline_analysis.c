/* SPDX-License-Identifier: Apache-2.0 */
/* Analyses as the question of a roofline picture: operators become points, the formats and memories
 * of an accelerator its ceilings and slopes. Formats of one rate share a ceiling. */
#include "base/base.h"
#include "shardplan/roofline.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const char *const class_names[] = {
    "projection", "attention",  "feed-forward",    "experts", "norm",
    "rotary",     "recurrence", "embedding, head", "other"};
#define N_CLASSES (sizeof class_names / sizeof class_names[0])
static_assert(N_CLASSES <= SP_ROOFLINE_MAX_CLASSES, "a colour for each class");

/* Categories of operators with few members share a colour. */
static const struct {
    const char *category;
    uint32_t class_idx;
} class_of[] = {
    {"projection", 0},
    {"attention",  1},
    {"ffn",        2},
    {"experts",    3},
    {"router",     3},
    {"norm",       4},
    {"residual",   4},
    {"rotary",     5},
    {"recurrence", 6},
    {"embedding",  7},
    {"head",       7}
};

static uint32_t find_class(const char *category)
{
    for (size_t i = 0; i < sizeof class_of / sizeof class_of[0]; i++) {
        if (strcmp(class_of[i].category, category) == 0) {
            return class_of[i].class_idx;
        }
    }
    return N_CLASSES - 1;
}

typedef struct builder {
    sp_arena *arena;
    bool all_formats, expected, failed;
    sp_roofline_point *next; /* the next point */
} builder;

static bool close_to(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

static uint32_t find_limit(const sp_roofline_limit *limits, uint32_t n, double per_s)
{
    uint32_t i = 0;
    while (i < n && !close_to(limits[i].per_s, per_s)) {
        i++;
    }
    return i;
}

/* The rate by which the analysis priced the arithmetic of an operator; 0 without any. */
static double rate_of(const sp_operator *op)
{
    return op->flops > 0.0 && op->compute_s > 0.0 ? op->flops / op->compute_s : 0.0;
}

static bool uses_rate(const sp_analysis *analysis, double flops_per_s)
{
    for (uint32_t i = 0; i < analysis->n_operators; i++) {
        if (close_to(rate_of(&analysis->operators[i]), flops_per_s)) {
            return true;
        }
    }
    return false;
}

/* A new ceiling, or one more name for one of the same rate. */
static void add_ceiling(builder *b, const char *name, double peak, sp_roofline_limit *ceilings,
                        uint32_t *n)
{
    const uint32_t at = find_limit(ceilings, *n, peak);
    if (at < *n) {
        ceilings[at].label = sp_arena_printf(b->arena, "%s, %s", ceilings[at].label, name);
        b->failed = b->failed || ceilings[at].label == NULL;
    } else if (*n < SP_ROOFLINE_MAX_LIMITS) {
        ceilings[(*n)++] = (sp_roofline_limit){name, peak};
    }
}

static bool is_shown(const builder *b, const sp_analysis *analysis, double flops_per_s)
{
    return flops_per_s > 0.0 && (b->all_formats || uses_rate(analysis, flops_per_s));
}

static void add_ceilings(builder *b, const sp_analysis_question *question,
                         const sp_analysis *analysis, sp_roofline_hardware *hardware)
{
    const sp_gpu *const gpu = question->gpu;
    sp_roofline_limit *const ceilings =
        sp_arena_alloc(b->arena, SP_ROOFLINE_MAX_LIMITS * sizeof *ceilings);
    if (ceilings == NULL) {
        b->failed = true;
        return;
    }
    add_ceiling(b, sp_gpu_product_name(gpu, question->compute),
                gpu->peak_flops_per_s[question->compute], ceilings, &hardware->n_ceilings);
    for (sp_dtype d = 0; d < SP_N_DTYPES && !b->failed; d++) {
        const double peak = gpu->peak_flops_per_s[d];
        if (d != question->compute && is_shown(b, analysis, peak)) {
            add_ceiling(b, sp_gpu_product_name(gpu, d), peak, ceilings, &hardware->n_ceilings);
        }
    }
    if (is_shown(b, analysis, gpu->vector_flops_per_s) && !b->failed) {
        add_ceiling(b, "fp32 vector", gpu->vector_flops_per_s, ceilings, &hardware->n_ceilings);
    }
    hardware->ceilings = ceilings;
}

/* The memory that the analysis reads from, then the other tiers. */
static void add_bandwidths(builder *b, const sp_gpu *gpu, sp_roofline_hardware *hardware)
{
    sp_roofline_limit *const limits =
        sp_arena_alloc(b->arena, SP_ROOFLINE_MAX_LIMITS * sizeof *limits);
    if (limits == NULL) {
        b->failed = true;
        return;
    }
    limits[hardware->n_bandwidths++] = (sp_roofline_limit){"memory", gpu->memory_bytes_per_s};
    for (uint32_t t = 0; t < gpu->n_tiers && hardware->n_bandwidths < SP_ROOFLINE_MAX_LIMITS; t++) {
        const sp_roofline_limit tier = {gpu->tiers[t].name, gpu->tiers[t].bytes_per_s};
        const bool is_main = close_to(tier.per_s, gpu->memory_bytes_per_s);
        limits[is_main ? 0 : hardware->n_bandwidths++] = tier;
    }
    hardware->bandwidths = limits;
}

static void add_points(builder *b, const sp_analysis *analysis,
                       const sp_roofline_hardware *hardware, uint32_t hardware_idx)
{
    for (uint32_t i = 0; i < analysis->n_operators; i++) {
        const sp_operator *const op = &analysis->operators[i];
        const uint32_t ceiling = find_limit(hardware->ceilings, hardware->n_ceilings, rate_of(op));
        const bool measured = b->expected && op->expected_s > 0.0 && op->flops > 0.0;
        *b->next++ = (sp_roofline_point){
            .label = op->name,
            .phase = op->phase,
            .class_idx = find_class(op->category),
            .hardware_idx = hardware_idx,
            .ceiling_idx = ceiling < hardware->n_ceilings ? ceiling : 0,
            .flops_per_byte = op->intensity,
            .flops_per_s = measured ? op->flops / op->expected_s : 0.0,
        };
    }
}

static uint32_t count_points(const sp_analysis *const *analyses, uint32_t n)
{
    uint32_t n_points = 0;
    for (uint32_t i = 0; i < n; i++) {
        n_points += analyses[i]->n_operators;
    }
    return n_points;
}

static sp_status check_count(uint32_t n, sp_error *err)
{
    if (n >= 1 && n <= SP_ROOFLINE_MAX_HARDWARE) {
        return SP_OK;
    }
    (void)sp_fail(err, SP_E_RANGE, "a roofline picture cannot show that many accelerators");
    (void)sp_fail_value(err, "%u", n);
    return sp_fail_range(err, "1 .. %d", SP_ROOFLINE_MAX_HARDWARE);
}

sp_status sp_roofline_of_analyses(struct sp_arena *arena, const char *title, const char *subtitle,
                                  const sp_analysis_question *const *questions,
                                  const sp_analysis *const *analyses, uint32_t n, bool expected,
                                  const sp_roofline **roofline, sp_error *err)
{
    SP_TRY(check_count(n, err));
    const uint32_t n_points = count_points(analyses, n);
    sp_roofline *const made = sp_arena_alloc(arena, sizeof *made);
    sp_roofline_hardware *const hardware = sp_arena_alloc(arena, n * sizeof *hardware);
    sp_roofline_point *const points = sp_arena_alloc(arena, (n_points + 1) * sizeof *points);
    builder b = {arena, n <= 2, expected, made == NULL || hardware == NULL || points == NULL,
                 points};
    for (uint32_t i = 0; i < n && !b.failed; i++) {
        const sp_gpu *const gpu = questions[i]->gpu;
        hardware[i].name = gpu->name;
        hardware[i].tdp_watts = gpu->tdp_watts;
        hardware[i].compute_power_ratio = gpu->compute_power_ratio;
        add_ceilings(&b, questions[i], analyses[i], &hardware[i]);
        add_bandwidths(&b, gpu, &hardware[i]);
        if (!b.failed) {
            add_points(&b, analyses[i], &hardware[i], i);
        }
    }
    if (b.failed) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the picture");
    }
    *made = (sp_roofline){title, subtitle, class_names, N_CLASSES, hardware, n, points, n_points};
    *roofline = made;
    return SP_OK;
}
