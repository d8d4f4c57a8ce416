/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of `shardplan memory` become a question about a GPU that serves. */
#include "cli/memory.h"

#include <string.h>

#define MOST_TOKENS 0x40000000u /* 2^30 */
#define MOST_RANKS  65536u

bool sp_memory_is_quick(const sp_settings *s)
{
    return s->n_words > 0 && strcmp(s->words[0], "quick") == 0;
}

/* A model is named once. */
static sp_status check_words(const sp_settings *s, sp_error *err)
{
    const bool quick = sp_memory_is_quick(s);
    if (s->n_words > 1 && !quick) {
        sp_fail(err, SP_E_USAGE, "one word too many; usage: shardplan memory [quick SIZE | MODEL]");
        return sp_fail_value(err, "%s", s->words[1]);
    }
    if (s->n_words == 0 || s->of[SP_FLAG_model].origin == SP_FROM_DEFAULT) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "%s names the model already: leave one out", s->words[0]);
    return sp_flag_blame(err->status, SP_FLAG_model, err);
}

sp_status sp_memory_model(const sp_settings *s, sp_arena *arena, const char *home, bool largest,
                          const sp_model **model, sp_error *err)
{
    const bool quick = sp_memory_is_quick(s);
    const char *ref = s->n_words > 0 ? s->words[0] : sp_settings_text(s, SP_FLAG_model);
    double parameters = 0.0;
    SP_TRY(check_words(s, err));
    if (!quick && ref != NULL) return sp_model_find(arena, home, ref, model, err);
    if (largest && s->n_words == 0) return sp_model_guess(arena, home, 1e9, model, err);
    if (s->n_words < 2) {
        return sp_fail(err, SP_E_USAGE,
                       "name the model, for example shardplan memory llama-3.1-8b --hardware "
                       "h100-sxm, or its size, shardplan memory quick 7B --hardware h100-sxm");
    }
    SP_TRY(sp_size_parse(s->words[1], &parameters, err));
    return sp_model_guess(arena, home, parameters, model, err);
}

static sp_status find_hardware(const sp_settings *s, sp_arena *arena, const char *home,
                               const sp_gpu **gpu, sp_error *err)
{
    const char *name = sp_settings_text(s, SP_FLAG_hardware);
    if (name == NULL) {
        return sp_fail(err, SP_E_USAGE,
                       "name the accelerator with --hardware, for example h100-sxm "
                       "(see shardplan list hardware)");
    }
    return sp_flag_blame(sp_gpu_find(arena, home, name, gpu, err), SP_FLAG_hardware, err);
}

static sp_status read_tokens(const sp_settings *s, sp_flag_id flag, uint64_t least, uint64_t *out,
                             sp_error *err)
{
    uint64_t value = *out;
    SP_TRY(sp_flag_length(s, flag, &value, err));
    if (value >= least && value <= MOST_TOKENS) {
        *out = value;
        return SP_OK;
    }
    sp_fail(err, SP_E_RANGE, "the number is out of range");
    sp_fail_value(err, "%s", sp_settings_text(s, flag));
    sp_fail_range(err, "%u .. %u", (unsigned)least, MOST_TOKENS);
    return sp_flag_blame(err->status, flag, err);
}

static sp_status read_sizes(const sp_settings *s, sp_footprint_question *q, sp_error *err)
{
    SP_TRY(read_tokens(s, SP_FLAG_batch, 1, &q->batch, err));
    SP_TRY(read_tokens(s, SP_FLAG_isl, 1, &q->isl, err));
    SP_TRY(read_tokens(s, SP_FLAG_osl, 0, &q->osl, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_tp, 1, MOST_RANKS, &q->tp, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_pp, 1, MOST_RANKS, &q->pp, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_dp, 1, MOST_RANKS, &q->dp, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_nodes, 1, MOST_RANKS, &q->nodes, err));
    return sp_flag_count(s, SP_FLAG_ep, 1, MOST_RANKS, &q->ep, err);
}

static sp_status read_limits(const sp_settings *s, sp_footprint_question *q, sp_error *err)
{
    SP_TRY(sp_flag_ratio(s, SP_FLAG_headroom, &q->headroom_ratio, err));
    return sp_flag_reserve(s, &q->reserve_bytes, err);
}

/* ---- number formats ---- */

/* The cache is as wide as --bits says, in the first such format of the engine. */
static sp_status take_cache_bits(sp_footprint_question *q, sp_error *err)
{
    for (uint32_t i = 0; i < q->server.n_kv_formats; i++) {
        const double bits = q->server.kv_formats[i].bits;
        if (bits > q->bits.kv_cache || bits + 1.0 <= q->bits.kv_cache) continue;
        q->server.kv = i;
        return SP_OK;
    }
    sp_fail(err, SP_E_INCONSISTENT, "%s has no cache of so many bits; say --kv", q->server.name);
    sp_fail_value(err, "%g", q->bits.kv_cache);
    return sp_flag_blame(err->status, SP_FLAG_bits, err);
}

