/* SPDX-License-Identifier: Apache-2.0 */
/* A model described by formulas alone beside the same model as its dimensions: every row of every
 * phase is the same, bit for bit. What the formulas cannot say is refused. */
#include "analysis/records.h"
#include "common/asked.h"
#include "shardplan/analysis.h"
#include "shardplan/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct pair {
    sp_arena arena;
    const sp_model *plain, *formulas;
} pair;

static const sp_model *find(sp_arena *arena, const char *name)
{
    const sp_model *model = NULL;
    sp_error err = {0};
    must(sp_model_find(arena, source_home(), name, &model, &err), &err);
    return model;
}

static pair open_pair(void)
{
    pair p = {0};
    p.plain = find(&p.arena, "llama-3.1-8b");
    p.formulas = find(&p.arena, "llama-3.1-8b-formulas");
    return p;
}

static const sp_analysis *analyze_as(sp_arena *arena, sp_analysis_question question,
                                     const sp_model *model)
{
    question.model = model;
    return analyze(arena, &question);
}

static void same(double a, double b, const char *row, const char *figure)
{
    if (a != b) fail_msg("%s: %s is %.17g by its formulas and %.17g", row, figure, b, a);
}

static void same_row(const sp_operator *a, const sp_operator *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->category, b->category);
    assert_int_equal(a->phase, b->phase);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->bound, b->bound);
    same(a->rows, b->rows, a->name, "rows");
    same(a->columns, b->columns, a->name, "columns");
    same(a->inner, b->inner, a->name, "inner");
    same(a->count, b->count, a->name, "count");
    same(a->flops, b->flops, a->name, "FLOPs");
    same(a->parameters, b->parameters, a->name, "parameters");
    same(a->held_bytes, b->held_bytes, a->name, "held bytes");
    same(a->weight_bytes, b->weight_bytes, a->name, "weight bytes");
    same(a->read_bytes, b->read_bytes, a->name, "bytes read");
    same(a->write_bytes, b->write_bytes, a->name, "bytes written");
    same(a->cache_bytes, b->cache_bytes, a->name, "bytes of cache");
    same(a->time_s, b->time_s, a->name, "time");
}

static void same_analysis(const sp_analysis *a, const sp_analysis *b)
{
    assert_int_equal(a->n_operators, b->n_operators);
    for (uint32_t i = 0; i < a->n_operators; i++) {
        same_row(&a->operators[i], &b->operators[i]);
    }
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        const sp_phase_total *left = &a->phase[phase], *right = &b->phase[phase];
        const char *name = sp_phase_name(phase);
        same(left->flops, right->flops, name, "FLOPs");
        same(left->weight_bytes, right->weight_bytes, name, "weight bytes");
        same(left->read_bytes, right->read_bytes, name, "bytes read");
        same(left->write_bytes, right->write_bytes, name, "bytes written");
        same(left->time_s, right->time_s, name, "time");
    }
    same(a->parameters, b->parameters, "all", "parameters");
    same(a->weight_bytes, b->weight_bytes, "all", "weight bytes");
    same(a->kv_bytes_per_token, b->kv_bytes_per_token, "all", "cache of a token");
    same(a->kv_max_bytes, b->kv_max_bytes, "all", "cache");
    same(a->memory_needed_bytes, b->memory_needed_bytes, "all", "memory");
}

static sp_analysis_question every_phase(const sp_model *model)
{
    sp_analysis_question question = plain_question(model);
    question.phases = (1u << SP_N_PHASES) - 1;
    return question;
}

static void every_row_of_every_phase_is_that_of_the_dimensions(void **state)
{
    (void)state;
    static const uint64_t cases[][4] = {
        {1,  2048, 512,  0   },
        {16, 4096, 1024, 0   },
        {3,  333,  7,    777 },
        {64, 1,    1,    4095},
    };
    pair p = open_pair();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sp_analysis_question question = every_phase(p.plain);
        question.batch = cases[i][0];
        question.prompt_tokens = cases[i][1];
        question.generated_tokens = cases[i][2];
        question.past_tokens = cases[i][3];
        same_analysis(analyze_as(&p.arena, question, p.plain),
                      analyze_as(&p.arena, question, p.formulas));
    }
    sp_arena_fini(&p.arena);
}

static void number_formats_reach_the_same_operands(void **state)
{
    (void)state;
    pair p = open_pair();
    sp_analysis_question question = every_phase(p.plain);
    question.batch = 4;
    question.dp = 2;
    question.bits = (sp_widths){.activation = 8.0,
                                .attention_weight = 4.125,
                                .ffn_weight = 1.58,
                                .kv_cache = 12.0,
                                .rope = 32.0,
                                .norm = 24.0,
                                .embedding = 16.0};
    same_analysis(analyze_as(&p.arena, question, p.plain),
                  analyze_as(&p.arena, question, p.formulas));
    sp_arena_fini(&p.arena);
}

static void parameters_are_counted_alike(void **state)
{
    (void)state;
    pair p = open_pair();
    const sp_parameters a = sp_model_parameters(p.plain), b = sp_model_parameters(p.formulas);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(b.total, 8030261248); /* meta-llama/Llama-3.1-8B */
    assert_int_equal(p.formulas->n_assumptions, 0);
    sp_arena_fini(&p.arena);
}

static void refuse(const sp_analysis_question *question, const char *words)
{
    sp_arena arena = {0};
    const sp_analysis *analysis = NULL;
    sp_error err = {0};
    assert_int_equal(sp_analyze(&arena, question, &analysis, &err), SP_E_INCONSISTENT);
    if (strstr(err.message, words) == NULL) fail_msg("\"%s\" lacks \"%s\"", err.message, words);
    sp_arena_fini(&arena);
}

static void formulas_of_one_device_are_not_cut(void **state)
{
    (void)state;
    pair p = open_pair();
    sp_analysis_question question = plain_question(p.formulas);
    question.tp = 2;
    refuse(&question, "cannot be cut");
    question.tp = 1;
    question.flash = false;
    refuse(&question, "cannot be taken apart");
    sp_arena_fini(&p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_every_phase_is_that_of_the_dimensions),
        cmocka_unit_test(number_formats_reach_the_same_operands),
        cmocka_unit_test(parameters_are_counted_alike),
        cmocka_unit_test(formulas_of_one_device_are_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
