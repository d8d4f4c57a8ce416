/* SPDX-License-Identifier: Apache-2.0 */
/* The list "rules" of an engine's file, of training and of serving: each an id, expressions over a
 * plan's axes, the versions that it holds for, and where that is said. A rule of another version is
 * checked all the same, and then left out. */
#include "spec/spec.h"

#include <string.h>

/* ---- one rule ---- */

static sp_status read_text(const sp_json *object, const char *key, const char **out, sp_error *err)
{
    SP_TRY(sp_json_string(object, key, out, err));
    if ((*out)[0] != '\0') return SP_OK;
    const sp_json value = sp_json_get(object, key);
    return sp_json_fail(&value, err, SP_E_RANGE, "must not be empty");
}

sp_status sp_rule_fail_expression(const sp_json *value, sp_error *err)
{
    const sp_error found = *err;
    sp_json_fail(value, err, found.status, "%s", found.message);
    memcpy(err->range, found.range, sizeof err->range);
    memcpy(err->nearest, found.nearest, sizeof err->nearest);
    return err->status;
}

static sp_status read_expression(const sp_rule_reader *reader, const sp_json *rule, const char *key,
                                 const char **text, const struct sp_expr **out, sp_error *err)
{
    const char *written = NULL;
    sp_expr *expr = NULL;
    SP_TRY(read_text(rule, key, &written, err));
    if (sp_expr_parse(reader->arena, written, reader->resolve, reader->user, &expr, err) != SP_OK) {
        const sp_json value = sp_json_get(rule, key);
        return sp_rule_fail_expression(&value, err);
    }
    *text = sp_expr_text(expr);
    *out = expr;
    return SP_OK;
}

static sp_status read_versions(const sp_rule_reader *reader, const sp_json *rule, const char **kept,
                               bool *holds, sp_error *err)
{
    const char *versions = NULL;
    SP_TRY(sp_json_string_or(rule, "versions", "*", &versions, err));
    SP_TRY(sp_engine_check_selector(rule, versions, err));
    *holds = sp_version_select(versions, reader->version) == SP_VERSION_IN;
    return sp_text_keep(reader->arena, versions, kept, err);
}

static sp_status read_rule(const sp_rule_reader *reader, const sp_json *value, sp_engine_rule *rule,
                           bool *holds, sp_error *err)
{
    static const char *const keys[] = {"id", "when", "require", "versions", "source"};
    const char *id = NULL, *source = NULL;
    SP_TRY(sp_json_only(value, keys, sizeof keys / sizeof keys[0], err));
    SP_TRY(read_text(value, "id", &id, err));
    SP_TRY(read_text(value, "source", &source, err));
    if (sp_json_has(value, "when")) {
        SP_TRY(read_expression(reader, value, "when", &rule->when_text, &rule->when, err));
    }
    SP_TRY(read_expression(reader, value, "require", &rule->require_text, &rule->require, err));
    SP_TRY(read_versions(reader, value, &rule->versions, holds, err));
    SP_TRY(sp_text_keep(reader->arena, id, &rule->id, err));
    return sp_text_keep(reader->arena, source, &rule->source, err);
}

/* ---- all rules ---- */

/* The idx-th rule must not carry the id of an earlier one. */
static sp_status check_id(const sp_json *list, size_t idx, const char *id, sp_error *err)
{
    for (size_t i = 0; i < idx; i++) {
        const sp_json earlier = sp_json_at(list, i), rule = sp_json_at(list, idx);
        const char *other = NULL;
        SP_TRY(sp_json_string(&earlier, "id", &other, err));
        if (strcmp(other, id) != 0) continue;
        const sp_json value = sp_json_get(&rule, "id");
        return sp_json_fail(&value, err, SP_E_INCONSISTENT, "two rules have this id");
    }
    return SP_OK;
}

sp_status sp_rules_read(const sp_rule_reader *reader, const sp_json *root,
                        const sp_engine_rule **rules, uint32_t *n_rules, sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_array(root, "rules", &list, err));
    const size_t n_listed = sp_json_size(&list);
    sp_engine_rule *kept = sp_arena_alloc(reader->arena, (n_listed + 1) * sizeof *kept);
    if (kept == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    *rules = kept;
    *n_rules = 0;
    for (size_t i = 0; i < n_listed; i++) {
        const sp_json value = sp_json_at(&list, i);
        sp_engine_rule rule = {0};
        bool holds = false;
        SP_TRY(read_rule(reader, &value, &rule, &holds, err));
        SP_TRY(check_id(&list, i, rule.id, err));
        if (holds) kept[(*n_rules)++] = rule;
    }
    return SP_OK;
}
