/* SPDX-License-Identifier: Apache-2.0 */
/* What was read from a model: exact parameter counts, its layers, and what was assumed; with its
 * checkpoint, or that alone. */
#include "report/report_priv.h"

#include <assert.h>
#include <inttypes.h>

static void add_count(struct sp_text *out, const char *name, uint64_t n, const char *meaning)
{
    sp_text_printf(out, "  %-14s %19s%s%s\n", name, sp_word_count(n).text,
                   meaning[0] != '\0' ? "  " : "", meaning);
}

/* Layers of the kind of run r, 0 where an earlier run has told of them. */
static uint32_t layers_first_in(const sp_model *model, uint32_t r)
{
    for (uint32_t i = 0; i < r; i++) {
        if (model->runs[i].kind == model->runs[r].kind) return 0;
    }
    return sp_model_layers_of_kind(model, model->runs[r].kind);
}

static void add_layers(struct sp_text *out, const sp_model *model)
{
    sp_text_printf(out, "\n%u layers of width %u, vocabulary %s%s\n", model->n_layers,
                   model->hidden, sp_word_count(model->vocab).text,
                   model->tied_embeddings ? ", head and embedding are one table" : "");
    for (uint32_t r = 0; r < model->n_runs; r++) {
        const uint32_t n_layers = layers_first_in(model, r);
        if (n_layers == 0) continue;
        sp_text_printf(out, "  %5u x  ", n_layers);
        sp_add_layer_kind(out, &model->kinds[model->runs[r].kind]);
    }
    sp_add_outside(out, model);
    if (model->n_runs > model->n_kinds) {
        sp_text_printf(out, "  they take turns: %u runs of equal layers\n", model->n_runs);
    }
}

static void add_model(struct sp_text *out, const sp_model *model)
{
    const sp_parameters p = sp_model_parameters(model);
    sp_text_printf(out, "%s (%s)\n\nParameters\n", model->name, model->model_type);
    add_count(out, "total", p.total, "");
    add_count(out, "active", p.active, "used by one token");
    add_count(out, "embedding", p.embedding, "token table");
    add_count(out, "head", p.head, p.head == 0 ? "the token table is used" : "output");
    add_count(out, "non-embedding", p.non_embedding, "all but these two");
    if (p.mtp > 0) add_count(out, "prediction", p.mtp, "multi-token, not in the total");
    add_layers(out, model);
    if (model->n_assumptions > 0) sp_text_add(out, "\nAssumptions\n");
    for (uint32_t i = 0; i < model->n_assumptions; i++) {
        sp_text_printf(out, "  %s\n", model->assumptions[i]);
    }
    sp_text_printf(out, "\nSource: %s\n", model->source);
}

void sp_report_params_page(const sp_model *model, const sp_checkpoint *checkpoint,
                           struct sp_text *out)
{
    assert(model || checkpoint);
    if (model) add_model(out, model);
    if (model && checkpoint) sp_text_add(out, "\n");
    if (checkpoint) sp_report_checkpoint_page(checkpoint, model, out);
}

void sp_page_put_assumptions(const sp_model *model, struct sp_text *out)
{
    for (uint32_t i = 0; i < model->n_assumptions; i++) {
        sp_text_add(out, "note: ");
        sp_text_wrap(out, model->assumptions[i], 94, 6);
    }
}

void sp_json_put_assumptions(sp_json_writer *w, const sp_model *model)
{
    sp_jw_open_array(w, "assumptions");
    for (uint32_t i = 0; i < model->n_assumptions; i++) {
        sp_jw_string(w, NULL, model->assumptions[i]);
    }
    sp_jw_close_array(w);
}

static void write_model(sp_json_writer *w, const sp_model *model)
{
    const sp_parameters p = sp_model_parameters(model);
    sp_jw_string(w, "model", model->name);
    sp_jw_string(w, "model_type", model->model_type);
    sp_jw_open_object(w, "parameters");
    sp_jw_u64(w, "total", p.total);
    sp_jw_u64(w, "embedding", p.embedding);
    sp_jw_u64(w, "non_embedding", p.non_embedding);
    sp_jw_u64(w, "active", p.active);
    sp_jw_close_object(w);
    sp_json_put_assumptions(w, model);
}

void sp_report_params_json(const sp_model *model, const sp_checkpoint *checkpoint,
                           struct sp_text *out)
{
    assert(model || checkpoint);
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/params/1");
    if (model) write_model(&w, model);
    if (checkpoint) sp_report_checkpoint_json(checkpoint, model, &w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
