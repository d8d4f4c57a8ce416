/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a table of `sinfo` as records of nodes. Columns are found by their headings; GRES
 * says which GPUs, STATE whether a job could run there. Leaves out shares of GPUs (MIG, shard). */
#include "spec/spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_WORDS    64

static sp_status refuse(const sp_node_table *t, sp_status status, const char *value,
                        const char *why)
{
    (void)sp_fail(t->err, status, "%s", why);
    (void)sp_fail_value(t->err, "%s", value);
    t->err->line = t->line;
    return sp_fail_file(t->err, t->file);
}

/* ---- states ---- */

/* Both the long and the compact spelling, cut where they part; longer ones first. */
static const struct {
    const char *stem;
    bool usable;
} states[] = {
    {"idle",     true },
    {"alloc",    true },
    {"mix",      true },
    {"comp",     true },
    {"resv",     true },
    {"reserv",   true },
    {"plan",     true },
    {"plnd",     true },
    {"block",    true },
    {"down",     false},
    {"drain",    false},
    {"drng",     false},
    {"fail",     false},
    {"maint",    false},
    {"unk",      false},
    {"power",    false},
    {"pow_",     false},
    {"boot",     false},
    {"reboot",   false},
    {"future",   false},
    {"futr",     false},
    {"inval",    false},
    {"no_resp",  false},
    {"perfctrs", false},
    {"npc",      false},
};

/* A star marks a node that does not answer, a dollar one in a maintenance window, an exclamation
 * mark one that is about to be switched off. "mixed+drain" is both. */
static sp_status read_state(const sp_node_table *t, const char *word, bool *usable)
{
    for (size_t i = 0; i < COUNT(states); i++) {
        if (strncmp(word, states[i].stem, strlen(states[i].stem)) == 0) {
            *usable = states[i].usable && strpbrk(word, "*$!") == NULL &&
                      strstr(word, "drain") == NULL && strstr(word, "down") == NULL;
            return SP_OK;
        }
    }
    const char *names[COUNT(states)];
    for (size_t i = 0; i < COUNT(states); i++) {
        names[i] = states[i].stem;
    }
    (void)refuse(t, SP_E_UNKNOWN_NAME, word, "no state of a node begins so");
    return sp_fail_names(t->err, word, names, COUNT(names));
}

/* ---- GRES ---- */

static sp_status find_kind(sp_node_table *t, const char *name, size_t length, uint32_t *kind)
{
    for (*kind = 0; *kind < t->n_kinds; ++*kind) {
        if (strlen(t->kinds[*kind]) == length && strncmp(t->kinds[*kind], name, length) == 0) {
            return SP_OK;
        }
    }
    if (t->n_kinds == SP_NODE_MAX_KINDS) {
        return refuse(t, SP_E_RANGE, name, "too many kinds of GPU");
    }
    t->kinds[t->n_kinds] = sp_arena_printf(t->arena, "%.*s", (int)length, name);
    return t->kinds[t->n_kinds++] != NULL ? SP_OK : sp_fail(t->err, SP_E_MEMORY, "out of memory");
}

static sp_status add_record(sp_node_table *t, const sp_node_record *r)
{
    if (t->n_records == SP_CLUSTER_MAX_GPUS) {
        return refuse(t, SP_E_RANGE, r->host, "more nodes than a cluster has");
    }
    if ((t->n_records & (t->n_records - 1)) == 0) { /* full at powers of two */
        const size_t capacity = t->n_records > 0 ? 2 * t->n_records : 1;
        sp_node_record *grown = sp_realloc(t->records, capacity * sizeof *grown);
        if (grown == NULL) {
            return sp_fail(t->err, SP_E_MEMORY, "out of memory");
        }
        t->records = grown;
    }
    t->records[t->n_records++] = *r;
    return SP_OK;
}

static sp_status add_hosts(sp_node_table *t, size_t n_hosts, sp_node_record like)
{
    for (size_t i = 0; i < n_hosts; i++) {
        like.host = t->hosts[i];
        SP_TRY(add_record(t, &like));
    }
    return SP_OK;
}

