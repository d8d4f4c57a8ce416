/* SPDX-License-Identifier: Apache-2.0 */
/* --set and --where of serving questions. */
#include "serve/serving_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 65536u

static sp_status refuse(sp_error *err, sp_status status, const char *text, const char *message)
{
    sp_fail(err, status, "%s", message);
    sp_fail_value(err, "%s", text);
    return sp_fail_file(err, "--set");
}

/* ---- values ---- */

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static sp_status keep(sp_serving_problem *problem, uint32_t *scratch, uint32_t n,
                      sp_serving_set *set, sp_error *err)
{
    uint32_t kept = 0;
    qsort(scratch, n, sizeof *scratch, ascending);
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || scratch[i] != scratch[kept - 1]) scratch[kept++] = scratch[i];
    }
    uint32_t *values = sp_arena_alloc(&problem->arena, sizeof *values * kept);
    if (values == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the values of --set");
    memcpy(values, scratch, sizeof *values * kept);
    set->values = values;
    set->n_values = kept;
    return SP_OK;
}

static sp_status parse_item(const sp_serving_problem *problem, sp_serving_axis_id axis,
                            const char *text, char *item, uint32_t *values, uint32_t *n,
                            sp_error *err)
{
    char *dots = sp_serving_axis_describe(axis)->named ? NULL : strstr(item, "..");
    uint32_t lo = 0, hi = 0;
    if (dots != NULL) *dots = '\0';
    SP_TRY(sp_serving_parse_value(problem, axis, item, &lo, err));
    hi = lo;
    if (dots != NULL) SP_TRY(sp_serving_parse_value(problem, axis, dots + 2, &hi, err));
    if (hi < lo) return refuse(err, SP_E_RANGE, text, "a range is written LOW..HIGH, LOW <= HIGH");
    if ((uint64_t)*n + hi - lo + 1 > MAX_VALUES) {
        return refuse(err, SP_E_RANGE, text, "too many values");
    }
    for (uint32_t v = lo; v <= hi; v++) {
        values[(*n)++] = v;
    }
    return SP_OK;
}

static sp_status parse_values(const sp_serving_problem *problem, sp_serving_axis_id axis,
                              const char *text, const char *rest, uint32_t *values, uint32_t *n,
                              sp_error *err)
{
    for (;;) {
        char item[64];
        const size_t length = strcspn(rest, ",");
        if (length == 0 || length >= sizeof item) {
            return refuse(err, SP_E_SYNTAX, text, "values are written AXIS=VALUE[,VALUE..]");
        }
        memcpy(item, rest, length);
        item[length] = '\0';
        SP_TRY(parse_item(problem, axis, text, item, values, n, err));
        if (rest[length] == '\0') return SP_OK;
        rest += length + 1;
    }
}

/* The axis, and where its values begin. */
static sp_status read_axis(const char *text, sp_serving_axis_id *axis, const char **values,
                           sp_error *err)
{
    char name[64];
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name) {
        return refuse(err, SP_E_SYNTAX, text, "values are written AXIS=VALUE[,VALUE..]");
    }
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    if (sp_serving_axis_find_or_fail(name, axis, err) != SP_OK) return sp_fail_file(err, "--set");
    if (*axis == SP_SERVING_AXIS_gpus) {
        return refuse(err, SP_E_USAGE, text, "GPU counts are given with --gpus");
    }
    if (*axis == SP_SERVING_AXIS_engine) {
        return refuse(err, SP_E_USAGE, text, "engines are given with --engine");
    }
    *values = equals + 1;
    return SP_OK;
}

static sp_status check_twice(const sp_serving_problem *problem, sp_serving_axis_id axis,
                             const char *text, sp_error *err)
{
    for (uint32_t i = 0; i < problem->n_sets; i++) {
        if (problem->sets[i].axis == axis) {
            return refuse(err, SP_E_INCONSISTENT, text, "an axis is set twice");
        }
    }
    return SP_OK;
}

