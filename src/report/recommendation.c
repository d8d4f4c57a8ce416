/* SPDX-License-Identifier: Apache-2.0 */
/* The number that `recommend` found, at the head of the answer behind it. */
#include "report/report_priv.h"

void sp_page_put_recommendation(const sp_report_options *options, struct sp_text *out)
{
    const sp_recommendation *r = options->recommendation;
    if (r == NULL) return;
    sp_tone_add(out, options->color, SP_TONE_GOOD, r->sentence);
    sp_text_add(out, "\n\n");
}

void sp_json_put_recommendation(sp_json_writer *w, const sp_report_options *options)
{
    const sp_recommendation *r = options->recommendation;
    if (r == NULL) return;
    sp_jw_open_object(w, "recommendation");
    sp_jw_string(w, "find", r->find);
    sp_jw_string(w, "sentence", r->sentence);
    if (r->gpus > 0) sp_jw_u64(w, "gpus", r->gpus);
    if (r->rate > 0.0) sp_jw_double(w, "rate", r->rate);
    if (r->usd_per_million_tokens > 0.0) {
        sp_jw_double(w, "usd_per_million_tokens", r->usd_per_million_tokens);
    }
    sp_jw_close_object(w);
}
