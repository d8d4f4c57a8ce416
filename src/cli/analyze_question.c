/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of `shardplan analyze` become the question of an analysis. */
#include "cli/analyze.h"

#include <string.h>

#define MOST_TOKENS 0x40000000u /* 2^30 */
#define MOST_RANKS  65536u

/* Phases by name, and sets of them. */
static const struct phase_word {
    const char *name;
    uint32_t phases;
} phase_words[] = {
    {"forward",     1u << SP_PHASE_FORWARD                                                     },
    {"backward",    1u << SP_PHASE_BACKWARD                                                    },
    {"prefill",     1u << SP_PHASE_PREFILL                                                     },
    {"decode",      1u << SP_PHASE_DECODE                                                      },
    {"last_decode", 1u << SP_PHASE_LAST_DECODE                                                 },
    {"train",       1u << SP_PHASE_FORWARD | 1u << SP_PHASE_BACKWARD                           },
    {"inference",   1u << SP_PHASE_PREFILL | 1u << SP_PHASE_DECODE | 1u << SP_PHASE_LAST_DECODE},
    {"all",         (1u << SP_N_PHASES) - 1                                                    },
};
#define N_PHASE_WORDS (sizeof phase_words / sizeof phase_words[0])

static sp_status take_phase(const char *word, size_t length, uint32_t *phases, sp_error *err)
{
    const char *names[N_PHASE_WORDS];
    for (size_t i = 0; i < N_PHASE_WORDS; i++) {
        names[i] = phase_words[i].name;
        if (strlen(names[i]) != length || strncmp(names[i], word, length) != 0) continue;
        *phases |= phase_words[i].phases;
        return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such phase");
    sp_fail_value(err, "%s", word);
    sp_fail_names(err, word, names, N_PHASE_WORDS);
    return sp_flag_blame(err->status, SP_FLAG_phase, err);
}

static sp_status read_phases(const sp_settings *s, uint32_t *phases, sp_error *err)
{
    const char *text = sp_settings_text(s, SP_FLAG_phase);
    *phases = 0;
    while (text != NULL && *text != '\0') {
        const size_t length = strcspn(text, ",");
        SP_TRY(take_phase(text, length, phases, err));
        text += length + (text[length] == ',');
    }
    return SP_OK;
}

static sp_status read_tokens(const sp_settings *s, sp_flag_id flag, uint64_t least, uint64_t *out,
                             sp_error *err)
{
    uint32_t value = (uint32_t)*out;
    SP_TRY(sp_flag_count(s, flag, least, MOST_TOKENS, &value, err));
    *out = value;
    return SP_OK;
}

static sp_status read_sizes(const sp_settings *s, sp_analysis_question *q, sp_error *err)
{
    SP_TRY(read_tokens(s, SP_FLAG_batch, 1, &q->batch, err));
    SP_TRY(read_tokens(s, SP_FLAG_isl, 1, &q->prompt_tokens, err));
    SP_TRY(read_tokens(s, SP_FLAG_osl, 1, &q->generated_tokens, err));
    SP_TRY(read_tokens(s, SP_FLAG_past, 0, &q->past_tokens, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_tp, 1, MOST_RANKS, &q->tp, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_dp, 1, MOST_RANKS, &q->dp, err));
    return sp_flag_count(s, SP_FLAG_ep, 1, MOST_RANKS, &q->ep, err);
}

static sp_status read_switches(const sp_settings *s, sp_analysis_question *q, sp_error *err)
{
    bool unfused = false;
    SP_TRY(sp_settings_switch(s, SP_FLAG_dispatch, &q->dispatch, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_dense_dp, &q->dense_dp, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_mtp, &q->mtp, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_unfused, &unfused, err));
    q->flash = !unfused;
    return SP_OK;
}

/* The preset's products run in 16 bits where the accelerator lacks its format; the user hears of it
 * when he asked for the format himself. */
static sp_status read_formats(const sp_settings *s, sp_arena *arena, const char *home,
                              sp_analysis_question *q, sp_error *err)
{
    const char *names[SP_N_DTYPES];
    uint32_t compute = q->compute;
    sp_dtype wanted = q->compute;
    for (sp_dtype dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        names[dtype] = sp_dtype_name(dtype);
    }
    SP_TRY(sp_flag_blame(
        sp_widths_parse(arena, home, sp_settings_text(s, SP_FLAG_bits), &q->bits, &wanted, err),
        SP_FLAG_bits, err));
    if (q->gpu->peak_flops_per_s[wanted] > 0.0) compute = wanted;
    SP_TRY(sp_flag_choice(s, SP_FLAG_compute, names, SP_N_DTYPES, &compute, err));
    q->compute = (sp_dtype)compute;
    return SP_OK;
}

static sp_status find_model(const sp_settings *s, sp_arena *arena, const char *home,
                            const sp_model **model, sp_error *err)
{
    const char *ref = s->n_words > 0 ? s->words[0] : sp_settings_text(s, SP_FLAG_model);
    if (ref == NULL) {
        return sp_fail(
            err, SP_E_USAGE,
            "name the model, for example shardplan analyze llama-3.1-8b --hardware h100");
    }
    return sp_model_find(arena, home, ref, model, err);
}

/* The accelerator, or that of the cluster. */
static sp_status find_hardware(const sp_settings *s, sp_arena *arena, const char *home,
                               sp_analysis_question *q, sp_error *err)
{
    const char *gpu = sp_settings_text(s, SP_FLAG_hardware);
    const char *cluster = sp_settings_text(s, SP_FLAG_cluster);
    if (cluster != NULL) {
        SP_TRY(sp_flag_blame(sp_cluster_find(arena, home, cluster, &q->cluster, err),
                             SP_FLAG_cluster, err));
        q->gpu = q->cluster->gpu;
    }
    if (gpu != NULL) {
        return sp_flag_blame(sp_gpu_find(arena, home, gpu, &q->gpu, err), SP_FLAG_hardware, err);
    }
    if (cluster != NULL) return SP_OK;
    return sp_fail(err, SP_E_USAGE,
                   "name the accelerator with --hardware, for example h100-sxm "
                   "(see shardplan list hardware), or a --cluster");
}

sp_status sp_analyze_read(const sp_settings *s, sp_arena *arena, const char *home,
                          sp_analysis_question *q, sp_error *err)
{
    *q = (sp_analysis_question){0};
    SP_TRY(find_model(s, arena, home, &q->model, err));
    SP_TRY(find_hardware(s, arena, home, q, err));
    sp_analysis_defaults(q);
    SP_TRY(read_phases(s, &q->phases, err));
    SP_TRY(read_sizes(s, q, err));
    SP_TRY(read_switches(s, q, err));
    return read_formats(s, arena, home, q, err);
}
