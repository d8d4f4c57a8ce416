/* SPDX-License-Identifier: Apache-2.0 */
/* Speculative decoding: a draft proposes, the target verifies all proposals in one pass, both
 * priced by their own operators. */
#include "analysis/analysis_priv.h"
#include "base/base.h"
#include "shardplan/sweep.h"

#include <math.h>

double sp_speculate_tokens(double acceptance, uint32_t depth)
{
    if (acceptance >= 1.0) return depth + 1.0;
    return (1.0 - pow(acceptance, depth + 1.0)) / (1.0 - acceptance);
}

/* A decode step in which each sequence brings so many tokens, all of which become logits. Token i
 * of them sees itself and the i before it besides the past. */
static sp_pass step_pass(const sp_analysis_question *q, const sp_fabric *fabric, sp_phase phase,
                         double tokens)
{
    sp_pass pass = sp_pass_build(q, phase, fabric, NULL);
    pass.shape.length = tokens;
    pass.shape.tokens = pass.shape.sequences * tokens;
    pass.shape.context = pass.shape.past + (tokens + 1.0) / 2.0;
    pass.head_tokens = pass.shape.tokens;
    pass.routed_tokens *= tokens;
    return pass;
}

static double bytes_of(const sp_phase_total *total)
{
    return total->weight_bytes + total->read_bytes + total->write_bytes;
}

typedef struct step_price {
    double time_s, joules;
} step_price;

/* FLOPs of vector units are counted as the time they take on matrix units. */
static void add_step(const sp_analysis_question *q, const sp_economics *money,
                     const sp_phase_total *total, step_price *price)
{
    const double peak = q->gpu->peak_flops_per_s[q->compute];
    const sp_chip chip = {.flops_per_s = peak,
                          .bytes_per_s = q->gpu->memory_bytes_per_s,
                          .tdp_watts = q->gpu->tdp_watts};
    price->time_s += 0.5 * total->time_s;
    price->joules += 0.5 * sp_energy_joules(&chip, money->compute_power_ratio,
                                            total->compute_s * peak, bytes_of(total));
}

/* Mean of the first and the last step. */
static step_price price_step(const sp_analysis_question *q, const sp_economics *money,
                             const sp_fabric *fabric, double tokens, sp_rows *rows)
{
    static const sp_phase ends[2] = {SP_PHASE_DECODE, SP_PHASE_LAST_DECODE};
    step_price price = {0.0, 0.0};
    for (uint32_t i = 0; i < 2; i++) {
        const sp_pass pass = step_pass(q, fabric, ends[i], tokens);
        sp_phase_total total;
        rows->n = rows->phase_first = 0;
        sp_rows_add_model(rows, &pass);
        sp_analysis_total(rows, ends[i], pass.shape.tokens, &total);
        add_step(q, money, &total, &price);
    }
    return price;
}

static sp_status check(const sp_analysis_question *target, const sp_analysis_question *draft,
                       sp_error *err)
{
    if (target->gpu == draft->gpu && target->batch == draft->batch &&
        target->prompt_tokens == draft->prompt_tokens &&
        target->generated_tokens == draft->generated_tokens) {
        return SP_OK;
    }
    return sp_fail(err, SP_E_INCONSISTENT,
                   "target and draft must run on one accelerator with one batch and one length");
}

static void price_both(const sp_analysis_question *target, const sp_analysis_question *draft,
                       const sp_economics *money, sp_rows *rows, sp_speculation *s)
{
    sp_fabric fabric;
    const sp_fabric *network = target->cluster != NULL ? &fabric : NULL;
    if (network != NULL) sp_fabric_build(target->cluster, &fabric);
    for (uint32_t depth = 0; depth <= SP_SPECULATE_MAX_DEPTH; depth++) {
        const step_price price = price_step(target, money, network, depth + 1.0, rows);
        s->verify_s[depth] = price.time_s;
        s->verify_joules[depth] = price.joules;
    }
    const step_price price = price_step(draft, money, network, 1.0, rows);
    s->draft_s = price.time_s;
    s->draft_joules = price.joules;
    s->target_s = s->verify_s[0];
    s->target_joules = s->verify_joules[0];
}

sp_status sp_speculate(sp_arena *arena, const sp_analysis_question *target,
                       const sp_analysis_question *draft, const sp_economics *money,
                       sp_speculation *speculation, sp_error *err)
{
    const sp_analysis *of_target = NULL;
    const sp_analysis *of_draft = NULL;
    SP_TRY(check(target, draft, err));
    SP_TRY(sp_analyze(arena, target, &of_target, err));
    SP_TRY(sp_analyze(arena, draft, &of_draft, err));
    sp_rows rows; /* of one phase of either model */
    SP_TRY(sp_rows_init(&rows, arena, 1, SP_MODEL_MAX_KINDS, err));
    sp_speculation s = {.target_memory_bytes = of_target->memory_needed_bytes,
                        .memory_bytes =
                            of_target->memory_needed_bytes + of_draft->memory_needed_bytes};
    s.fits = s.memory_bytes <= target->gpu->memory_bytes;
    price_both(target, draft, money, &rows, &s);
    *speculation = s;
    return SP_OK;
}

double sp_speculate_speedup(const sp_speculation *s, double acceptance, uint32_t depth)
{
    const double step_s = depth * s->draft_s + s->verify_s[depth];
    return sp_speculate_tokens(acceptance, depth) * s->target_s / step_s;
}

double sp_speculate_energy_ratio(const sp_speculation *s, double acceptance, uint32_t depth)
{
    const double joules = depth * s->draft_joules + s->verify_joules[depth];
    return joules / sp_speculate_tokens(acceptance, depth) / s->target_joules;
}

uint32_t sp_speculate_best_depth(const sp_speculation *s, double acceptance)
{
    uint32_t best = 0;
    for (uint32_t depth = 1; depth <= SP_SPECULATE_MAX_DEPTH; depth++) {
        if (sp_speculate_speedup(s, acceptance, depth) >
            sp_speculate_speedup(s, acceptance, best)) {
            best = depth;
        }
    }
    return best;
}
