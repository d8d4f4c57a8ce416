/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster typed on the command line, "8xH100/nvlink4,64xib-ndr@2"; include/shardplan/cluster.h
 * has the grammar. Leaves out what only a file can say: network ports shared by GPUs, prices,
 * labels. */
#include "spec/spec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MIN_BYTES_PER_S      1e7
#define MAX_BYTES_PER_S      1e14
#define MAX_OVERSUBSCRIPTION 64.0

typedef struct reader {
    sp_arena *arena;
    const char *home, *text, *at; /* at: the next character of text */
    sp_error *err;
} reader;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_times(char c)
{
    return c == 'x' || c == 'X';
}

bool sp_topology_is_string(const char *ref)
{
    const char *at = ref;
    while (is_digit(*at)) {
        at++;
    }
    return at > ref && is_times(*at);
}

/* Refuses the `length` characters at `start`. */
static sp_status refuse(const reader *r, sp_status status, const char *start, size_t length,
                        const char *why)
{
    (void)sp_fail(r->err, status, "column %d of the topology: %s", (int)(start - r->text) + 1, why);
    return sp_fail_value(r->err, "%.*s", (int)length, start);
}

/* Adds the column to a failure of a lookup. */
static sp_status at_column(const reader *r, const char *start)
{
    char message[sizeof r->err->message];
    (void)snprintf(message, sizeof message, "%s", r->err->message);
    (void)snprintf(r->err->message, sizeof r->err->message, "column %d of the topology: %.240s",
                   (int)(start - r->text) + 1, message);
    return r->err->status;
}

/* A plain decimal such as 12 or 1.6, at most twelve digits; *length is what it takes, 0 = none. */
static double decimal(const char *at, size_t *length)
{
    double value = 0.0;
    double unit = 1.0;
    size_t n = 0;
    for (bool fraction = false; n < 12 && (is_digit(at[n]) || (at[n] == '.' && !fraction)); n++) {
        if (at[n] == '.') {
            fraction = true;
            continue;
        }
        value = value * 10.0 + (at[n] - '0');
        unit *= fraction ? 10.0 : 1.0;
    }
    *length = n;
    return value / unit;
}

/* Reads COUNT and its x. */
static sp_status read_count(reader *r, uint32_t max, uint32_t *count)
{
    const char *const start = r->at;
    uint64_t value = 0;
    while (is_digit(*r->at)) {
        value = value > max ? value : value * 10 + (uint64_t)(*r->at - '0');
        r->at++;
    }
    if (r->at == start || !is_times(*r->at)) {
        return refuse(r, SP_E_SYNTAX, start, strcspn(start, ","),
                      "expected a count and x, as in 8xH100 or 64xib-ndr");
    }
    if (value < 1 || value > max) {
        (void)refuse(r, SP_E_RANGE, start, (size_t)(r->at - start), "count out of range");
        return sp_fail_range(r->err, "1 .. %u", max);
    }
    r->at++;
    *count = (uint32_t)value;
    return SP_OK;
}

/* Copies the name that starts here into the arena; what names (a "GPU", a "link") is for messages.
 */
static sp_status read_name(reader *r, const char *what, const char **name)
{
    const size_t length = strcspn(r->at, "/:@,");
    if (length == 0) {
        char why[64];
        (void)snprintf(why, sizeof why, "expected the name of a %s", what);
        return refuse(r, SP_E_SYNTAX, r->at, strcspn(r->at, ","), why);
    }
    *name = sp_arena_printf(r->arena, "%.*s", (int)length, r->at);
    r->at += length;
    return *name != NULL ? SP_OK : sp_fail(r->err, SP_E_MEMORY, "out of memory");
}

/* Bytes per second of one of the units of a rate; 0 = not a unit. */
static double rate_unit(const char *text, size_t length)
{
    static const struct {
        const char *name;
        double bytes_per_s;
    } units[] = {
        {"Mb", 1e6 / 8 },
        {"MB", 1e6     },
        {"Gb", 1e9 / 8 },
        {"GB", 1e9     },
        {"Tb", 1e12 / 8},
        {"TB", 1e12    }
    };
    if (length > 2 && strncmp(text + length - 2, "/s", 2) == 0) {
        length -= 2;
    }
    for (size_t i = 0; i < COUNT(units); i++) {
        if (length == 2 && strncmp(text, units[i].name, 2) == 0) {
            return units[i].bytes_per_s;
        }
    }
    return 0.0;
}

/* Reads [:RATE]. The slash of "400Gb/s" belongs to the rate: a level has no further part with one.
 */
static sp_status read_rate(reader *r, sp_level *level)
{
    if (*r->at != ':') {
        return SP_OK;
    }
    const char *const start = ++r->at;
    size_t digits = 0;
    const size_t length = strcspn(start, "@,");
    const double number = decimal(start, &digits);
    const double bytes_per_s = rate_unit(start + digits, length - digits);
    if (digits == 0 || !(bytes_per_s > 0.0)) {
        (void)refuse(r, SP_E_SYNTAX, start, length,
                     "expected a rate with its unit, b for bits or B for bytes");
        return sp_fail_range(r->err, "such as 400Gb, 1.6Tb, 50GB");
    }
    level->bytes_per_s = number * bytes_per_s;
    if (!(level->bytes_per_s >= MIN_BYTES_PER_S && level->bytes_per_s <= MAX_BYTES_PER_S)) {
        (void)refuse(r, SP_E_RANGE, start, length, "rate out of range");
        return sp_fail_range(r->err, "10MB .. 100TB per GPU");
    }
    r->at = start + length;
    return SP_OK;
}

