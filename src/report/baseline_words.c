/* SPDX-License-Identifier: Apache-2.0 */
/* What a table says about the baseline: the plan itself above the rows, what the columns beside it
 * mean, and which of its settings each row changes. */
#include "report/report_priv.h"

static void add_measurement(const sp_baseline *baseline, struct sp_text *words)
{
    if (baseline->measured_step_s <= 0.0) return;
    const double base_s = baseline->priced.estimate.time.step_s;
    sp_text_printf(words,
                   " Measured: %s s, so the site factor is %s; it scales whole steps alone "
                   "and leaves the order of the plans.",
                   sp_word_number(baseline->measured_step_s).text,
                   sp_word_number(baseline->measured_step_s / base_s).text);
}

void sp_baseline_add(const sp_space *space, const sp_baseline *baseline, uint32_t width,
                     struct sp_text *out)
{
    const sp_priced *p = &baseline->priced;
    struct sp_text words = {0};
    char text[SP_PLAN_TEXT_BYTES];
    (void)sp_plan_format(&p->plan, text, sizeof text);
    sp_text_printf(&words, "Baseline %s: %s s a step, ", text,
                   sp_word_number(p->estimate.time.step_s).text);
    if (p->rule == UINT32_MAX) {
        sp_text_printf(&words, "%s.", sp_verdict_name(p->estimate.verdict));
    } else {
        const sp_rule_info *rule = sp_space_rule(space, p->rule);
        sp_text_printf(&words, "refused by rule %s (%s) and priced all the same.", rule->name,
                       rule->meaning);
    }
    add_measurement(baseline, &words);
    sp_text_wrap(out, words.length > 0 ? words.data : "", width, 2);
    out->failed = out->failed || words.failed;
    sp_text_fini(&words);
}

void sp_baseline_legend(const sp_baseline *baseline, struct sp_text *out)
{
    if (baseline->measured_step_s > 0.0) sp_text_add(out, "site s: step times the site factor; ");
    sp_text_add(out, "speed-up: step of the baseline over that of the plan; P(faster): chance "
                     "that the plan is faster than the baseline; ");
}

void sp_baseline_changes(const sp_row *rows, uint32_t n_rows, const sp_report_options *options,
                         struct sp_text *out)
{
    sp_text_add(out, "\nAgainst the baseline the rows change\n\n");
    for (uint32_t i = 0; i < n_rows; i++) {
        struct sp_text words = {0};
        sp_text_printf(&words, "- %u: ", i + 1);
        const size_t before = words.length;
        sp_plan_changes(&options->baseline->priced.plan, &rows[i].priced.plan, &words);
        if (words.length == before) sp_text_add(&words, "nothing: it is the baseline");
        sp_text_wrap(out, words.length > 0 ? words.data : "", options->width, 4);
        out->failed = out->failed || words.failed;
        sp_text_fini(&words);
    }
}
