/* SPDX-License-Identifier: Apache-2.0 */
/* What the nodes of a table of `sinfo` come to: how many are usable, with how many GPUs of which
 * kind. A node stands once for each partition; it counts once. Leaves out what is free right now.
 */
#include "spec/spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (64u << 20)

static int by_host(const void *a, const void *b)
{
    const sp_node_record *x = a;
    const sp_node_record *y = b;
    const int order = strcmp(x->host, y->host);
    return order != 0 ? order : (x->kind > y->kind) - (x->kind < y->kind);
}

/* A node of several partitions stays once; it is usable if all of them say so. */
static void merge_partitions(sp_node_table *t)
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
static sp_status choose_kind(const sp_node_table *t, const char *home, const sp_gpu *gpu,
                             uint32_t *kind)
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
static uint32_t usual_gpus(const sp_node_table *t, uint32_t kind)
{
    uint32_t nodes_with[SP_CLUSTER_MAX_NODE_GPUS + 1] = {0};
    uint32_t usual = 0;
    for (size_t i = 0; i < t->n_records; i++) {
        const sp_node_record *r = &t->records[i];
        nodes_with[r->gpus] += r->kind == kind && r->usable;
    }
    for (uint32_t gpus = 0; gpus <= SP_CLUSTER_MAX_NODE_GPUS; gpus++) {
        usual = nodes_with[gpus] > 0 && nodes_with[gpus] >= nodes_with[usual] ? gpus : usual;
    }
    return usual;
}

static sp_status add_up(const sp_node_table *t, uint32_t kind, sp_machine *machine, sp_notes *notes)
{
    uint32_t away = 0;
    uint32_t small = 0;
    machine->gpu = t->kinds[kind];
    machine->node_gpus = usual_gpus(t, kind);
    for (size_t i = 0; i < t->n_records; i++) {
        const sp_node_record *r = &t->records[i];
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
        sp_notes_add(notes, "%u node%s left out: down, drained or not answering", away,
                     away == 1 ? "" : "s");
    }
    if (small > 0) {
        sp_notes_add(notes, "%u node%s left out: fewer than %u GPUs", small, small == 1 ? "" : "s",
                     machine->node_gpus);
    }
    return SP_OK;
}

static sp_status read_table(sp_node_table *t, char *text, const char *home, const sp_gpu *gpu,
                            sp_machine *machine, sp_notes *notes)
{
    uint32_t kind = 0;
    SP_TRY(sp_node_table_read(t, text));
    merge_partitions(t);
    SP_TRY(choose_kind(t, home, gpu, &kind));
    return add_up(t, kind, machine, notes);
}

sp_status sp_machine_read_sinfo(struct sp_arena *arena, const char *file, const char *home,
                                const sp_gpu *gpu, sp_machine *machine, sp_notes *notes,
                                sp_error *err)
{
    sp_text text = {0};
    sp_node_table t = {.arena = arena, .file = file, .err = err};
    t.hosts = sp_alloc(SP_NODE_MAX_HOSTS * sizeof *t.hosts);
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
