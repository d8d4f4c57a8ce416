/* SPDX-License-Identifier: Apache-2.0 */
/* One network level of a node or cluster file: a link, and how many GPUs a domain of it joins. */
#include "spec/spec.h"

#include <assert.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const sp_figure_field oversubscription = {"oversubscription", SP_Q_RATIO,
                                                 offsetof(sp_level, oversubscription), 1.0, 64.0};

sp_level sp_level_of_link(const sp_link *link, uint32_t n_gpus, double ports)
{
    assert(ports > 0.0);
    return (sp_level){
        .link = link->name,
        .label = link->label,
        .n_gpus = n_gpus,
        .bytes_per_s = link->bytes_per_s * ports,
        .efficiency_ratio = link->efficiency_ratio,
        .latency_s = link->latency_s,
        .base_s = link->base_s,
        .half_bytes = link->half_bytes * ports,
        .oversubscription = 1.0,
    };
}

static sp_status read_link(const sp_level_context *context, const sp_json *value,
                           const sp_link **link, sp_error *err)
{
    const char *ref = NULL;
    if (context->network_link == NULL) {
        SP_TRY(sp_json_string(value, "link", &ref, err));
    } else {
        SP_TRY(sp_json_string_or(value, "link", context->network_link, &ref, err));
    }
    if (sp_link_find(context->arena, context->home, context->gpu, ref, link, err) == SP_OK) {
        return SP_OK;
    }
    return sp_fail_in(err, value);
}

sp_status sp_level_read(const sp_level_context *context, const sp_json *value, sp_level *out,
                        sp_error *err)
{
    static const char *const keys[] = {"label", "link", "gpus", "oversubscription"};
    const sp_link *link = NULL;
    const char *label = NULL;
    uint32_t n_gpus = 0;
    if (!sp_json_is_object(value)) {
        return sp_json_fail(value, err, SP_E_TYPE, "a level must be an object");
    }
    SP_TRY(sp_json_only(value, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(value, "label", &label, err));
    SP_TRY(sp_json_u32_or(value, "gpus", 1, SP_CLUSTER_MAX_GPUS, UINT32_MAX, &n_gpus, err));
    SP_TRY(read_link(context, value, &link, err));
    *out = sp_level_of_link(link, n_gpus, link->on_gpu ? 1.0 : context->ports_per_gpu);
    SP_TRY(sp_text_keep(context->arena, label, &out->label, err));
    return sp_json_has(value, oversubscription.key)
               ? sp_figures_read(value, &oversubscription, 1, out, err)
               : SP_OK;
}
