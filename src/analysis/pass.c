/* SPDX-License-Identifier: Apache-2.0 */
/* What one accelerator sees of a phase: how many sequences and tokens, how far they reach back, and
 * how the model is cut. */
#include "analysis/analysis_priv.h"

const char *sp_phase_name(sp_phase phase)
{
    static const char *const names[SP_N_PHASES] = {"forward", "backward", "prefill", "decode",
                                                   "last_decode"};
    return names[phase];
}

bool sp_phase_is_training(sp_phase phase)
{
    return phase == SP_PHASE_FORWARD || phase == SP_PHASE_BACKWARD;
}

bool sp_phase_is_step(sp_phase phase)
{
    return phase == SP_PHASE_DECODE || phase == SP_PHASE_LAST_DECODE;
}

static double past_tokens(const sp_analysis_question *q, sp_phase phase)
{
    const double before = (double)q->past_tokens;
    if (sp_phase_is_training(phase)) return 0.0;
    if (phase == SP_PHASE_PREFILL) return before;
    const double prompt = before + (double)q->prompt_tokens;
    return phase == SP_PHASE_DECODE ? prompt : prompt + (double)q->generated_tokens - 1.0;
}

/* Token i of `length` new ones sees `past` and i more: half of them in the mean, itself included.
 * Training plans count length / 2 (cost/), and so does its table. */
static double attended(sp_phase phase, double past, double length)
{
    return sp_phase_is_training(phase) ? length / 2.0 : past + (length + 1.0) / 2.0;
}

/* Experts are spread over ep of the tp x dp ranks; where ep is less than tp, each is cut into so
 * many pieces that no tp rank idles. */
static sp_sharding shares(const sp_analysis_question *q)
{
    return (sp_sharding){
        .tp = q->tp, .cp = 1, .ep = q->ep, .etp = q->ep < q->tp ? q->tp / q->ep : 1};
}

sp_pass sp_pass_build(const sp_analysis_question *question, sp_phase phase, const sp_fabric *fabric,
                      const sp_rates *rates)
{
    const double length = sp_phase_is_step(phase) ? 1.0 : (double)question->prompt_tokens;
    const double sequences = (double)question->batch / question->dp;
    const double past = past_tokens(question, phase);
    const sp_sharding sharding = shares(question);
    /* tp groups whose tokens meet at one copy of the experts; other copies serve other groups. */
    const double groups = (double)sharding.ep * sharding.etp / sharding.tp;
    return (sp_pass){
        .question = question,
        .phase = phase,
        .shape = {.sequences = sequences,
                  .tokens = sequences * length,
                  .length = length,
                  .context = attended(phase, past, length),
                  .past = past,
                  .absorbed = sp_phase_is_step(phase)},
        .head_tokens = sp_phase_is_training(phase) ? sequences * length : sequences,
        .routed_tokens = sequences * length * groups,
        .sharding = sharding,
        .fabric = fabric,
        .rates = rates,
        .precision = sp_analysis_precision(question),
        .layers = 1,
        .held_layers = 1
    };
}
