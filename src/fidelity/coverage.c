/* SPDX-License-Identifier: Apache-2.0 */
/* Why rows of a table were not predicted, and how many for each reason. */
#include "fidelity/fidelity_priv.h"

#include <stdlib.h>
#include <string.h>

static int by_frequency(const void *a, const void *b)
{
    const sp_skipped *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return strcmp(x->reason, y->reason);
}

void sp_coverage_skip(sp_coverage *coverage, const char *reason)
{
    uint32_t i = 0;
    while (i < coverage->n_reasons && strcmp(coverage->skipped[i].reason, reason) != 0) {
        i++;
    }
    if (i == coverage->n_reasons) coverage->skipped[coverage->n_reasons++].reason = reason;
    coverage->skipped[i].n++;
}

void sp_coverage_sort(sp_coverage *coverage)
{
    qsort(coverage->skipped, coverage->n_reasons, sizeof *coverage->skipped, by_frequency);
}
