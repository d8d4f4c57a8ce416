/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan run JOB`: asks the question of a job file. */
#include "cli/cli.h"

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    if (context->settings->n_words == 0) {
        sp_fail(&err, SP_E_USAGE,
                "name the job file, for example shardplan run jobs/llama-3.1-70b-64xh100.json");
        return sp_cli_fail(context, &err);
    }
    return sp_ask(context, context->settings->words[0], sp_command_run.takes);
}

const sp_command sp_command_run = {
    .name = "run",
    .usage = "run JOB.json [FLAG..]",
    .summary = "asks the question of a job file",
    .about =
        "A job file holds a question: the names of flags as keys (\"seq_len\": 8192, "
        "\"where\": [..]), and\n"
        "\"schema\": \"shardplan/job/1\"; \"command\" says whether it is train (where nothing is "
        "said), serve\n"
        "or recommend. Flags replace what the file says. Files in it are found from where the "
        "command runs.\n",
    .examples = "  shardplan run jobs/llama-3.1-70b-64xh100.json\n"
                "  shardplan run jobs/serve-llama-3.1-70b-8xh100.json --slo 'ttft:p95<=2s'\n"
                "  shardplan run jobs/mixtral-8x22b-128xh100.json --gpus 64..256 --objectives "
                "tokens_per_s,gpus\n",
    .takes = SP_TAKES_QUESTION | SP_TAKES_SERVING | SP_TAKES_SEARCH | SP_TAKES_BASELINE |
             SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
