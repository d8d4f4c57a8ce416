/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a space of serving plans, numbered in their order of use and sorted by the depth
 * where they decide: serving_prunes.def, the engines' own, each --where, memory, each limit. */
#include "space/serving_prune.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define AT(axis)   (UINT32_C(1) << SP_SERVING_AXIS_##axis)
#define BOTH(axis) (AT(axis) | AT(prefill_##axis))

/* clang-format off */
static const sp_serving_prune prunes[] = {
#define SP_SERVING_PRUNE(rule_class, rule_name, rule_depths, rule_meaning)                         \
    {.info = {.name = #rule_name, .meaning = rule_meaning, .class = SP_RULE_##rule_class},         \
     .depths = rule_depths, .admits = sp_serving_prune_##rule_name},
#include "space/serving_prunes.def"
#undef SP_SERVING_PRUNE
};
/* clang-format on */

enum { N_PRUNES = sizeof prunes / sizeof prunes[0] };

_Static_assert(SP_N_SERVING_AXES <= 32, "a bit for each axis");

/* ---- numbering ---- */

typedef struct builder {
    sp_serving_space *space;
    sp_rule_info *rules;
    uint32_t first_engine, first_where;
    bool failed;
} builder;

static void *take(builder *b, size_t n, size_t bytes)
{
    void *memory = sp_arena_alloc(&b->space->arena, (n + 1) * bytes);
    b->failed |= memory == NULL;
    return memory;
}

static uint32_t add_rule(builder *b, const char *name, const char *meaning, sp_rule_class class)
{
    b->rules[b->space->n_rules] = (sp_rule_info){.name = name, .meaning = meaning, .class = class};
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

static const char *limit_name(builder *b, const sp_limit *limit)
{
    char seconds[32];
    sp_format_double(limit->most_s, seconds);
    const char *text =
        sp_arena_printf(&b->space->arena, "%s:%s<=%ss", sp_latency_name(limit->latency),
                        sp_percentile_name(limit->percentile), seconds);
    b->failed |= text == NULL;
    return text;
}

static uint32_t count_rules(const sp_serving_space *space)
{
    const sp_serving_problem *problem = space->problem;
    uint32_t n = N_PRUNES + 1 + problem->n_wheres + 1 + problem->n_limits + 1;
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        n += space->problem->engines[e].rules.n_rules;
    }
    return n;
}

static void number_fixed(builder *b)
{
    for (uint32_t i = 0; i < N_PRUNES; i++) {
        (void)add_rule(b, prunes[i].info.name, prunes[i].info.meaning, prunes[i].info.class);
    }
    sp_serving_space *space = b->space;
    space->cache_rule = add_rule(b, "cache_of_engine",
                                 "the engine has no cache of this number format", SP_RULE_ENGINE);
    b->first_engine = space->n_rules;
    for (uint32_t e = 0; e < space->problem->n_engines; e++) {
        for (uint32_t r = 0; r < space->problem->engines[e].rules.n_rules; r++) {
            const sp_engine_rule *rule = &space->problem->engines[e].rules.rules[r];
            (void)add_rule(b, rule->id, engine_meaning(b, rule), SP_RULE_ENGINE);
        }
    }
}

static void number_asked(builder *b)
{
    sp_serving_space *space = b->space;
    const sp_serving_problem *problem = space->problem;
    b->first_where = space->n_rules;
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        (void)add_rule(b, sp_expr_text(problem->wheres[i].expr), "--where", SP_RULE_WHERE);
    }
    space->memory_rule = add_rule(
        b, "memory", "the fullest GPU has room for one request beside the weights", SP_RULE_MEMORY);
    space->first_limit = space->n_rules;
    for (uint32_t i = 0; i < problem->n_limits; i++) {
        (void)add_rule(b, limit_name(b, &problem->limits[i]), "--slo", SP_RULE_SLO);
    }
    space->overload_rule =
        add_rule(b, "overloaded", "the deployment takes all requests of --rate", SP_RULE_SLO);
}

/* ---- by depth ---- */

static void sort_meanings(builder *b, sp_serving_axis_id depth)
{
    sp_serving_meaning *list = take(b, N_PRUNES, sizeof *list);
    uint32_t n = 0;
    if (list == NULL) return;
    for (uint32_t i = 0; i < N_PRUNES; i++) {
        if ((prunes[i].depths >> depth & 1) != 0) {
            list[n++] = (sp_serving_meaning){prunes[i].admits, i};
        }
    }
    b->space->depths[depth].meanings = list;
    b->space->depths[depth].n_meanings = n;
}

/* The axis from which on a variable of engine rules is known, for a worker that does answers. */
static const sp_serving_axis_id known_at[SP_N_SERVING_VARS] = {
    [SP_SERVING_VAR_TP] = SP_SERVING_AXIS_tp,
    [SP_SERVING_VAR_ATTN_DP] = SP_SERVING_AXIS_attn_dp,
    [SP_SERVING_VAR_EP] = SP_SERVING_AXIS_ep,
    [SP_SERVING_VAR_MOE_TP] = SP_SERVING_AXIS_moe_tp,
    [SP_SERVING_VAR_PP] = SP_SERVING_AXIS_pp,
    [SP_SERVING_VAR_CP_PREFILL] = SP_SERVING_AXIS_cp_prefill,
    [SP_SERVING_VAR_WIDTH] = SP_SERVING_AXIS_attn_dp,
    [SP_SERVING_VAR_BATCH] = SP_SERVING_AXIS_batch,
    [SP_SERVING_VAR_CHUNK_TOKENS] = SP_SERVING_AXIS_chunk_tokens,
    [SP_SERVING_VAR_SPEC] = SP_SERVING_AXIS_spec,
    [SP_SERVING_VAR_MODE] = SP_SERVING_AXIS_mode,
    [SP_SERVING_VAR_ROLE] = SP_SERVING_AXIS_mode,
    [SP_SERVING_VAR_WEIGHT_DTYPE] = SP_SERVING_AXIS_weight_dtype,
    [SP_SERVING_VAR_KV_DTYPE] = SP_SERVING_AXIS_kv_dtype,
};

static sp_serving_axis_id axis_of(sp_serving_var var, sp_worker_role role)
{
    const sp_serving_axis_id axis = known_at[var];
    const bool twice = axis >= SP_SERVING_AXIS_tp && axis <= SP_SERVING_AXIS_pp;
    return twice && role == SP_WORKER_PREFILL
               ? (sp_serving_axis_id)(axis - SP_SERVING_AXIS_tp + SP_SERVING_AXIS_prefill_tp)
               : axis;
}

static sp_serving_axis_id deepest(const struct sp_expr *expr, sp_worker_role role)
{
    sp_serving_axis_id depth = SP_SERVING_AXIS_mode;
    const int *variables = NULL;
    const size_t n = expr != NULL ? sp_expr_variables(expr, &variables) : 0;
    for (size_t i = 0; i < n; i++) {
        const sp_serving_axis_id axis = axis_of((sp_serving_var)variables[i], role);
        if (axis > depth) depth = axis;
    }
    return depth;
}

static sp_serving_axis_id rule_depth(const sp_engine_rule *rule, sp_worker_role role)
{
    const sp_serving_axis_id when = deepest(rule->when, role);
    const sp_serving_axis_id require = deepest(rule->require, role);
    return when > require ? when : require;
}

static void sort_engine_rules(builder *b, sp_serving_axis_id depth)
{
    const sp_serving_space *space = b->space;
    sp_serving_engine_check *list =
        take(b, (size_t)count_rules(space) * SP_N_WORKER_ROLES, sizeof *list);
    uint32_t n = 0, number = b->first_engine;
    if (list == NULL) return;
    for (uint32_t e = 0; e < space->problem->n_engines; e++) {
        for (uint32_t r = 0; r < space->problem->engines[e].rules.n_rules; r++, number++) {
            const sp_engine_rule *rule = &space->problem->engines[e].rules.rules[r];
            for (int role = 0; role < SP_N_WORKER_ROLES; role++) {
                if (rule_depth(rule, (sp_worker_role)role) != depth) continue;
                list[n++] = (sp_serving_engine_check){rule, e, (sp_worker_role)role, number};
            }
        }
    }
    b->space->depths[depth].engine_checks = list;
    b->space->depths[depth].n_engine_checks = n;
}

/* The number of workers is known with the layouts of both pools. */
static sp_serving_axis_id where_depth(const struct sp_expr *expr)
{
    const int *variables = NULL;
    const size_t n = sp_expr_variables(expr, &variables);
    sp_serving_axis_id depth = SP_SERVING_AXIS_gpus;
    for (size_t i = 0; i < n; i++) {
        const sp_serving_axis_id axis = variables[i] == SP_SERVING_WHERE_WORKERS
                                            ? SP_SERVING_LAYOUT_AXIS
                                            : (sp_serving_axis_id)variables[i];
        if (axis > depth) depth = axis;
    }
    return depth;
}

static uint32_t sort_wheres(builder *b, bool results, sp_serving_axis_id depth,
                            const sp_where_check **out)
{
    const sp_serving_problem *problem = b->space->problem;
    sp_where_check *list = take(b, problem->n_wheres, sizeof *list);
    uint32_t n = 0;
    if (list == NULL) return 0;
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        const sp_serving_where *where = &problem->wheres[i];
        if (where->reads_results != results) continue;
        if (!results && where_depth(where->expr) != depth) continue;
        list[n++] = (sp_where_check){where->expr, b->first_where + i};
    }
    *out = list;
    return n;
}

sp_status sp_serving_rules_build(sp_serving_space *space, sp_error *err)
{
    builder b = {.space = space};
    b.rules = take(&b, count_rules(space), sizeof *b.rules);
    if (b.failed) return sp_fail(err, SP_E_MEMORY, "no memory for the rules of the space");
    number_fixed(&b);
    number_asked(&b);
    space->rules = b.rules;
    for (sp_serving_axis_id depth = 0; depth < SP_N_SERVING_AXES; depth++) {
        sp_serving_depth *at = &space->depths[depth];
        sort_meanings(&b, depth);
        sort_engine_rules(&b, depth);
        at->n_wheres = sort_wheres(&b, false, depth, &at->wheres);
    }
    space->n_result_wheres = sort_wheres(&b, true, SP_SERVING_AXIS_gpus, &space->result_wheres);
    return b.failed ? sp_fail(err, SP_E_MEMORY, "no memory for the rules of the space") : SP_OK;
}
