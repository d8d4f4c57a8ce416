/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `sinfo`: which nodes there are, how many GPUs each has (GRES), and whether a job
 * could run there. Columns are found by their headings. A node stands once for each partition; it
 * counts once. Leaves out shares of GPUs (MIG, shard) and what is free right now. */
#include "spec/spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_BYTES    (64u << 20)
#define MAX_WORDS    64
#define MAX_KINDS    16
#define MAX_HOSTS    131072

/* GPUs of one kind in one node. */
typedef struct record {
    const char *host;
    uint32_t kind, gpus;
    bool usable;
} record;

typedef struct table {
    sp_arena *arena;
    const char *file;
    int line;
    size_t n_columns, host_column, state_column, gres_column; /* n_columns: no such column      */
    const char *kinds[MAX_KINDS];                             /* "" = GRES names none           */
    uint32_t n_kinds;
    record *records;
    size_t n_records;
    const char **hosts; /* of one row */
    sp_error *err;
} table;

static sp_status refuse(const table *t, sp_status status, const char *value, const char *why)
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
static sp_status read_state(const table *t, const char *word, bool *usable)
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

static sp_status find_kind(table *t, const char *name, size_t length, uint32_t *kind)
{
    for (*kind = 0; *kind < t->n_kinds; ++*kind) {
        if (strlen(t->kinds[*kind]) == length && strncmp(t->kinds[*kind], name, length) == 0) {
            return SP_OK;
        }
    }
    if (t->n_kinds == MAX_KINDS) {
        return refuse(t, SP_E_RANGE, name, "too many kinds of GPU");
    }
    t->kinds[t->n_kinds] = sp_arena_printf(t->arena, "%.*s", (int)length, name);
    return t->kinds[t->n_kinds++] != NULL ? SP_OK : sp_fail(t->err, SP_E_MEMORY, "out of memory");
}

static sp_status add_record(table *t, const record *r)
{
    if ((t->n_records & (t->n_records - 1)) == 0) { /* full at powers of two */
        const size_t capacity = t->n_records > 0 ? 2 * t->n_records : 1;
        record *grown = sp_realloc(t->records, capacity * sizeof *grown);
        if (grown == NULL) {
            return sp_fail(t->err, SP_E_MEMORY, "out of memory");
        }
        t->records = grown;
    }
    t->records[t->n_records++] = *r;
    return SP_OK;
}

static sp_status add_hosts(table *t, size_t n_hosts, record like)
{
    for (size_t i = 0; i < n_hosts; i++) {
        like.host = t->hosts[i];
        SP_TRY(add_record(t, &like));
    }
    return SP_OK;
}

/* "gpu:h100:8(S:0-1)" or "gpu:8", up to `end`. */
static sp_status read_gpus(table *t, const char *item, const char *end, record *r)
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

static sp_status read_gres(table *t, const char *gres, size_t n_hosts, record *r)
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

static sp_status read_header(table *t, char *const *words, size_t n)
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

static sp_status read_row(table *t, char *const *words, size_t n)
{
    record r = {0};
    size_t n_hosts = 0;
    if (n != t->n_columns) {
        return refuse(t, SP_E_SYNTAX, words[0], "the row has not as many words as the header");
    }
    SP_TRY(read_state(t, words[t->state_column], &r.usable));
    const char *list = words[t->host_column];
    if (sp_hosts_expand(t->arena, list, t->hosts, MAX_HOSTS, &n_hosts, t->err) != SP_OK) {
        t->err->line = t->line;
        return sp_fail_file(t->err, t->file);
    }
    if (t->gres_column < n) {
        return read_gres(t, words[t->gres_column], n_hosts, &r);
    }
    SP_TRY(find_kind(t, "", 0, &r.kind));
    return add_hosts(t, n_hosts, r);
}

static sp_status read_rows(table *t, char *text)
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

/* ---- what they come to ---- */

static int by_host(const void *a, const void *b)
{
    const record *x = a;
    const record *y = b;
    const int order = strcmp(x->host, y->host);
    return order != 0 ? order : (x->kind > y->kind) - (x->kind < y->kind);
}

/* A node of several partitions stays once; it is usable if all of them say so. */
static void merge_partitions(table *t)
{
    size_t n = 0;
    qsort(t->records, t->n_records, sizeof *t->records, by_host);
    for (size_t i = 0; i < t->n_records; i++) {
        if (n > 0 && by_host(&t->records[n - 1], &t->records[i]) == 0) {
            t->records[n - 1].usable &= t->records[i].usable;
        } else {
            t->records[n++] = t->records[i];
        }
    }
    t->n_records = n;
}