static sp_status load_set(sp_serving_problem *problem, const char *text, uint32_t *scratch,
                          sp_error *err)
{
    const char *values = NULL;
    uint32_t n = 0;
    sp_serving_set *set = &problem->sets[problem->n_sets];
    SP_TRY(read_axis(text, &set->axis, &values, err));
    SP_TRY(check_twice(problem, set->axis, text, err));
    const sp_status status = parse_values(problem, set->axis, text, values, scratch, &n, err);
    if (status != SP_OK) return err->file[0] == '\0' ? sp_fail_file(err, "--set") : status;
    SP_TRY(keep(problem, scratch, n, set, err));
    problem->n_sets++;
    return SP_OK;
}

sp_status sp_serving_sets_load(sp_serving_problem *problem, sp_error *err)
{
    const sp_serving_question *q = &problem->question;
    uint32_t *scratch = sp_alloc(sizeof *scratch * (MAX_VALUES + 1));
    if (scratch == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the values of --set");
    sp_status status = SP_OK;
    for (uint32_t i = 0; i < q->n_sets && status == SP_OK; i++) {
        status = load_set(problem, q->sets[i], scratch, err);
    }
    sp_free(scratch);
    return status;
}

const char *sp_serving_set_text(const sp_serving_problem *problem, sp_serving_axis_id axis)
{
    const char *name = sp_serving_axis_describe(axis)->name;
    const size_t n = strlen(name);
    for (uint32_t i = 0; i < problem->question.n_sets; i++) {
        const char *text = problem->question.sets[i];
        if (strncmp(text, name, n) == 0 && text[n] == '=') return text + n + 1;
    }
    return NULL;
}

/* ---- --where ---- */

static void list_names(const char *name, sp_error *err)
{
    const char *names[SP_N_SERVING_AXES + 128];
    size_t n = 0;
    for (sp_serving_axis_id a = 0; a < SP_N_SERVING_AXES; a++) {
        names[n++] = sp_serving_axis_describe(a)->name;
    }
    names[n++] = "replicas";
    for (uint32_t f = 0; f < sp_serving_field_count() && n < sizeof names / sizeof names[0]; f++) {
        names[n++] = sp_serving_field_describe(f)->where;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is neither an axis nor a figure of this name");
    sp_fail_value(err, "%s", name);
    sp_fail_names(err, name, names, n);
}

static int resolve(void *user, const char *name, const char *context, double *constant,
                   sp_error *err)
{
    const sp_serving_problem *problem = user;
    const sp_serving_axis_id axis = sp_serving_axis_find(name);
    if (axis != SP_N_SERVING_AXES) return (int)axis;
    if (strcmp(name, "replicas") == 0 || strcmp(name, "decode.workers") == 0) {
        return SP_SERVING_WHERE_WORKERS;
    }
    const uint32_t field = sp_serving_field_find(name);
    if (field != UINT32_MAX) return (int)(SP_SERVING_WHERE_FIELDS + field);
    const sp_serving_axis_id beside =
        context != NULL ? sp_serving_axis_find(context) : SP_N_SERVING_AXES;
    if (beside == SP_N_SERVING_AXES || !sp_serving_axis_describe(beside)->named) {
        list_names(name, err);
        return -2;
    }
    uint32_t value = 0;
    if (sp_serving_parse_value(problem, beside, name, &value, err) != SP_OK) return -2;
    *constant = value;
    return -1;
}

sp_status sp_serving_wheres_load(sp_serving_problem *problem, sp_error *err)
{
    const sp_serving_question *q = &problem->question;
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        sp_serving_where *where = &problem->wheres[i];
        sp_expr *expr = NULL;
        if (sp_expr_parse(&problem->arena, q->wheres[i], resolve, problem, &expr, err) != SP_OK) {
            return sp_fail_file(err, "--where");
        }
        const int *variables = NULL;
        const size_t n = sp_expr_variables(expr, &variables);
        where->expr = expr;
        where->reads_results = n > 0 && variables[n - 1] >= SP_SERVING_WHERE_FIELDS;
        problem->n_wheres++;
    }
    return SP_OK;
}
