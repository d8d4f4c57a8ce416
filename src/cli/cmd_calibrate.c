/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan calibrate WHAT FILE`: constants from measurements. */
#include "cli/calibrate.h"

#include <string.h>

/* What can be calibrated. */
static const struct part {
    const char *name;
    sp_exit (*run)(const sp_context *context);
} parts[] = {
    {"steps", sp_calibrate_steps},
};
enum { N_PARTS = sizeof parts / sizeof parts[0] };

static sp_status find_part(const char *word, const struct part **part, sp_error *err)
{
    const char *names[N_PARTS];
    for (size_t i = 0; i < N_PARTS; i++) {
        names[i] = parts[i].name;
        *part = &parts[i];
        if (word != NULL && strcmp(word, names[i]) == 0) return SP_OK;
    }
    sp_fail(err, SP_E_USAGE,
            word != NULL ? "there are no such measurements"
                         : "say what was measured, for example shardplan calibrate steps runs.csv");
    sp_fail_value(err, "%s", word != NULL ? word : "");
    return word != NULL ? sp_fail_names(err, word, names, N_PARTS) : err->status;
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    const struct part *part = NULL;
    const sp_settings *settings = context->settings;
    const char *word = settings->n_words > 0 ? settings->words[0] : NULL;
    sp_status status = sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, &err);
    if (status == SP_OK) status = find_part(word, &part, &err);
    return status == SP_OK ? part->run(context) : sp_cli_fail(context, &err);
}

const sp_command sp_command_calibrate = {
    .name = "calibrate",
    .usage = "calibrate steps FILE [FLAG..]",
    .summary = "fits constants to measurements",
    .about = "steps: FILE is a CSV table of measured training runs, as `validate training` takes. "
             "The constants\n"
             "of a running step that configs/validation/fit-training.json lists are fitted without "
             "each source in\n"
             "turn; the medians are written, in JSON as figures that configs/engines takes.\n"
             "steps --site: FILE has runs of one cluster, three to ten will do. How much longer "
             "its steps take\n"
             "than estimated is said with an interval, and checked on each run without it.\n",
    .examples = "  shardplan calibrate steps runs.csv --json -o steps.json\n"
                "  shardplan calibrate steps --site our-runs.csv\n",
    .takes = SP_TAKES_OUTPUT | SP_TAKES_CALIBRATE,
    .max_words = 2,
    .run = run,
};
