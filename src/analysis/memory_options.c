/* SPDX-License-Identifier: Apache-2.0 */
/* Options in an engine's own words. Its file says for each what it changes: one setting, several
 * for each of its words, the number formats of the weights, or nothing, and why. */
#include "analysis/memory_priv.h"
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 64
#define MAX_WORD    96

/* A number; true and false are 1 and 0. */
static sp_status parse_value(const char *text, double *value, sp_error *err)
{
    char *end = NULL;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *value = text[0] == 't' ? 1.0 : 0.0;
        return SP_OK;
    }
    *value = strtod(text, &end);
    if (end != text && *end == '\0') return SP_OK;
    sp_fail(err, SP_E_SYNTAX, "not a number");
    return sp_fail_value(err, "%s", text);
}

/* Where 0 stands for what the engine was not told. */
static bool is_unset_at_zero(const char *knob_name)
{
    static const char *const names[] = {"fraction", "max_running", "max_context", "total_tokens"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], knob_name) == 0) return true;
    }
    return false;
}

static sp_status set_knob(sp_server *server, const sp_json *option, const char *knob_name,
                          const char *text, sp_error *err)
{
    const sp_knob *knob = sp_knob_find(knob_name);
    double value = 0.0, scale = 1.0;
    if (strcmp(knob_name, "kv") == 0) return sp_server_set_kv(text, server, err);
    if (knob == NULL) {
        return sp_json_fail(option, err, SP_E_UNKNOWN_NAME, "no setting is called %s", knob_name);
    }
    SP_TRY(parse_value(text, &value, err));
    SP_TRY(sp_json_double_or(option, "scale", 0.0, 1e15, 1.0, &scale, err));
    value *= scale;
    const bool unset = value == 0.0 && is_unset_at_zero(knob_name);
    if (value >= knob->least && value <= knob->most && !unset) {
        sp_knob_give(server, knob, value);
        return SP_OK;
    }
    sp_fail(err, SP_E_RANGE, "this option does not take the value");
    sp_fail_value(err, "%s", text);
    if (unset) return sp_fail_range(err, "above 0, at most %g", knob->most / scale);
    return sp_fail_range(err, "%g .. %g", knob->least / scale, knob->most / scale);
}

/* Fails with the words that the option takes. */
static sp_status find_word(const sp_json *words, const char *word, sp_json *found, sp_error *err)
{
    const char *names[MAX_OPTIONS];
    size_t n = 0;
    for (size_t i = 0; i < sp_json_size(words) && n < MAX_OPTIONS; i++) {
        const sp_json member = sp_json_member(words, i);
        names[n++] = member.key;
        if (strcmp(member.key, word) != 0) continue;
        *found = sp_json_get(words, word);
        return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "this option does not take the value");
    sp_fail_value(err, "%s", word);
    return sp_fail_names(err, word, names, n);
}

static sp_status set_words(sp_server *server, const sp_json *option, const char *word,
                           sp_error *err)
{
    const sp_json words = sp_json_get(option, "values");
    sp_json changes;
    SP_TRY(find_word(&words, word, &changes, err));
    for (size_t i = 0; i < sp_json_size(&changes); i++) {
        const char *name = sp_json_member(&changes, i).key;
        const sp_knob *knob = sp_knob_find(name);
        double value = 0.0;
        if (knob == NULL) {
            return sp_json_fail(&changes, err, SP_E_UNKNOWN_NAME, "no setting is called %s", name);
        }
        SP_TRY(sp_json_double(&changes, name, knob->least, knob->most, &value, err));
        sp_knob_give(server, knob, value);
    }
    return SP_OK;
}

static sp_status set_weights(struct sp_arena *arena, sp_server *server, const sp_json *option,
                             const char *word, sp_error *err)
{
    const sp_json words = sp_json_get(option, "weights");
    const char *preset = NULL;
    sp_json found;
    SP_TRY(find_word(&words, word, &found, err));
    SP_TRY(sp_json_as_string(&found, &preset, err));
    server->weights = sp_arena_strdup(arena, preset);
    if (server->weights == NULL) return sp_fail(err, SP_E_MEMORY, "the engine needs more");
    return SP_OK;
}

static sp_status apply(struct sp_arena *arena, sp_server *server, const sp_json *option,
                       const char *word, sp_error *err)
{
    static const char *const keys[] = {"name", "sets", "scale", "values", "weights", "refused"};
    const char *text = NULL;
    SP_TRY(sp_json_only(option, keys, sizeof keys / sizeof keys[0], err));
    if (sp_json_has(option, "refused")) {
        SP_TRY(sp_json_string(option, "refused", &text, err));
        return sp_fail(err, SP_E_INCONSISTENT, "%s", text);
    }
    if (sp_json_has(option, "values")) return set_words(server, option, word, err);
    if (sp_json_has(option, "weights")) return set_weights(arena, server, option, word, err);
    SP_TRY(sp_json_string(option, "sets", &text, err));
    return set_knob(server, option, text, word, err);
}

/* Names compare with '-' as '_', without dashes before them. */
static void normal_name(const char *text, size_t length, char out[MAX_WORD])
{
    while (length > 0 && *text == '-') {
        text++;
        length--;
    }
    if (length >= MAX_WORD) length = MAX_WORD - 1;
    for (size_t i = 0; i < length; i++) {
        out[i] = text[i] == '-' ? '_' : text[i];
    }
    out[length] = '\0';
}

static sp_status set_option(struct sp_arena *arena, const sp_json *root, const char *name,
                            const char *word, sp_server *server, sp_error *err)
{
    const char *names[MAX_OPTIONS];
    size_t n = 0;
    sp_json list;
    SP_TRY(sp_json_array(root, "options", &list, err));
    for (size_t i = 0; i < sp_json_size(&list) && n < MAX_OPTIONS; i++) {
        const sp_json option = sp_json_at(&list, i);
        SP_TRY(sp_json_string(&option, "name", &names[n], err));
        if (strcmp(names[n++], name) == 0) return apply(arena, server, &option, word, err);
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "%s has no option that is known here by this name",
            server->name);
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, n);
}

sp_status sp_server_set(struct sp_arena *arena, const char *home, const char *option,
                        sp_server *server, sp_error *err)
{
    char name[MAX_WORD];
    const char *equals = strchr(option, '=');
    normal_name(option, equals != NULL ? (size_t)(equals - option) : strlen(option), name);
    sp_json_doc *doc = NULL;
    SP_TRY(sp_server_open(arena, home, server->name, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status =
        set_option(arena, &root, name, equals != NULL ? equals + 1 : "true", server, err);
    sp_json_free(doc);
    return status;
}
