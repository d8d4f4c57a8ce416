/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a space, numbered in their order of use and sorted by the depth where they decide:
 * the fixed list of prunes.def around those of the asked engines and the user's --where. */
#include "space/prune.h"

#include <assert.h>
#include <string.h>

/* clang-format off */
static const sp_prune prunes[] = {
#define SP_PRUNE(rule_class, rule_name, rule_depth, rule_meaning)                                  \
    {.info = {.name = #rule_name, .meaning = rule_meaning, .class = SP_RULE_##rule_class,          \
              .depth = SP_AXIS_##rule_depth},                                                     \
     .depth = SP_AXIS_##rule_depth, .admits = sp_prune_##rule_name},
#include "space/prunes.def"
#undef SP_PRUNE
};
/* clang-format on */

enum { N_PRUNES = sizeof prunes / sizeof prunes[0] };

static bool is_meaning(const sp_prune *prune)
{
    return prune->info.class == SP_RULE_CANONICAL || prune->info.class == SP_RULE_STRUCTURE;
}

/* ---- numbering ---- */

typedef struct builder {
    sp_space *space;
    sp_rule_info *rules;
    bool failed;
} builder;

static void *take(builder *b, size_t n, size_t bytes)
{
    void *memory = sp_arena_alloc(&b->space->arena, (n + 1) * bytes);
    b->failed |= memory == NULL;
    return memory;
}

static uint32_t add_rule(builder *b, const sp_rule_info *info)
{
    b->rules[b->space->n_rules] = *info;
    return b->space->n_rules++;
}

static const char *engine_meaning(builder *b, const sp_engine_rule *rule)
{
    const char *when = rule->when_text, *require = rule->require_text;
    const char *text =
        when == NULL ? require : sp_arena_printf(&b->space->arena, "%s where %s", require, when);
    b->failed |= text == NULL;
    return text;
}

static uint32_t add_engine_rule(builder *b, const sp_engine_rule *rule)
{
    const sp_rule_info info = {
        .name = rule->id, .meaning = engine_meaning(b, rule), .class = SP_RULE_ENGINE};
    return add_rule(b, &info);
}

static uint32_t count_rules(const sp_problem *problem)
{
    uint32_t n = N_PRUNES + problem->n_wheres;
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        n += problem->engines[e].n_rules;
    }
    return n;
}

/* ---- by depth ---- */

static sp_axis_id rule_depth(const sp_engine_rule *rule)
{
    const sp_axis_id when = rule->when != NULL ? sp_plan_expr_depth(rule->when) : SP_AXIS_gpus;
    const sp_axis_id require = sp_plan_expr_depth(rule->require);
    return when > require ? when : require;
}

/* The numbers of the rules follow the order of prunes.def. */
static void sort_meanings(builder *b, sp_axis_id depth)
{
    sp_meaning_check *list = take(b, N_PRUNES, sizeof *list);
    uint32_t n = 0, rule = 0;
    if (list == NULL) return;
    for (uint32_t i = 0; i < N_PRUNES; i++) {
        if (!is_meaning(&prunes[i])) continue;
        if (prunes[i].depth == depth) list[n++] = (sp_meaning_check){prunes[i].admits, rule};
        rule++;
    }
    b->space->depths[depth].meanings = list;
    b->space->depths[depth].n_meanings = n;
}

static void sort_engine_rules(builder *b, sp_axis_id depth, uint32_t first_rule)
{
    const sp_problem *problem = b->space->problem;
    sp_engine_check *list = take(b, count_rules(problem), sizeof *list);
    uint32_t n = 0, number = first_rule;
    if (list == NULL) return;
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        for (uint32_t r = 0; r < problem->engines[e].n_rules; r++, number++) {
            const sp_engine_rule *rule = &problem->engines[e].rules[r];
            if (rule_depth(rule) != depth) continue;
            list[n++] = (sp_engine_check){rule->when, rule->require, UINT64_C(1) << e, number};
        }
    }
    b->space->depths[depth].engine_checks = list;
    b->space->depths[depth].n_engine_checks = n;
}

static uint32_t sort_wheres(builder *b, bool results, sp_axis_id depth, uint32_t first_rule,
                            const sp_where_check **out)
{
    const sp_problem *problem = b->space->problem;
    sp_where_check *list = take(b, problem->n_wheres, sizeof *list);
    uint32_t n = 0;
    if (list == NULL) return 0;
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        const sp_where *where = &problem->wheres[i];
        if (where->reads_results != results) continue;
        if (!results && where->deepest != depth) continue;
        list[n++] = (sp_where_check){where->expr, first_rule + i};
    }
    *out = list;
    return n;
}

