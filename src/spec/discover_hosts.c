/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts as Slurm shortens them: "gpu[01-03,7],rack[1-2]n[1-4]" is eleven more names. Each
 * bracket is one dimension; widths with leading zeros are kept. */
#include "spec/spec.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 256

typedef struct expansion {
    sp_arena *arena;
    const char **hosts;
    size_t capacity, n;
    const char *text; /* as given, for messages */
    sp_error *err;
} expansion;

static sp_status refuse(const expansion *e, const char *why)
{
    (void)sp_fail(e->err, SP_E_SYNTAX, "%s", why);
    return sp_fail_value(e->err, "%s", e->text);
}

static sp_status add(expansion *e, const char *name)
{
    if (e->n == e->capacity) {
        (void)sp_fail(e->err, SP_E_RANGE, "more hosts than a cluster has");
        return sp_fail_range(e->err, "at most %zu", e->capacity);
    }
    e->hosts[e->n] = sp_arena_strdup(e->arena, name);
    return e->hosts[e->n++] != NULL ? SP_OK : sp_fail(e->err, SP_E_MEMORY, "out of memory");
}

static sp_status expand_one(expansion *e, const char *before, const char *rest, const char *end);

/* Goes on behind the bracket with each number of one range "07-12". */
static sp_status expand_range(expansion *e, const char *before, const char *range,
                              const char *after, const char *end)
{
    char *stop = NULL;
    const size_t width = strspn(range, "0123456789");
    const unsigned long first = strtoul(range, &stop, 10);
    unsigned long last = first;
    if (width == 0 || width > 9) {
        return refuse(e, "a bracket must hold numbers, such as [01-07,12]");
    }
    if (*stop == '-') {
        const size_t last_width = strspn(stop + 1, "0123456789");
        if (last_width == 0 || last_width > 9) {
            return refuse(e, "a range must end in a number, such as [01-07]");
        }
        last = strtoul(stop + 1, &stop, 10);
    }
    if ((*stop != ',' && *stop != ']') || last < first) {
        return refuse(e, "a range must go up and end in a comma or a bracket");
    }
    for (unsigned long i = first; i <= last; i++) {
        char name[MAX_NAME];
        const int n = snprintf(name, sizeof name, "%s%0*lu", before, (int)width, i);
        if (n < 0 || (size_t)n >= sizeof name) {
            return refuse(e, "the name of a host is too long");
        }
        SP_TRY(expand_one(e, name, after, end));
    }
    return SP_OK;
}

/* One item of the list: `before` is settled, `rest` up to `end` is not. */
static sp_status expand_one(expansion *e, const char *before, const char *rest, const char *end)
{
    char name[MAX_NAME];
    const char *open = memchr(rest, '[', (size_t)(end - rest));
    const int plain = (int)((open != NULL ? open : end) - rest);
    const int n = snprintf(name, sizeof name, "%s%.*s", before, plain, rest);
    if (n <= 0 || (size_t)n >= sizeof name) {
        return refuse(e, "the name of a host is empty or too long");
    }
    if (open == NULL) {
        return add(e, name);
    }
    const char *close = memchr(open, ']', (size_t)(end - open));
    if (close == NULL) {
        return refuse(e, "a bracket is not closed");
    }
    for (const char *range = open + 1; range < close; range += strcspn(range, ",]") + 1) {
        SP_TRY(expand_range(e, name, range, close + 1, end));
    }
    return close > open + 1 ? SP_OK : refuse(e, "a bracket is empty");
}

/* The comma that ends the item, or the end of the text; commas in brackets are part of it. */
static const char *end_of_item(const char *at)
{
    bool inside = false;
    while (*at != '\0' && (inside || *at != ',')) {
        inside = *at == '[' || (inside && *at != ']');
        at++;
    }
    return at;
}

sp_status sp_hosts_expand(struct sp_arena *arena, const char *text, const char **hosts,
                          size_t capacity, size_t *n, sp_error *err)
{
    assert(text != NULL && *n <= capacity);
    expansion e = {arena, hosts, capacity, *n, text, err};
    const char *item = text;
    for (;;) {
        const char *end = end_of_item(item);
        SP_TRY(expand_one(&e, "", item, end));
        if (*end == '\0') {
            break;
        }
        item = end + 1;
    }
    *n = e.n;
    return SP_OK;
}
