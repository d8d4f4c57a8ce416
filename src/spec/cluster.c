/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster is a node and the network levels above it. Finds one by name, by file or by topology
 * string, and checks that its levels nest. */
#include "shardplan/cluster.h"

#include "spec/spec.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const sp_catalogue clusters = {"cluster", "clusters", "shardplan/cluster/1"};

/* A level must hold whole domains of the one below, and more than one; only the last may be open.
 */
static sp_status check_level(const sp_json *value, const sp_cluster *cluster, uint32_t idx,
                             sp_error *err)
{
    const uint32_t n_gpus = cluster->levels[idx].n_gpus;
    const uint32_t below = idx == 0 ? 1 : cluster->levels[idx - 1].n_gpus;
    if (below == UINT32_MAX) {
        return sp_json_fail(value, err, SP_E_INCONSISTENT,
                            "no level can follow one that holds all GPUs (one without gpus)");
    }
    if (n_gpus != UINT32_MAX && (n_gpus % below != 0 || (idx > 0 && n_gpus == below))) {
        (void)sp_json_fail(value, err, SP_E_INCONSISTENT,
                           "a level must join whole domains of the level below it");
        return sp_fail_range(err, "gpus = 2, 3, ... times %u", below);
    }
    return SP_OK;
}

static sp_status take_node(const sp_json *root, const sp_node *node, sp_cluster *cluster,
                           sp_error *err)
{
    const sp_json value = sp_json_get(root, "node");
    cluster->gpu = node->gpu;
    cluster->node_gpus = node->gpus;
    sp_node_lend_host(node, cluster);
    for (uint32_t i = 0; i < node->n_levels; i++) {
        cluster->levels[i] = node->levels[i];
        cluster->n_levels = i + 1;
        SP_TRY(check_level(&value, cluster, i, err));
    }
    return SP_OK;
}

static sp_status add_levels(const sp_level_context *context, const sp_json *root,
                            sp_cluster *cluster, sp_error *err)
{
    sp_json levels;
    SP_TRY(sp_json_array(root, "levels", &levels, err));
    const size_t n = sp_json_size(&levels);
    if (n > SP_CLUSTER_MAX_LEVELS - cluster->n_levels) {
        (void)sp_json_fail(&levels, err, SP_E_RANGE, "too many levels, those of the node included");
        return sp_fail_range(err, "0 .. %u", SP_CLUSTER_MAX_LEVELS - cluster->n_levels);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json level = sp_json_at(&levels, i);
        const uint32_t idx = cluster->n_levels++;
        SP_TRY(sp_level_read(context, &level, &cluster->levels[idx], err));
        SP_TRY(check_level(&level, cluster, idx, err));
    }
    return SP_OK;
}

void sp_cluster_close(sp_cluster *cluster)
{
    assert(cluster->n_levels > 0);
    sp_level *const last = &cluster->levels[cluster->n_levels - 1];
    cluster->max_gpus = last->n_gpus;
    last->n_gpus = UINT32_MAX;
}

/* "node" is a name, or a whole node inside the cluster file. */
static sp_status read_node(sp_arena *arena, const char *home, const sp_json *root,
                           const sp_node **node, sp_error *err)
{
    const sp_json value = sp_json_get(root, "node");
    if (sp_json_is_object(&value)) {
        sp_node *const read = sp_arena_alloc(arena, sizeof *read);
        *node = read;
        return read != NULL ? sp_node_read(arena, home, &value, read, err)
                            : sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    const char *name = NULL;
    SP_TRY(sp_json_string(root, "node", &name, err));
    if (sp_node_find(arena, home, name, node, err) == SP_OK) {
        return SP_OK;
    }
    return sp_fail_in(err, root);
}

static sp_status read_words(sp_arena *arena, const sp_json *root, sp_cluster *cluster,
                            sp_error *err)
{
    const char *name = NULL;
    const char *source = NULL;
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_string(root, "source", &source, err));
    SP_TRY(sp_text_keep(arena, name, &cluster->name, err));
    return sp_text_keep(arena, source, &cluster->source, err);
}

static sp_status read_cluster(sp_arena *arena, const char *home, const sp_json *root,
                              sp_cluster *cluster, sp_error *err)
{
    static const char *const keys[] = {"schema", "name", "aliases", "node", "levels", "source"};
    const sp_node *node = NULL;
    SP_TRY(sp_json_schema(root, clusters.schema, err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(read_words(arena, root, cluster, err));
    SP_TRY(read_node(arena, home, root, &node, err));
    SP_TRY(take_node(root, node, cluster, err));
    const sp_level_context context = {
        .arena = arena,
        .home = home,
        .gpu = node->gpu,
        .network_link = node->network_link,
        .ports_per_gpu = (double)node->network_ports / node->gpus,
    };
    SP_TRY(add_levels(&context, root, cluster, err));
    sp_cluster_close(cluster);
    return SP_OK;
}

static sp_status load(const char *home, const char *ref, sp_json_doc **doc, sp_error *err)
{
    if (sp_names_file(ref)) {
        return sp_json_load_file(ref, doc, err);
    }
    if (strchr(ref, ':') != NULL) {
        (void)sp_fail(err, SP_E_NOT_YET, "pools of several kinds of GPU are not yet supported");
        return sp_fail_value(err, "%s", ref);
    }
    return sp_catalogue_load(home, &clusters, ref, doc, err);
}

sp_status sp_cluster_find(struct sp_arena *arena, const char *home, const char *ref,
                          const sp_cluster **cluster, sp_error *err)
{
    assert(home != NULL && ref != NULL);
    if (sp_topology_is_string(ref) && !sp_names_file(ref)) {
        return sp_topology_build(arena, home, ref, cluster, err);
    }
    sp_cluster *const read = sp_arena_alloc(arena, sizeof *read);
    if (read == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    sp_json_doc *doc = NULL;
    SP_TRY(load(home, ref, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_cluster(arena, home, &root, read, err);
    sp_json_free(doc);
    *cluster = read;
    return status;
}
