/* SPDX-License-Identifier: Apache-2.0 */
/* The only place that writes: answers to standard output or a file, errors and warnings to standard
 * error as "shardplan: ...", and nothing at all from ranks other than 0. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static sp_exit exit_of(sp_status status)
{
    switch (status) {
    case SP_OK:
        return SP_EXIT_FOUND;
    case SP_E_USAGE:
    case SP_E_NOT_YET:
        return SP_EXIT_USAGE;
    case SP_E_MEMORY:
    case SP_E_INTERNAL:
        return SP_EXIT_FAILED;
    case SP_E_INFEASIBLE:
        return SP_EXIT_NOTHING;
    case SP_E_INTERRUPTED:
        return SP_EXIT_INTERRUPTED;
    case SP_E_IO: /* a file that the user named and that cannot be read */
    case SP_E_SYNTAX:
    case SP_E_TYPE:
    case SP_E_RANGE:
    case SP_E_MISSING_KEY:
    case SP_E_UNKNOWN_KEY:
    case SP_E_UNKNOWN_NAME:
    case SP_E_INCONSISTENT:
    case SP_E_OVERFLOW:
        return SP_EXIT_INPUT;
    }
    return SP_EXIT_FAILED;
}

/* What a data file holds and we cannot read is bad input; what is asked of us and not built is
 * usage. */
static sp_exit exit_of_error(const sp_settings *settings, const sp_error *err)
{
    const bool of_data =
        err->line > 0 && (settings->file == NULL || strcmp(err->file, settings->file) != 0);
    return err->status == SP_E_NOT_YET && of_data ? SP_EXIT_INPUT : exit_of(err->status);
}

sp_exit sp_cli_fail(const sp_context *context, const sp_error *err)
{
    sp_error located = *err;
    char text[SP_ERROR_TEXT_BYTES];
    sp_settings_locate(context->settings, &located);
    (void)sp_error_format(&located, text, sizeof text);
    if (context->speaks) (void)fprintf(stderr, "shardplan: %s\n", text);
    return exit_of_error(context->settings, err);
}

void sp_cli_warn(const sp_context *context, const char *text)
{
    if (context->speaks && !context->run.quiet) (void)fprintf(stderr, "shardplan: %s\n", text);
}

static bool write_standard(const sp_text *text)
{
    errno = 0;
    const bool written =
        text->length == 0 || fwrite(text->data, 1, text->length, stdout) == text->length;
    return fflush(stdout) == 0 && written;
}

static sp_status write_text(const sp_context *context, const sp_text *text, sp_error *err)
{
    if (text->failed) return sp_fail(err, SP_E_MEMORY, "no memory for the answer");
    const char *file = context->run.output;
    if (strcmp(file, "-") != 0) {
        return sp_file_write(file, text->length > 0 ? text->data : "", text->length, err);
    }
    if (write_standard(text)) return SP_OK;
    return sp_fail(err, SP_E_IO, "standard output: %s", strerror(errno));
}

/* Every answer that is JSON is YAML as well. */
static sp_status write_form(const sp_context *context, const sp_text *text, sp_error *err)
{
    sp_text yaml = {0};
    if (!context->run.as_yaml || text->failed) return write_text(context, text, err);
    sp_status status = sp_yaml_from_json(text->data, text->length, &yaml, err);
    if (status == SP_OK) status = write_text(context, &yaml, err);
    sp_text_fini(&yaml);
    return status;
}

sp_exit sp_cli_write(const sp_context *context, sp_text *text, sp_exit code)
{
    sp_error err = {0};
    if (context->speaks && write_form(context, text, &err) != SP_OK) {
        (void)sp_cli_fail(context, &err);
        code = SP_EXIT_FAILED;
    }
    sp_text_fini(text);
    return code;
}

sp_report_options sp_cli_options(const sp_context *context)
{
    return (sp_report_options){.color = context->run.color,
                               .verbose = context->run.verbose,
                               .by_layout = context->run.by_layout,
                               .width = 100,
                               .baseline = context->baseline,
                               .recommendation = context->recommendation,
                               .names = sp_settings_text(context->settings, SP_FLAG_names),
                               .unicode = context->run.unicode,
                               .evidence = context->evidence};
}

void sp_cli_warn_of_change(const sp_context *context, const char *fingerprint)
{
    const sp_settings *settings = context->settings;
    if (settings->fingerprint == NULL || settings->file_differs) return;
    if (strcmp(settings->fingerprint, fingerprint) == 0) return;
    sp_cli_warn(context, "the models or data behind this question have changed since its answer "
                         "was written: figures and ids differ");
}

sp_exit sp_cli_search_code(const sp_context *context, const sp_search_result *result)
{
    char text[160];
    const bool interrupted = sp_was_interrupted();
    if (result->exact && result->counts.uncovered == 0) return SP_EXIT_FOUND;
    (void)snprintf(text, sizeof text,
                   "%s with %.1f %% of the layouts searched; the answer is what was found so far",
                   interrupted ? "interrupted" : "stopped early", 100.0 * result->covered_ratio);
    sp_cli_warn(context, text);
    return interrupted ? SP_EXIT_INTERRUPTED : SP_EXIT_PARTIAL;
}
