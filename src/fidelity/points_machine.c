/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of a row: domains of the GPU's fastest link and rails between them. Rows with the
 * same one share it. */
#include "fidelity/fidelity_priv.h"

#include <stdio.h>
#include <string.h>

sp_status sp_excuse(const sp_error *failure, sp_reason *reason, sp_error *err)
{
    const bool of_data_file = failure->line > 0;
    if (failure->status == SP_E_MEMORY || failure->status == SP_E_IO || of_data_file) {
        *err = *failure;
        return err->status;
    }
    (void)snprintf(reason->text, sizeof reason->text, "%.140s%s%.60s", failure->message,
                   failure->value[0] != '\0' ? ": " : "", failure->value);
    return SP_OK;
}

/* The cluster as a topology string: domains of the fastest link, and rails of one rate between
 * them; where the rate is blank, one port of the link a GPU. A job over several domains takes
 * equally many GPUs of each where it can: 256 GPUs on domains of 72 are 4 x 64. */
static void write_cluster(const sp_machine_ask *n, char text[256])
{
    char rate[32] = "";
    const uint32_t n_domains = (n->gpus + n->domain - 1) / n->domain;
    const bool even = n_domains > 1 && n->gpus % n_domains == 0;
    const uint32_t domain = even ? n->gpus / n_domains : n->domain;
    if (n->gbps > 0.0) (void)snprintf(rate, sizeof rate, ":%gGb", n->gbps);
    if (n_domains > 1) {
        (void)snprintf(text, 256, "%ux%.60s,%ux%.60s%s", domain, n->gpu, n_domains, n->link, rate);
    } else {
        (void)snprintf(text, 256, "%ux%.60s", domain, n->gpu);
    }
}

/* The GPU is asked for by itself: a better reason than a place in the text. */
static sp_status load(sp_arena *arena, const char *home, const char *gpu_name, sp_machine *m,
                      sp_error *err)
{
    const sp_gpu *gpu = NULL;
    sp_error failure = {0};
    sp_status status = sp_gpu_find_measured(arena, home, gpu_name, &gpu, &failure);
    if (status == SP_OK) status = sp_cluster_find(arena, home, m->text, &m->cluster, &failure);
    return status == SP_OK ? SP_OK : sp_excuse(&failure, &m->reason, err);
}

sp_status sp_machine_find(sp_arena *arena, const char *home, sp_machine **machines,
                          const sp_machine_ask *ask, const sp_machine **found, sp_error *err)
{
    char text[256];
    write_cluster(ask, text);
    for (sp_machine *m = *machines; m != NULL; m = m->next) {
        *found = m;
        if (strcmp(m->text, text) == 0) return SP_OK;
    }
    sp_machine *m = sp_arena_alloc(arena, sizeof *m);
    if (m != NULL) m->text = sp_arena_strdup(arena, text);
    if (m == NULL || m->text == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for predictions");
    }
    m->next = *machines;
    *machines = m;
    *found = m;
    return load(arena, home, ask->gpu, m, err);
}