/* The kind that goes by the name of the GPU, or the only one. */
static sp_status choose_kind(const table *t, const char *home, const sp_gpu *gpu, uint32_t *kind)
{
    for (*kind = 0; gpu != NULL && *kind < t->n_kinds; ++*kind) {
        const sp_gpu *same = NULL;
        sp_error unknown = {0};
        if (sp_gpu_find(t->arena, home, t->kinds[*kind], &same, &unknown) == SP_OK &&
            strcmp(same->name, gpu->name) == 0) {
            return SP_OK;
        }
    }
    *kind = 0;
    if (t->n_kinds == 1) {
        return SP_OK;
    }
    (void)sp_fail(t->err, SP_E_USAGE,
                  gpu != NULL
                      ? "no kind of GPU of the table is that of --cluster"
                      : "there are several kinds of GPU; --cluster must say which is meant");
    (void)sp_fail_names(t->err, "", t->kinds, t->n_kinds);
    return sp_fail_file(t->err, t->file);
}

/* GPUs of most of the usable nodes; of two numbers as frequent, the larger. */
static uint32_t usual_gpus(const table *t, uint32_t kind)
{
    uint32_t nodes_with[SP_CLUSTER_MAX_NODE_GPUS + 1] = {0};
    uint32_t usual = 0;
    for (size_t i = 0; i < t->n_records; i++) {
        const record *r = &t->records[i];
        nodes_with[r->gpus] += r->kind == kind && r->usable;
    }
    for (uint32_t gpus = 0; gpus <= SP_CLUSTER_MAX_NODE_GPUS; gpus++) {
        usual = nodes_with[gpus] > 0 && nodes_with[gpus] >= nodes_with[usual] ? gpus : usual;
    }
    return usual;
}

static sp_status add_up(const table *t, uint32_t kind, sp_machine *machine, sp_notes *notes)
{
    uint32_t away = 0;
    uint32_t small = 0;
    machine->gpu = t->kinds[kind];
    machine->node_gpus = usual_gpus(t, kind);
    for (size_t i = 0; i < t->n_records; i++) {
        const record *r = &t->records[i];
        const bool ours = r->kind == kind;
        away += ours && !r->usable;
        small += ours && r->usable && r->gpus < machine->node_gpus;
        machine->nodes += ours && r->usable && r->gpus >= machine->node_gpus;
    }
    if (machine->nodes == 0) {
        (void)sp_fail(t->err, SP_E_INCONSISTENT,
                      "no node is usable: all %u are down, drained or do "
                      "not answer",
                      away);
        return sp_fail_file(t->err, t->file);
    }
    if (away > 0) {
        sp_notes_add(notes, "%u nodes left out: down, drained or not answering", away);
    }
    if (small > 0) {
        sp_notes_add(notes, "%u nodes left out: fewer than %u GPUs", small, machine->node_gpus);
    }
    return SP_OK;
}

static sp_status read_table(table *t, char *text, const char *home, const sp_gpu *gpu,
                            sp_machine *machine, sp_notes *notes)
{
    uint32_t kind = 0;
    SP_TRY(read_rows(t, text));
    merge_partitions(t);
    SP_TRY(choose_kind(t, home, gpu, &kind));
    return add_up(t, kind, machine, notes);
}

sp_status sp_machine_read_sinfo(struct sp_arena *arena, const char *file, const char *home,
                                const sp_gpu *gpu, sp_machine *machine, sp_notes *notes,
                                sp_error *err)
{
    sp_text text = {0};
    table t = {.arena = arena, .file = file, .err = err};
    t.hosts = sp_alloc(MAX_HOSTS * sizeof *t.hosts);
    sp_text_add(&text, "");
    sp_status status = t.hosts != NULL ? sp_file_read(file, MAX_BYTES, &text, err)
                                       : sp_fail(err, SP_E_MEMORY, "out of memory");
    if (status == SP_OK) {
        status = text.failed ? sp_fail(err, SP_E_MEMORY, "out of memory")
                             : read_table(&t, text.data, home, gpu, machine, notes);
    }
    sp_free(t.records);
    sp_free(t.hosts);
    sp_text_fini(&text);
    return status;
}
