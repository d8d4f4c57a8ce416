/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and flags of a serving engine's file. */
#include "shardplan/serving_rules.h"

#include "analysis/memory_priv.h"
#include "base/base.h"
#include "spec/spec.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Text between expressions: `text`, then the value of `value` (NULL: nothing). */
typedef struct piece {
    const char *text;
    const struct sp_expr *value;
} piece;

#define MAX_PIECES 8

typedef struct sp_serving_flag {
    const struct sp_expr *when; /* NULL: always */
    uint32_t n_pieces;
    piece pieces[MAX_PIECES];
} sp_serving_flag;

/* ---- names ---- */

static const char *const variables[SP_N_SERVING_VARS] = {
    [SP_SERVING_VAR_TP] = "tp",
    [SP_SERVING_VAR_ATTN_DP] = "attn_dp",
    [SP_SERVING_VAR_EP] = "ep",
    [SP_SERVING_VAR_MOE_TP] = "moe_tp",
    [SP_SERVING_VAR_PP] = "pp",
    [SP_SERVING_VAR_CP_PREFILL] = "cp_prefill",
    [SP_SERVING_VAR_WIDTH] = "width",
    [SP_SERVING_VAR_BATCH] = "batch",
    [SP_SERVING_VAR_CHUNK_TOKENS] = "chunk_tokens",
    [SP_SERVING_VAR_SPEC] = "spec",
    [SP_SERVING_VAR_MODE] = "mode",
    [SP_SERVING_VAR_ROLE] = "role",
    [SP_SERVING_VAR_WEIGHT_DTYPE] = "weight_dtype",
    [SP_SERVING_VAR_KV_DTYPE] = "kv_dtype"};

static const char *const modes[] = {"agg", "disagg"};
static const char *const roles[SP_N_WORKER_ROLES] = {"both", "prefill", "decode"};

enum { N_FACTS = 13 };

typedef struct fact {
    const char *name;
    double value;
} fact;

/* Rules ask whether ranks divide a dimension, so it is the greatest common divisor over the kinds
 * of layers; a kind that lacks it (0) has no say. */
static void list_facts(const sp_serving_facts *asked, fact facts[N_FACTS])
{
    const sp_model *model = asked->model;
    uint64_t heads = 0, kv_heads = 0, ffn = 0, expert_ffn = 0, experts = 0;
    bool latent = false, indexed = false, recurrent = false;
    for (uint32_t i = 0; i < model->n_kinds; i++) {
        const sp_layer_kind *kind = &model->kinds[i];
        heads = sp_gcd_u64(heads, kind->attention.heads);
        heads = sp_gcd_u64(heads, kind->recurrent.heads);
        kv_heads = sp_gcd_u64(kv_heads, kind->attention.kv_heads);
        ffn = sp_gcd_u64(ffn, kind->ffn.ffn);
        expert_ffn = sp_gcd_u64(expert_ffn, kind->ffn.expert_ffn);
        experts = sp_gcd_u64(experts, kind->ffn.n_experts);
        latent |= kind->attention.kv_lora > 0;
        indexed |= kind->attention.index_heads > 0;
        recurrent |= kind->recurrent.form != SP_RECURRENCE_NONE;
    }
    const fact listed[N_FACTS] = {
        {"heads",       (double)heads                            },
        {"kv_heads",    (double)(kv_heads > 0 ? kv_heads : heads)},
        {"layers",      (double)model->n_layers                  },
        {"hidden",      (double)model->hidden                    },
        {"ffn",         (double)ffn                              },
        {"expert_ffn",  (double)expert_ffn                       },
        {"experts",     (double)experts                          },
        {"mtp_layers",  (double)model->mtp_layers                },
        {"latent",      latent ? 1.0 : 0.0                       },
        {"indexed",     indexed ? 1.0 : 0.0                      },
        {"recurrent",   recurrent ? 1.0 : 0.0                    },
        {"node_gpus",   (double)asked->cluster->node_gpus        },
        {"max_context", (double)asked->max_context               },
    };
    memcpy(facts, listed, sizeof listed);
}

typedef struct names {
    const sp_serving_facts *asked;
    fact facts[N_FACTS];
} names;

static int position_of(const char *name, const char *const *list, size_t n, double *constant,
                       sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, list[i]) != 0) continue;
        *constant = (double)i;
        return -1;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "nothing goes by the name \"%s\" here", name);
    sp_fail_names(err, name, list, n);
    return -2;
}

static int resolve(void *user, const char *name, const char *context, double *constant,
                   sp_error *err)
{
    const names *known = user;
    const sp_serving_facts *asked = known->asked;
    for (int i = 0; i < SP_N_SERVING_VARS; i++) {
        if (strcmp(variables[i], name) == 0) return i;
    }
    for (size_t i = 0; i < N_FACTS; i++) {
        if (strcmp(known->facts[i].name, name) != 0) continue;
        *constant = known->facts[i].value;
        return -1;
    }
    if (context != NULL && strcmp(context, "mode") == 0) {
        return position_of(name, modes, COUNT(modes), constant, err);
    }
    if (context != NULL && strcmp(context, "role") == 0) {
        return position_of(name, roles, COUNT(roles), constant, err);
    }
    if (context != NULL && strcmp(context, "weight_dtype") == 0) {
        return position_of(name, asked->weight_formats, asked->n_weight_formats, constant, err);
    }
    if (context != NULL && strcmp(context, "kv_dtype") == 0) {
        return position_of(name, asked->kv_formats, asked->n_kv_formats, constant, err);
    }
    return position_of(name, variables, SP_N_SERVING_VARS, constant, err);
}

/* ---- flags ---- */

