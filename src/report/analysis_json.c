/* SPDX-License-Identifier: Apache-2.0 */
/* An analysis as "shardplan/analysis/1" and as CSV: figures of one layer, and with the suffix _all
 * those of all layers of the row. */
#include "report/analysis_words.h"

#include <string.h>

/* A figure of a row, by its name in JSON and CSV. */
typedef struct figure {
    const char *name, *name_all; /* name_all NULL: it does not add up */
    size_t offset;
} figure;

#define FIGURE(member)                                                                             \
    {                                                                                              \
#member, #member "_all", offsetof(sp_operator, member)                                     \
    }
#define PROPERTY(member)                                                                           \
    {                                                                                              \
#member, NULL, offsetof(sp_operator, member)                                               \
    }
static const figure figures[] = {FIGURE(flops),         FIGURE(parameters),  FIGURE(weight_bytes),
                                 FIGURE(read_bytes),    FIGURE(cache_bytes), FIGURE(write_bytes),
                                 FIGURE(network_bytes), PROPERTY(intensity), FIGURE(compute_s),
                                 FIGURE(memory_s),      FIGURE(network_s),   FIGURE(time_s),
                                 FIGURE(expected_s),    FIGURE(joules),      PROPERTY(rows),
                                 PROPERTY(columns),     PROPERTY(inner),     PROPERTY(count)};
#define N_FIGURES (sizeof figures / sizeof figures[0])

static double value_of(const sp_operator *row, const figure *f)
{
    double value;
    memcpy(&value, (const char *)row + f->offset, sizeof value);
    return value;
}

/* Parameters that several layers share count once. */
static double value_of_all(const sp_operator *row, const figure *f)
{
    const bool held = f->offset == offsetof(sp_operator, parameters);
    return (held ? row->held_layers : row->layers) * value_of(row, f);
}

static void put_operator(sp_json_writer *w, const sp_operator *row)
{
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "phase", sp_phase_name(row->phase));
    sp_jw_string(w, "operator", row->name);
    sp_jw_string(w, "category", row->category);
    sp_jw_u64(w, "layers", row->layers);
    for (size_t i = 0; i < N_FIGURES; i++) {
        sp_jw_double(w, figures[i].name, value_of(row, &figures[i]));
        if (figures[i].name_all != NULL) {
            sp_jw_double(w, figures[i].name_all, value_of_all(row, &figures[i]));
        }
    }
    sp_jw_string(w, "bound", sp_bound_word(row->bound));
    sp_jw_close_object(w);
}

static void put_phase(sp_json_writer *w, const sp_analysis *a, sp_phase phase)
{
    const sp_phase_total *total = &a->phase[phase];
    sp_jw_open_object(w, sp_phase_name(phase));
    sp_jw_double(w, "flops", total->flops);
    sp_jw_double(w, "weight_bytes", total->weight_bytes);
    sp_jw_double(w, "read_bytes", total->read_bytes);
    sp_jw_double(w, "write_bytes", total->write_bytes);
    sp_jw_double(w, "network_bytes", total->network_bytes);
    sp_jw_double(w, "compute_s", total->compute_s);
    sp_jw_double(w, "memory_s", total->memory_s);
    sp_jw_double(w, "network_s", total->network_s);
    sp_jw_double(w, "time_s", total->time_s);
    sp_jw_double(w, "expected_s", total->expected_s);
    sp_jw_double(w, "joules", total->joules);
    sp_jw_double(w, "tokens_per_s", total->tokens_per_s);
    sp_jw_string(w, "bottleneck", a->operators[total->bottleneck].name);
    sp_jw_close_object(w);
}

