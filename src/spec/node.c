/* SPDX-License-Identifier: Apache-2.0 */
/* One server of hardware/nodes: its GPUs, the links that join them, its network ports and what the
 * host lends. A node may also stand inside a cluster file. */
#include "spec/spec.h"

#include <assert.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const sp_catalogue nodes = {"node", "nodes", "shardplan/node/1"};

static const sp_figure_field host[] = {
    {"host_memory", SP_Q_MEMORY,    offsetof(sp_node, host_memory_bytes),     1e9, 1e15},
    {"host_link",   SP_Q_BANDWIDTH, offsetof(sp_node, host_link_bytes_per_s), 1e8, 1e13},
};

/* Not every site knows these: 0 where the file is silent. */
static const sp_figure_field host_rates[] = {
    {"host_memory_bandwidth", SP_Q_BANDWIDTH, offsetof(sp_node, host_memory_bytes_per_s), 1e9,
     1e14                                                                                          },
    {"nvme",                  SP_Q_MEMORY,    offsetof(sp_node, nvme_bytes),              1e9, 1e16},
    {"nvme_bandwidth",        SP_Q_BANDWIDTH, offsetof(sp_node, nvme_bytes_per_s),        1e8, 1e13},
};

/* A node may have a price of its own (a cloud instance): its GPU is then a copy with that price. */
static sp_status read_price(sp_arena *arena, const sp_json *value, sp_node *node, sp_error *err)
{
    if (!sp_json_has(value, "price")) {
        return SP_OK;
    }
    sp_gpu *const priced = sp_arena_alloc(arena, sizeof *priced);
    if (priced == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    *priced = *node->gpu;
    node->gpu = priced;
    return sp_gpu_price_read(arena, value, priced, err);
}

static sp_status read_network(sp_arena *arena, const sp_json *value, sp_node *node, sp_error *err)
{
    static const char *const keys[] = {"link", "ports"};
    const char *link = NULL;
    sp_json network;
    SP_TRY(sp_json_object(value, "network", &network, err));
    SP_TRY(sp_json_only(&network, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(&network, "link", &link, err));
    SP_TRY(sp_json_u32(&network, "ports", 1, 1024, &node->network_ports, err));
    return sp_text_keep(arena, link, &node->network_link, err);
}

static sp_status read_host(const sp_json *value, sp_node *node, sp_error *err)
{
    SP_TRY(sp_figures_read(value, host, COUNT(host), node, err));
    for (size_t i = 0; i < COUNT(host_rates); i++) {
        if (sp_json_has(value, host_rates[i].key)) {
            SP_TRY(sp_figures_read(value, &host_rates[i], 1, node, err));
        }
    }
    if ((node->nvme_bytes > 0.0) != (node->nvme_bytes_per_s > 0.0)) {
        return sp_json_fail(value, err, SP_E_MISSING_KEY,
                            "nvme and nvme_bandwidth must both be given, or neither");
    }
    return SP_OK;
}

static sp_status read_levels(const sp_level_context *context, const sp_json *value, sp_node *node,
                             sp_error *err)
{
    sp_json levels;
    SP_TRY(sp_json_array(value, "levels", &levels, err));
    const size_t n = sp_json_size(&levels);
    if (n == 0 || n >= SP_CLUSTER_MAX_LEVELS) {
        (void)sp_json_fail(&levels, err, SP_E_RANGE, "too few or too many levels in a node");
        return sp_fail_range(err, "1 .. %d", SP_CLUSTER_MAX_LEVELS - 1);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json level = sp_json_at(&levels, i);
        SP_TRY(sp_level_read(context, &level, &node->levels[i], err));
        if (node->levels[i].n_gpus == UINT32_MAX) {
            return sp_json_fail(&level, err, SP_E_MISSING_KEY,
                                "a level of a node must say how many gpus it joins");
        }
    }
    node->n_levels = (uint32_t)n;
    return SP_OK;
}

static sp_status read_gpu(sp_arena *arena, const char *home, const sp_json *value, sp_node *node,
                          sp_error *err)
{
    const char *gpu = NULL;
    SP_TRY(sp_json_string(value, "gpu", &gpu, err));
    if (sp_gpu_find_measured(arena, home, gpu, &node->gpu, err) == SP_OK) {
        return SP_OK;
    }
    return sp_fail_in(err, value);
}

sp_status sp_node_read(struct sp_arena *arena, const char *home, const sp_json *value,
                       sp_node *node, sp_error *err)
{
    static const char *const keys[] = {"schema",    "name",        "aliases",
                                       "gpu",       "gpus",        "levels",
                                       "network",   "host_memory", "host_memory_bandwidth",
                                       "host_link", "nvme",        "nvme_bandwidth",
                                       "price"};
    const char *name = NULL;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(value, "name", &name, err));
    SP_TRY(sp_text_keep(arena, name, &node->name, err));
    SP_TRY(read_gpu(arena, home, value, node, err));
    SP_TRY(sp_json_u32(value, "gpus", 1, SP_CLUSTER_MAX_NODE_GPUS, &node->gpus, err));
    SP_TRY(read_network(arena, value, node, err));
    const sp_level_context context = {
        .arena = arena,
        .home = home,
        .gpu = node->gpu,
        .ports_per_gpu = (double)node->network_ports / node->gpus,
    };
    SP_TRY(read_levels(&context, value, node, err));
    SP_TRY(read_host(value, node, err));
    return read_price(arena, value, node, err);
}

void sp_node_lend_host(const sp_node *node, sp_cluster *cluster)
{
    assert(node->gpus > 0);
    const double share = (double)cluster->node_gpus / node->gpus;
    cluster->host_memory_bytes = node->host_memory_bytes * share;
    cluster->host_memory_bytes_per_s = node->host_memory_bytes_per_s * share;
    cluster->nvme_bytes = node->nvme_bytes * share;
    cluster->nvme_bytes_per_s = node->nvme_bytes_per_s * share;
    cluster->host_link_bytes_per_s = node->host_link_bytes_per_s;
}

sp_status sp_node_find(struct sp_arena *arena, const char *home, const char *name,
                       const sp_node **node, sp_error *err)
{
    sp_node *const read = sp_arena_alloc(arena, sizeof *read);
    if (read == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    sp_json_doc *doc = NULL;
    SP_TRY(sp_catalogue_load(home, &nodes, name, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = sp_node_read(arena, home, &root, read, err);
    sp_json_free(doc);
    *node = read;
    return status;
}
