/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep as "shardplan/sweep-result/1" and as CSV, one line a chip. */
#include "report/sweep_words.h"

static void put_price(sp_json_writer *w, const sp_chip_price *price)
{
    sp_jw_double(w, "prefill_s", price->prefill_s);
    sp_jw_double(w, "decode_s", price->decode_s);
    sp_jw_double(w, "last_decode_s", price->last_decode_s);
    sp_jw_double(w, "request_s", price->request_s);
    sp_jw_double(w, "tokens_per_s", price->tokens_per_s);
    sp_jw_double(w, "attained_flops_per_s", price->flops_per_s);
    sp_jw_double(w, "energy_joules", price->energy_joules);
    sp_jw_double(w, "joules_per_token", price->joules_per_token);
    sp_jw_double(w, "flops_per_joule", price->flops_per_joule);
    sp_jw_double(w, "usd_per_mtok", price->usd_per_mtok);
    sp_jw_double(w, "g_per_mtok", price->g_per_mtok);
    sp_jw_double(w, "usd_per_eflop", price->usd_per_eflop);
    sp_jw_double(w, "g_per_eflop", price->g_per_eflop);
    sp_jw_bool(w, "fits", price->fits);
}

static void put_scores(sp_json_writer *w, const sp_scores *scores)
{
    sp_jw_open_object_compact(w, "scores");
    sp_jw_double(w, "performance", scores->performance);
    sp_jw_double(w, "energy", scores->energy);
    sp_jw_double(w, "cost", scores->cost);
    sp_jw_double(w, "carbon", scores->carbon);
    sp_jw_double(w, "memory", scores->memory);
    sp_jw_double(w, "overall", scores->overall);
    sp_jw_close_object(w);
}

static void put_points(sp_json_writer *w, const sp_sweep_result *result)
{
    sp_jw_open_array(w, "points");
    for (uint64_t i = 0; i < result->n_points; i++) {
        const sp_sweep_point *point = &result->points[i];
        sp_jw_open_object(w, NULL);
        sp_jw_u64(w, "point", point->point);
        sp_json_put_chip(w, "chip", &point->chip);
        put_price(w, &point->price);
        put_scores(w, &point->scores);
        sp_jw_close_object(w);
    }
    sp_jw_close_array(w);
}

/* Indices into points. */
static void put_fronts(sp_json_writer *w, const sp_sweep_result *result)
{
    sp_jw_open_object(w, "fronts");
    for (sp_sweep_metric m = SP_SWEEP_COST; m < SP_SWEEP_N_METRICS; m++) {
        sp_jw_open_array_compact(w, sp_sweep_metric_name(m));
        for (uint32_t i = 0; i < result->n_front[m]; i++) {
            sp_jw_u64(w, NULL, result->front[m][i]);
        }
        sp_jw_close_array(w);
    }
    sp_jw_close_object(w);
    sp_jw_open_object_compact(w, "best");
    for (sp_sweep_metric m = 0; m < SP_SWEEP_N_METRICS && result->n_fitting > 0; m++) {
        sp_jw_u64(w, sp_sweep_metric_name(m), result->best[m]);
    }
    sp_jw_u64(w, "overall", result->best_overall);
    sp_jw_close_object(w);
}

void sp_report_sweep_json(const sp_analysis_question *question, const sp_sweep *sweep,
                          const sp_economics *money, const sp_sweep_result *result,
                          struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_json_open_answer(&w, "shardplan/sweep-result/1", question);
    sp_jw_string(&w, "sweep", sweep->name);
    sp_json_put_economics(&w, money);
    sp_jw_u64(&w, "n_grid", sweep->n_points);
    sp_jw_u64(&w, "n_points", result->n_points);
    sp_jw_u64(&w, "n_fitting", result->n_fitting);
    put_fronts(&w, result);
    put_points(&w, result);
    sp_jw_close_object(&w);
}

void sp_report_sweep_csv(const sp_sweep_result *result, struct sp_text *out)
{
    sp_text_add(out, "point,flops_per_s,bytes_per_s,capacity_bytes,tdp_watts,price_usd,fits,"
                     "prefill_s,decode_s,tokens_per_s,joules_per_token,usd_per_mtok,g_per_mtok,"
                     "usd_per_eflop,g_per_eflop,score\n");
    for (uint64_t i = 0; i < result->n_points; i++) {
        const sp_sweep_point *p = &result->points[i];
        const sp_chip_price *price = &p->price;
        const double before[] = {p->chip.flops_per_s, p->chip.bytes_per_s, p->chip.capacity_bytes,
                                 p->chip.tdp_watts, p->chip.price_usd};
        const double after[] = {price->prefill_s,        price->decode_s,     price->tokens_per_s,
                                price->joules_per_token, price->usd_per_mtok, price->g_per_mtok,
                                price->usd_per_eflop,    price->g_per_eflop,  p->scores.overall};
        sp_text_printf(out, "%llu", (unsigned long long)p->point);
        for (size_t k = 0; k < sizeof before / sizeof before[0]; k++) {
            sp_csv_add_number(out, before[k]);
        }
        sp_text_add(out, price->fits ? ",yes" : ",no");
        for (size_t k = 0; k < sizeof after / sizeof after[0]; k++) {
            sp_csv_add_number(out, after[k]);
        }
        sp_text_add(out, "\n");
    }
}
