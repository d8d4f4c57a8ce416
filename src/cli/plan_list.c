/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as `estimate` takes them: an id, plan text, or a file with many of both. */
#include "cli/plan_list.h"

#include "step/step.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define MAX_FILE_BYTES ((size_t)64 << 20)
#define MAX_PLANS      1000000u

bool sp_plan_is_id(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

sp_status sp_plan_parse_id(const char *text, uint64_t count, uint64_t *id, sp_error *err)
{
    bool fits = true;
    *id = 0;
    for (const char *c = text; *c != '\0' && fits; c++) {
        fits = sp_mul_u64(*id, 10, id) && sp_add_u64(*id, (uint64_t)(*c - '0'), id) && *id < count;
    }
    if (fits) return SP_OK;
    sp_fail(err, SP_E_RANGE, "the space of this question holds no such id");
    sp_fail_value(err, "%s", text);
    return sp_fail_range(err, "0 .. %" PRIu64, count - 1);
}

static sp_status read_id(const char *text, const sp_space *space, sp_plan *plan, sp_error *err)
{
    uint64_t id = 0;
    SP_TRY(sp_plan_parse_id(text, sp_space_count(space), &id, err));
    *plan = sp_space_unrank(space, id);
    return SP_OK;
}

/* What the question fixes need not be said again: its GPUs, and axes with one value left by --set.
 */
static sp_plan plan_of_question(const sp_problem *problem)
{
    sp_plan plan = sp_plan_default();
    plan.gpus = problem->gpus_values[problem->n_gpus_values - 1];
    for (uint32_t i = 0; i < problem->n_sets; i++) {
        const sp_set *set = &problem->sets[i];
        if (set->n_values == 1) sp_plan_set(&plan, set->axis, set->values[0]);
    }
    return plan;
}

static bool names_axis(const char *text, sp_axis_id axis)
{
    const char *name = sp_axis_describe(axis)->name;
    const size_t length = strlen(name);
    for (const char *at = text; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && at[length] == '=') return true;
    }
    return false;
}

/* The rule that refuses the plan when it says the same as another plan; UINT32_MAX otherwise. */
static uint32_t canonical_refusal(const sp_space *space, const sp_plan *plan)
{
    sp_plan derived = *plan;
    sp_plan_derive(&derived, sp_space_problem(space)->question.global_batch);
    const uint32_t rule = sp_space_refusal(space, &derived);
    if (rule == UINT32_MAX) return rule;
    return sp_space_rule(space, rule)->class == SP_RULE_CANONICAL ? rule : UINT32_MAX;
}

/* Defaults that mean nothing in this plan (zero=1 at dp=1) give way to the value that counts. */
static void settle_defaults(const char *text, const sp_space *space, sp_plan *plan)
{
    uint32_t rule = canonical_refusal(space, plan);
    for (sp_axis_id axis = SP_AXIS_gpus + 1; axis < SP_N_AXES && rule != UINT32_MAX; axis++) {
        if (names_axis(text, axis)) continue;
        sp_plan settled = *plan;
        sp_plan_set(&settled, axis, sp_space_axis(space, axis)->values[0]);
        const uint32_t left = canonical_refusal(space, &settled);
        if (left == rule) continue;
        *plan = settled;
        rule = left;
    }
}

sp_status sp_plan_read(const char *text, const sp_space *space, sp_plan *plan, sp_error *err)
{
    const sp_problem *problem = sp_space_problem(space);
    if (sp_plan_is_id(text)) return read_id(text, space, plan, err);
    *plan = plan_of_question(problem);
    SP_TRY(sp_plan_parse(text, plan, err));
    const uint32_t gpus = plan->gpus, *known = problem->gpus_values;
    for (uint32_t i = 0; i < problem->n_gpus_values; i++) {
        if (known[i] != gpus) continue;
        settle_defaults(text, space, plan);
        return SP_OK;
    }
    sp_fail(err, SP_E_INCONSISTENT, "the question is about other numbers of GPUs; say --gpus %u",
            gpus);
    return sp_fail_value(err, "gpus=%u", gpus);
}

/* ---- files ---- */

typedef struct plan_file {
    const char *name;
    sp_plan_text_fn add;
    void *user;
} plan_file;

