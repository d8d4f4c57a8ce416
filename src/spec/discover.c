/* SPDX-License-Identifier: Apache-2.0 */
/* Puts together what the files say about a cluster, and asks the hardware files for the rest. */
#include "shardplan/discover.h"

#include "spec/spec.h"

#include <assert.h>
#include <string.h>

/* What one file says, and where it is. */
typedef struct witness {
    const char *file;
    sp_machine machine;
} witness;

enum { SINFO, SMI, HWLOC, N_WITNESSES };

bool sp_discover_any(const sp_discover_files *files)
{
    return files->nvidia_smi != NULL || files->hwloc != NULL || files->sinfo != NULL;
}

/* ---- reading ---- */

static sp_status read_witnesses(sp_findings *f, const sp_discover_files *files,
                                witness found[N_WITNESSES])
{
    const sp_gpu *gpu = f->base != NULL ? f->base->gpu : NULL;
    found[SINFO].file = files->sinfo;
    found[SMI].file = files->nvidia_smi;
    found[HWLOC].file = files->hwloc;
    if (files->sinfo != NULL) {
        SP_TRY(sp_machine_read_sinfo(f->arena, files->sinfo, f->home, gpu, &found[SINFO].machine,
                                     &f->notes, f->err));
    }
    if (files->nvidia_smi != NULL) {
        SP_TRY(sp_machine_read_smi(f->arena, files->nvidia_smi, &found[SMI].machine, &f->notes,
                                   f->err));
    }
    if (files->hwloc != NULL) {
        SP_TRY(sp_machine_read_hwloc(f->arena, files->hwloc, &found[HWLOC].machine, &f->notes,
                                     f->err));
    }
    return SP_OK;
}

/* The GPUs of a node must be as many in every file that counts them. */
static sp_status agree_on_gpus(sp_findings *f, const witness found[N_WITNESSES])
{
    const witness *first = NULL;
    for (int i = 0; i < N_WITNESSES; i++) {
        const uint32_t gpus = found[i].machine.node_gpus;
        if (gpus == 0) {
            continue;
        }
        if (first != NULL && gpus != first->machine.node_gpus) {
            (void)sp_fail(f->err, SP_E_INCONSISTENT, "shows %u GPUs a node where %s shows %u", gpus,
                          first->file, first->machine.node_gpus);
            return sp_fail_file(f->err, found[i].file);
        }
        first = first != NULL ? first : &found[i];
    }
    f->machine.node_gpus = first != NULL ? first->machine.node_gpus : 0;
    return SP_OK;
}

static void merge(sp_findings *f, const witness found[N_WITNESSES])
{
    sp_machine *m = &f->machine;
    const uint32_t seen = found[SMI].machine.network_ports;
    m->nodes = found[SINFO].machine.nodes;
    m->nvlink_gpus = found[SMI].machine.nvlink_gpus;
    m->switch_gpus = found[SMI].machine.switch_gpus;
    m->network_ports = seen > 0 ? seen : found[HWLOC].machine.network_ports;
    m->host_memory_bytes = found[HWLOC].machine.host_memory_bytes;
}

/* ---- the part ---- */

static sp_status find_named_gpu(sp_findings *f, const witness found[N_WITNESSES])
{
    for (int i = 0; i < N_WITNESSES; i++) {
        const char *name = found[i].machine.gpu;
        if (name == NULL || name[0] == '\0') {
            continue;
        }
        const sp_status status = sp_gpu_find_measured(f->arena, f->home, name, &f->gpu, f->err);
        return status == SP_OK || f->err->file[0] != '\0' ? status
                                                          : sp_fail_file(f->err, found[i].file);
    }
    return sp_fail(f->err, SP_E_USAGE,
                   "the files do not say which GPU the nodes have; say --cluster with one that has "
                   "it, for example --cluster 8xH100");
}

