/* SPDX-License-Identifier: Apache-2.0 */
/* Which flags of `shardplan analyze` go together: one that would change nothing, or would hide
 * another, is refused. */
#include "cli/analyze.h"
#include "cli/analyze_sweep.h"

#include <string.h>

#define MAX_OWNERS 3

/* A flag that means something only beside one of its owners. */
static const struct companion {
    sp_flag_id flag;
    uint32_t n_owners;
    sp_flag_id owners[MAX_OWNERS];
} companions[] = {
    {SP_FLAG_view,       1, {SP_FLAG_roofline}                                 },
    {SP_FLAG_expected,   1, {SP_FLAG_roofline}                                 },
    {SP_FLAG_max_points, 1, {SP_FLAG_sweep}                                    },
    {SP_FLAG_chip_price, 1, {SP_FLAG_sensitivity}                              },
    {SP_FLAG_economics,  3, {SP_FLAG_sweep, SP_FLAG_sensitivity, SP_FLAG_draft}},
};
#define N_COMPANIONS (sizeof companions / sizeof companions[0])

/* Only what was typed is refused: a variable of the environment waits for its occasion. */
static sp_status check_companion(const sp_settings *s, const struct companion *c, sp_error *err)
{
    const char *names[MAX_OWNERS];
    if (s->of[c->flag].origin != SP_FROM_FLAG) return SP_OK;
    for (uint32_t i = 0; i < c->n_owners; i++) {
        if (sp_settings_text(s, c->owners[i]) != NULL) return SP_OK;
        names[i] = sp_flag_describe(c->owners[i])->name;
    }
    return c->n_owners == 1
               ? sp_fail(err, SP_E_USAGE, "--%s changes nothing without --%s",
                         sp_flag_describe(c->flag)->name, names[0])
               : sp_fail(err, SP_E_USAGE, "--%s changes nothing without --%s, --%s or --%s",
                         sp_flag_describe(c->flag)->name, names[0], names[1], names[2]);
}

bool sp_analyze_wants_workbook(const sp_context *context)
{
    static const char ending[] = ".xlsx";
    const char *file = context->run.output;
    const size_t length = strlen(file), tail = sizeof ending - 1;
    return length >= tail && strcmp(file + length - tail, ending) == 0;
}

static sp_status check_forms(const sp_context *context, const sp_analyzed *done, sp_error *err)
{
    const bool table = context->run.format == SP_FORMAT_TABLE;
    const bool graph = done->graph != SP_GRAPH_NONE, other = sp_cli_sweep_asked(context);
    const bool workbook = sp_analyze_wants_workbook(context);
    if (graph && other) {
        return sp_fail(err, SP_E_USAGE, "--graph is an answer of its own; leave out the others");
    }
    if (graph && !table) {
        return sp_fail(err, SP_E_USAGE,
                       "--graph json and --graph dot say the form; leave out "
                       "--format and --json");
    }
    if (workbook && (graph || other || !table)) {
        return sp_fail(err, SP_E_USAGE,
                       "a workbook holds the operators; for --format, --graph and other answers "
                       "give -o another ending than .xlsx");
    }
    /* Several accelerators have a page each, and nothing else. */
    if (done->n == 1 || (table && !graph && !other && !workbook)) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "this answer holds one accelerator; name one");
    sp_fail_value(err, "%s", sp_settings_text(context->settings, SP_FLAG_hardware));
    return sp_flag_blame(err->status, SP_FLAG_hardware, err);
}

sp_status sp_analyze_check_flags(const sp_context *context, const sp_analyzed *done, sp_error *err)
{
    const unsigned all = SP_FORM_TABLE | SP_FORM_JSON | SP_FORM_CSV;
    for (size_t i = 0; i < N_COMPANIONS; i++) {
        SP_TRY(check_companion(context->settings, &companions[i], err));
    }
    SP_TRY(sp_run_check_format(&context->run, all, err));
    return check_forms(context, done, err);
}
