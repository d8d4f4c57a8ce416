/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a checkpoint say: counts, bytes and types, and how far its parameters are those
 * of the model beside it. For people and as JSON. */
#include "report/report_priv.h"
#include "shardplan/checkpoint.h"

#include <inttypes.h>

static const char *format_name(const sp_checkpoint *c)
{
    return c->format == SP_CHECKPOINT_GGUF ? "gguf" : "safetensors";
}

static void add_count(struct sp_text *out, const char *name, uint64_t n, const char *meaning)
{
    sp_text_printf(out, "  %-14s %19s%s%s\n", name, sp_word_count(n).text,
                   meaning[0] != '\0' ? "  " : "", meaning);
}

static void add_types(struct sp_text *out, const sp_checkpoint *c)
{
    sp_text_printf(out, "\n  %-14s %19s %19s %10s %9s\n", "type", "elements", "parameters", "bytes",
                   "tensors");
    for (uint32_t i = 0; i < c->n_dtypes; i++) {
        const sp_checkpoint_dtype *d = &c->dtypes[i];
        sp_text_printf(out, "  %-14s %19s %19s %10s %9s\n", d->name,
                       sp_word_count(d->elements).text, sp_word_count(d->parameters).text,
                       sp_word_bytes((double)d->bytes).text, sp_word_count(d->n_tensors).text);
    }
}

static void add_difference(struct sp_text *out, const sp_checkpoint_match *m)
{
    const bool more = m->checkpoint > m->model;
    const uint64_t n = more ? m->checkpoint - m->model : m->model - m->checkpoint;
    if (n == 0) {
        sp_text_add(out, "\nThe checkpoint has exactly the parameters of the model.\n");
        return;
    }
    sp_text_printf(out, "\nThe checkpoint has %s parameters %s than the model:\n",
                   sp_word_count(n).text, more ? "more" : "fewer");
    if (m->prediction > 0) {
        add_count(out, "more", m->prediction,
                  "in multi-token prediction modules, with their copies of tables");
    }
    if (m->tied_head > 0)
        add_count(out, "more", m->tied_head, "in a head that is the embedding table once more");
    if (m->unexplained > 0) {
        add_count(out, m->more ? "more" : "fewer", m->unexplained, "that nothing we know explains");
    }
}

void sp_report_checkpoint_page(const sp_checkpoint *c, const sp_model *model, struct sp_text *out)
{
    sp_text_printf(out, "Checkpoint %s (%s, %u file%s)\n", c->path, format_name(c), c->n_files,
                   c->n_files == 1 ? "" : "s");
    add_count(out, "tensors", c->n_tensors, "");
    if (c->n_missing == 0) add_count(out, "parameters", c->parameters, "");
    add_count(out, "bytes", c->bytes, sp_word_bytes((double)c->bytes).text);
    if (c->bits_per_parameter > 0) {
        sp_text_printf(out, "  %-14s %19s  %s\n", "bits",
                       sp_word_number(c->bits_per_parameter).text, "a parameter, scales included");
    }
    if (c->n_dtypes > 0) add_types(out, c);
    if (model && c->n_missing == 0) {
        const sp_checkpoint_match match = sp_checkpoint_compare(c, model);
        add_difference(out, &match);
    }
    if (c->n_notes > 0) sp_text_add(out, "\nNotes\n");
    for (uint32_t i = 0; i < c->n_notes; i++)
        sp_text_printf(out, "  %s\n", c->notes[i]);
}

static void write_types(sp_json_writer *w, const sp_checkpoint *c)
{
    sp_jw_open_object(w, "by_dtype");
    for (uint32_t i = 0; i < c->n_dtypes; i++) {
        const sp_checkpoint_dtype *d = &c->dtypes[i];
        sp_jw_open_object_compact(w, d->name);
        sp_jw_u64(w, "tensors", d->n_tensors);
        sp_jw_u64(w, "elements", d->elements);
        sp_jw_u64(w, "parameters", d->parameters);
        sp_jw_u64(w, "bytes", d->bytes);
        sp_jw_close_object(w);
    }
    sp_jw_close_object(w);
}

/* Counts of more and fewer, without their signs. */
static void write_difference(sp_json_writer *w, const sp_checkpoint_match *m)
{
    sp_jw_open_object(w, "beyond_model");
    sp_jw_u64(w, "prediction", m->prediction);
    sp_jw_u64(w, "tied_head", m->tied_head);
    sp_jw_u64(w, "unexplained_more", m->more ? m->unexplained : 0);
    sp_jw_u64(w, "unexplained_fewer", m->more ? 0 : m->unexplained);
    sp_jw_close_object(w);
}

void sp_report_checkpoint_json(const sp_checkpoint *c, const sp_model *model, sp_json_writer *w)
{
    sp_jw_open_object(w, "checkpoint");
    sp_jw_string(w, "format", format_name(c));
    sp_jw_u64(w, "files", c->n_files);
    sp_jw_u64(w, "missing_files", c->n_missing);
    sp_jw_u64(w, "tensors", c->n_tensors);
    if (c->n_missing == 0) {
        sp_jw_u64(w, "parameters", c->parameters);
    } else {
        sp_jw_string(w, "parameters", NULL);
    }
    sp_jw_u64(w, "bytes", c->bytes);
    if (c->bits_per_parameter > 0) {
        sp_jw_double(w, "bits_per_parameter", c->bits_per_parameter);
    } else {
        sp_jw_string(w, "bits_per_parameter", NULL);
    }
    sp_jw_u64(w, "quantisation_elements", c->quantisation_elements);
    sp_jw_u64(w, "buffer_elements", c->buffer_elements);
    write_types(w, c);
    if (model && c->n_missing == 0) {
        const sp_checkpoint_match match = sp_checkpoint_compare(c, model);
        write_difference(w, &match);
    }
    sp_jw_open_array(w, "notes");
    for (uint32_t i = 0; i < c->n_notes; i++)
        sp_jw_string(w, NULL, c->notes[i]);
    sp_jw_close_array(w);
    sp_jw_close_object(w);
}
