/* SPDX-License-Identifier: Apache-2.0 */
/* `estimate` of plans that serve: an id, plan text, or a file with many of both. */
#include "cli/plan_list.h"
#include "cli/serving.h"

#include <stdio.h>

typedef struct served_list {
    const sp_serving_space *space;
    sp_served_plan *plans;
    size_t n, capacity;
} served_list;

/* What the plan does not say stands where the problem has it first; of several numbers of GPUs the
 * largest is meant. */
static sp_status read_plan(const char *text, const sp_serving_space *space, sp_serving_plan *plan,
                           sp_error *err)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    const uint32_t *gpus = NULL;
    const uint32_t n_gpus = sp_serving_space_values(space, SP_SERVING_AXIS_gpus, &gpus);
    if (sp_plan_is_id(text)) {
        uint64_t id = 0;
        SP_TRY(sp_plan_parse_id(text, sp_serving_space_count(space), &id, err));
        *plan = sp_serving_space_unrank(space, id);
        return SP_OK;
    }
    *plan = sp_serving_plan_default(problem);
    if (n_gpus > 0) plan->value[SP_SERVING_AXIS_gpus] = gpus[n_gpus - 1];
    return sp_serving_plan_parse(problem, text, plan, err);
}

static sp_exit show_plan(const sp_context *context, const sp_serving_space *space,
                         const sp_served_plan *served)
{
    const sp_report_options options = sp_cli_options(context);
    sp_text text = {0};
    switch (context->run.format) {
    case SP_FORMAT_JSON:
        sp_report_served_json(space, served, &text);
        break;
    case SP_FORMAT_CSV:
        sp_report_served_list_csv(space, served, 1, &text);
        break;
    case SP_FORMAT_TABLE:
    case SP_FORMAT_MD:
    case SP_N_FORMATS:
        sp_report_served_page(space, served, &options, &text);
        break;
    }
    const bool refused = served->rule != UINT32_MAX;
    return sp_cli_write(context, &text, refused ? SP_EXIT_NOTHING : SP_EXIT_FOUND);
}

static sp_exit estimate_one(const sp_context *context, const sp_serving_space *space,
                            const char *text)
{
    sp_error err = {0};
    sp_serving_plan plan;
    sp_served_plan served;
    if (read_plan(text, space, &plan, &err) != SP_OK) {
        sp_fail_file(&err, "PLAN");
        return sp_cli_fail(context, &err);
    }
    sp_serving_price(space, &plan, &served);
    sp_serving_price_run(space, &served);
    const sp_exit code = show_plan(context, space, &served);
    if (served.rule != UINT32_MAX && context->speaks) {
        const sp_rule_info *rule = sp_serving_space_rule(space, served.rule);
        (void)fprintf(stderr, "shardplan: nothing feasible: the plan is refused by rule %s: %s\n",
                      rule->name, rule->meaning);
    }
    return code;
}

/* ---- many ---- */

static sp_status add_plan(void *user, const char *text, sp_error *err)
{
    served_list *list = user;
    void *plans = list->plans;
    sp_serving_plan plan;
    SP_TRY(sp_plan_grow(&plans, list->n, &list->capacity, sizeof *list->plans, err));
    list->plans = plans;
    SP_TRY(read_plan(text, list->space, &plan, err));
    sp_serving_price(list->space, &plan, &list->plans[list->n++]);
    return SP_OK;
}

/* JSON unless another form was asked for. */
static sp_exit show_list(const sp_context *context, const served_list *list)
{
    const sp_report_options options = sp_cli_options(context);
    const bool asked = context->settings->of[SP_FLAG_format].origin != SP_FROM_DEFAULT;
    sp_text text = {0};
    if (context->run.format == SP_FORMAT_CSV) {
        sp_report_served_list_csv(list->space, list->plans, list->n, &text);
    } else if (asked && context->run.format != SP_FORMAT_JSON) {
        sp_report_served_list_table(list->space, list->plans, list->n, &options, &text);
    } else {
        sp_report_served_list_json(list->space, list->plans, list->n, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit estimate_many(const sp_context *context, const sp_serving_space *space,
                             const char *file)
{
    sp_error err = {0};
    served_list list = {.space = space};
    const sp_exit code = sp_plan_file_each(file, add_plan, &list, &err) == SP_OK
                             ? show_list(context, &list)
                             : sp_cli_fail(context, &err);
    sp_free(list.plans);
    return code;
}

sp_exit sp_serving_estimate_command(const sp_context *context, const char *plan, const char *ids)
{
    sp_serving_problem *problem = NULL;
    sp_serving_space *space = NULL;
    sp_error err = {0};
    sp_exit code = SP_EXIT_FAILED;
    sp_status status =
        sp_serving_question_build(context->settings, context->home, &problem, &space, &err);
    if (status == SP_OK) {
        status = sp_plan_check_ids(context->settings, plan, ids,
                                   sp_serving_problem_fingerprint(problem), &err);
    }
    if (status != SP_OK) {
        code = sp_cli_fail(context, &err);
    } else {
        code =
            ids != NULL ? estimate_many(context, space, ids) : estimate_one(context, space, plan);
    }
    sp_serving_space_free(space);
    sp_serving_problem_free(problem);
    return code;
}