/* Reads [@FACTOR]. */
static sp_status read_oversubscription(reader *r, sp_level *level)
{
    if (*r->at != '@') {
        return SP_OK;
    }
    const char *const start = ++r->at;
    size_t digits = 0;
    const size_t length = strcspn(start, ",");
    const double factor = decimal(start, &digits);
    if (digits != length || !(factor >= 1.0 && factor <= MAX_OVERSUBSCRIPTION)) {
        (void)refuse(r, SP_E_RANGE, start, length, "expected an oversubscription");
        return sp_fail_range(r->err, "1 .. %g", MAX_OVERSUBSCRIPTION);
    }
    level->oversubscription = factor;
    r->at = start + length;
    return SP_OK;
}

/* Reads LINK[:RATE][@OVER] into the next level; without a name (ref NULL) the link is `fallback`.
 */
static sp_status read_link(reader *r, sp_cluster *cluster, uint32_t n_gpus, const char *fallback)
{
    const char *const start = r->at;
    const char *ref = fallback;
    const sp_link *link = NULL;
    if (ref == NULL) {
        SP_TRY(read_name(r, "link", &ref));
    }
    if (sp_link_find(r->arena, r->home, cluster->gpu, ref, &link, r->err) != SP_OK) {
        return at_column(r, start);
    }
    sp_level *const level = &cluster->levels[cluster->n_levels++];
    *level = sp_level_of_link(link, n_gpus, 1.0);
    SP_TRY(read_rate(r, level));
    SP_TRY(read_oversubscription(r, level));
    if (*r->at != ',' && *r->at != '\0') {
        return refuse(r, SP_E_SYNTAX, r->at, strcspn(r->at, ","),
                      "expected a comma or the end; the order is LINK:RATE@OVERSUBSCRIPTION");
    }
    return SP_OK;
}

/* Reads COUNTxGPU[/LINK]... */
static sp_status read_node(reader *r, sp_cluster *cluster)
{
    const char *name = NULL;
    SP_TRY(read_count(r, SP_CLUSTER_MAX_NODE_GPUS, &cluster->node_gpus));
    const char *const start = r->at;
    SP_TRY(read_name(r, "GPU", &name));
    if (sp_gpu_find_measured(r->arena, r->home, name, &cluster->gpu, r->err) != SP_OK) {
        return at_column(r, start);
    }
    const bool named = *r->at == '/';
    r->at += named;
    return read_link(r, cluster, cluster->node_gpus, named ? NULL : cluster->gpu->links[0]);
}

/* Reads ,COUNTxLINK... : COUNT domains of the level below. */
static sp_status read_level(reader *r, sp_cluster *cluster)
{
    assert(*r->at == ',');
    const char *const start = ++r->at;
    const uint32_t below = cluster->levels[cluster->n_levels - 1].n_gpus;
    uint32_t count = 0;
    if (cluster->n_levels == SP_CLUSTER_MAX_LEVELS) {
        (void)refuse(r, SP_E_RANGE, start, strcspn(start, ","), "too many levels");
        return sp_fail_range(r->err, "1 .. %d", SP_CLUSTER_MAX_LEVELS);
    }
    SP_TRY(read_count(r, SP_CLUSTER_MAX_GPUS / below, &count));
    return read_link(r, cluster, below * count, NULL);
}

/* What a topology string cannot say about the host is that of the usual node of its GPU, in
 * proportion to the GPUs. */
static sp_status lend_host(const reader *r, sp_cluster *cluster)
{
    cluster->source = "as typed";
    if (cluster->gpu->typical_node[0] == '\0') {
        return SP_OK;
    }
    const sp_node *node = NULL;
    SP_TRY(sp_node_find(r->arena, r->home, cluster->gpu->typical_node, &node, r->err));
    sp_node_lend_host(node, cluster);
    cluster->source = sp_arena_printf(
        r->arena, "as typed; host memory, host link and local storage of node %s", node->name);
    return cluster->source != NULL ? SP_OK : sp_fail(r->err, SP_E_MEMORY, "out of memory");
}

sp_status sp_topology_build(struct sp_arena *arena, const char *home, const char *text,
                            const sp_cluster **cluster, sp_error *err)
{
    sp_cluster *const built = sp_arena_alloc(arena, sizeof *built);
    if (built == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    reader r = {.arena = arena, .home = home, .text = text, .at = text, .err = err};
    SP_TRY(sp_text_keep(arena, text, &built->name, err));
    SP_TRY(read_node(&r, built));
    while (*r.at != '\0') {
        SP_TRY(read_level(&r, built));
    }
    SP_TRY(lend_host(&r, built));
    sp_cluster_close(built);
    *cluster = built;
    return SP_OK;
}
