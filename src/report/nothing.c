/* SPDX-License-Identifier: Apache-2.0 */
/* Why nothing was found: the limit that the nearest plan misses, by how much, and what would help.
 * The cases follow the order in which rules refuse: building, frameworks, --where, memory, network.
 */
#include "report/report_priv.h"
#include "step/step.h"

#include <math.h>
#include <string.h>

#define MAX_PROBES  128u
#define MAX_DOUBLES 6u

static bool in_class(const sp_rule_info *rule, sp_rule_class lo, sp_rule_class hi)
{
    return rule->class >= lo && rule->class <= hi;
}

/* The rule of these classes that refused most; NULL when none refused anything. */
static const sp_rule_info *strictest(const sp_space *space, const sp_search_counts *counts,
                                     sp_rule_class lo, sp_rule_class hi)
{
    const sp_rule_info *worst = NULL;
    uint64_t most = 0;
    for (uint32_t i = 0; i < sp_space_rule_count(space); i++) {
        const sp_rule_info *rule = sp_space_rule(space, i);
        if (!in_class(rule, lo, hi) || counts->pruned[i] <= most) continue;
        most = counts->pruned[i];
        worst = rule;
    }
    return worst;
}

/* The structure rule that refused the last plans still standing: of those that refused any, the one
 * that decides furthest in. */
static const sp_rule_info *last_hurdle(const sp_space *space, const sp_search_counts *counts)
{
    const sp_rule_info *last = NULL;
    for (uint32_t i = 0; i < sp_space_rule_count(space); i++) {
        const sp_rule_info *rule = sp_space_rule(space, i);
        if (rule->class != SP_RULE_STRUCTURE || counts->pruned[i] == 0) continue;
        if (last == NULL || rule->depth > last->depth) last = rule;
    }
    return last;
}

static void add_plan(struct sp_text *out, const sp_plan *plan)
{
    char text[SP_PLAN_TEXT_BYTES];
    (void)sp_plan_format(plan, text, sizeof text);
    sp_text_add(out, text);
}

/* ---- nothing can be built ---- */

/* The nearest number of GPUs in this direction on which some plan means something; 0 = none found.
 */
static uint32_t usable_gpus(const sp_problem *problem, uint32_t asked, int step)
{
    const uint32_t most = problem->cluster->max_gpus;
    const uint32_t from = step < 0 && asked > most ? most + 1 : asked;
    sp_error ignored;
    for (uint32_t i = 1; i <= MAX_PROBES; i++) {
        const int64_t gpus = (int64_t)from + (int64_t)step * i;
        sp_probe probe = {0};
        if (gpus < 1 || gpus > most) return 0;
        const sp_status status =
            sp_probe_gpus(problem, (uint32_t)gpus, SP_PROBE_ADMITTED, &probe, &ignored);
        if (status != SP_OK) return 0;
        if (probe.admitted) return (uint32_t)gpus;
    }
    return 0;
}

/* What decides beyond the shape of the pipeline does so on any number of GPUs. */
static bool depends_on_gpus(const sp_rule_info *hurdle)
{
    return hurdle == NULL || hurdle->depth <= SP_AXIS_micro_batch;
}

static void add_usable(const sp_problem *problem, struct sp_text *out)
{
    const uint32_t gpus = problem->gpus_values[problem->n_gpus_values - 1];
    const uint32_t below = usable_gpus(problem, gpus, -1);
    const uint32_t above = usable_gpus(problem, gpus, +1);
    if (below > 0 && above > 0) {
        sp_text_printf(out, "; the nearest usable numbers of GPUs are %u and %u", below, above);
    } else if (below > 0 || above > 0) {
        sp_text_printf(out, "; the nearest usable number of GPUs is %u", below > 0 ? below : above);
    } else {
        sp_text_add(out, "; no number of GPUs near it helps");
    }
}

/* The number formats that the GPU has, where it lacks the one asked for. */
static void explain_precision(const sp_space *space, struct sp_text *out)
{
    const sp_gpu *gpu = sp_space_problem(space)->cluster->gpu;
    const sp_axis *asked = sp_space_axis(space, SP_AXIS_precision);
    const char *const *names = sp_axis_describe(SP_AXIS_precision)->names;
    sp_text_printf(out, "%s does not compute in %s; try --precision", gpu->name,
                   names[asked->values[0]]);
    const char *before = " ";
    for (uint32_t p = 0; p < SP_N_PRECISIONS; p++) {
        if (!sp_rates_has(gpu, (sp_precision)p)) continue;
        sp_text_printf(out, "%s%s", before, names[p]);
        before = " or ";
    }
}

static void explain_structure(const sp_space *space, const sp_search_result *result,
                              struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_rule_info *rule = last_hurdle(space, &result->counts);
    if (rule != NULL && strcmp(rule->name, "gpu_precision") == 0) {
        explain_precision(space, out);
        return;
    }
    sp_text_printf(out, "no plan can be built for %u GPUs and %llu sequences a step",
                   problem->gpus_values[problem->n_gpus_values - 1],
                   (unsigned long long)problem->question.global_batch);
    if (rule != NULL)
        sp_text_printf(out, " (the last are refused by %s: %s)", rule->name, rule->meaning);
    if (depends_on_gpus(rule)) add_usable(problem, out);
    if (problem->n_sets > 0) sp_text_add(out, "; or leave out --set");
}

/* ---- no framework, or no --where, lets a plan through ---- */

