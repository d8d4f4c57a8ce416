/* SPDX-License-Identifier: Apache-2.0 */
/* The score of surfaces as a table by part, operator and format, and as "shardplan/score/1". */
#include "fidelity/ops_score_priv.h"
#include "fidelity/params.h"

#include <stdio.h>

static void name_group(const sp_ops_score *score, const sp_ops_group *g, char name[160])
{
    const sp_ops_part *part = &score->parts[g->part_idx];
    (void)snprintf(name, 160, "%s/%s/%s%s%s", part->gpu->name, sp_surface_form_of(g->op)->name,
                   g->dtype, g->kv_dtype[0] != '\0' ? "/" : "", g->kv_dtype);
}

static void add_loans(const sp_ops_score *score, sp_text *out)
{
    for (uint32_t i = 0; i < score->n_parts; i++) {
        const sp_ops_part *part = &score->parts[i];
        if (part->surfaces->n > 0 && part->surfaces->list[0].borrowed) {
            sp_text_printf(out, "%s was not measured: surfaces of %s\n", part->gpu->name,
                           part->surfaces->from);
        }
    }
}

void sp_ops_score_page(const sp_ops_score *score, sp_text *out)
{
    sp_text_printf(out, "%u rows, %u predicted\n", score->n_rows, score->n_points);
    for (uint32_t r = 0; r < SP_N_OPS_REASONS; r++) {
        if (score->skipped[r] > 0) {
            sp_text_printf(out, "  %u  %s\n", score->skipped[r],
                           sp_ops_reason_words((sp_ops_reason)r));
        }
    }
    add_loans(score, out);
    sp_text_printf(out, "\n%-58s %7s %7s %7s %7s %8s %8s\n", "part/operator/format", "rows",
                   "median", "p90", "bias", "in 80 %", "outside");
    for (uint32_t i = 0; i < score->n_groups; i++) {
        const sp_ops_group *g = &score->groups[i];
        char name[160];
        name_group(score, g, name);
        sp_text_printf(out, "%-58s %7u %5.1f %% %5.1f %% %+5.1f %% %6.1f %% %8u\n", name,
                       g->latency.n, 100.0 * g->latency.median_ape, 100.0 * g->latency.p90_ape,
                       100.0 * g->latency.bias, 100.0 * g->latency.interval_coverage, g->n_outside);
    }
    if (score->n_groups == 0) return;
    sp_text_printf(out, "%-58s %7u %5.1f %% %5.1f %% %+5.1f %% %6.1f %%\n", "mean over these",
                   score->overall.n, 100.0 * score->overall.median_ape,
                   100.0 * score->overall.p90_ape, 100.0 * score->overall.bias,
                   100.0 * score->overall.interval_coverage);
    sp_text_add(out,
                "\nThe surfaces were fitted to their own tables: what they are worth on shapes "
                "left out of the\nfit is printed by `shardplan calibrate ops` and kept in the "
                "files. outside: shapes beyond\nthose that were measured.\n");
}

static void put_points(sp_json_writer *w, const sp_ops_score *score)
{
    sp_jw_open_array(w, "points");
    for (uint32_t i = 0; i < score->n_points; i++) {
        const sp_ops_point *p = &score->points[i];
        char id[512];
        (void)snprintf(id, sizeof id, "%s:%d", score->files[p->file_idx], p->line);
        sp_jw_open_object_compact(w, NULL);
        sp_jw_string(w, "id", id);
        sp_jw_open_object(w, "predicted");
        sp_jw_double(w, "latency", p->pair.predicted);
        sp_jw_double(w, "low", p->pair.low);
        sp_jw_double(w, "high", p->pair.high);
        sp_jw_close_object(w);
        sp_jw_open_object(w, "measured");
        sp_jw_double(w, "latency", p->pair.measured);
        sp_jw_close_object(w);
        sp_jw_close_object(w);
    }
    sp_jw_close_array(w);
}

static void put_groups(sp_json_writer *w, const sp_ops_score *score)
{
    sp_jw_open_object(w, "by_source");
    for (uint32_t i = 0; i < score->n_groups; i++) {
        char name[160];
        name_group(score, &score->groups[i], name);
        sp_jw_open_object(w, name);
        sp_put_metric(w, "latency", &score->groups[i].latency);
        sp_jw_u64(w, "outside", score->groups[i].n_outside);
        sp_jw_close_object(w);
    }
    sp_jw_close_object(w);
}

static void put_fitted_on(sp_json_writer *w, const sp_ops_score *score)
{
    sp_jw_open_array(w, "fitted_on");
    for (uint32_t i = 0; i < score->n_parts; i++) {
        const sp_ops_part *part = &score->parts[i];
        char text[512];
        (void)snprintf(text, sizeof text, "%s: %s (%s)", part->surfaces->from,
                       part->surfaces->source, part->surfaces->date);
        sp_jw_string(w, NULL, text);
    }
    sp_jw_close_array(w);
}

void sp_ops_score_json(const sp_ops_score *score, bool with_points, sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/score/1");
    sp_jw_string(&w, "kind", "ops");
    sp_jw_u64(&w, "rows", score->n_rows);
    sp_jw_u64(&w, "scored", score->n_points);
    sp_jw_double(&w, "coverage_ratio",
                 score->n_rows > 0 ? (double)score->n_points / score->n_rows : 0.0);
    sp_jw_open_object(&w, "skipped");
    for (uint32_t r = 0; r < SP_N_OPS_REASONS; r++) {
        if (score->skipped[r] > 0) {
            sp_jw_u64(&w, sp_ops_reason_words((sp_ops_reason)r), score->skipped[r]);
        }
    }
    sp_jw_close_object(&w);
    put_fitted_on(&w, score);
    sp_jw_string(&w, "fold", "none");
    sp_jw_open_object(&w, "overall");
    sp_put_metric(&w, "latency", &score->overall);
    sp_jw_close_object(&w);
    put_groups(&w, score);
    if (with_points) put_points(&w, score);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