static void put_totals(sp_json_writer *w, const sp_analysis_question *q, const sp_analysis *a)
{
    sp_jw_open_object(w, "totals");
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        if (a->phase[phase].present) put_phase(w, a, phase);
    }
    sp_jw_double(w, "parameters", a->parameters);
    sp_jw_double(w, "weight_bytes", a->weight_bytes);
    sp_jw_double(w, "kv_bytes_per_token", a->kv_bytes_per_token);
    sp_jw_double(w, "kv_prompt_bytes", a->kv_prompt_bytes);
    sp_jw_double(w, "kv_generated_bytes", a->kv_generated_bytes);
    sp_jw_double(w, "kv_max_bytes", a->kv_max_bytes);
    sp_jw_double(w, "state_bytes", a->state_bytes);
    sp_jw_double(w, "gqa_ratio", a->gqa_ratio);
    sp_jw_double(w, "ridge_intensity", a->ridge_intensity);
    sp_jw_double(w, "rope_tokens", a->rope_tokens);
    sp_jw_double(w, "memory_needed_bytes", a->memory_needed_bytes);
    sp_jw_double(w, "memory_usable_bytes", q->gpu->memory_bytes);
    sp_jw_bool(w, "fits", a->fits);
    sp_jw_close_object(w);
}

static void put_question(sp_json_writer *w, const sp_analysis_question *q)
{
    sp_jw_open_object(w, "question");
    sp_jw_string(w, "model", q->model->name);
    sp_jw_string(w, "hardware", q->gpu->name);
    sp_jw_u64(w, "batch", q->batch);
    sp_jw_u64(w, "isl", q->prompt_tokens);
    sp_jw_u64(w, "osl", q->generated_tokens);
    sp_jw_u64(w, "past", q->past_tokens);
    sp_jw_u64(w, "tp", q->tp);
    sp_jw_u64(w, "dp", q->dp);
    sp_jw_u64(w, "ep", q->ep);
    sp_jw_bool(w, "dense_dp", q->dense_dp);
    sp_jw_bool(w, "dispatch", q->dispatch);
    sp_jw_bool(w, "mtp", q->mtp);
    sp_jw_bool(w, "flash", q->flash);
    sp_jw_string(w, "compute", sp_dtype_name(q->compute));
    sp_jw_open_object(w, "bits");
    sp_jw_double(w, "activation", q->bits.activation);
    sp_jw_double(w, "attention_weight", q->bits.attention_weight);
    sp_jw_double(w, "ffn_weight", q->bits.ffn_weight);
    sp_jw_double(w, "kv_cache", q->bits.kv_cache);
    sp_jw_double(w, "rope", q->bits.rope);
    sp_jw_double(w, "embedding", q->bits.embedding);
    sp_jw_double(w, "norm", q->bits.norm);
    sp_jw_close_object(w);
    sp_jw_close_object(w);
}

void sp_report_analysis_json(const sp_analysis_question *question, const sp_analysis *analysis,
                             struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/analysis/1");
    sp_json_put_version(&w);
    put_question(&w, question);
    sp_jw_open_array(&w, "operators");
    for (uint32_t i = 0; i < analysis->n_operators; i++) {
        put_operator(&w, &analysis->operators[i]);
    }
    sp_jw_close_array(&w);
    put_totals(&w, question, analysis);
    sp_jw_open_array(&w, "notes");
    for (uint32_t i = 0; i < analysis->n_notes; i++) {
        sp_jw_string(&w, NULL, analysis->notes[i]);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
}

void sp_report_analysis_csv(const sp_analysis *analysis, struct sp_text *out)
{
    sp_text_add(out, "phase,operator,category,layers");
    for (size_t i = 0; i < N_FIGURES; i++) {
        sp_text_printf(out, ",%s", figures[i].name);
        if (figures[i].name_all != NULL) sp_text_printf(out, ",%s", figures[i].name_all);
    }
    sp_text_add(out, ",bound\n");
    for (uint32_t r = 0; r < analysis->n_operators; r++) {
        const sp_operator *row = &analysis->operators[r];
        sp_text_printf(out, "%s,%s,%s,%u", sp_phase_name(row->phase), row->name, row->category,
                       row->layers);
        for (size_t i = 0; i < N_FIGURES; i++) {
            sp_csv_add_number(out, value_of(row, &figures[i]));
            if (figures[i].name_all != NULL) {
                sp_csv_add_number(out, value_of_all(row, &figures[i]));
            }
        }
        sp_text_printf(out, ",%s\n", sp_bound_word(row->bound));
    }
}
