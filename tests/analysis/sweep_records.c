/* SPDX-License-Identifier: Apache-2.0 */
/* See sweep_records.h. */
#include "sweep_records.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (64u << 20)

typedef struct search {
    const char *key, *wanted;
    reference_visit visit;
    void *user;
    uint32_t n_seen;
} search;

static void look_at(search *s, const char *line, size_t length)
{
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    must(sp_json_load_text(line, length, "dev.jsonl", &doc, &err), &err);
    const sp_json root = sp_json_root(doc);
    const char *value = NULL;
    must(sp_json_string(&root, s->key, &value, &err), &err);
    if (strcmp(value, s->wanted) == 0) {
        s->n_seen++;
        s->visit(&root, s->user);
    }
    sp_json_free(doc);
}

static void look_at_all(search *s)
{
    const char *data = getenv("SHARDPLAN_DATA");
    sp_text text = {0}, file = {0};
    sp_error err = {0};
    if (data == NULL) skip();
    sp_text_printf(&file, "%s/seed-llmpara/dev.jsonl", data);
    must(sp_file_read(file.data, MAX_BYTES, &text, &err), &err);
    for (const char *line = text.data; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const size_t length = end != NULL ? (size_t)(end - line) : strlen(line);
        look_at(s, line, length);
        line = end != NULL ? end + 1 : NULL;
    }
    sp_text_fini(&text);
    sp_text_fini(&file);
    assert_true(s->n_seen > 0);
}

void reference_each(const char *kind, reference_visit visit, void *user)
{
    search s = {"kind", kind, visit, user, 0};
    look_at_all(&s);
}

void reference_one(const char *id, reference_visit visit, void *user)
{
    search s = {"id", id, visit, user, 0};
    look_at_all(&s);
    assert_int_equal(s.n_seen, 1);
}

/* Walks down one name; the rest by recursion, since a cursor needs its parents alive. */
static void walk(const sp_json *from, const char *path, reference_visit visit, void *user)
{
    char name[64];
    const char *slash = strchr(path, '/');
    const size_t length = slash != NULL ? (size_t)(slash - path) : strlen(path);
    assert_true(length < sizeof name);
    memcpy(name, path, length);
    name[length] = '\0';
    const sp_json child = sp_json_get(from, name);
    if (slash == NULL) {
        visit(&child, user);
    } else {
        walk(&child, slash + 1, visit, user);
    }
}

static void take_number(const sp_json *value, void *user)
{
    sp_error err = {0};
    must(sp_json_as_double(value, -1e308, 1e308, user, &err), &err);
}

double reference_number(const sp_json *record, const char *path)
{
    double number = 0.0;
    walk(record, path, take_number, &number);
    return number;
}

static void take_presence(const sp_json *value, void *user)
{
    *(bool *)user = value->node != NULL && !sp_json_is_null(value);
}

bool reference_has(const sp_json *record, const char *path)
{
    bool has = false;
    walk(record, path, take_presence, &has);
    return has;
}

static void take_text(const sp_json *value, void *user)
{
    sp_error err = {0};
    must(sp_json_as_string(value, user, &err), &err);
}

const char *reference_text(const sp_json *record, const char *path)
{
    const char *text = NULL;
    walk(record, path, take_text, &text);
    return text;
}

typedef struct element {
    size_t idx;
    reference_visit visit;
    void *user;
} element;

static void take_element(const sp_json *list, void *user)
{
    const element *e = user;
    const sp_json value = sp_json_at(list, e->idx);
    e->visit(&value, e->user);
}

void reference_element(const sp_json *record, const char *path, size_t idx, reference_visit visit,
                       void *user)
{
    element e = {idx, visit, user};
    walk(record, path, take_element, &e);
}

static void take_count(const sp_json *list, void *user)
{
    *(size_t *)user = sp_json_size(list);
}

size_t reference_count(const sp_json *record, const char *path)
{
    size_t n = 0;
    walk(record, path, take_count, &n);
    return n;
}
