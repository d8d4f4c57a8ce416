/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader must know beside the figures: contexts that the model was not made for, switches
 * without effect, what the memory leaves out. */
#include "analysis/analysis_priv.h"
#include "base/base.h"

#include <math.h>

#define MAX_NOTES 8
#define TWO_PI    6.283185307179586

typedef struct note_list {
    struct sp_arena *arena;
    const char **notes;
    uint32_t n;
} note_list;

static sp_status add(note_list *list, const char *text, sp_error *err)
{
    if (text == NULL) return sp_fail(err, SP_E_MEMORY, "the analysis needs more");
    if (list->n < MAX_NOTES) list->notes[list->n++] = text;
    return SP_OK;
}

static uint64_t context_of(const sp_analysis_question *q)
{
    return q->past_tokens + q->prompt_tokens + q->generated_tokens;
}

/* A context that the model was not made for is analysed all the same, and said. */
static sp_status note_context(note_list *list, const sp_analysis_question *q, sp_error *err)
{
    const uint64_t context = context_of(q);
    if (q->model->max_context == 0 || context <= q->model->max_context) return SP_OK;
    return add(list,
               sp_arena_printf(list->arena,
                               "%llu tokens of context are more than the %u that the model was "
                               "made for",
                               (unsigned long long)context, (unsigned)q->model->max_context),
               err);
}

/* Pair i of d / 2 turns once in 2 pi theta^(2i/d) tokens; the last one is the slowest.
 * Source: Su et al., RoFormer, arXiv:2104.09864, section 3.2.2; scaling as in YaRN,
 * arXiv:2309.00071.
 */
static double longest_wavelength(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_attention *a = &model->kinds[k].attention;
        const double d = a->kv_lora > 0 ? a->rope_dim : a->head_dim;
        if (a->heads == 0 || a->no_rope || d < 2.0 || model->rope_theta <= 0.0) continue;
        const double factor = model->rope_factor > 0.0 ? model->rope_factor : 1.0;
        return TWO_PI * pow(model->rope_theta, (d - 2.0) / d) * factor;
    }
    return 0.0;
}

static sp_status note_rope(note_list *list, const sp_analysis_question *q, double rope_tokens,
                           sp_error *err)
{
    const uint64_t context = context_of(q);
    if (rope_tokens <= 0.0 || (double)context <= rope_tokens) return SP_OK;
    return add(list,
               sp_arena_printf(list->arena,
                               "%llu tokens of context are more than the longest wavelength of the "
                               "rotary embedding, %.0f: far positions look like near ones",
                               (unsigned long long)context, rope_tokens),
               err);
}

static sp_status note_switches(note_list *list, const sp_analysis_question *q, sp_error *err)
{
    if (q->dispatch && (q->ep == 1 || q->ep < q->tp)) {
        SP_TRY(add(list,
                   "dispatch changes nothing: every rank that holds experts has all tokens of its "
                   "tensor-parallel group",
                   err));
    }
    if (q->mtp && q->model->mtp_layers == 0) {
        SP_TRY(add(list, "the model has no prediction modules", err));
    }
    return SP_OK;
}

static sp_status note_network(note_list *list, const sp_analysis_question *q, sp_error *err)
{
    if (q->cluster != NULL || (q->tp == 1 && (!q->dispatch || q->ep == 1))) return SP_OK;
    return add(
        list,
        "without a cluster nothing is known of the network: what ranks exchange is counted in "
        "bytes and takes no time",
        err);
}

static sp_status note_training(note_list *list, const sp_analysis_question *q, sp_error *err)
{
    if ((q->phases & (1u << SP_PHASE_FORWARD | 1u << SP_PHASE_BACKWARD)) == 0) return SP_OK;
    return add(list,
               "the memory needed is that of inference: gradients, optimizer and kept activations "
               "of training come on top (see shardplan estimate)",
               err);
}

sp_status sp_analysis_notes(struct sp_arena *arena, const sp_analysis_question *question,
                            sp_analysis *analysis, sp_error *err)
{
    note_list list = {.arena = arena,
                      .notes = sp_arena_alloc(arena, MAX_NOTES * sizeof *list.notes)};
    if (list.notes == NULL) return sp_fail(err, SP_E_MEMORY, "the analysis needs more");
    analysis->rope_tokens = longest_wavelength(question->model);
    SP_TRY(note_context(&list, question, err));
    SP_TRY(note_rope(&list, question, analysis->rope_tokens, err));
    SP_TRY(note_switches(&list, question, err));
    SP_TRY(note_network(&list, question, err));
    SP_TRY(note_training(&list, question, err));
    const char *beyond = NULL;
    SP_TRY(sp_note_measured(arena, question, analysis, &beyond, err));
    if (beyond != NULL) SP_TRY(add(&list, beyond, err));
    analysis->notes = list.notes;
    analysis->n_notes = list.n;
    return SP_OK;
}
