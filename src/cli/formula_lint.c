/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan formula lint`: what is wrong or odd in module files. A file that cannot be read is a
 * finding like others, so that one bad file hides nothing of the rest. */
#include "cli/formula.h"

#include <stdio.h>

typedef struct broken_file {
    const char *file, *path, *text;
    int line;
} broken_file;

static void keep_error(sp_arena *arena, const sp_error *err, const char *file, broken_file *broken)
{
    char text[SP_ERROR_TEXT_BYTES];
    sp_error plain = *err;
    plain.file[0] = plain.path[0] = '\0';
    plain.line = 0;
    (void)sp_error_format(&plain, text, sizeof text);
    *broken = (broken_file){.file = file,
                            .path = sp_arena_strdup(arena, err->path),
                            .text = sp_arena_strdup(arena, text),
                            .line = err->line};
}

static void write_text(const broken_file *broken, size_t n_broken,
                       const sp_formula_finding *findings, size_t n, sp_text *out)
{
    for (size_t i = 0; i < n_broken; i++) {
        sp_text_printf(out, "%s:%d: %s%serror: %s\n", broken[i].file, broken[i].line,
                       broken[i].path, broken[i].path[0] != '\0' ? ": " : "", broken[i].text);
    }
    for (size_t i = 0; i < n; i++) {
        sp_text_printf(out, "%s: %s: %s\n", findings[i].file, findings[i].path, findings[i].text);
    }
    sp_text_printf(out, "%zu %s, %zu %s\n", n_broken, n_broken == 1 ? "error" : "errors", n,
                   n == 1 ? "oddity" : "oddities");
}

static void write_one(const char *level, const char *file, const char *path, const char *text,
                      sp_json_writer *w)
{
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "level", level);
    sp_jw_string(w, "file", file);
    sp_jw_string(w, "path", path);
    sp_jw_string(w, "text", text);
    sp_jw_close_object(w);
}

static void write_json(const broken_file *broken, size_t n_broken,
                       const sp_formula_finding *findings, size_t n, sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/formulas/1");
    sp_jw_open_array(&w, "findings");
    for (size_t i = 0; i < n_broken; i++)
        write_one("error", broken[i].file, broken[i].path, broken[i].text, &w);
    for (size_t i = 0; i < n; i++)
        write_one("warning", findings[i].file, findings[i].path, findings[i].text, &w);
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

/* Every file that can be read is in the library; the others are in `broken`. */
static sp_status read_files(const sp_context *context, sp_arena *arena, sp_formula_library *library,
                            broken_file *broken, size_t *n_broken, sp_error *err)
{
    for (int i = 1; i < context->settings->n_words; i++) {
        const char *file = context->settings->words[i];
        *err = (sp_error){0};
        if (sp_formula_library_add_file(library, file, err) == SP_OK) continue;
        if (err->status == SP_E_MEMORY) return err->status;
        keep_error(arena, err, file, &broken[(*n_broken)++]);
    }
    SP_TRY(sp_formula_library_link(library, err));
    return sp_formula_library_lint(library, err);
}

static sp_status lint(const sp_context *context, sp_arena *arena, sp_text *out, bool *is_broken,
                      sp_error *err)
{
    size_t n_broken = 0;
    const sp_formula_finding *findings = NULL;
    sp_formula_library *library = sp_formula_library_new(arena);
    const size_t n_words = (size_t)context->settings->n_words;
    broken_file *broken = sp_arena_alloc(arena, n_words * sizeof *broken);
    if (!library || !broken) return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
    SP_TRY(read_files(context, arena, library, broken, &n_broken, err));
    const size_t n = sp_formula_library_findings(library, &findings);
    *is_broken = n_broken > 0;
    if (context->run.format == SP_FORMAT_JSON) {
        write_json(broken, n_broken, findings, n, out);
    } else {
        write_text(broken, n_broken, findings, n, out);
    }
    return SP_OK;
}

sp_status sp_formula_verb_lint(const sp_context *context, sp_text *out, bool *broken, sp_error *err)
{
    sp_arena arena = {0};
    const sp_status status = lint(context, &arena, out, broken, err);
    sp_arena_fini(&arena);
    return status;
}