/* A name that is in no hardware file may be a local one; a known other part is a contradiction. */
static sp_status check_named_gpu(const sp_findings *f, const witness *found)
{
    const sp_gpu *named = NULL;
    sp_error unknown = {0};
    if (found->machine.gpu == NULL || found->machine.gpu[0] == '\0' ||
        sp_gpu_find(f->arena, f->home, found->machine.gpu, &named, &unknown) != SP_OK ||
        strcmp(named->name, f->gpu->name) == 0) {
        return SP_OK;
    }
    (void)sp_fail(f->err, SP_E_INCONSISTENT, "shows GPUs of the kind %s where --cluster has %s",
                  named->name, f->gpu->name);
    return sp_fail_file(f->err, found->file);
}

static sp_status find_gpu(sp_findings *f, const witness found[N_WITNESSES])
{
    if (f->base != NULL) {
        f->gpu = f->base->gpu;
        for (int i = 0; i < N_WITNESSES; i++) {
            SP_TRY(check_named_gpu(f, &found[i]));
        }
    } else {
        SP_TRY(find_named_gpu(f, found));
    }
    return f->gpu->typical_node[0] == '\0'
               ? SP_OK
               : sp_node_find(f->arena, f->home, f->gpu->typical_node, &f->node, f->err);
}

static sp_status build(sp_findings *f, sp_cluster *cluster)
{
    const sp_machine *m = &f->machine;
    cluster->name = "discovered";
    cluster->gpu = f->gpu;
    cluster->node_gpus = m->node_gpus;
    SP_TRY(sp_findings_fill(f, cluster));
    sp_cluster_close(cluster);
    cluster->max_gpus = f->base != NULL ? f->base->max_gpus : UINT32_MAX;
    if (m->nodes > 0) {
        cluster->max_gpus = m->nodes * m->node_gpus;
    }
    cluster->source = f->notes.text;
    return f->notes.text != NULL ? SP_OK : sp_fail(f->err, SP_E_MEMORY, "out of memory");
}

/* Where no file counts the GPUs of a node (sinfo without GRES), the base does, or the usual node.
 */
static sp_status settle_gpus(sp_findings *f)
{
    if (f->machine.node_gpus == 0) {
        f->machine.node_gpus = 1;
        if (f->base != NULL || f->node != NULL) {
            f->machine.node_gpus = f->base != NULL ? f->base->node_gpus : f->node->gpus;
        }
        sp_notes_add(&f->notes, "no file counts the GPUs of a node: %u are assumed",
                     f->machine.node_gpus);
    }
    if (f->machine.nodes > SP_CLUSTER_MAX_GPUS / f->machine.node_gpus) {
        return sp_fail(f->err, SP_E_RANGE, "more than %d GPUs", SP_CLUSTER_MAX_GPUS);
    }
    if (f->machine.nodes > 0) {
        sp_notes_add(&f->notes, "%u usable nodes of %u %s", f->machine.nodes, f->machine.node_gpus,
                     f->gpu->name);
    } else {
        sp_notes_add(&f->notes, "nodes of %u %s, their number not stated", f->machine.node_gpus,
                     f->gpu->name);
    }
    return SP_OK;
}

sp_status sp_cluster_from_files(struct sp_arena *arena, const char *home,
                                const sp_discover_files *files, const sp_cluster **cluster,
                                sp_error *err)
{
    assert(sp_discover_any(files));
    witness found[N_WITNESSES] = {0};
    sp_findings f = {
        .arena = arena,
        .home = home,
        .matrix_file = files->nvidia_smi,
        .notes = {arena, ""},
        .err = err
    };
    sp_cluster *const built = sp_arena_alloc(arena, sizeof *built);
    if (built == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    if (files->cluster != NULL) {
        SP_TRY(sp_cluster_find(arena, home, files->cluster, &f.base, err));
    }
    SP_TRY(read_witnesses(&f, files, found));
    SP_TRY(agree_on_gpus(&f, found));
    merge(&f, found);
    SP_TRY(find_gpu(&f, found));
    SP_TRY(settle_gpus(&f));
    SP_TRY(build(&f, built));
    *cluster = built;
    return SP_OK;
}
