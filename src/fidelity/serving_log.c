/* SPDX-License-Identifier: Apache-2.0 */
/* A start-up log of a serving engine as a question about memory: its entry has model, GPU, engine,
 * split, formats and options, and what the engine printed. The prediction reads none of that. */
#include "fidelity/serving.h"

#define GIB 0x1p30

const char *sp_served_figure_name(sp_served_figure figure)
{
    static const char *const names[] = {"cache_tokens", "other_bytes", "weights", "profiled_pass"};
    return names[figure];
}

/* ---- the question ---- */

/* The GPU with the size that the log has. */
static sp_status find_gpu(sp_arena *arena, const char *home, const sp_json *entry,
                          sp_footprint_question *q, sp_error *err)
{
    const char *name = NULL;
    double total = 0.0;
    SP_TRY(sp_json_string(entry, "gpu", &name, err));
    SP_TRY(sp_gpu_find(arena, home, name, &q->gpu, err));
    SP_TRY(sp_json_double(entry, "total_gib", 1.0, 1e6, &total, err));
    sp_gpu *sized = sp_arena_alloc(arena, sizeof *sized);
    if (sized == NULL) return sp_fail(err, SP_E_MEMORY, "the score needs more");
    *sized = *q->gpu;
    sized->memory_bytes = total * GIB;
    q->gpu = sized;
    return SP_OK;
}

static sp_status set_options(sp_arena *arena, const char *home, const sp_json *entry,
                             sp_server *server, sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_array(entry, "options", &list, err));
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json option = sp_json_at(&list, i);
        const char *text = NULL;
        SP_TRY(sp_json_as_string(&option, &text, err));
        SP_TRY(sp_server_set(arena, home, text, server, err));
    }
    return SP_OK;
}

static sp_status read_count(const sp_json *entry, const char *key, uint32_t *count, sp_error *err)
{
    uint64_t value = 1;
    SP_TRY(sp_json_u64_or(entry, key, 1, 65536, 1, &value, err));
    *count = (uint32_t)value;
    return SP_OK;
}

static sp_status set_formats(sp_arena *arena, const char *home, const sp_json *entry,
                             sp_footprint_question *q, sp_error *err)
{
    const char *bits = NULL, *kv = NULL;
    sp_dtype compute = SP_BF16;
    SP_TRY(sp_json_string_or(entry, "bits", "bf16", &bits, err));
    SP_TRY(sp_widths_parse(arena, home, bits, &q->bits, &compute, err));
    SP_TRY(sp_json_string_or(entry, "kv", "none", &kv, err));
    return sp_server_set_kv(kv, &q->server, err);
}

static sp_status build(sp_arena *arena, const char *home, const sp_json *entry,
                       sp_footprint_question *q, sp_error *err)
{
    const char *model = NULL, *engine = NULL;
    SP_TRY(sp_json_string(entry, "model", &model, err));
    SP_TRY(sp_json_string(entry, "engine", &engine, err));
    SP_TRY(sp_model_find(arena, home, model, &q->model, err));
    SP_TRY(find_gpu(arena, home, entry, q, err));
    SP_TRY(sp_server_load(arena, home, engine, &q->server, err));
    SP_TRY(set_options(arena, home, entry, &q->server, err));
    sp_footprint_defaults(q);
    if (q->server.max_context > 1.0) { /* one request as long as the engine is told */
        q->isl = (uint64_t)q->server.max_context - 1;
        q->osl = 1;
    }
    SP_TRY(read_count(entry, "tp", &q->tp, err));
    SP_TRY(read_count(entry, "pp", &q->pp, err));
    SP_TRY(read_count(entry, "ep", &q->ep, err));
    SP_TRY(set_formats(arena, home, entry, q, err));
    return sp_footprint_check(q, err);
}

/* ---- what was printed, and what we say ---- */

static double share_bytes(const sp_footprint_question *q, const sp_footprint *out)
{
    return out->fraction * (1.0 - q->server.spare_ratio) * q->gpu->memory_bytes;
}

/* Where the rest is more than the engine's share, the log says by how much: the fraction that one
 * request would need does too. */
static double cache_bytes(const sp_footprint_question *q, const sp_footprint *out)
{
    if (out->pool > 0.0 || out->fraction_needed <= 0.0) return out->pool;
    return out->needed - (out->fraction_needed - out->fraction) * q->gpu->memory_bytes;
}

static sp_status read_measured(const sp_json *entry, const sp_footprint_question *q,
                               const sp_footprint *out, double measured[SP_N_SERVED_FIGURES],
                               sp_error *err)
{
    const double none = -1e9;
    double cache = none;
    sp_json printed;
    SP_TRY(sp_json_object(entry, "measured", &printed, err));
    SP_TRY(sp_json_double_or(&printed, "tokens", 1.0, 1e12, 0.0, &measured[SP_SERVED_TOKENS], err));
    SP_TRY(sp_json_double_or(&printed, "weights_gib", 0.0, 1e6, 0.0, &measured[SP_SERVED_WEIGHTS],
                             err));
    SP_TRY(sp_json_double_or(&printed, "peak_gib", 0.0, 1e6, 0.0, &measured[SP_SERVED_PASS], err));
    SP_TRY(sp_json_double_or(&printed, "kv_gib", -1e6, 1e6, none, &cache, err));
    measured[SP_SERVED_WEIGHTS] *= GIB;
    measured[SP_SERVED_PASS] *= GIB;
    if (cache > none) {
        measured[SP_SERVED_OTHER] = share_bytes(q, out) - cache * GIB;
    } else if (measured[SP_SERVED_TOKENS] > 0.0) {
        measured[SP_SERVED_OTHER] =
            share_bytes(q, out) - measured[SP_SERVED_TOKENS] * out->pool / out->tokens;
    }
    return SP_OK;
}

static void predict(const sp_footprint_question *q, const sp_footprint *out,
                    double predicted[SP_N_SERVED_FIGURES])
{
    const double *pass = out->bytes[SP_MEMORY_PROFILE];
    predicted[SP_SERVED_TOKENS] = out->tokens;
    predicted[SP_SERVED_OTHER] = share_bytes(q, out) - cache_bytes(q, out);
    predicted[SP_SERVED_WEIGHTS] = out->weights;
    predicted[SP_SERVED_PASS] = pass[SP_PART_OF_activations] + pass[SP_PART_OF_logits];
}

static sp_status complain(sp_arena *arena, const sp_error *why, sp_served_row *row, sp_error *err)
{
    char line[SP_ERROR_TEXT_BYTES];
    (void)sp_error_format(why, line, sizeof line);
    row->complaint = sp_arena_strdup(arena, line);
    return row->complaint != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "the score needs more");
}

sp_status sp_served_read(sp_arena *arena, const char *home, const sp_json *entry,
                         sp_served_row *row, sp_error *err)
{
    sp_footprint_question q = {0};
    sp_footprint out;
    sp_error why = {0};
    const char *text = NULL;
    SP_TRY(sp_json_string(entry, "id", &text, err));
    row->id = sp_arena_strdup(arena, text);
    SP_TRY(sp_json_string(entry, "engine", &text, err));
    row->engine = sp_arena_strdup(arena, text);
    if (row->id == NULL || row->engine == NULL) {
        return sp_fail(err, SP_E_MEMORY, "the score needs more");
    }
    row->fitted = sp_json_has(entry, "fitted");
    if (build(arena, home, entry, &q, &why) != SP_OK) return complain(arena, &why, row, err);
    sp_footprint_evaluate(&q, &out);
    predict(&q, &out, row->predicted);
    return read_measured(entry, &q, &out, row->measured, err);
}
