/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan params MODEL`: what was read from a model, from its checkpoint, or from both. */
#include "cli/cli.h"
#include "shardplan/checkpoint.h"

#include <string.h>

/* What the word names; one of the two may stay NULL. */
typedef struct subject {
    const sp_model *model;
    const sp_checkpoint *checkpoint;
} subject;

/* A bare word is the name of a model first, also where there is a folder of that name. */
static bool names_checkpoint(const char *word)
{
    return sp_checkpoint_is(word) && (strchr(word, '/') != NULL || !sp_dir_exists(word));
}

static bool has_config(sp_arena *arena, const char *folder)
{
    const char *config = sp_arena_printf(arena, "%s/config.json", folder);
    return config != NULL && sp_file_exists(config);
}

/* The same checkpoint with one more sentence. */
static sp_status add_note(sp_arena *arena, const char *note, subject *out, sp_error *err)
{
    const sp_checkpoint *old = out->checkpoint;
    sp_checkpoint *c = sp_arena_alloc(arena, sizeof *c);
    const char **notes = sp_arena_alloc(arena, (old->n_notes + 1) * sizeof *notes);
    if (c == NULL || notes == NULL) return sp_fail(err, SP_E_MEMORY, "the checkpoint needs more");
    for (uint32_t i = 0; i < old->n_notes; i++)
        notes[i] = old->notes[i];
    *c = *old;
    c->notes = notes;
    notes[c->n_notes++] = note;
    out->checkpoint = c;
    return SP_OK;
}

/* The model that a checkpoint brings along: a config.json in its folder, or keys of its own. Keys
 * that cannot be read as a model leave the checkpoint alone, and a note says why. */
static sp_status read_model_beside(const sp_context *context, sp_arena *arena, const char *path,
                                   subject *out, sp_error *err)
{
    const bool config = sp_dir_exists(path) && has_config(arena, path);
    if (!config && !sp_checkpoint_is_gguf(path)) return SP_OK;
    const sp_status status = sp_model_load(arena, context->home, path, &out->model, err);
    if (config || status != SP_E_NOT_YET) return status;
    const char *note = sp_arena_printf(arena, "the dimensions of the model were not read: %s (%s)",
                                       err->message, err->value);
    if (note == NULL) return sp_fail(err, SP_E_MEMORY, "the checkpoint needs more");
    return add_note(arena, note, out, err);
}

static sp_status read_subject(const sp_context *context, sp_arena *arena, subject *out,
                              sp_error *err)
{
    const char *word = context->settings->words[0];
    if (!names_checkpoint(word)) {
        return sp_model_find(arena, context->home, word, &out->model, err);
    }
    SP_TRY(sp_checkpoint_read(arena, word, &out->checkpoint, err));
    return read_model_beside(context, arena, word, out, err);
}

static sp_exit show(const sp_context *context, const subject *it)
{
    sp_text text = {0};
    if (context->run.format == SP_FORMAT_JSON) {
        sp_report_params_json(it->model, it->checkpoint, &text);
    } else {
        sp_report_params_page(it->model, it->checkpoint, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    sp_arena arena = {0};
    subject it = {0};
    sp_exit code = SP_EXIT_FAILED;
    if (context->settings->n_words == 0) {
        sp_fail(&err, SP_E_USAGE, "name the model, for example shardplan params llama-3.1-70b");
        code = sp_cli_fail(context, &err);
    } else if (sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, &err) != SP_OK ||
               read_subject(context, &arena, &it, &err) != SP_OK) {
        code = sp_cli_fail(context, &err);
    } else {
        code = show(context, &it);
    }
    sp_arena_fini(&arena);
    return code;
}

const sp_command sp_command_params = {
    .name = "params",
    .usage = "params MODEL|CHECKPOINT [FLAG..]",
    .summary = "what was read from a model: exact parameter counts, assumptions",
    .about =
        "MODEL is a name of `shardplan list models`, a Hugging Face config.json, or a folder "
        "with one.\n"
        "CHECKPOINT is a safetensors file, its index, a GGUF file, or a folder with one of them "
        "(written\nwith a slash: ./my-model). Weights are not read. A folder with config.json "
        "and weights shows\nboth and compares them.\n",
    .examples = "  shardplan params llama-3.1-70b\n"
                "  shardplan params ./my-model/config.json --json\n"
                "  shardplan params ./my-model/\n"
                "  shardplan params my-model-Q4_K_M.gguf\n",
    .takes = SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