/* The cache of the format named, of --kv or of an option; else as wide as --bits says. */
static sp_status read_widths(const sp_settings *s, sp_arena *arena, const char *home, bool said,
                             sp_footprint_question *q, sp_error *err)
{
    const char *text =
        said || q->server.weights == NULL ? sp_settings_text(s, SP_FLAG_bits) : q->server.weights;
    const char *ref = s->n_words > 0 ? s->words[0] : sp_settings_text(s, SP_FLAG_model);
    const bool named = said || q->server.weights != NULL;
    sp_dtype compute = SP_BF16;
    bool taken = false;
    SP_TRY(sp_checkpoint_bits(arena, ref, named, &text, &q->bits, &taken, err));
    if (text[0] == '\0') return SP_OK;
    return sp_widths_parse(arena, home, text, &q->bits, &compute, err);
}

static sp_status read_formats(const sp_settings *s, sp_arena *arena, const char *home,
                              sp_footprint_question *q, sp_error *err)
{
    const bool said = s->of[SP_FLAG_bits].origin != SP_FROM_DEFAULT;
    const bool kv_named = s->of[SP_FLAG_kv].origin != SP_FROM_DEFAULT || q->server.kv > 0;
    SP_TRY(sp_flag_blame(read_widths(s, arena, home, said, q, err), SP_FLAG_bits, err));
    return said && !kv_named ? take_cache_bits(q, err) : SP_OK;
}

sp_status sp_memory_read_find(const sp_settings *s, sp_footprint_find *find, sp_error *err)
{
    static const char *const names[] = {"max-batch", "max-context", "max-model", "min-gpus",
                                        "max-concurrency"};
    static const sp_footprint_find goals[] = {SP_FIND_MAX_BATCH, SP_FIND_MAX_CONTEXT,
                                              SP_FIND_MAX_MODEL, SP_FIND_MIN_GPUS,
                                              SP_FIND_MAX_BATCH};
    const char *text = sp_settings_text(s, SP_FLAG_find);
    uint32_t choice = 0;
    *find = SP_FIND_NOTHING;
    if (text == NULL) return SP_OK;
    if (strcmp(text, "max-global-batch") == 0 || strcmp(text, "max-lora-rank") == 0) {
        sp_fail(err, SP_E_INCONSISTENT, "this is asked of training: give --task train or lora");
        sp_fail_value(err, "%s", text);
        return sp_flag_blame(err->status, SP_FLAG_find, err);
    }
    SP_TRY(sp_flag_choice(s, SP_FLAG_find, names, sizeof names / sizeof names[0], &choice, err));
    *find = goals[choice];
    return SP_OK;
}

sp_status sp_memory_refuse_flags(const sp_settings *s, const sp_flag_id *flags, size_t n,
                                 const char *why, sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (s->of[flags[i]].origin == SP_FROM_DEFAULT) continue;
        sp_fail(err, SP_E_INCONSISTENT, "%s", why);
        return sp_flag_blame(err->status, flags[i], err);
    }
    return SP_OK;
}

static sp_status refuse_training_flags(const sp_settings *s, sp_error *err)
{
    static const sp_flag_id flags[] = {
        SP_FLAG_cluster,      SP_FLAG_gpus,          SP_FLAG_seq_len,      SP_FLAG_lora_rank,
        SP_FLAG_optimizer,    SP_FLAG_gradients,     SP_FLAG_set,          SP_FLAG_interconnect,
        SP_FLAG_global_batch, SP_FLAG_checkpointing, SP_FLAG_accumulation, SP_FLAG_kernels,
        SP_FLAG_zeropp,       SP_FLAG_moe_imbalance};
    return sp_memory_refuse_flags(
        s, flags, sizeof flags / sizeof flags[0],
        "this is about training: give --task train, or leave it out; serving takes "
        "--hardware, --tp, --pp, --dp, --isl and --osl",
        err);
}

sp_status sp_memory_refuse_serving(const sp_settings *s, sp_error *err)
{
    static const sp_flag_id flags[] = {SP_FLAG_isl, SP_FLAG_osl, SP_FLAG_bits, SP_FLAG_max_context,
                                       SP_FLAG_kv};
    return sp_memory_refuse_flags(
        s, flags, sizeof flags / sizeof flags[0],
        "this is about serving, and the question about training: leave it out; "
        "training takes --seq-len, --batch and --set, such as precision=fp8",
        err);
}

sp_status sp_memory_read(const sp_settings *s, sp_arena *arena, const char *home,
                         sp_memory_asked *asked, sp_error *err)
{
    sp_footprint_question *q = &asked->question;
    *asked = (sp_memory_asked){.domain = 8};
    SP_TRY(refuse_training_flags(s, err));
    SP_TRY(sp_memory_read_find(s, &asked->find, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_domain, 1, 1024, &asked->domain, err));
    SP_TRY(sp_memory_model(s, arena, home, asked->find == SP_FIND_MAX_MODEL, &q->model, err));
    SP_TRY(find_hardware(s, arena, home, &q->gpu, err));
    sp_footprint_defaults(q);
    SP_TRY(sp_memory_read_engine(s, arena, home, q, err));
    SP_TRY(read_sizes(s, q, err));
    SP_TRY(read_limits(s, q, err));
    SP_TRY(read_formats(s, arena, home, q, err));
    return sp_footprint_check(q, err);
}
