/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a question is about training or about serving: some commands take both. */
#include "cli/plan_list.h"

#include <assert.h>
#include <string.h>

unsigned sp_asks_takes(sp_asks asks)
{
    const unsigned both = SP_TAKES_SEARCH | SP_TAKES_RECOMMEND | SP_TAKES_OUTPUT;
    return asks == SP_ASKS_SERVE ? SP_TAKES_SERVING | both
                                 : SP_TAKES_QUESTION | SP_TAKES_BASELINE | both;
}

const char *sp_asks_name(sp_asks asks)
{
    assert(asks != SP_ASKS_UNSAID);
    return asks == SP_ASKS_SERVE ? "serve" : "train";
}

/* Only questions of this kind have the flag. */
static bool is_of(sp_flag_id flag, sp_asks asks)
{
    const unsigned train = SP_TAKES_QUESTION | SP_TAKES_BASELINE, serve = SP_TAKES_SERVING;
    const unsigned commands = sp_flag_describe(flag)->commands;
    const bool in_train = (commands & train) != 0, in_serve = (commands & serve) != 0;
    return asks == SP_ASKS_SERVE ? in_serve && !in_train : in_train && !in_serve;
}

/* A flag on the command line that only this kind has; SP_N_FLAGS where there is none. */
static sp_flag_id given_of(const sp_settings *settings, sp_asks asks)
{
    for (sp_flag_id flag = 0; flag < SP_N_FLAGS; flag++) {
        if (settings->of[flag].origin == SP_FROM_FLAG && is_of(flag, asks)) return flag;
    }
    return SP_N_FLAGS;
}

static sp_status read_command(sp_settings *settings, sp_error *err)
{
    static const char *const names[] = {"train", "serve"};
    const bool said = sp_settings_text(settings, SP_FLAG_command) != NULL;
    uint32_t choice = 0;
    SP_TRY(sp_flag_choice(settings, SP_FLAG_command, names, 2, &choice, err));
    const sp_asks asks = choice == 1 ? SP_ASKS_SERVE : SP_ASKS_TRAIN;
    if (said && settings->asks != SP_ASKS_UNSAID && settings->asks != asks) {
        sp_fail(err, SP_E_INCONSISTENT, "the file asks for %s", sp_asks_name(settings->asks));
        sp_fail_value(err, "%s", names[choice]);
        return sp_flag_blame(err->status, SP_FLAG_command, err);
    }
    if (said) settings->asks = asks;
    return SP_OK;
}

sp_status sp_asks_settle(sp_settings *settings, sp_error *err)
{
    SP_TRY(read_command(settings, err));
    if (settings->asks == SP_ASKS_UNSAID) {
        const bool serving = given_of(settings, SP_ASKS_SERVE) != SP_N_FLAGS;
        settings->asks = serving ? SP_ASKS_SERVE : SP_ASKS_TRAIN;
    }
    const sp_asks other = settings->asks == SP_ASKS_SERVE ? SP_ASKS_TRAIN : SP_ASKS_SERVE;
    const sp_flag_id flag = given_of(settings, other);
    if (flag == SP_N_FLAGS) return SP_OK;
    sp_fail(err, SP_E_USAGE, "this flag is about %s, and the question about %s",
            other == SP_ASKS_SERVE ? "serving" : "training",
            other == SP_ASKS_SERVE ? "training" : "serving");
    return sp_fail_value(err, "--%s", sp_flag_describe(flag)->name);
}

/* Flags that this kind of question does not have are not shown. */
static unsigned shown(unsigned takes, sp_asks asks)
{
    const unsigned other =
        asks == SP_ASKS_SERVE ? SP_TAKES_QUESTION | SP_TAKES_BASELINE : SP_TAKES_SERVING;
    return takes & ~other;
}

sp_exit sp_ask(const sp_context *context, const char *file, unsigned takes)
{
    sp_error err = {0};
    sp_context with_file = *context;
    sp_settings *settings = context->settings;
    sp_catch_signals();
    if (sp_plan_read_files(&with_file, file, &err) != SP_OK ||
        sp_asks_settle(settings, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (with_file.run.show_config) {
        sp_text text = {0};
        sp_show_config(settings, shown(takes, settings->asks), &text);
        return sp_cli_write(&with_file, &text, SP_EXIT_FOUND);
    }
    if (settings->recommends) return sp_recommend_answer(&with_file);
    return settings->asks == SP_ASKS_SERVE ? sp_serve_answer(&with_file)
                                           : sp_train_answer(&with_file);
}
