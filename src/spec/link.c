/* SPDX-License-Identifier: Apache-2.0 */
/* One link of hardware/links, and which link a person means who names it beside a GPU: "nvlink" is
 * the generation that this GPU has, and a port that it does not have is refused. */
#include "spec/spec.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const sp_catalogue links = {"link", "links", "shardplan/link/1"};

static const sp_figure_field figures[] = {
    {"bandwidth",    SP_Q_BANDWIDTH, offsetof(sp_link, bytes_per_s),      1e7,  1e14},
    {"efficiency",   SP_Q_RATIO,     offsetof(sp_link, efficiency_ratio), 0.01, 1.0 },
    {"latency",      SP_Q_TIME,      offsetof(sp_link, latency_s),        0.0,  1e-2},
    {"half_message", SP_Q_MEMORY,    offsetof(sp_link, half_bytes),       0.0,  1e10},
    {"base",         SP_Q_TIME,      offsetof(sp_link, base_s),           0.0,  1e-2},
};

static sp_status read_words(sp_arena *arena, const sp_json *root, sp_link *link, sp_error *err)
{
    const char *name = NULL;
    const char *family = NULL;
    const char *label = NULL;
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_string(root, "family", &family, err));
    SP_TRY(sp_json_string(root, "label", &label, err));
    SP_TRY(sp_text_keep(arena, name, &link->name, err));
    SP_TRY(sp_text_keep(arena, family, &link->family, err));
    return sp_text_keep(arena, label, &link->label, err);
}

static sp_status read_link(sp_arena *arena, const sp_json *root, sp_link *link, sp_error *err)
{
    static const char *const keys[] = {"schema",  "name",        "aliases",   "family",
                                       "label",   "port",        "bandwidth", "efficiency",
                                       "latency", "half_message", "base"};
    static const char *const ports[] = {"gpu", "node"};
    uint32_t port = 0;
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(read_words(arena, root, link, err));
    SP_TRY(sp_json_enum(root, "port", ports, COUNT(ports), &port, err));
    link->on_gpu = port == 0;
    return sp_figures_read(root, figures, COUNT(figures), link, err);
}

static sp_status load(sp_arena *arena, const char *home, const char *ref, const sp_link **link,
                      sp_error *err)
{
    sp_link *const read = sp_arena_alloc(arena, sizeof *read);
    if (read == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    sp_json_doc *doc = NULL;
    SP_TRY(sp_catalogue_load(home, &links, ref, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_link(arena, &root, read, err);
    sp_json_free(doc);
    *link = read;
    return status;
}

/* The GPU's own link of the family `ref`; *link stays NULL when there is none. */
static sp_status find_family(sp_arena *arena, const char *home, const sp_gpu *gpu, const char *ref,
                             const sp_link **link, sp_error *err)
{
    for (uint32_t i = 0; i < gpu->n_links; i++) {
        const sp_link *own = NULL;
        SP_TRY(load(arena, home, gpu->links[i], &own, err));
        assert(own != NULL);
        if (sp_same_name(own->family, ref)) {
            *link = own;
            return SP_OK;
        }
    }
    return SP_OK;
}

static bool has_port(const sp_gpu *gpu, const sp_link *link)
{
    assert(link != NULL);
    bool has = !link->on_gpu;
    for (uint32_t i = 0; i < gpu->n_links; i++) {
        has = has || strcmp(gpu->links[i], link->name) == 0;
    }
    return has;
}

sp_status sp_link_find(struct sp_arena *arena, const char *home, const sp_gpu *gpu, const char *ref,
                       const sp_link **link, sp_error *err)
{
    const sp_link *found = NULL;
    SP_TRY(find_family(arena, home, gpu, ref, &found, err));
    if (found == NULL) {
        SP_TRY(load(arena, home, ref, &found, err));
    }
    if (!has_port(gpu, found)) {
        (void)sp_fail(err, SP_E_INCONSISTENT, "the GPU %s has no such link", gpu->name);
        (void)sp_fail_value(err, "%s", ref);
        return sp_fail_names(err, ref, gpu->links, gpu->n_links);
    }
    *link = found;
    return SP_OK;
}
