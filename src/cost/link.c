/* SPDX-License-Identifier: Apache-2.0 */
/* Which network levels a group of ranks spans. Ranks are numbered so that neighbours share the
 * lowest levels; a group is n ranks a fixed stride apart, or runs of such. Leaves out: traffic of
 * other groups on the same link, other than through the levels' oversubscription. */
#include "cost/cost.h"

#include <assert.h>
#include <math.h>

static bool alike(const sp_fabric_level *a, const sp_fabric_level *b)
{
    return a->s_per_byte == b->s_per_byte && a->half_bytes == b->half_bytes &&
           a->latency_s == b->latency_s && a->base_s == b->base_s;
}

/* Levels of one speed are one: an NVLink domain of several servers is no slower between them. */
void sp_fabric_build(const sp_cluster *cluster, sp_fabric *fabric)
{
    *fabric = (sp_fabric){.node_gpus = cluster->node_gpus};
    for (uint32_t i = 0; i < cluster->n_levels; i++) {
        const sp_level *l = &cluster->levels[i];
        const sp_fabric_level level = {.n_gpus = l->n_gpus,
                                       .s_per_byte = l->oversubscription /
                                                     (l->bytes_per_s * l->efficiency_ratio),
                                       .half_bytes = l->half_bytes,
                                       .latency_s = l->latency_s,
                                       .base_s = l->base_s};
        const bool merge =
            fabric->n_levels > 0 && alike(&fabric->level[fabric->n_levels - 1], &level);
        fabric->n_levels += merge ? 0 : 1;
        fabric->level[fabric->n_levels - 1] = level;
    }
}

sp_fabric sp_fabric_fit(const sp_fabric *fabric, uint32_t gpus)
{
    sp_fabric fit = *fabric;
    for (uint32_t i = 0; i + 1 < fit.n_levels; i++) {
        const uint32_t domain = fit.level[i].n_gpus;
        if (gpus < domain) {
            fit.level[i].n_gpus = gpus; /* nothing straddles a border that lies beyond all ranks */
        }
        if (domain <= fit.node_gpus || gpus <= domain || gpus % domain == 0) {
            continue;
        }
        const uint32_t n_domains = (gpus + domain - 1) / domain, share = gpus / n_domains;
        if (gpus % n_domains == 0 && share % fit.node_gpus == 0) {
            fit.level[i].n_gpus = share;
        }
    }
    return fit;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        const uint32_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Members of the worst-placed group that share a domain of `domain` GPUs. Groups repeat every
 * n stride ranks; when that does not divide the domain, some group straddles a border, and only
 * gcd(n stride, domain) consecutive ranks are sure to stay together. */
static uint32_t members_inside(uint32_t domain, uint32_t n, uint32_t stride)
{
    const uint32_t span = n * stride; /* ranks of a plan: far below 2^32 */
    if (span <= domain && domain % span == 0) {
        return n;
    }
    const uint32_t rest = span % domain;
    const uint32_t together = rest == 0 ? domain : gcd(rest, domain);
    if (together <= stride) {
        return 1;
    }
    const uint32_t inside = together / stride;
    return inside < n ? inside : n;
}

/* A level is used when members of different inner domains meet there. */
static void read_levels(const sp_fabric *fabric, sp_group *group)
{
    double base_s = 0.0;
    uint32_t n_used = 0;
    for (uint32_t i = 0; i < group->n_levels; i++) {
        const bool used = group->inside[i] > (i > 0 ? group->inside[i - 1] : 1);
        n_used += used;
        base_s = used && fabric->level[i].base_s > base_s ? fabric->level[i].base_s : base_s;
    }
    group->one_level = n_used <= 1;
    group->base_s = base_s;
}

sp_group sp_group_pair(const sp_fabric *fabric, uint32_t n_near, uint32_t stride_near,
                       uint32_t n_far, uint32_t stride_far)
{
    sp_group group = {.n = n_near * n_far, .fabric = fabric};
    assert(group.n > 0 && stride_near > 0 && stride_far > 0);
    if (group.n == 1) {
        group.n_levels = 1;
        group.inside[0] = 1;
        group.one_level = true;
        return group;
    }
    while (group.n_levels < fabric->n_levels) {
        const uint32_t i = group.n_levels++, domain = fabric->level[i].n_gpus;
        const bool last = i + 1 == fabric->n_levels;
        uint32_t inside = last ? group.n : members_inside(domain, n_near, stride_near);
        if (!last && inside == n_near && n_far > 1) {
            inside *= members_inside(domain, n_far, stride_far);
        }
        group.inside[i] = inside;
        if (inside == group.n) {
            break;
        }
    }
    read_levels(fabric, &group);
    return group;
}

sp_group sp_group_build(const sp_fabric *fabric, uint32_t n, uint32_t stride)
{
    return sp_group_pair(fabric, n, stride, 1, n * stride);
}

/* bytes / b (1 + sqrt(half / bytes)): the measured approach to full bandwidth of large messages. */
double sp_link_transfer_s(const sp_fabric_level *level, double bytes)
{
    return (bytes + sqrt(level->half_bytes * bytes)) * level->s_per_byte;
}