static void number_rules(builder *b, uint32_t *first_engine, uint32_t *first_where)
{
    sp_space *space = b->space;
    const sp_problem *problem = space->problem;
    for (uint32_t i = 0; i < N_PRUNES; i++) {
        if (is_meaning(&prunes[i])) (void)add_rule(b, &prunes[i].info);
    }
    *first_engine = space->n_rules;
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        for (uint32_t r = 0; r < problem->engines[e].n_rules; r++) {
            (void)add_engine_rule(b, &problem->engines[e].rules[r]);
        }
    }
    *first_where = space->n_rules;
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        const sp_rule_info info = {.name = sp_expr_text(problem->wheres[i].expr),
                                   .meaning = "--where",
                                   .class = SP_RULE_WHERE};
        (void)add_rule(b, &info);
    }
    for (uint32_t i = 0; i < N_PRUNES; i++) {
        if (is_meaning(&prunes[i])) continue;
        const uint32_t rule = add_rule(b, &prunes[i].info);
        if (prunes[i].info.class == SP_RULE_MEMORY) {
            space->memory = &prunes[i];
            space->memory_rule = rule;
        } else {
            space->network_rule = rule;
        }
    }
}

sp_status sp_rules_build(sp_space *space, sp_error *err)
{
    const sp_problem *problem = space->problem;
    if (problem->n_engines > SP_MAX_ENGINES) {
        sp_fail(err, SP_E_RANGE, "too many engines at once");
        return sp_fail_range(err, "1 .. %d", SP_MAX_ENGINES);
    }
    builder b = {.space = space};
    b.rules = take(&b, count_rules(problem), sizeof *b.rules);
    if (b.failed) return sp_fail(err, SP_E_MEMORY, "no memory for the rules of the space");
    uint32_t first_engine = 0, first_where = 0;
    number_rules(&b, &first_engine, &first_where);
    space->rules = b.rules;
    space->all_engines =
        problem->n_engines == SP_MAX_ENGINES ? UINT64_MAX : (UINT64_C(1) << problem->n_engines) - 1;
    for (sp_axis_id depth = 0; depth < SP_N_AXES; depth++) {
        sp_depth *at = &space->depths[depth];
        sort_meanings(&b, depth);
        sort_engine_rules(&b, depth, first_engine);
        at->n_wheres = sort_wheres(&b, false, depth, first_where, &at->wheres);
    }
    space->n_result_wheres =
        sort_wheres(&b, true, SP_AXIS_gpus, first_where, &space->result_wheres);
    return b.failed ? sp_fail(err, SP_E_MEMORY, "no memory for the rules of the space") : SP_OK;
}

/* ---- asking ---- */

uint32_t sp_space_rule_count(const sp_space *space)
{
    return space->n_rules;
}

const sp_rule_info *sp_space_rule(const sp_space *space, uint32_t rule)
{
    assert(rule < space->n_rules);
    return &space->rules[rule];
}

static uint32_t meaning_refusal(const sp_space *space, const sp_plan *plan)
{
    for (sp_axis_id depth = 0; depth < SP_N_AXES; depth++) {
        const sp_depth *at = &space->depths[depth];
        for (uint32_t i = 0; i < at->n_meanings; i++) {
            if (!at->meanings[i].admits(space->problem, plan)) return at->meanings[i].rule;
        }
    }
    return SP_NO_RULE;
}

/* Engines and --where by depth, memory at its own. */
static uint32_t other_refusal(const sp_space *space, const sp_plan *plan)
{
    double values[SP_N_PLAN_VARS];
    uint64_t engines = space->all_engines;
    sp_plan_values(plan, values);
    for (sp_axis_id depth = 0; depth < SP_N_AXES; depth++) {
        uint32_t rule = sp_engine_refusal(space, depth, values, &engines);
        if (rule == SP_NO_RULE) rule = sp_where_refusal(space, depth, values);
        if (rule != SP_NO_RULE) return rule;
        if (depth == space->memory->depth && !space->memory->admits(space->problem, plan)) {
            return space->memory_rule;
        }
    }
    return SP_NO_RULE;
}

uint32_t sp_space_refusal(const sp_space *space, const sp_plan *plan)
{
    sp_plan derived = *plan;
    sp_plan_derive(&derived, space->problem->question.global_batch);
    uint32_t rule = meaning_refusal(space, &derived);
    if (rule == SP_NO_RULE) rule = other_refusal(space, &derived);
    if (rule != SP_NO_RULE) return rule;
    if (!sp_prune_network(space->problem, &derived)) return space->network_rule;
    return sp_result_refusal(space, &derived);
}

const sp_rule_info *sp_plan_unbuildable(const sp_problem *problem, const sp_plan *plan)
{
    for (sp_axis_id depth = 0; depth < SP_N_AXES; depth++) {
        for (uint32_t i = 0; i < N_PRUNES; i++) {
            const sp_prune *prune = &prunes[i];
            if (prune->depth != depth || prune->info.class != SP_RULE_STRUCTURE) continue;
            if (!prune->admits(problem, plan)) return &prune->info;
        }
    }
    return NULL;
}
