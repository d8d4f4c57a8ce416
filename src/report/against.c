/* SPDX-License-Identifier: Apache-2.0 */
/* A plan beside the baseline: speed-up, how sure it is, changed settings, and, where the baseline
 * was measured, the step that the measurement leads to expect. */
#include "report/report_priv.h"
#include "step/step.h"

#include <assert.h>
#include <string.h>

/* The baseline's own corrected step is the measurement; that of another plan errs as both do. */
static void correct(const sp_problem *problem, const sp_baseline *baseline, const sp_plan *plan,
                    double step_s, sp_against *out)
{
    const bool is_baseline = memcmp(plan, &baseline->priced.plan, sizeof *plan) == 0;
    const double error_ratio =
        is_baseline ? 0.0 : sp_relative_error_ratio(problem->profile->rank_error_ratio);
    out->factor = baseline->measured_step_s / baseline->priced.estimate.time.step_s;
    out->step_s = is_baseline ? baseline->measured_step_s : out->factor * step_s;
    out->step_low_s = out->step_s / (1.0 + error_ratio);
    out->step_high_s = out->step_s * (1.0 + error_ratio);
}

sp_against sp_against_baseline(const sp_problem *problem, const sp_baseline *baseline,
                               const sp_priced *priced)
{
    assert(baseline->priced.priced && priced->priced);
    const double base_s = baseline->priced.estimate.time.step_s;
    const double step_s = priced->estimate.time.step_s;
    sp_against out = {.speedup_ratio = base_s / step_s};
    out.p_faster = sp_faster_probability(step_s, base_s, problem->profile->rank_error_ratio);
    if (baseline->measured_step_s > 0.0) correct(problem, baseline, &priced->plan, step_s, &out);
    return out;
}

/* ---- for programs ---- */

void sp_json_put_against(sp_json_writer *w, const sp_problem *problem, const sp_baseline *baseline,
                         const sp_priced *priced)
{
    if (baseline == NULL) return;
    sp_against against = {0};
    if (priced->priced) against = sp_against_baseline(problem, baseline, priced);
    sp_jw_open_object(w, "baseline");
    if (priced->priced) {
        sp_jw_double(w, "speedup_ratio", against.speedup_ratio);
        sp_jw_double(w, "p_faster", against.p_faster);
    }
    sp_json_put_changes(w, &baseline->priced.plan, &priced->plan);
    sp_jw_close_object(w);
    if (against.factor <= 0.0) return;
    sp_jw_open_object(w, "corrected");
    sp_jw_double(w, "factor", against.factor);
    sp_jw_double(w, "step_s", against.step_s);
    sp_jw_double(w, "step_low_s", against.step_low_s);
    sp_jw_double(w, "step_high_s", against.step_high_s);
    sp_jw_close_object(w);
}

void sp_csv_against_header(const sp_baseline *baseline, struct sp_text *out)
{
    if (baseline == NULL) return;
    sp_text_add(out, ",baseline.speedup_ratio,baseline.p_faster,baseline.changes");
    if (baseline->measured_step_s <= 0.0) return;
    sp_text_add(out, ",corrected.factor,corrected.step_s,corrected.step_low_s");
    sp_text_add(out, ",corrected.step_high_s");
}

/* A plan that cannot be built has changes and no figures. */
static void add_figures(struct sp_text *out, const double *figures, size_t n, bool priced)
{
    for (size_t i = 0; i < n; i++) {
        if (priced) {
            sp_csv_add_number(out, figures[i]);
        } else {
            sp_text_add(out, ",");
        }
    }
}

void sp_csv_against(const sp_problem *problem, const sp_baseline *baseline, const sp_priced *priced,
                    struct sp_text *out)
{
    if (baseline == NULL) return;
    sp_against against = {0};
    if (priced->priced) against = sp_against_baseline(problem, baseline, priced);
    const double order[] = {against.speedup_ratio, against.p_faster};
    const double corrected[] = {against.factor, against.step_s, against.step_low_s,
                                against.step_high_s};
    struct sp_text changes = {0};
    sp_plan_changes(&baseline->priced.plan, &priced->plan, &changes);
    add_figures(out, order, 2, priced->priced);
    sp_csv_add_text(out, changes.length > 0 ? changes.data : "");
    if (baseline->measured_step_s > 0.0) add_figures(out, corrected, 4, priced->priced);
    out->failed = out->failed || changes.failed;
    sp_text_fini(&changes);
}
