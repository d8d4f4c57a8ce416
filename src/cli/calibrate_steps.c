/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan calibrate steps FILE`: the constants of a running step from a table of measured runs,
 * or, with --site, what a few runs of one's own cluster say about all of them. `calibrate serving
 * FILE`: those of serving engines from a table of deployments. */
#include "cli/calibrate.h"
#include "shardplan/fidelity.h"

#include <time.h>

static sp_exit calibrate_site(const sp_context *context, const char *file)
{
    sp_error err = {0};
    sp_text text = {0};
    sp_site site;
    if (sp_site_measure(context->home, file, &site, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (context->run.format == SP_FORMAT_JSON) {
        sp_site_json(&site, &text);
    } else {
        sp_site_page(&site, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

/* Of today, as figures have it. */
static void write_date(char date[16])
{
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) == NULL || strftime(date, 16, "%Y-%m-%d", &utc) == 0) date[0] = '\0';
}

static sp_exit calibrate_constants(const sp_context *context, const char *file)
{
    char date[16];
    sp_error err = {0};
    sp_text text = {0};
    sp_score *score = NULL;
    const sp_report_options options = sp_cli_options(context);
    if (sp_score_training(context->home, file, "source", &score, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    write_date(date);
    if (context->run.format == SP_FORMAT_JSON) {
        sp_steps_json(score, date, &text);
    } else {
        sp_score_page(score, &options, &text);
    }
    sp_score_free(score);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

sp_exit sp_calibrate_steps(const sp_context *context)
{
    sp_error err = {0};
    bool site = false;
    const sp_settings *settings = context->settings;
    if (settings->n_words < 2) {
        (void)sp_fail(&err, SP_E_USAGE,
                      "name the table, for example shardplan calibrate steps runs.csv");
        return sp_cli_fail(context, &err);
    }
    if (sp_settings_switch(settings, SP_FLAG_site, &site, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (!context->speaks) return SP_EXIT_FOUND;
    return site ? calibrate_site(context, settings->words[1])
                : calibrate_constants(context, settings->words[1]);
}

static void show_serving(const sp_context *context, const sp_deployed_score *score, sp_text *text)
{
    char today[16];
    const char *date = sp_settings_text(context->settings, SP_FLAG_date);
    const char *origin = sp_settings_text(context->settings, SP_FLAG_source);
    const sp_report_options options = sp_cli_options(context);
    write_date(today);
    if (context->run.format == SP_FORMAT_JSON) {
        sp_deployed_steps_json(score, origin, date != NULL ? date : today, text);
    } else {
        sp_deployed_score_page(score, &options, text);
    }
}

sp_exit sp_calibrate_serving(const sp_context *context)
{
    sp_error err = {0};
    sp_text text = {0};
    sp_deployed_score *score = NULL;
    const sp_settings *settings = context->settings;
    if (settings->n_words < 2) {
        (void)sp_fail(&err, SP_E_USAGE,
                      "name the table, for example shardplan calibrate serving deployments.csv");
        return sp_cli_fail(context, &err);
    }
    if (!context->speaks) return SP_EXIT_FOUND;
    const sp_deployed_request request = {
        .home = context->home, .file = settings->words[1], .cross = "model"};
    if (sp_score_serving(&request, &score, &err) != SP_OK) return sp_cli_fail(context, &err);
    show_serving(context, score, &text);
    sp_deployed_score_free(score);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}