/* "gpu:h100:8(S:0-1)" or "gpu:8", up to `end`. */
static sp_status read_gpus(sp_node_table *t, const char *item, const char *end, sp_node_record *r)
{
    const char *kind = item + strlen("gpu:");
    const char *count = kind;
    size_t length = 0;
    for (const char *at = kind; at < end && *at != '('; at++) {
        if (*at == ':') {
            length = (size_t)(at - kind);
            count = at + 1;
        }
    }
    char *stop = NULL;
    const unsigned long gpus = strtoul(count, &stop, 10);
    if (*count < '0' || *count > '9' || (stop != end && *stop != '(')) {
        return refuse(t, SP_E_SYNTAX, item, "expected gpu:KIND:COUNT or gpu:COUNT");
    }
    if (gpus < 1 || gpus > SP_CLUSTER_MAX_NODE_GPUS) {
        (void)refuse(t, SP_E_RANGE, item, "the number of GPUs is out of range");
        return sp_fail_range(t->err, "1 .. %d", SP_CLUSTER_MAX_NODE_GPUS);
    }
    r->gpus = (uint32_t)gpus;
    return find_kind(t, kind, length, &r->kind);
}

/* Items are parted by commas; those in parentheses belong to an item. */
static const char *end_of_item(const char *at)
{
    int depth = 0;
    while (*at != '\0' && (depth > 0 || *at != ',')) {
        depth += (*at == '(') - (*at == ')');
        at++;
    }
    return at;
}

static sp_status read_gres(sp_node_table *t, const char *gres, size_t n_hosts, sp_node_record *r)
{
    for (const char *item = gres; *item != '\0';) {
        const char *end = end_of_item(item);
        if (strncmp(item, "gpu:", 4) == 0) {
            SP_TRY(read_gpus(t, item, end, r));
            SP_TRY(add_hosts(t, n_hosts, *r));
        }
        item = end + (*end == ',');
    }
    return SP_OK;
}

/* ---- rows ---- */

static size_t split(char *line, char *words[MAX_WORDS])
{
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t\r", &rest); word != NULL && n < MAX_WORDS;
         word = strtok_r(NULL, " \t\r", &rest)) {
        words[n++] = word;
    }
    return n;
}

static size_t column(char *const *words, size_t n, const char *name, const char *other)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], name) == 0 || strcmp(words[i], other) == 0) {
            return i;
        }
    }
    return n;
}

static sp_status read_header(sp_node_table *t, char *const *words, size_t n)
{
    t->n_columns = n;
    t->host_column = column(words, n, "NODELIST", "HOSTNAMES");
    t->state_column = column(words, n, "STATE", "STATECOMPACT");
    t->gres_column = column(words, n, "GRES", "GRES");
    if (t->host_column < n && t->state_column < n) {
        return SP_OK;
    }
    return refuse(t, SP_E_SYNTAX, words[0],
                  "the first line must head the columns, NODELIST and STATE among them (sinfo "
                  "without -h)");
}

static sp_status read_row(sp_node_table *t, char *const *words, size_t n)
{
    sp_node_record r = {0};
    size_t n_hosts = 0;
    if (n != t->n_columns) {
        return refuse(t, SP_E_SYNTAX, words[0], "the row has not as many words as the header");
    }
    SP_TRY(read_state(t, words[t->state_column], &r.usable));
    const char *list = words[t->host_column];
    if (sp_hosts_expand(t->arena, list, t->hosts, SP_NODE_MAX_HOSTS, &n_hosts, t->err) != SP_OK) {
        t->err->line = t->line;
        return sp_fail_file(t->err, t->file);
    }
    if (t->gres_column < n) {
        return read_gres(t, words[t->gres_column], n_hosts, &r);
    }
    SP_TRY(find_kind(t, "", 0, &r.kind));
    return add_hosts(t, n_hosts, r);
}

sp_status sp_node_table_read(sp_node_table *t, char *text)
{
    char *rest = NULL;
    for (char *line = text; line != NULL; line = rest) {
        char *words[MAX_WORDS];
        rest = strchr(line, '\n');
        if (rest != NULL) {
            *rest++ = '\0';
        }
        t->line++;
        const size_t n = split(line, words);
        if (n > 0) {
            SP_TRY(t->n_columns == 0 ? read_header(t, words, n) : read_row(t, words, n));
        }
    }
    if (t->n_records > 0) {
        return SP_OK;
    }
    (void)sp_fail(t->err, SP_E_INCONSISTENT, "the table shows no node with a GPU");
    return sp_fail_file(t->err, t->file);
}
