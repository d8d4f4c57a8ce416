/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a GPU that serves as "shardplan/memory/1" and as CSV. */
#include "report/report_priv.h"

static void put_question(sp_json_writer *w, const sp_footprint_question *q)
{
    sp_jw_open_object(w, "question");
    sp_jw_string(w, "task", "inference");
    sp_jw_string(w, "model", q->model->name);
    sp_jw_string(w, "hardware", q->gpu->name);
    sp_jw_string(w, "engine", q->server.name);
    sp_jw_u64(w, "batch", q->batch);
    sp_jw_u64(w, "isl", q->isl);
    sp_jw_u64(w, "osl", q->osl);
    sp_jw_u64(w, "gpus", (uint64_t)q->tp * q->pp * q->dp);
    sp_jw_u64(w, "tp", q->tp);
    sp_jw_u64(w, "pp", q->pp);
    sp_jw_u64(w, "dp", q->dp);
    sp_jw_u64(w, "nodes", q->nodes);
    sp_jw_u64(w, "ep", q->ep);
    sp_jw_string(w, "kv", q->server.kv_formats[q->server.kv].name);
    sp_jw_double(w, "headroom_ratio", q->headroom_ratio);
    sp_jw_double(w, "reserve_bytes", q->reserve_bytes);
    sp_jw_close_object(w);
}

static void put_phases(sp_json_writer *w, const sp_footprint *f)
{
    sp_jw_open_object(w, "phases");
    for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
        sp_jw_open_object(w, sp_serving_phase_name(phase));
        sp_jw_double(w, "total_bytes", f->total[phase]);
        sp_jw_open_object(w, "bytes");
        for (sp_memory_part part = 0; part < SP_N_MEMORY_PARTS; part++) {
            sp_jw_double(w, sp_memory_part_name(part), f->bytes[phase][part]);
        }
        sp_jw_close_object(w);
        sp_jw_close_object(w);
    }
    sp_jw_close_object(w);
}

static void put_cache(sp_json_writer *w, const sp_footprint_question *q, const sp_footprint *f)
{
    sp_jw_open_object(w, "cache");
    sp_jw_double(w, "pool_bytes", f->pool);
    sp_jw_double(w, "needed_bytes", f->needed);
    sp_jw_double(w, "request_bytes", f->request);
    sp_jw_double(w, "token_bytes", f->token);
    sp_jw_double(w, "tokens", f->tokens);
    sp_jw_double(w, "blocks", f->blocks);
    sp_jw_double(w, "block_tokens", q->server.block_tokens);
    sp_jw_double(w, "concurrency", f->concurrency);
    sp_jw_string(w, "fraction_of", sp_pool_base_name(q->server.base));
    sp_jw_string(w, "fraction_flag", q->server.fraction_flag);
    sp_jw_double(w, "fraction", f->fraction);
    sp_jw_double(w, "fraction_needed", f->fraction_needed);
    sp_jw_close_object(w);
}

static void put_peak(sp_json_writer *w, const sp_footprint *f)
{
    sp_jw_open_object(w, "memory_bytes");
    sp_jw_double(w, "weights", f->weights);
    sp_jw_double(w, "peak", f->peak);
    sp_jw_double(w, "low", f->low);
    sp_jw_double(w, "high", f->high);
    sp_jw_double(w, "usable", f->usable);
    sp_jw_double(w, "host", f->host);
    sp_jw_close_object(w);
    sp_jw_string(w, "peak_phase", sp_serving_phase_name(f->peak_phase));
    sp_jw_u64(w, "worst_stage", f->stage);
    sp_jw_double(w, "out_of_memory_probability", f->p_oom);
    sp_jw_string(w, "verdict", sp_footprint_verdict_name(f->verdict));
}

void sp_report_footprint_json(const sp_footprint_question *q, const sp_footprint *f,
                              const char *found, struct sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/memory/1");
    sp_json_put_version(&w);
    put_question(&w, q);
    sp_jw_string(&w, "found", found);
    put_peak(&w, f);
    put_phases(&w, f);
    put_cache(&w, q, f);
    sp_json_put_assumptions(&w, q->model);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

void sp_report_footprint_csv(const sp_footprint *f, struct sp_text *out)
{
    sp_text_add(out, "phase,part,bytes\n");
    for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
        for (sp_memory_part part = 0; part < SP_N_MEMORY_PARTS; part++) {
            sp_text_printf(out, "%s,%s", sp_serving_phase_name(phase), sp_memory_part_name(part));
            sp_csv_add_number(out, f->bytes[phase][part]);
            sp_text_add(out, "\n");
        }
    }
}
