/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of `shardplan analyze` become the question of an analysis. */
#include "cli/analyze.h"
#include "shardplan/checkpoint.h"
#include "shardplan/surface.h"

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
    sp_fail_value(err, "%.*s", (int)length, word);
    sp_fail_names(err, err->value, names, N_PHASE_WORDS);
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

static const char *model_word(const sp_settings *s)
{
    return s->n_words > 0 ? s->words[0] : sp_settings_text(s, SP_FLAG_model);
}

static sp_status read_widths(const sp_settings *s, sp_arena *arena, const char *home,
                             sp_analysis_question *q, sp_dtype *compute, sp_error *err)
{
    const char *text = sp_settings_text(s, SP_FLAG_bits);
    const bool said = s->of[SP_FLAG_bits].n_values > 0;
    SP_TRY(sp_checkpoint_bits(arena, model_word(s), said, &text, &q->bits, &q->bits_of_checkpoint,
                              err));
    if (text[0] == '\0') return SP_OK;
    return sp_widths_parse(arena, home, text, &q->bits, compute, err);
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
    SP_TRY(sp_flag_blame(read_widths(s, arena, home, q, &wanted, err), SP_FLAG_bits, err));
    if (q->gpu->peak_flops_per_s[wanted] > 0.0) compute = wanted;
    SP_TRY(sp_flag_choice(s, SP_FLAG_compute, names, SP_N_DTYPES, &compute, err));
    q->compute = (sp_dtype)compute;
    return SP_OK;
}

static sp_status find_model(const sp_settings *s, sp_arena *arena, const char *home,
                            const sp_model **model, sp_error *err)
{
    const char *ref = model_word(s);
    if (ref == NULL) {
        return sp_fail(
            err, SP_E_USAGE,
            "name the model, for example shardplan analyze llama-3.1-8b --hardware h100-sxm");
    }
    return sp_model_find(arena, home, ref, model, err);
}

/* Adds one accelerator of a list; names are separated by commas. */
static sp_status add_hardware(sp_arena *arena, const char *home, const char *word, size_t length,
                              sp_analyzed *done, sp_error *err)
{
    const char *name = sp_arena_printf(arena, "%.*s", (int)length, word);
    if (name == NULL) return sp_fail(err, SP_E_MEMORY, "the accelerators need more");
    if (done->n == SP_ROOFLINE_MAX_HARDWARE) {
        sp_fail(err, SP_E_RANGE, "too many accelerators");
        sp_fail_value(err, "%s", name);
        return sp_fail_range(err, "1 .. %d", SP_ROOFLINE_MAX_HARDWARE);
    }
    return sp_gpu_find(arena, home, name, &done->questions[done->n++].gpu, err);
}

static sp_status read_hardware(sp_arena *arena, const char *home, const char *list,
                               sp_analyzed *done, sp_error *err)
{
    while (*list != '\0') {
        const size_t length = strcspn(list, ",");
        SP_TRY(add_hardware(arena, home, list, length, done, err));
        list += length + (list[length] == ',');
    }
    return SP_OK;
}

/* The accelerators, or that of the cluster. */
static sp_status find_hardware(const sp_settings *s, sp_arena *arena, const char *home,
                               const sp_cluster **cluster, sp_analyzed *done, sp_error *err)
{
    const char *list = sp_settings_text(s, SP_FLAG_hardware);
    const char *name = sp_settings_text(s, SP_FLAG_cluster);
    *cluster = NULL;
    if (name != NULL) {
        SP_TRY(
            sp_flag_blame(sp_cluster_find(arena, home, name, cluster, err), SP_FLAG_cluster, err));
    }
    if (list != NULL) {
        return sp_flag_blame(read_hardware(arena, home, list, done, err), SP_FLAG_hardware, err);
    }
    if (name == NULL) {
        return sp_fail(err, SP_E_USAGE,
                       "name the accelerator with --hardware, for example h100-sxm "
                       "(see shardplan list hardware), or a --cluster");
    }
    done->questions[done->n++].gpu = (*cluster)->gpu;
    return SP_OK;
}

static sp_status read_question(const sp_settings *s, sp_arena *arena, const char *home,
                               sp_analysis_question *q, sp_error *err)
{
    sp_analysis_defaults(q);
    SP_TRY(read_phases(s, &q->phases, err));
    SP_TRY(read_sizes(s, q, err));
    SP_TRY(read_switches(s, q, err));
    SP_TRY(sp_surfaces_load(arena, home, q->gpu, &q->surfaces, err));
    return read_formats(s, arena, home, q, err);
}

static sp_status read_graph(const sp_settings *s, sp_graph_form *graph, sp_error *err)
{
    static const char *const names[] = {"json", "dot"};
    static const sp_graph_form forms[] = {SP_GRAPH_JSON, SP_GRAPH_DOT};
    uint32_t form = 0;
    *graph = SP_GRAPH_NONE;
    SP_TRY(sp_flag_choice(s, SP_FLAG_graph, names, 2, &form, err));
    if (sp_settings_text(s, SP_FLAG_graph) != NULL) *graph = forms[form];
    return SP_OK;
}

sp_status sp_analyze_read(const sp_settings *s, sp_arena *arena, const char *home,
                          sp_analyzed *done, sp_error *err)
{
    const sp_model *model = NULL;
    const sp_cluster *cluster = NULL;
    *done = (sp_analyzed){0};
    SP_TRY(read_graph(s, &done->graph, err));
    SP_TRY(find_model(s, arena, home, &model, err));
    SP_TRY(find_hardware(s, arena, home, &cluster, done, err));
    for (uint32_t i = 0; i < done->n; i++) {
        done->questions[i].model = model;
        done->questions[i].cluster = cluster;
        SP_TRY(read_question(s, arena, home, &done->questions[i], err));
    }
    return SP_OK;
}
