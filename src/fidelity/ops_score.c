/* SPDX-License-Identifier: Apache-2.0 */
/* The surfaces of parts against tables of measured kernel calls. A row is predicted by the surface
 * of the kernel that ran, else by one for the same operator and format; which part was measured is
 * said by the caller or by the folder that the table lies in. */
#include "fidelity/ops_score_priv.h"

#include "spec/spec.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const reasons[SP_N_OPS_REASONS] = {
    [SP_OPS_NO_SURFACE] = "the part has no surface for the operator and format",
    [SP_OPS_NO_PEAK] = "the part states no peak for the format",
};

const char *sp_ops_reason_words(sp_ops_reason reason)
{
    assert(reason < SP_N_OPS_REASONS);
    return reasons[reason];
}

/* ---- which part ---- */

/* The last folder of a path: "a/h100_sxm/gemm.csv" gives "h100_sxm"; "" where there is none. */
static const char *folder_of(sp_arena *arena, const char *file)
{
    const char *end = strrchr(file, '/');
    if (end == NULL || end == file) return "";
    const char *begin = end;
    while (begin > file && begin[-1] != '/') {
        begin--;
    }
    return sp_arena_printf(arena, "%.*s", (int)(end - begin), begin);
}

static sp_status find_part(sp_ops_score *score, const char *home, const char *ref, uint32_t *idx,
                           sp_error *err)
{
    const sp_gpu *gpu = NULL;
    SP_TRY(sp_gpu_find(&score->arena, home, ref, &gpu, err));
    for (*idx = 0; *idx < score->n_parts; (*idx)++) {
        if (strcmp(score->parts[*idx].gpu->name, gpu->name) == 0) return SP_OK;
    }
    assert(score->n_parts < score->n_files);
    sp_ops_part *const part = &score->parts[score->n_parts++];
    part->gpu = gpu;
    SP_TRY(sp_gpu_link_rate(&score->arena, home, gpu, &part->link_bytes_per_s, err));
    return sp_surfaces_load(&score->arena, home, gpu, &part->surfaces, err);
}