/* The place is told for the error. */
static sp_status add_line(const plan_file *f, char *line, int number, sp_error *err)
{
    char *hash = strchr(line, '#');
    if (hash != NULL) *hash = '\0';
    while (isspace((unsigned char)*line)) {
        line++;
    }
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1])) {
        line[--length] = '\0';
    }
    if (length == 0) return SP_OK;
    const sp_status status = f->add(f->user, line, err);
    if (status == SP_OK) return SP_OK;
    sp_fail_file(err, f->name);
    err->line = number;
    return status;
}

static sp_status read_lines(const plan_file *f, char *text, sp_error *err)
{
    int number = 1;
    for (char *line = text; line != NULL; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL) *end = '\0';
        SP_TRY(add_line(f, line, number, err));
        line = end != NULL ? end + 1 : NULL;
    }
    return SP_OK;
}

static sp_status read_array(const plan_file *f, const sp_json *array, sp_error *err)
{
    for (size_t i = 0; i < sp_json_size(array); i++) {
        const sp_json element = sp_json_at(array, i);
        sp_text text = {0};
        sp_json_dump(&element, &text);
        const char *string = text.length > 0 ? text.data : "";
        sp_status status = SP_OK;
        if (sp_json_is_string(&element)) status = sp_json_as_string(&element, &string, err);
        if (status == SP_OK) status = f->add(f->user, string, err);
        sp_text_fini(&text);
        if (status != SP_OK) {
            const sp_error cause = *err;
            sp_json_fail(&element, err, cause.status, "%s", cause.message);
            memcpy(err->range, cause.range, sizeof err->range);
            memcpy(err->nearest, cause.nearest, sizeof err->nearest);
            return status;
        }
    }
    return SP_OK;
}

/* A list, or {"ids": [..]}. */
static sp_status read_json(const plan_file *f, const sp_text *text, sp_error *err)
{
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_text(text->data, text->length, f->name, &doc, err));
    const sp_json root = sp_json_root(doc);
    sp_json ids = root;
    sp_status status = SP_OK;
    if (!sp_json_is_array(&root)) status = sp_json_array(&root, "ids", &ids, err);
    if (status == SP_OK) status = read_array(f, &ids, err);
    sp_json_free(doc);
    return status;
}

sp_status sp_plan_file_each(const char *file, sp_plan_text_fn add, void *user, sp_error *err)
{
    const plan_file f = {file, add, user};
    sp_text text = {0};
    sp_status status = sp_file_read(file, MAX_FILE_BYTES, &text, err);
    if (status == SP_OK && text.length > 0) {
        const char first = text.data[strspn(text.data, " \t\r\n")];
        status = first == '[' || first == '{' ? read_json(&f, &text, err)
                                              : read_lines(&f, text.data, err);
    }
    sp_text_fini(&text);
    return status;
}

sp_status sp_plan_grow(void **plans, size_t n, size_t *capacity, size_t bytes, sp_error *err)
{
    if (n < *capacity) return SP_OK;
    const size_t more = *capacity > 0 ? 2 * *capacity : 64;
    void *grown = more <= 2 * MAX_PLANS ? sp_realloc(*plans, more * bytes) : NULL;
    if (grown == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for so many plans");
    *plans = grown;
    *capacity = more;
    return SP_OK;
}

/* ---- plans of training ---- */

typedef struct reading {
    sp_plan_list *list;
    const sp_space *space;
} reading;

static sp_status add_plan(void *user, const char *text, sp_error *err)
{
    const reading *r = user;
    sp_plan_list *list = r->list;
    void *plans = list->plans;
    sp_plan plan;
    SP_TRY(sp_plan_grow(&plans, list->n, &list->capacity, sizeof *list->plans, err));
    list->plans = plans;
    SP_TRY(sp_plan_read(text, r->space, &plan, err));
    sp_price_plan(r->space, &plan, &list->plans[list->n++]);
    return SP_OK;
}

sp_status sp_plan_list_read(sp_plan_list *list, const char *file, const sp_space *space,
                            sp_error *err)
{
    reading r = {list, space};
    *list = (sp_plan_list){0};
    return sp_plan_file_each(file, add_plan, &r, err);
}

void sp_plan_list_fini(sp_plan_list *list)
{
    sp_free(list->plans);
    *list = (sp_plan_list){0};
}
