/* SPDX-License-Identifier: Apache-2.0 */
/* See records.h. */
#include "analysis/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const sp_gpu round_gpu = {
    .name = "round",
    .memory_bytes = 80e9,
    .memory_bytes_per_s = 1e12,
    .peak_flops_per_s = {[SP_BF16] = 1e14, [SP_FP16] = 1e14, [SP_FP8] = 1e14, [SP_FP32] = 1e14},
};

/* ---- files ---- */

static void load_lines(const char *folder, struct sp_text *text)
{
    const char *data = getenv("SHARDPLAN_DATA");
    char path[4096];
    if (data == NULL) skip();
    (void)snprintf(path, sizeof path, "%s/%s/dev.jsonl", data, folder);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("%s cannot be read", path);
    char part[65536];
    size_t n = 0;
    while ((n = fread(part, 1, sizeof part, file)) > 0) {
        sp_text_add_n(text, part, n);
    }
    assert_int_equal(fclose(file), 0);
    assert_false(text->failed);
}

static sp_json_doc *parse_line(const char *line, size_t length)
{
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    if (sp_json_load_text(line, length, "dev.jsonl", &doc, &err) != SP_OK) {
        fail_msg("a record is not JSON: %s", err.message);
    }
    return doc;
}

size_t for_each_record(const char *folder, const char *kind,
                       void (*check)(const sp_json *record, void *context), void *context)
{
    struct sp_text text = {0};
    size_t n = 0;
    load_lines(folder, &text);
    for (const char *line = text.data; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        sp_json_doc *doc = parse_line(line, length);
        const sp_json record = sp_json_root(doc);
        if (strcmp(word_in(&record, "kind"), kind) == 0) {
            check(&record, context);
            n++;
        }
        sp_json_free(doc);
        line += length + (line[length] == '\n');
    }
    sp_text_fini(&text);
    return n;
}

sp_json find_record(const char *folder, const char *id, sp_json_doc **doc)
{
    struct sp_text text = {0};
    char key[64];
    load_lines(folder, &text);
    (void)snprintf(key, sizeof key, "\"%s\"", id);
    const char *at = strstr(text.data, key);
    if (at == NULL) fail_msg("there is no record %s", id);
    while (at > text.data && at[-1] != '\n')
        at--;
    *doc = parse_line(at, strcspn(at, "\n"));
    sp_text_fini(&text);
    return sp_json_root(*doc);
}

/* ---- members ---- */

double number_in(const sp_json *object, const char *key)
{
    const sp_json value = sp_json_get(object, key);
    sp_error err = {0};
    double number = 0.0;
    if (sp_json_is_number(&value)) {
        assert_int_equal(sp_json_double(object, key, -1e300, 1e300, &number, &err), SP_OK);
    }
    return number;
}

uint32_t count_in(const sp_json *object, const char *key)
{
    return (uint32_t)number_in(object, key);
}

bool flag_in(const sp_json *object, const char *key)
{
    const sp_json value = sp_json_get(object, key);
    sp_error err = {0};
    bool flag = false;
    if (sp_json_is_bool(&value)) {
        assert_int_equal(sp_json_bool(object, key, &flag, &err), SP_OK);
    }
    return flag;
}

const char *word_in(const sp_json *object, const char *key)
{
    sp_error err = {0};
    const char *word = NULL;
    if (sp_json_string(object, key, &word, &err) != SP_OK) fail_msg("no %s: %s", key, err.message);
    return word;
}

/* ---- analyses ---- */

sp_analysis_question plain_question(const sp_model *model)
{
    sp_analysis_question question = {.model = model, .gpu = &round_gpu};
    sp_analysis_defaults(&question);
    return question;
}

const sp_analysis *analyze(sp_arena *arena, const sp_analysis_question *question)
{
    const sp_analysis *analysis = NULL;
    sp_error err = {0};
    if (sp_analyze(arena, question, &analysis, &err) != SP_OK) {
        fail_msg("%s: %s (%s)", err.message, err.value, err.range);
    }
    return analysis;
}

const sp_operator *row_of(const sp_analysis *analysis, sp_phase phase, const char *name)
{
    for (uint32_t i = 0; i < analysis->n_operators; i++) {
        const sp_operator *row = &analysis->operators[i];
        if (row->phase == phase && strcmp(row->name, name) == 0) return row;
    }
    return NULL;
}

const sp_operator *need_row(const sp_analysis *analysis, sp_phase phase, const char *name)
{
    const sp_operator *row = row_of(analysis, phase, name);
    if (row == NULL) fail_msg("%s has no row %s", sp_phase_name(phase), name);
    return row;
}
