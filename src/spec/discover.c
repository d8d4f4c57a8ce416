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

typedef struct findings {
    sp_arena *arena;
    const char *home;
    const sp_cluster *base; /* NULL = not given */
    const sp_gpu *gpu;
    const sp_node *node; /* the usual one of the GPU; NULL = there is none, or base stands for it */
    sp_machine machine;
    sp_notes notes;
    sp_error *err;
} findings;

bool sp_discover_any(const sp_discover_files *files)
{
    return files->nvidia_smi != NULL || files->hwloc != NULL || files->sinfo != NULL;
}

/* ---- reading ---- */

static sp_status read_witnesses(findings *f, const sp_discover_files *files,
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
static sp_status agree_on_gpus(findings *f, const witness found[N_WITNESSES])
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

static void merge(findings *f, const witness found[N_WITNESSES])
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

static sp_status find_named_gpu(findings *f, const witness found[N_WITNESSES])
{
    for (int i = 0; i < N_WITNESSES; i++) {
        const char *name = found[i].machine.gpu;
        if (name == NULL || name[0] == '\0') {
            continue;
        }
        const sp_status status = sp_gpu_find(f->arena, f->home, name, &f->gpu, f->err);
        return status == SP_OK || f->err->file[0] != '\0' ? status
                                                          : sp_fail_file(f->err, found[i].file);
    }
    return sp_fail(f->err, SP_E_USAGE,
                   "the files do not say which GPU the nodes have; say --cluster with one that has "
                   "it, for example --cluster 8xH100");
}

static sp_status find_gpu(findings *f, const witness found[N_WITNESSES])
{
    if (f->base != NULL) {
        f->gpu = f->base->gpu;
    } else {
        SP_TRY(find_named_gpu(f, found));
    }
    return f->gpu->typical_node[0] == '\0'
               ? SP_OK
               : sp_node_find(f->arena, f->home, f->gpu->typical_node, &f->node, f->err);
}

/* ---- levels inside a node ---- */

static sp_status add_link(findings *f, sp_cluster *cluster, const char *ref, uint32_t n_gpus)
{
    const sp_link *link = NULL;
    assert(cluster->n_levels < SP_CLUSTER_MAX_LEVELS - 1);
    SP_TRY(sp_link_find(f->arena, f->home, f->gpu, ref, &link, f->err));
    cluster->levels[cluster->n_levels++] = sp_level_of_link(link, n_gpus, 1.0);
    return SP_OK;
}

/* NVLink domains, then what PCIe switches join, then the whole node through the host: each where
 * it joins more than the one before. The way through the host is the last link of a part. */
static sp_status add_domains(findings *f, sp_cluster *cluster)
{
    const sp_machine *m = &f->machine;
    const char *host = f->gpu->links[f->gpu->n_links - 1];
    uint32_t joined = 1;
    if (m->nvlink_gpus > 1) {
        SP_TRY(add_link(f, cluster, "nvlink", m->nvlink_gpus));
        joined = m->nvlink_gpus;
    }
    if (m->switch_gpus > joined && m->switch_gpus % joined == 0) {
        SP_TRY(add_link(f, cluster, "pcie", m->switch_gpus));
        joined = m->switch_gpus;
    }
    return joined < m->node_gpus ? add_link(f, cluster, host, m->node_gpus) : SP_OK;
}

/* How many of the levels lie inside a node: the last of them joins all of its GPUs. */
static uint32_t count_inner(const sp_level *levels, uint32_t n_levels, uint32_t node_gpus)
{
    uint32_t n = 1;
    while (n < n_levels && levels[n - 1].n_gpus < node_gpus) {
        n++;
    }
    return n;
}

/* Levels of a node of another size: smaller domains that still fit, and the last around them. */
static void copy_inner(const sp_level *levels, uint32_t n_inner, sp_cluster *cluster)
{
    for (uint32_t i = 0; i + 1 < n_inner; i++) {
        if (levels[i].n_gpus < cluster->node_gpus && cluster->node_gpus % levels[i].n_gpus == 0) {
            cluster->levels[cluster->n_levels++] = levels[i];
        }
    }
    cluster->levels[cluster->n_levels] = levels[n_inner - 1];
    cluster->levels[cluster->n_levels++].n_gpus = cluster->node_gpus;
}

static sp_status add_node(findings *f, sp_cluster *cluster)
{
    const sp_cluster *b = f->base;
    if (f->machine.nvlink_gpus > 0 && f->machine.node_gpus > 1) {
        return add_domains(f, cluster);
    }
    if (b != NULL) {
        copy_inner(b->levels, count_inner(b->levels, b->n_levels, b->node_gpus), cluster);
    } else if (f->node != NULL) {
        copy_inner(f->node->levels, f->node->n_levels, cluster);
    } else {
        return add_link(f, cluster, f->gpu->links[0], f->machine.node_gpus);
    }
    return SP_OK;
}

/* ---- above the node ---- */

/* What the base has above its nodes, where its domains hold whole nodes of ours. */
static void copy_outer(const sp_cluster *base, sp_cluster *cluster)
{
    const uint32_t n_inner = count_inner(base->levels, base->n_levels, base->node_gpus);
    for (uint32_t i = n_inner; i < base->n_levels && cluster->n_levels < SP_CLUSTER_MAX_LEVELS;
         i++) {
        const uint32_t n_gpus = base->levels[i].n_gpus;
        if (n_gpus == UINT32_MAX ||
            (n_gpus > cluster->node_gpus && n_gpus % cluster->node_gpus == 0)) {
            cluster->levels[cluster->n_levels++] = base->levels[i];
        }
    }
}

/* The network of the usual node, on the ports that were counted. */
static sp_status add_usual_network(findings *f, sp_cluster *cluster)
{
    const sp_machine *m = &f->machine;
    const sp_link *link = NULL;
    if (f->node == NULL) {
        return sp_fail(f->err, SP_E_USAGE, "the network between nodes is not known; say --cluster");
    }
    const double ports = m->network_ports > 0 ? (double)m->network_ports / m->node_gpus
                                              : (double)f->node->network_ports / f->node->gpus;
    SP_TRY(sp_link_find(f->arena, f->home, f->gpu, f->node->network_link, &link, f->err));
    cluster->levels[cluster->n_levels++] = sp_level_of_link(link, UINT32_MAX, ports);
    sp_notes_add(&f->notes, "the network is taken to be %s with %g ports a GPU, as %s has it",
                 link->name, ports, f->node->name);
    return SP_OK;
}

static sp_status add_network(findings *f, sp_cluster *cluster)
{
    const uint32_t n_levels = cluster->n_levels;
    if (f->machine.nodes == 1) {
        return SP_OK;
    }
    if (f->base != NULL) {
        copy_outer(f->base, cluster);
    }
    return cluster->n_levels > n_levels ? SP_OK : add_usual_network(f, cluster);
}

static void add_host(findings *f, sp_cluster *cluster)
{
    const sp_cluster *b = f->base;
    if (b != NULL) {
        const sp_node host = {.gpus = b->node_gpus,
                              .host_memory_bytes = b->host_memory_bytes,
                              .host_link_bytes_per_s = b->host_link_bytes_per_s,
                              .host_memory_bytes_per_s = b->host_memory_bytes_per_s,
                              .nvme_bytes = b->nvme_bytes,
                              .nvme_bytes_per_s = b->nvme_bytes_per_s};
        sp_node_lend_host(&host, cluster);
    } else if (f->node != NULL) {
        sp_node_lend_host(f->node, cluster);
        sp_notes_add(&f->notes, "rates of the host are those of %s", f->node->name);
    }
    if (f->machine.host_memory_bytes > 0.0) {
        cluster->host_memory_bytes = f->machine.host_memory_bytes;
    }
}

static sp_status build(findings *f, sp_cluster *cluster)
{
    const sp_machine *m = &f->machine;
    cluster->name = "discovered";
    cluster->gpu = f->gpu;
    cluster->node_gpus = m->node_gpus;
    SP_TRY(add_node(f, cluster));
    SP_TRY(add_network(f, cluster));
    add_host(f, cluster);
    sp_cluster_close(cluster);
    cluster->max_gpus = m->nodes > 0 ? m->nodes * m->node_gpus : UINT32_MAX;
    cluster->source = f->notes.text;
    return f->notes.text != NULL ? SP_OK : sp_fail(f->err, SP_E_MEMORY, "out of memory");
}

/* Where no file counts the GPUs of a node (sinfo without GRES), the base does, or the usual node.
 */
static sp_status settle_gpus(findings *f)
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
        sp_notes_add(&f->notes, "any number of nodes of %u %s", f->machine.node_gpus, f->gpu->name);
    }
    return SP_OK;
}

sp_status sp_cluster_from_files(struct sp_arena *arena, const char *home,
                                const sp_discover_files *files, const sp_cluster **cluster,
                                sp_error *err)
{
    assert(sp_discover_any(files));
    witness found[N_WITNESSES] = {0};
    findings f = {
        .arena = arena, .home = home, .notes = {arena, ""},
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
