/* SPDX-License-Identifier: Apache-2.0 */
/* What the names in a training engine's rules stand for: a plan's axes, and facts of the question.
 */
#include "spec/spec.h"

#include "shardplan/optimizer.h"

#include <assert.h>
#include <string.h>

/* ---- facts ---- */

enum { N_FACTS = 16 };

typedef struct fact {
    const char *name;
    double value;
} fact;

typedef struct rule_context {
    struct sp_arena *arena;
    const char *home;
    const sp_engine_facts *asked;
    const char *const *optimizers; /* names; read when a rule first mentions one */
    size_t n_optimizers;
    fact facts[N_FACTS];
} rule_context;

/* What every kind of layer has in common: rules ask whether ranks divide a dimension, so it is the
 * greatest common divisor, in which a kind that lacks the dimension (0) has no say. */
static void list_facts(const sp_engine_facts *asked, fact facts[N_FACTS])
{
    const sp_model *model = asked->model;
    bool latent = false;
    uint64_t heads = 0, kv_heads = 0, ffn = 0, experts = 0, top_k = 0;
    for (uint32_t i = 0; i < model->n_kinds; i++) {
        const sp_layer_kind *kind = &model->kinds[i];
        heads = sp_gcd_u64(heads, kind->attention.heads);
        heads = sp_gcd_u64(heads, kind->recurrent.heads);
        kv_heads = sp_gcd_u64(kv_heads, kind->attention.kv_heads);
        ffn = sp_gcd_u64(ffn, kind->ffn.ffn);
        experts = sp_gcd_u64(experts, kind->ffn.n_experts);
        latent |= kind->attention.kv_lora > 0;
        if (kind->ffn.top_k > top_k) top_k = kind->ffn.top_k;
    }
    if (kv_heads == 0) kv_heads = heads; /* no layer attends */
    const fact listed[N_FACTS] = {
        {"heads",        (double)heads                       },
        {"kv_heads",     (double)kv_heads                    },
        {"layers",       (double)model->n_layers             },
        {"hidden",       (double)model->hidden               },
        {"ffn",          (double)ffn                         },
        {"experts",      (double)experts                     },
        {"top_k",        (double)top_k                       },
        {"seq_len",      (double)asked->seq_len              },
        {"global_batch", (double)asked->global_batch         },
        {"mtp_layers",   (double)model->mtp_layers           },
        {"latent",       latent ? 1.0 : 0.0                  },
        {"trains_all",   asked->trains_all ? 1.0 : 0.0       },
        {"fp8_dispatch", asked->dispatch == SP_DISPATCH_FP8  },
        {"qwz",          (asked->zeropp & SP_ZEROPP_QWZ) != 0},
        {"hpz",          (asked->zeropp & SP_ZEROPP_HPZ) != 0},
        {"qgz",          (asked->zeropp & SP_ZEROPP_QGZ) != 0},
    };
    memcpy(facts, listed, sizeof listed);
}

/* ---- facts that have names as values ---- */

/* A word of an expression, where - subtracts, has _ for the - of a name. */
static bool same_word(const char *word, const char *name)
{
    for (; *word != '\0' && (*word == *name || (*word == '_' && *name == '-')); word++, name++) {
    }
    return *word == *name;
}

/* The number of `name` in a list, or -2 with the nearest of them. */
static int word_number(const char *name, const char *const *names, size_t n, double *constant,
                       sp_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!same_word(name, names[i])) continue;
        *constant = (double)i;
        return -1;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "nothing goes by the name \"%s\" here", name);
    sp_fail_names(err, name, names, n);
    return -2;
}

/* The fact itself where word is NULL, else a value of it. */
static int resolve_optimizer(rule_context *rules, const char *word, double *constant, sp_error *err)
{
    if (rules->optimizers == NULL &&
        sp_optimizer_names(rules->arena, rules->home, &rules->optimizers, &rules->n_optimizers,
                           err) != SP_OK) {
        return -2;
    }
    return word_number(word != NULL ? word : rules->asked->optimizer, rules->optimizers,
                       rules->n_optimizers, constant, err);
}

static int resolve_gradients(const rule_context *rules, const char *word, double *constant,
                             sp_error *err)
{
    const char *names[SP_N_GRADIENTS];
    for (uint32_t i = 0; i < SP_N_GRADIENTS; i++) {
        names[i] = sp_gradients_name((sp_gradients)i);
    }
    const char *asked = names[rules->asked->gradients];
    return word_number(word != NULL ? word : asked, names, SP_N_GRADIENTS, constant, err);
}

static bool is(const char *name, const char *other)
{
    return name != NULL && strcmp(name, other) == 0;
}

static int resolve(void *user, const char *name, const char *context, double *constant,
                   sp_error *err)
{
    rule_context *rules = user;
    for (size_t i = 0; i < N_FACTS; i++) {
        if (strcmp(rules->facts[i].name, name) == 0) {
            *constant = rules->facts[i].value;
            return -1;
        }
    }
    if (is(name, "optimizer")) return resolve_optimizer(rules, NULL, constant, err);
    if (is(name, "gradients")) return resolve_gradients(rules, NULL, constant, err);
    if (is(context, "optimizer")) return resolve_optimizer(rules, name, constant, err);
    if (is(context, "gradients")) return resolve_gradients(rules, name, constant, err);
    return sp_plan_resolve(name, context, constant, err);
}

/* ---- all rules ---- */

sp_status sp_engine_rules_read(struct sp_arena *arena, const char *home, const sp_json *root,
                               const char *version, const sp_engine_facts *facts, sp_engine *engine,
                               sp_error *err)
{
    assert(facts != NULL && facts->model != NULL && facts->optimizer != NULL);
    rule_context context = {.arena = arena, .home = home, .asked = facts};
    list_facts(facts, context.facts);
    const sp_rule_reader reader = {
        .arena = arena, .version = version, .resolve = resolve, .user = &context};
    return sp_rules_read(&reader, root, &engine->rules, &engine->n_rules, err);
}
