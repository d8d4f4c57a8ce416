/* SPDX-License-Identifier: Apache-2.0 */
/* The levels and the host of a cluster of which only some things are known: links as they were
 * seen, else those of the named cluster, else those of the usual node of the GPU. */
#include "spec/spec.h"

#include <assert.h>

/* ---- levels inside a node ---- */

static sp_status add_link(sp_findings *f, sp_cluster *cluster, const char *ref, uint32_t n_gpus)
{
    const sp_link *link = NULL;
    assert(cluster->n_levels < SP_CLUSTER_MAX_LEVELS - 1);
    SP_TRY(sp_link_find(f->arena, f->home, f->gpu, ref, &link, f->err));
    cluster->levels[cluster->n_levels++] = sp_level_of_link(link, n_gpus, 1.0);
    return SP_OK;
}

/* NVLink domains, then what PCIe switches join, then the whole node through the host: each where
 * it joins more than the one before. The way through the host is the last link of a part. */
static sp_status add_domains(sp_findings *f, sp_cluster *cluster)
{
    const sp_machine *m = &f->machine;
    const char *host = f->gpu->links[f->gpu->n_links - 1];
    uint32_t joined = 1;
    if (m->nvlink_gpus > 1) {
        if (add_link(f, cluster, "nvlink", m->nvlink_gpus) != SP_OK) {
            return sp_fail_file(f->err, f->matrix_file);
        }
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

static sp_status add_node(sp_findings *f, sp_cluster *cluster)
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
static sp_status add_usual_network(sp_findings *f, sp_cluster *cluster)
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

static sp_status add_network(sp_findings *f, sp_cluster *cluster)
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

static void add_host(sp_findings *f, sp_cluster *cluster)
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

sp_status sp_findings_fill(sp_findings *f, sp_cluster *cluster)
{
    SP_TRY(add_node(f, cluster));
    SP_TRY(add_network(f, cluster));
    add_host(f, cluster);
    return SP_OK;
}