static sp_status part_of_file(sp_ops_score *score, const char *home, const char *gpu,
                              const char *file, uint32_t *idx, sp_error *err)
{
    const char *ref = gpu != NULL ? gpu : folder_of(&score->arena, file);
    if (ref == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    if (ref[0] != '\0' && find_part(score, home, ref, idx, err) == SP_OK) return SP_OK;
    if (gpu != NULL) return err->status;
    (void)sp_fail(
        err, SP_E_USAGE,
        "the folder of the table names no accelerator: say which was measured with --gpu");
    return sp_fail_value(err, "%s", file);
}

/* ---- groups: a part, an operator, a format ---- */

static bool same_group(const sp_ops_group *g, uint32_t part_idx, const sp_surface *s)
{
    return g->part_idx == part_idx && g->op == s->op && strcmp(g->dtype, s->dtype) == 0 &&
           strcmp(g->kv_dtype, s->kv_dtype) == 0;
}

static sp_status group_of(sp_ops_score *score, uint32_t part_idx, const sp_surface *s,
                          uint32_t *idx, sp_error *err)
{
    for (*idx = 0; *idx < score->n_groups; (*idx)++) {
        if (same_group(&score->groups[*idx], part_idx, s)) return SP_OK;
    }
    sp_ops_group *grown = sp_realloc(score->groups, (score->n_groups + 1) * sizeof *grown);
    if (grown == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    score->groups = grown;
    sp_ops_group *const g = &grown[score->n_groups++];
    *g = (sp_ops_group){.part_idx = part_idx, .op = s->op};
    SP_TRY(sp_text_keep(&score->arena, s->dtype, &g->dtype, err));
    SP_TRY(sp_text_keep(&score->arena, s->kv_dtype, &g->kv_dtype, err));
    return SP_OK;
}

/* ---- rows ---- */

/* The kernel itself, else one of its framework, else any of its operator, format and width.
 * Messages of one library take as long whatever their bytes mean. */
static const sp_surface *surface_for(const sp_ops_part *part, const sp_ops_kernel *kernel)
{
    const sp_surface *s = &kernel->surface;
    const sp_surface_query exact = {.op = s->op,
                                    .variant = s->variant,
                                    .framework = kernel->name,
                                    .kernel = s->kernel,
                                    .dtype = s->dtype,
                                    .kv_dtype = s->kv_dtype,
                                    .key_width = kernel->key_width};
    sp_surface_query alike[3] = {exact, exact, exact};
    alike[1].kernel = NULL;
    alike[1].dtype = s->op == SP_SURFACE_COLLECTIVE ? NULL : s->dtype;
    alike[2].kernel = alike[2].framework = NULL;
    const sp_surface *found = NULL;
    for (size_t i = 0; found == NULL && i < sizeof alike / sizeof alike[0]; i++) {
        found = sp_surface_find(part->surfaces, &alike[i]);
    }
    return found;
}

static bool has_peak(const sp_ops_part *part, const sp_ops_kernel *kernel)
{
    sp_surface s = kernel->surface;
    return sp_surface_place(part->gpu, part->link_bytes_per_s, &s);
}

static void score_row(sp_ops_score *score, const sp_ops_row *row, const sp_surface *surface,
                      uint32_t group_idx, uint32_t file_idx)
{
    const double predicted_s = sp_surface_s(surface, row->dim);
    sp_ops_point *const p = &score->points[score->n_points++];
    *p = (sp_ops_point){
        .pair = {.predicted = predicted_s,
                 .low = predicted_s * surface->low_ratio,
                 .high = predicted_s * surface->high_ratio,
                 .measured = row->measured_s},
        .group_idx = group_idx,
        .file_idx = file_idx,
        .line = row->line
    };
    score->groups[group_idx].n_outside += sp_surface_outside(surface, row->dim) != NULL;
}

static sp_status score_rows(sp_ops_score *score, const sp_ops *ops, uint32_t part_idx,
                            uint32_t file_idx, sp_error *err)
{
    const sp_ops_part *part = &score->parts[part_idx];
    sp_ops_point *grown =
        sp_realloc(score->points, (score->n_points + ops->n_rows + 1) * sizeof *grown);
    if (grown == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    score->points = grown;
    score->n_rows += ops->n_rows;
    for (uint32_t i = 0; i < ops->n_rows; i++) {
        const sp_ops_kernel *kernel = &ops->kernels[ops->rows[i].kernel_idx];
        const sp_surface *surface = surface_for(part, kernel);
        uint32_t group_idx = 0;
        if (surface == NULL) {
            score->skipped[has_peak(part, kernel) ? SP_OPS_NO_SURFACE : SP_OPS_NO_PEAK]++;
            continue;
        }
        SP_TRY(group_of(score, part_idx, &kernel->surface, &group_idx, err));
        score_row(score, &ops->rows[i], surface, group_idx, file_idx);
    }
    return SP_OK;
}

static sp_status score_file(sp_ops_score *score, const char *home, const sp_calibrate_question *q,
                            uint32_t file_idx, sp_error *err)
{
    sp_ops ops = {0};
    uint32_t part_idx = 0;
    const char *file = q->files[file_idx];
    SP_TRY(sp_text_keep(&score->arena, file, &score->files[file_idx], err));
    SP_TRY(part_of_file(score, home, q->gpu, file, &part_idx, err));
    sp_status status =
        q->nccl_tests ? sp_ops_read_nccl_log(&ops, file, err) : sp_ops_read(&ops, file, q->op, err);
    if (status == SP_OK) status = score_rows(score, &ops, part_idx, file_idx, err);
    sp_ops_fini(&ops);
    return status;
}

/* ---- figures ---- */

static sp_status fill_groups(sp_ops_score *score, sp_error *err)
{
    bool failed = false;
    sp_pair *pairs = sp_alloc((score->n_points + 1) * sizeof *pairs);
    sp_metric *metrics = sp_alloc((score->n_groups + 1) * sizeof *metrics);
    for (uint32_t g = 0; pairs != NULL && metrics != NULL && g < score->n_groups; g++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < score->n_points; i++) {
            if (score->points[i].group_idx == g) pairs[n++] = score->points[i].pair;
        }
        score->groups[g].latency = metrics[g] = sp_metric_of(pairs, n, &failed);
    }
    failed = failed || pairs == NULL || metrics == NULL;
    if (!failed) score->overall = sp_metric_mean(metrics, score->n_groups);
    sp_free(pairs);
    sp_free(metrics);
    return failed ? sp_fail(err, SP_E_MEMORY, "no memory for the score") : SP_OK;
}

static sp_status score_files(sp_ops_score *score, const char *home, const sp_calibrate_question *q,
                             sp_error *err)
{
    score->n_files = q->n_files;
    score->files = sp_arena_alloc(&score->arena, (q->n_files + 1) * sizeof *score->files);
    score->parts = sp_arena_alloc(&score->arena, (q->n_files + 1) * sizeof *score->parts);
    if (score->files == NULL || score->parts == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    }
    for (uint32_t i = 0; i < q->n_files; i++) {
        SP_TRY(score_file(score, home, q, i, err));
    }
    return fill_groups(score, err);
}

sp_status sp_score_ops(const char *home, const sp_calibrate_question *question,
                       sp_ops_score **score, sp_error *err)
{
    sp_ops_score *const made = sp_alloc(sizeof *made);
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    *made = (sp_ops_score){0};
    const sp_status status = score_files(made, home, question, err);
    if (status != SP_OK) {
        sp_ops_score_free(made);
        return status;
    }
    *score = made;
    return SP_OK;
}

void sp_ops_score_free(sp_ops_score *score)
{
    if (score == NULL) return;
    sp_free(score->groups);
    sp_free(score->points);
    sp_arena_fini(&score->arena);
    sp_free(score);
}
