/* SPDX-License-Identifier: Apache-2.0 */
/* The whole table: passes of the asked phases, their totals, and what the accelerator must hold. */
#include "analysis/analysis_priv.h"
#include "base/base.h"

void sp_analysis_defaults(sp_analysis_question *question)
{
    const sp_analysis_question given = *question;
    *question = (sp_analysis_question){
        .model = given.model,
        .gpu = given.gpu,
        .cluster = given.cluster,
        .batch = 1,
        .prompt_tokens = 2048,
        .generated_tokens = 512,
        .tp = 1,
        .dp = 1,
        .ep = 1,
        .flash = true,
        .bits = {16.0, 16.0, 16.0, 16.0, 32.0, 16.0, 16.0},
        .phases = 1u << SP_PHASE_PREFILL | 1u << SP_PHASE_DECODE | 1u << SP_PHASE_LAST_DECODE
    };
    if (given.gpu != NULL && given.gpu->peak_flops_per_s[SP_BF16] <= 0.0) {
        question->compute = SP_FP16;
    }
}

/* Tokens that a phase makes progress by, over the deployment. */
static double progress_tokens(const sp_analysis_question *q, sp_phase phase)
{
    const bool one = phase == SP_PHASE_DECODE || phase == SP_PHASE_LAST_DECODE;
    return (double)q->batch * (one ? 1.0 : (double)q->prompt_tokens);
}

static void run_phases(const sp_analysis_question *q, const sp_fabric *fabric,
                       const sp_rates *rates, sp_rows *rows, sp_analysis *analysis)
{
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        if ((q->phases >> phase & 1) == 0) continue;
        const sp_pass pass = sp_pass_build(q, phase, fabric, rates);
        sp_rows_add_model(rows, &pass);
        sp_analysis_total(rows, phase, progress_tokens(q, phase), &analysis->phase[phase]);
    }
}

static double ridge(const sp_analysis_question *q)
{
    return q->gpu->peak_flops_per_s[q->compute] / q->gpu->memory_bytes_per_s;
}

static uint32_t count_phases(const sp_analysis_question *q)
{
    uint32_t n = 0;
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        n += q->phases >> phase & 1;
    }
    return n;
}

sp_status sp_analyze(struct sp_arena *arena, const sp_analysis_question *question,
                     const sp_analysis **analysis, sp_error *err)
{
    SP_TRY(sp_analysis_check(question, err));
    sp_analysis *made = sp_arena_alloc(arena, sizeof *made);
    sp_rows rows;
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "the analysis needs more");
    SP_TRY(sp_rows_init(&rows, arena, count_phases(question), question->model->n_kinds, err));
    *made = (sp_analysis){.ridge_intensity = ridge(question)};
    sp_fabric fabric;
    sp_rates rates;
    const bool measured = sp_analysis_rates(question, &rates);
    if (question->cluster != NULL) sp_fabric_build(question->cluster, &fabric);
    run_phases(question, question->cluster != NULL ? &fabric : NULL, measured ? &rates : NULL,
               &rows, made);
    made->operators = rows.row;
    made->n_operators = rows.n;
    sp_analysis_cache(question, made);
    SP_TRY(sp_analysis_notes(arena, question, made, err));
    *analysis = made;
    return SP_OK;
}
