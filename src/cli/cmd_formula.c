/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan formula eval|expand|lint FILE..`: cost formulas of modules. */
#include "cli/formula.h"

#include <string.h>

enum { EVAL, EXPAND, LINT, N_VERBS };
static const char *const verbs[N_VERBS] = {"eval", "expand", "lint"};

static sp_status find_verb(const sp_settings *settings, int *verb, sp_error *err)
{
    const char *word = settings->n_words > 0 ? settings->words[0] : NULL;
    for (*verb = 0; word != NULL && *verb < N_VERBS; ++*verb) {
        if (strcmp(word, verbs[*verb]) != 0) continue;
        if (settings->n_words > 1) return SP_OK;
        return sp_fail(err, SP_E_USAGE,
                       "name the file, for example shardplan formula %s module.json", word);
    }
    sp_fail(err, SP_E_USAGE,
            word != NULL ? "this is nothing to do with formulas"
                         : "say what to do, for example shardplan formula lint module.json");
    sp_fail_value(err, "%s", word != NULL ? word : "");
    return sp_fail_names(err, word != NULL ? word : "", verbs, N_VERBS);
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    sp_text text = {0};
    int verb = N_VERBS;
    bool broken = false;
    sp_status status = sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, &err);
    if (status == SP_OK) status = find_verb(context->settings, &verb, &err);
    if (status == SP_OK && verb == EVAL) status = sp_formula_verb_eval(context, &text, &err);
    if (status == SP_OK && verb == EXPAND) status = sp_formula_verb_expand(context, &text, &err);
    if (status == SP_OK && verb == LINT) {
        status = sp_formula_verb_lint(context, &text, &broken, &err);
    }
    if (status == SP_OK) {
        return sp_cli_write(context, &text, broken ? SP_EXIT_INPUT : SP_EXIT_FOUND);
    }
    sp_text_fini(&text);
    return sp_cli_fail(context, &err);
}

const sp_command sp_command_formula = {
    .name = "formula",
    .usage = "formula eval|expand|lint FILE.. [FLAG..]",
    .summary = "cost formulas of modules: values, expansions, what is odd in them",
    .about =
        "FILE is a module analysis, a kernel cost, a module database, a catalogue of kernels, "
        "a tree of\n"
        "layers, or a list of modules in our own schema. eval gives every formula of one file "
        "its value,\n"
        "expand follows references and sums whole classes, lint lists what cannot be used or "
        "contradicts\n"
        "itself. Numbers are exact: whole numbers of any size up to 127 bits, and fractions.\n",
    .examples =
        "  shardplan formula eval Linear.json --bind sizes.json\n"
        "  shardplan formula expand modules/*.json --bind sizes.json --class CausalLM --json\n"
        "  shardplan formula lint modules/*.json\n",
    .takes = SP_TAKES_FORMULAS | SP_TAKES_OUTPUT,
    .max_words = 4096,
    .run = run,
};