static sp_status parse(const sp_rule_reader *reader, const sp_json *value, const char *text,
                       const struct sp_expr **out, sp_error *err)
{
    sp_expr *expr = NULL;
    if (sp_expr_parse(reader->arena, text, reader->resolve, reader->user, &expr, err) != SP_OK) {
        return sp_rule_fail_expression(value, err);
    }
    *out = expr;
    return SP_OK;
}

/* "--dp {attn_dp}": what stands before a brace, and the expression in it. */
static sp_status read_pieces(const sp_rule_reader *reader, const sp_json *value,
                             sp_serving_flag *flag, sp_error *err)
{
    const char *written = NULL;
    SP_TRY(sp_json_as_string(value, &written, err));
    char *rest = sp_arena_strdup(reader->arena, written);
    if (rest == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    for (flag->n_pieces = 0; rest[0] != '\0'; flag->n_pieces++) {
        if (flag->n_pieces == MAX_PIECES) {
            return sp_json_fail(value, err, SP_E_RANGE, "at most %d expressions in a flag",
                                MAX_PIECES - 1);
        }
        piece *p = &flag->pieces[flag->n_pieces];
        p->text = rest;
        char *open = strchr(rest, '{');
        char *close = open != NULL ? strchr(open, '}') : NULL;
        if (open == NULL) {
            rest += strlen(rest);
            continue;
        }
        if (close == NULL) return sp_json_fail(value, err, SP_E_SYNTAX, "a brace is not closed");
        *open = *close = '\0';
        SP_TRY(parse(reader, value, open + 1, &p->value, err));
        rest = close + 1;
    }
    return SP_OK;
}

static sp_status read_flag(const sp_rule_reader *reader, const sp_json *object,
                           sp_serving_flag *flag, sp_error *err)
{
    static const char *const keys[] = {"when", "text"};
    const char *when = NULL;
    *flag = (sp_serving_flag){0};
    SP_TRY(sp_json_only(object, keys, COUNT(keys), err));
    SP_TRY(sp_json_string_or(object, "when", NULL, &when, err));
    if (when != NULL) {
        const sp_json value = sp_json_get(object, "when");
        SP_TRY(parse(reader, &value, when, &flag->when, err));
    }
    const sp_json text = sp_json_get(object, "text");
    return read_pieces(reader, &text, flag, err);
}

static sp_status read_flags(const sp_rule_reader *reader, const sp_json *root,
                            sp_serving_rules *rules, sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_array(root, "flags", &list, err));
    const size_t n = sp_json_size(&list);
    sp_serving_flag *flags = sp_arena_alloc(reader->arena, (n + 1) * sizeof *flags);
    if (flags == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    rules->flags = flags;
    for (size_t i = 0; i < n; i++) {
        const sp_json object = sp_json_at(&list, i);
        SP_TRY(read_flag(reader, &object, &flags[i], err));
    }
    rules->n_flags = (uint32_t)n;
    return SP_OK;
}

static sp_status read_file(struct sp_arena *arena, const sp_json *root, const char *version,
                           const sp_serving_facts *facts, sp_serving_rules *rules, sp_error *err)
{
    names known = {.asked = facts};
    list_facts(facts, known.facts);
    SP_TRY(sp_json_string(root, "version", &rules->version, err));
    if (version != NULL && !sp_version_is_valid(version)) {
        sp_fail(err, SP_E_SYNTAX, "a version is numbers and dots, such as %s", rules->version);
        return sp_fail_value(err, "%s", version);
    }
    SP_TRY(sp_text_keep(arena, version != NULL ? version : rules->version, &rules->version, err));
    const sp_rule_reader reader = {
        .arena = arena, .version = rules->version, .resolve = resolve, .user = &known};
    SP_TRY(sp_rules_read(&reader, root, &rules->rules, &rules->n_rules, err));
    return read_flags(&reader, root, rules, err);
}

sp_status sp_serving_rules_load(struct sp_arena *arena, const char *home, const char *engine,
                                const char *version, const sp_serving_facts *facts,
                                sp_serving_rules *rules, sp_error *err)
{
    assert(facts != NULL && facts->model != NULL && facts->cluster != NULL);
    sp_json_doc *doc = NULL;
    *rules = (sp_serving_rules){.facts = facts};
    SP_TRY(sp_server_open(arena, home, engine, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_file(arena, &root, version, facts, rules, err);
    sp_json_free(doc);
    return status;
}

/* ---- use ---- */

static bool holds(const struct sp_expr *expr, const double *values)
{
    return sp_expr_eval(expr, values) != 0.0;
}

uint32_t sp_serving_rules_refusal(const sp_serving_rules *rules,
                                  const double values[SP_N_SERVING_VARS])
{
    for (uint32_t i = 0; i < rules->n_rules; i++) {
        const sp_engine_rule *rule = &rules->rules[i];
        const bool asked = rule->when == NULL || holds(rule->when, values);
        if (asked && !holds(rule->require, values)) return i;
    }
    return UINT32_MAX;
}

static void put_flag(const sp_serving_flag *flag, const double *values, struct sp_text *out)
{
    for (uint32_t i = 0; i < flag->n_pieces; i++) {
        sp_text_add(out, flag->pieces[i].text);
        if (flag->pieces[i].value == NULL) continue;
        sp_text_printf(out, "%.0f", sp_expr_eval(flag->pieces[i].value, values));
    }
}

void sp_serving_flags_put(const sp_serving_rules *rules, const double values[SP_N_SERVING_VARS],
                          struct sp_text *out)
{
    bool first = true;
    for (uint32_t i = 0; i < rules->n_flags; i++) {
        const sp_serving_flag *flag = &rules->flags[i];
        if (flag->when != NULL && !holds(flag->when, values)) continue;
        if (!first) sp_text_add(out, " ");
        first = false;
        put_flag(flag, values, out);
    }
}
