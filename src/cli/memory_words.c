/* SPDX-License-Identifier: Apache-2.0 */
/* --option NAME=VALUE of a training plan: other tools' words become our flags (memory_words.def).
 */
#include "cli/memory.h"

#include <string.h>

typedef struct word {
    const char *name;
    const char *value; /* NULL: any, passed on                          */
    sp_flag_id flag;   /* SP_N_FLAGS: refused                           */
    const char *text;  /* the flag's value, an axis, or why it is refused */
} word;

static const word words[] = {
#define SP_WORD_FLAG(name, flag)               {#name, NULL, SP_FLAG_##flag, NULL},
#define SP_WORD_AXIS(name, axis)               {#name, NULL, SP_FLAG_set, #axis},
#define SP_WORD_VALUE(name, value, flag, text) {#name, value, SP_FLAG_##flag, text},
#define SP_WORD_REFUSED(name, why)             {#name, NULL, SP_N_FLAGS, why},
#include "cli/memory_words.def"
#undef SP_WORD_FLAG
#undef SP_WORD_AXIS
#undef SP_WORD_VALUE
#undef SP_WORD_REFUSED
};

#define N_WORDS (sizeof words / sizeof words[0])

static sp_status refuse_name(const char *name, sp_error *err)
{
    const char *names[N_WORDS];
    size_t n = 0;
    for (size_t i = 0; i < N_WORDS; i++) {
        if (n == 0 || strcmp(names[n - 1], words[i].name) != 0) names[n++] = words[i].name;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "no option that is known of training");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, n);
}

static sp_status refuse_value(const char *name, const char *value, sp_error *err)
{
    const char *values[N_WORDS];
    size_t n = 0;
    for (size_t i = 0; i < N_WORDS; i++) {
        if (strcmp(words[i].name, name) == 0 && words[i].value != NULL)
            values[n++] = words[i].value;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "%s has no such value", name);
    sp_fail_value(err, "%s", value);
    return sp_fail_names(err, value, values, n);
}

/* "a=1;b=2" are two settings. */
static sp_status put_sets(sp_settings *s, const char *text, sp_error *err)
{
    while (*text != '\0') {
        const size_t length = strcspn(text, ";");
        const char *set = sp_arena_printf(&s->arena, "%.*s", (int)length, text);
        if (set == NULL) return sp_fail(err, SP_E_MEMORY, "the question needs more");
        SP_TRY(sp_settings_put(s, SP_FLAG_set, SP_FROM_FLAG, set, err));
        text += length + (text[length] == ';');
    }
    return SP_OK;
}

static sp_status put_word(sp_settings *s, const word *w, const char *value, sp_error *err)
{
    if (w->flag == SP_N_FLAGS) {
        sp_fail(err, SP_E_INCONSISTENT, "%s %s", w->name, w->text);
        return err->status;
    }
    if (w->flag != SP_FLAG_set) {
        return sp_settings_put(s, w->flag, SP_FROM_FLAG, w->text != NULL ? w->text : value, err);
    }
    if (w->value != NULL) return put_sets(s, w->text, err);
    const char *set = sp_arena_printf(&s->arena, "%s=%s", w->text, value);
    return set != NULL ? put_sets(s, set, err) : sp_fail(err, SP_E_MEMORY, "out of memory");
}

static sp_status put_option(sp_settings *s, const char *option, sp_error *err)
{
    const size_t length = strcspn(option, "=");
    const char *name = sp_arena_printf(&s->arena, "%.*s", (int)length, option);
    const char *value = option[length] == '=' ? option + length + 1 : "";
    bool known = false;
    if (name == NULL) return sp_fail(err, SP_E_MEMORY, "the question needs more");
    for (size_t i = 0; i < N_WORDS; i++) {
        if (strcmp(words[i].name, name) != 0) continue;
        known = true;
        if (words[i].value == NULL || strcmp(words[i].value, value) == 0) {
            return put_word(s, &words[i], value, err);
        }
    }
    return known ? refuse_value(name, value, err) : refuse_name(name, err);
}

sp_status sp_memory_translate(sp_settings *s, sp_error *err)
{
    const sp_setting options = s->of[SP_FLAG_option];
    for (uint32_t i = 0; i < options.n_values; i++) {
        SP_TRY(sp_flag_blame(put_option(s, options.values[i], err), SP_FLAG_option, err));
    }
    return SP_OK;
}
