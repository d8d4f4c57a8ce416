/* SPDX-License-Identifier: Apache-2.0 */
/* Bit widths by name, from HOME/configs/widths.json, or part by part: "w=4.125,a=16,kv=8" changes
 * the parts that it names, "fp8,kv=16" those of a preset. */
#include "analysis/analysis_priv.h"
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#define MIN_BITS    0.5
#define MAX_BITS    64.0
#define MAX_PRESETS 64
#define MAX_WORD    64

static const struct part {
    const char *name;
    size_t offset, also; /* also: a second member, or the same again */
} parts[] = {
    {"a",                offsetof(sp_widths, activation),       offsetof(sp_widths, activation)      },
    {"activation",       offsetof(sp_widths, activation),       offsetof(sp_widths, activation)      },
    {"w",                offsetof(sp_widths, attention_weight), offsetof(sp_widths, ffn_weight)      },
    {"attention_weight", offsetof(sp_widths, attention_weight),
     offsetof(sp_widths,                                                            attention_weight)},
    {"ffn_weight",       offsetof(sp_widths, ffn_weight),       offsetof(sp_widths, ffn_weight)      },
    {"kv",               offsetof(sp_widths, kv_cache),         offsetof(sp_widths, kv_cache)        },
    {"kv_cache",         offsetof(sp_widths, kv_cache),         offsetof(sp_widths, kv_cache)        },
    {"rope",             offsetof(sp_widths, rope),             offsetof(sp_widths, rope)            },
    {"norm",             offsetof(sp_widths, norm),             offsetof(sp_widths, norm)            },
    {"embedding",        offsetof(sp_widths, embedding),        offsetof(sp_widths, embedding)       },
};
#define N_PARTS (sizeof parts / sizeof parts[0])

static void set_part(sp_widths *bits, size_t offset, double value)
{
    memcpy((char *)bits + offset, &value, sizeof value);
}

static sp_status read_preset(const sp_json *entry, sp_widths *bits, sp_dtype *compute,
                             sp_error *err)
{
    static const char *const members[] = {
        "activation", "attention_weight", "ffn_weight", "kv_cache", "rope", "norm", "embedding"};
    const char *format = NULL;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        double value = 0.0;
        SP_TRY(sp_json_double(entry, members[i], MIN_BITS, MAX_BITS, &value, err));
        set_part(bits, i * sizeof(double), value);
    }
    SP_TRY(sp_json_string(entry, "compute", &format, err));
    for (sp_dtype dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        *compute = dtype;
        if (strcmp(format, sp_dtype_name(dtype)) == 0) return SP_OK;
    }
    const sp_json value = sp_json_get(entry, "compute");
    return sp_json_fail(&value, err, SP_E_UNKNOWN_NAME, "there is no such number format");
}

static sp_status find_preset(const sp_json *root, const char *name, sp_widths *bits,
                             sp_dtype *compute, sp_error *err)
{
    const char *names[MAX_PRESETS];
    sp_json list;
    size_t n = 0;
    SP_TRY(sp_json_array(root, "presets", &list, err));
    for (size_t i = 0; i < sp_json_size(&list) && n < MAX_PRESETS; i++) {
        const sp_json entry = sp_json_at(&list, i);
        SP_TRY(sp_json_string(&entry, "name", &names[n], err));
        if (strcmp(names[n++], name) == 0) return read_preset(&entry, bits, compute, err);
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such preset of number formats");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, n);
}

static sp_status take_preset(struct sp_arena *arena, const char *home, const char *name,
                             sp_widths *bits, sp_dtype *compute, sp_error *err)
{
    const char *file = sp_arena_printf(arena, "%s/configs/widths.json", home);
    sp_json_doc *doc = NULL;
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "the number formats need more");
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = find_preset(&root, name, bits, compute, err);
    sp_json_free(doc);
    return status;
}

static sp_status refuse_bits(const char *text, sp_error *err)
{
    sp_fail(err, SP_E_RANGE, "not a number of bits");
    sp_fail_value(err, "%s", text);
    return sp_fail_range(err, "0.5 .. 64");
}

static sp_status take_part(const char *word, const char *equals, sp_widths *bits, sp_error *err)
{
    const char *names[N_PARTS];
    char *end = NULL;
    const double value = strtod(equals + 1, &end);
    if (end == equals + 1 || *end != '\0' || !(value >= MIN_BITS && value <= MAX_BITS)) {
        return refuse_bits(word, err);
    }
    for (size_t i = 0; i < N_PARTS; i++) {
        names[i] = parts[i].name;
        if (strncmp(word, names[i], (size_t)(equals - word)) != 0 ||
            names[i][equals - word] != '\0') {
            continue;
        }
        set_part(bits, parts[i].offset, value);
        set_part(bits, parts[i].also, value);
        return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such part of a model");
    sp_fail_value(err, "%s", word);
    return sp_fail_names(err, word, names, N_PARTS);
}

sp_status sp_widths_parse(struct sp_arena *arena, const char *home, const char *text,
                          sp_widths *bits, sp_dtype *compute, sp_error *err)
{
    while (*text != '\0') {
        char word[MAX_WORD];
        const size_t length = strcspn(text, ",");
        if (length == 0 || length >= sizeof word) return refuse_bits(text, err);
        memcpy(word, text, length);
        word[length] = '\0';
        const char *equals = strchr(word, '=');
        SP_TRY(equals == NULL ? take_preset(arena, home, word, bits, compute, err)
                              : take_part(word, equals, bits, err));
        text += length + (text[length] == ',');
    }
    return SP_OK;
}
