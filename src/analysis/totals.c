/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of a phase over its rows and their layers, and the row that takes longest. */
#include "analysis/analysis_priv.h"

static void add_row(sp_phase_total *total, const sp_operator *row)
{
    const double layers = row->layers;
    total->flops += layers * row->flops;
    total->weight_bytes += layers * row->weight_bytes;
    total->read_bytes += layers * row->read_bytes;
    total->write_bytes += layers * row->write_bytes;
    total->network_bytes += layers * row->network_bytes;
    total->compute_s += layers * row->compute_s;
    total->memory_s += layers * row->memory_s;
    total->network_s += layers * row->network_s;
    total->time_s += layers * row->time_s;
    total->expected_s += layers * row->expected_s;
    total->joules += layers * row->joules;
}

void sp_analysis_total(const sp_rows *rows, sp_phase phase, double tokens, sp_phase_total *total)
{
    *total = (sp_phase_total){.first = rows->n};
    double longest_s = -1.0;
    for (uint32_t i = 0; i < rows->n; i++) {
        const sp_operator *row = &rows->row[i];
        if (row->phase != phase) continue;
        if (!total->present) total->first = i;
        total->present = true;
        total->count++;
        add_row(total, row);
        if (row->layers * row->time_s > longest_s) {
            longest_s = row->layers * row->time_s;
            total->bottleneck = i;
        }
    }
    total->tokens_per_s = total->time_s > 0.0 ? tokens / total->time_s : 0.0;
}