static void explain_engines(const sp_space *space, const sp_search_result *result,
                            struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_rule_info *rule = strictest(space, &result->counts, SP_RULE_ENGINE, SP_RULE_ENGINE);
    sp_text_printf(out, "no framework asked for runs any of the %s plans",
                   sp_word_count(result->counts.admitted).text);
    if (rule != NULL) sp_text_printf(out, " (%s refuses most: %s)", rule->name, rule->meaning);
    if (strcmp(problem->question.engine, "any") != 0) sp_text_add(out, "; try --engine any");
    if (problem->n_sets > 0) sp_text_add(out, "; or leave out --set");
}

/* Conditions over results refuse plans that were priced, which no count shows: the probe saw them.
 */
static void explain_where(const sp_space *space, const sp_search_result *result,
                          const sp_probe *probe, struct sp_text *out)
{
    const sp_rule_info *rule = strictest(space, &result->counts, SP_RULE_WHERE, SP_RULE_WHERE);
    if (rule == NULL && probe->where != UINT32_MAX) rule = sp_space_rule(space, probe->where);
    sp_text_printf(out, "--where lets none of the %s plans through",
                   sp_word_count(result->counts.admitted).text);
    if (rule != NULL) sp_text_printf(out, "; relax \"%s\"", rule->name);
    if (sp_space_problem(space)->n_sets > 0) sp_text_add(out, ", or leave out --set");
}

/* ---- memory ---- */

/* The smallest doubling of the GPUs that helps; 0 = none of those tried. */
static uint32_t enough_gpus(const sp_problem *problem)
{
    uint64_t gpus = problem->gpus_values[problem->n_gpus_values - 1];
    sp_error ignored;
    for (uint32_t i = 0; i < MAX_DOUBLES; i++) {
        gpus *= 2;
        if (gpus > problem->cluster->max_gpus || gpus > SP_CLUSTER_MAX_GPUS) return 0;
        sp_probe probe = {0};
        if (sp_probe_gpus(problem, (uint32_t)gpus, SP_PROBE_FITS, &probe, &ignored) != SP_OK) {
            return 0;
        }
        if (probe.fits) return (uint32_t)gpus;
    }
    return 0;
}

static void explain_memory(const sp_problem *problem, const sp_probe *probe, struct sp_text *out)
{
    const double peak = probe->least.peak_bytes, usable = probe->least.usable_bytes;
    sp_text_printf(out, "the least memory that a plan needs is %s GiB (", sp_word_gib(peak).text);
    add_plan(out, &probe->least_plan);
    sp_text_printf(out, "), %s GiB over the %s GiB allowed on %s",
                   sp_word_gib(peak - problem->allowed_bytes).text,
                   sp_word_gib(problem->allowed_bytes).text, problem->cluster->gpu->name);
    const char *before = "; try ";
    const uint32_t gpus = enough_gpus(problem);
    if (gpus > 0) {
        sp_text_printf(out, "%s--gpus %u", before, gpus);
        before = ", or ";
    }
    if (peak <= usable) {
        sp_text_printf(out, "%s--headroom %.1f%%", before,
                       floor(1000.0 * (1.0 - peak / usable)) / 10);
        before = ", or ";
    }
    sp_text_printf(out, "%sa GPU with more memory", before);
    if (problem->n_sets + problem->n_wheres > 0) sp_text_add(out, ", or fewer --set and --where");
}

/* ---- network, and --where over results ---- */

static void explain_network(const sp_problem *problem, const sp_probe *probe, struct sp_text *out)
{
    sp_text_printf(out,
                   "every plan that fits the memory waits too long for the network: the least "
                   "exposed share is %s (",
                   sp_word_percent(probe->quiet_ratio).text);
    add_plan(out, &probe->quiet_plan);
    sp_text_printf(out, "), above the %s of --max-network-ratio; try --max-network-ratio %.2f",
                   sp_word_percent(problem->question.max_network_ratio).text,
                   ceil(100.0 * probe->quiet_ratio) / 100.0);
}

static void explain_result(const sp_space *space, const sp_search_result *result,
                           struct sp_text *out)
{
    const sp_rule_info *rule = strictest(space, &result->counts, SP_RULE_ENGINE, SP_RULE_NETWORK);
    sp_text_printf(out, "none of the %s plans passes every limit",
                   sp_word_count(result->counts.admitted).text);
    if (rule != NULL) {
        sp_text_printf(out, "; most are refused by %s (%s)", rule->name, rule->meaning);
    }
}

/* Plans fit, and a --where over their figures refuses every one. */
static void explain_figures(const sp_problem *problem, const sp_search_result *result,
                            struct sp_text *out)
{
    const char *between = "--where ";
    sp_text_printf(out, "%s plans fit, and none of them meets ",
                   sp_word_count(result->counts.evaluated).text);
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        if (!problem->wheres[i].reads_results) continue;
        sp_text_printf(out, "%s%s", between, sp_expr_text(problem->wheres[i].expr));
        between = " and --where ";
    }
    sp_text_add(out, "; relax it");
}

void sp_report_nothing(const sp_space *space, const sp_search_result *result, struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    if (result->counts.evaluated > 0) { /* plans fit; a condition on their figures refused them */
        explain_figures(problem, result, out);
        return;
    }
    sp_probe probe;
    sp_probe_space(space, SP_PROBE_ALL, &probe);
    if (!probe.admitted && result->counts.admitted == 0) {
        explain_structure(space, result, out);
    } else if (!probe.runnable) {
        explain_engines(space, result, out);
    } else if (!probe.allowed) {
        explain_where(space, result, &probe, out);
    } else if (!probe.fits) {
        explain_memory(problem, &probe, out);
    } else if (probe.quiet_ratio > problem->question.max_network_ratio) {
        explain_network(problem, &probe, out);
    } else {
        explain_result(space, result, out);
    }
}
