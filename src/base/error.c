/* SPDX-License-Identifier: Apache-2.0 */
/* Filling an sp_error and turning it into one line for people. Nothing here allocates. */
#include "base/base_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *sp_status_words(sp_status status)
{
    static const char *const words[] = {
#define WORDS(name, meaning) [name] = meaning,
        SP_STATUS_LIST(WORDS)
#undef WORDS
    };
    const size_t idx = (size_t)status;
    return idx < sizeof words / sizeof words[0] ? words[idx] : "unknown status";
}

/* Prints into a field; what does not fit is cut between two characters and ends in "...". */
__attribute__((format(printf, 3, 0))) static void set_field(char *field, size_t capacity,
                                                            const char *format, va_list args)
{
    static const char dots[] = "...";
    const int length = vsnprintf(field, capacity, format, args);
    if (length >= 0 && (size_t)length < capacity) return;
    assert(capacity > sizeof dots);
    const size_t kept = length < 0 ? 0 : sp_utf8_cut(field, capacity - sizeof dots);
    memcpy(field + kept, dots, sizeof dots);
}

sp_status sp_vfail(sp_error *err, sp_status status, const char *format, va_list args)
{
    assert(err && status != SP_OK);
    char message[sizeof err->message]; /* the arguments may point into *err */
    set_field(message, sizeof message, format, args);
    *err = (sp_error){.status = status};
    memcpy(err->message, message, strlen(message) + 1);
    return status;
}

sp_status sp_fail(sp_error *err, sp_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    sp_vfail(err, status, format, args);
    va_end(args);
    return status;
}

__attribute__((format(printf, 3, 4))) static void print_field(char *field, size_t capacity,
                                                              const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_field(field, capacity, format, args);
    va_end(args);
}

sp_status sp_fail_file(sp_error *err, const char *file)
{
    assert(err && file);
    print_field(err->file, sizeof err->file, "%s", file);
    return err->status;
}

sp_status sp_fail_value(sp_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_field(err->value, sizeof err->value, format, args);
    va_end(args);
    return err->status;
}

sp_status sp_fail_range(sp_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_field(err->range, sizeof err->range, format, args);
    va_end(args);
    return err->status;
}

/* Writes "a, b, c" and, where the rest does not fit, "a, ...". */
static void list_names(char *field, size_t capacity, const char *const *names, size_t n_names)
{
    static const char more[] = ", ...";
    size_t length = 0;
    for (size_t i = 0; i < n_names; i++) {
        const size_t added = strlen(names[i]) + (i > 0 ? 2 : 0);
        const size_t reserve = i + 1 < n_names ? sizeof more : 1;
        if (length + added + reserve > capacity) {
            snprintf(field + length, capacity - length, "%s", length > 0 ? more : "...");
            return;
        }
        snprintf(field + length, capacity - length, "%s%s", i > 0 ? ", " : "", names[i]);
        length += added;
    }
}

sp_status sp_fail_names(sp_error *err, const char *given, const char *const *names, size_t n_names)
{
    assert(err && given);
    err->range[0] = '\0';
    err->nearest[0] = '\0';
    list_names(err->range, sizeof err->range, names, n_names);
    const char *nearest = sp_name_nearest(given, names, n_names);
    if (nearest) print_field(err->nearest, sizeof err->nearest, "%s", nearest);
    return err->status;
}

typedef struct line {
    char *text;
    size_t length, capacity;
} line;

/* Control characters would break the line or the terminal; they become spaces. */
static void add(line *out, const char *s)
{
    for (; *s != '\0' && out->length + 1 < out->capacity; s++) {
        const bool is_control = (unsigned char)*s < 0x20 || *s == 0x7f;
        const char c = is_control ? ' ' : *s;
        out->text[out->length++] = c;
    }
    if (*s != '\0') out->length = sp_utf8_cut(out->text, out->length);
    out->text[out->length] = '\0';
}

static void add_part(line *out, const char *before, const char *part, const char *after)
{
    if (part[0] == '\0') return;
    add(out, before);
    add(out, part);
    add(out, after);
}

size_t sp_error_format(const sp_error *err, char *text, size_t capacity)
{
    assert(err && (text || capacity == 0));
    if (capacity == 0) return 0;
    line out = {text, 0, capacity};
    char number[24] = "";
    if (err->line > 0) snprintf(number, sizeof number, "%d", err->line);
    add(&out, err->file);
    add_part(&out, err->file[0] ? ":" : "line ", number, "");
    add(&out, out.length > 0 ? ": " : "");
    add_part(&out, "", err->path, ": ");
    add(&out, sp_status_words(err->status));
    add_part(&out, ": ", err->message, "");
    add_part(&out, "; got ", err->value, "");
    add_part(&out, "; allowed: ", err->range, "");
    add_part(&out, "; did you mean \"", err->nearest, "\"?");
    return out.length;
}
