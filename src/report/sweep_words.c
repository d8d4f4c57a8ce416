/* SPDX-License-Identifier: Apache-2.0 */
/* Words and JSON that all forms of sweeps share. */
#include "report/sweep_words.h"

void sp_chip_words(const sp_chip *chip, struct sp_text *out)
{
    sp_text_printf(out, "%sFLOP/s, %sB/s, %sB, ", sp_word_si(chip->flops_per_s).text,
                   sp_word_si(chip->bytes_per_s).text, sp_word_si(chip->capacity_bytes).text);
    sp_text_printf(out, "%s W, %s", sp_word_number(chip->tdp_watts).text,
                   sp_word_usd(chip->price_usd).text);
}

void sp_economics_words(const sp_economics *money, struct sp_text *out)
{
    sp_text_printf(out, "%.4g years at %s, PUE %.4g, ", money->lifetime_years,
                   sp_word_percent(money->utilization_ratio).text, money->pue);
    sp_text_printf(out, "%s/kWh, %.4g g CO2e/kWh, %.4g kg CO2e to make each",
                   sp_word_usd(money->usd_per_kwh).text, money->grid_g_per_kwh, money->embodied_kg);
}

void sp_wrap_line(struct sp_text *line, struct sp_text *out)
{
    sp_text_wrap(out, line->length > 0 ? line->data : "", 100, 0);
    out->failed = out->failed || line->failed;
    sp_text_fini(line);
    *line = (struct sp_text){0};
}

void sp_answer_head(const sp_analysis_question *question, struct sp_text *out)
{
    struct sp_text line = {0};
    sp_analysis_words(question, &line);
    sp_wrap_line(&line, out);
}

void sp_json_put_chip(sp_json_writer *w, const char *key, const sp_chip *chip)
{
    sp_jw_open_object(w, key);
    sp_jw_double(w, "flops_per_s", chip->flops_per_s);
    sp_jw_double(w, "bytes_per_s", chip->bytes_per_s);
    sp_jw_double(w, "capacity_bytes", chip->capacity_bytes);
    sp_jw_double(w, "tdp_watts", chip->tdp_watts);
    sp_jw_double(w, "price_usd", chip->price_usd);
    sp_jw_close_object(w);
}

void sp_json_put_economics(sp_json_writer *w, const sp_economics *money)
{
    sp_jw_open_object(w, "economics");
    sp_jw_double(w, "lifetime_years", money->lifetime_years);
    sp_jw_double(w, "utilization_ratio", money->utilization_ratio);
    sp_jw_double(w, "pue", money->pue);
    sp_jw_double(w, "usd_per_kwh", money->usd_per_kwh);
    sp_jw_double(w, "grid_g_per_kwh", money->grid_g_per_kwh);
    sp_jw_double(w, "embodied_kg", money->embodied_kg);
    sp_jw_double(w, "compute_power_ratio", money->compute_power_ratio);
    sp_jw_close_object(w);
}

void sp_json_open_answer(sp_json_writer *w, const char *schema,
                         const sp_analysis_question *question)
{
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "schema", schema);
    sp_json_put_version(w);
    sp_jw_open_object(w, "question");
    sp_jw_string(w, "model", question->model->name);
    sp_jw_string(w, "hardware", question->gpu->name);
    sp_jw_u64(w, "batch", question->batch);
    sp_jw_u64(w, "isl", question->prompt_tokens);
    sp_jw_u64(w, "osl", question->generated_tokens);
    sp_jw_string(w, "compute", sp_dtype_name(question->compute));
    sp_jw_close_object(w);
}
