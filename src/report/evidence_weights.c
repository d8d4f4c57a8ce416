/* SPDX-License-Identifier: Apache-2.0 */
/* How unlike two runs are, in doublings: configs/evidence.json names what counts and how much. */
#include "report/evidence.h"

#include "cost/cost.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_WEIGHT   100.0

/* ---- the file ---- */

static sp_status read_question(const sp_json *root, sp_evidence_weights *out, sp_error *err)
{
    static const struct {
        const char *key;
        size_t offset;
    } fields[] = {
        {"kind",                 offsetof(sp_evidence_weights, kind)             },
        {"gpu",                  offsetof(sp_evidence_weights, gpu)              },
        {"peak_flops",           offsetof(sp_evidence_weights, peak_flops)       },
        {"active_parameters",    offsetof(sp_evidence_weights, active_parameters)},
        {"gpus",                 offsetof(sp_evidence_weights, gpus)             },
        {"seq_len",              offsetof(sp_evidence_weights, seq_len)          },
        {"batch_tokens_per_gpu", offsetof(sp_evidence_weights, batch)            },
    };
    const char *keys[COUNT(fields)];
    sp_json question;
    SP_TRY(sp_json_object(root, "question", &question, err));
    for (size_t i = 0; i < COUNT(fields); i++) {
        double weight = 0.0;
        keys[i] = fields[i].key;
        SP_TRY(sp_json_double(&question, fields[i].key, 0.0, MAX_WEIGHT, &weight, err));
        memcpy((char *)out + fields[i].offset, &weight, sizeof weight);
    }
    return sp_json_only(&question, keys, COUNT(keys), err);
}

static sp_status read_axes(const sp_json *root, sp_evidence_weights *out, sp_error *err)
{
    const char *names[SP_N_AXES];
    sp_json axes;
    SP_TRY(sp_json_object(root, "axes", &axes, err));
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        names[axis] = sp_axis_describe(axis)->name;
        SP_TRY(sp_json_double_or(&axes, names[axis], 0.0, MAX_WEIGHT, 0.0, &out->axes[axis], err));
    }
    return sp_json_only(&axes, names, SP_N_AXES, err);
}

static sp_status read_root(const sp_json *root, sp_evidence_weights *out, sp_error *err)
{
    static const char *const keys[] = {"schema",   "about", "source",      "date",
                                       "question", "axes",  "extrapolated"};
    static const char *const limits[] = {"size_doublings"};
    sp_json extrapolated;
    SP_TRY(sp_json_schema(root, "shardplan/evidence/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(read_question(root, out, err));
    SP_TRY(read_axes(root, out, err));
    SP_TRY(sp_json_object(root, "extrapolated", &extrapolated, err));
    SP_TRY(sp_json_only(&extrapolated, limits, COUNT(limits), err));
    return sp_json_double(&extrapolated, limits[0], 0.0, MAX_WEIGHT, &out->size_doublings, err);
}

sp_status sp_evidence_weights_load(const char *file, sp_evidence_weights *out, sp_error *err)
{
    sp_json_doc *doc = NULL;
    *out = (sp_evidence_weights){0};
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_root(&root, out, err);
    sp_json_free(doc);
    return status;
}

/* ---- distance ---- */

/* 0 stands half below 1, so that "none" and "one" are a doubling apart. */
double sp_doublings(double a, double b)
{
    return fabs(log2((a > 0.0 ? a : 0.5) / (b > 0.0 ? b : 0.5)));
}

static bool same_kind(const sp_evidence_run *a, const sp_evidence_run *b)
{
    return a->experts == b->experts && a->latent == b->latent;
}

static double question_distance(const sp_evidence_weights *w, const sp_evidence_run *a,
                                const sp_evidence_run *b)
{
    double sum = same_kind(a, b) ? 0.0 : w->kind;
    sum += strcmp(a->gpu->name, b->gpu->name) == 0 ? 0.0 : w->gpu;
    sum += w->peak_flops *
           sp_doublings(sp_gpu_peak_flops_per_s(a->gpu), sp_gpu_peak_flops_per_s(b->gpu));
    sum += w->active_parameters * sp_doublings(a->active_parameters, b->active_parameters);
    sum += w->gpus * sp_doublings(a->plan->gpus, b->plan->gpus);
    sum += w->seq_len * sp_doublings(a->seq_len, b->seq_len);
    return sum +
           w->batch * sp_doublings(a->step_tokens / a->plan->gpus, b->step_tokens / b->plan->gpus);
}

static double plan_distance(const sp_evidence_weights *w, const sp_plan *a, const sp_plan *b)
{
    double sum = 0.0;
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        const uint32_t x = sp_plan_get(a, axis), y = sp_plan_get(b, axis);
        if (x == y) continue;
        const bool named = sp_axis_describe(axis)->n_names > 0;
        sum += w->axes[axis] * (named ? 1.0 : sp_doublings(x, y));
    }
    return sum;
}

double sp_evidence_distance(const sp_evidence_weights *weights, const sp_evidence_run *a,
                            const sp_evidence_run *b)
{
    return question_distance(weights, a, b) + plan_distance(weights, a->plan, b->plan);
}

void sp_evidence_extrapolate(const sp_evidence_weights *weights, const sp_evidence_run *asked,
                             const sp_evidence_run *run, sp_evidence *out)
{
    const double parameters = sp_doublings(asked->active_parameters, run->active_parameters);
    const double gpus = sp_doublings(asked->plan->gpus, run->plan->gpus);
    out->other_hardware = strcmp(asked->gpu->name, run->gpu->name) != 0;
    out->other_size = parameters > weights->size_doublings || gpus > weights->size_doublings;
    out->other_kind = !same_kind(asked, run);
}
