/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan calibrate WHAT FILE`: constants from measurements. */
#include "cli/calibrate.h"
#include "cli/ops.h"

#include <string.h>

/* What can be calibrated. */
static const struct part {
    const char *name;
    sp_exit (*run)(const sp_context *context);
    int max_words; /* its name, and files */
} parts[] = {
    {"ops",     sp_cli_calibrate_ops, SP_OPS_MAX_WORDS},
    {"steps",   sp_calibrate_steps,   2               },
    {"serving", sp_calibrate_serving, 2               },
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

static sp_status check_count(const sp_settings *settings, const struct part *part, sp_error *err)
{
    if (settings->n_words <= part->max_words) return SP_OK;
    (void)sp_fail(err, SP_E_USAGE, "one word too many: name one table");
    return sp_fail_value(err, "%s", settings->words[part->max_words]);
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    const struct part *part = NULL;
    const sp_settings *settings = context->settings;
    const char *word = settings->n_words > 0 ? settings->words[0] : NULL;
    sp_status status = sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, &err);
    if (status == SP_OK) status = find_part(word, &part, &err);
    const char *log = sp_settings_text(settings, SP_FLAG_log);
    const bool runs = status == SP_OK && log != NULL && part->run == sp_calibrate_steps;
    if (runs && settings->n_words > 1) return sp_cli_write_runs(context, log);
    if (status == SP_OK) status = check_count(settings, part, &err);
    return status == SP_OK ? part->run(context) : sp_cli_fail(context, &err);
}

const sp_command sp_command_calibrate = {
    .name = "calibrate",
    .usage = "calibrate ops|steps|serving FILE.. [FLAG..]",
    .summary = "fits constants to measurements",
    .about =
        "ops: FILEs are CSV tables of measured kernel calls, plain or packed (.csv.gz), one "
        "kind of operator\n"
        "a table, which its name says (gemm.csv, attention_context.csv.gz) or --op. Every "
        "kernel with enough\n"
        "rows gets a surface of at most eight numbers; what is printed is its error on whole "
        "shapes that were\n"
        "left out of the fit. -o writes the accelerator's file with the surfaces, --in-place "
        "puts it where it\n"
        "was read from.\n"
        "steps: FILE is a CSV table of measured training runs, as `validate training` takes. "
        "The constants\n"
        "of a running step that configs/validation/fit-training.json lists are fitted without "
        "each source in\n"
        "turn; the medians are written, in JSON as figures that configs/engines takes.\n"
        "serving: FILE is a CSV table of measured deployments, as `validate serving` takes. The "
        "constants of\n"
        "their engines that configs/validation/fit-serving.json lists are fitted without each "
        "model in turn.\n"
        "steps --site: FILE has runs of one cluster, three to ten will do. How much longer "
        "its steps take\n"
        "than estimated is said with an interval, and checked on each run without it.\n"
        "steps --log megatron|torchtitan: FILEs are logs, which are written as such a table; fill "
        "in what a\n"
        "log does not say, at least nvlink_domain.\n",
    .examples = "  shardplan calibrate ops gemm.csv moe.csv.gz --gpu h100-sxm\n"
                "  shardplan calibrate ops *.csv --gpu my-part.json -o calibrated.json \\\n"
                "      --source 'our cluster, CUDA 13.0' --date 2026-11-21\n"
                "  shardplan calibrate steps runs.csv --json -o steps.json\n"
                "  shardplan calibrate serving deployments.csv --json -o serving.json\n"
                "  shardplan calibrate steps --site our-runs.csv\n"
                "  shardplan calibrate steps --log megatron a.log b.log --gpu H100 -o runs.csv\n"
                "  shardplan calibrate ops --log nccl-tests all_reduce.txt --gpu h100-sxm\n",
    .takes = SP_TAKES_OUTPUT | SP_TAKES_CALIBRATE,
    .max_words = SP_OPS_MAX_WORDS,
    .run = run,
};
