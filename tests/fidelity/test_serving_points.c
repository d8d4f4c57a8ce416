/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments that were measured did run: what serving memory calls out of memory among them is
 * false. Attention in data-parallel groups and experts over all ranks are asked as they were. */
#include "base/base.h"
#include "fidelity/csv.h"
#include "shardplan/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum outcome { RAN, QUEUED, REFUSED, NO_MODEL, NO_LAYOUT, NOT_ASKED, N_OUTCOMES } outcome;
static const char *const meanings[N_OUTCOMES] = {
    "served at once",
    "served, a part of the batch waiting",
    "called out of memory",
    "skipped: no file of the model",
    "skipped: the layout was not recorded",
    "skipped: the split does not divide what it cuts",
};

typedef struct points {
    sp_csv csv;
    sp_arena arena;
    sp_server engines[3];
    uint32_t n[N_OUTCOMES];
} points;

static const char *const engines[] = {"trtllm", "vllm", "sglang"};

static void must(sp_status status, const sp_error *err)
{
    if (status != SP_OK) fail_msg("%s (%s)", err->message, err->value);
}

static const char *cell(const points *p, uint32_t row, const char *column)
{
    return sp_csv_cell(&p->csv, row, sp_csv_column(&p->csv, column));
}

static uint32_t count(const points *p, uint32_t row, const char *prefix, const char *column)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s%s", prefix, column);
    const double value = strtod(cell(p, row, name), NULL);
    return value >= 1.0 ? (uint32_t)value : 1;
}

/* ---- a row as a question ---- */

static bool find_model(points *p, uint32_t row, sp_footprint_question *q)
{
    const char *name = cell(p, row, "model_arch");
    sp_error err = {0};
    if (strcmp(name, "deepseek-v3-arch") == 0) name = "deepseek-v3";
    return sp_model_find(&p->arena, getenv("SHARDPLAN_HOME"), name, &q->model, &err) == SP_OK;
}

static void find_gpu(points *p, uint32_t row, sp_footprint_question *q)
{
    char name[32];
    sp_error err = {0};
    (void)snprintf(name, sizeof name, "%s", cell(p, row, "system"));
    for (char *c = name; *c != '\0'; c++) {
        if (*c == '_') *c = '-';
    }
    must(sp_gpu_find(&p->arena, getenv("SHARDPLAN_HOME"), name, &q->gpu, &err), &err);
}

/* Checkpoints of DeepSeek in 4 bits keep attention in 16; the cache's format was not recorded, so
 * it has 16 bits, which needs the most. */
static void set_bits(points *p, uint32_t row, sp_footprint_question *q)
{
    const char *precision = cell(p, row, "precision"), *arch = cell(p, row, "model_arch");
    const bool deepseek = strcmp(arch, "deepseek-v3-arch") == 0;
    const char *preset = "bf16";
    sp_dtype compute = SP_BF16;
    sp_error err = {0};
    if (strcmp(precision, "fp8") == 0) preset = deepseek ? "fp8-block" : "fp8";
    if (strcmp(precision, "fp4") == 0) preset = strncmp(arch, "gpt-oss", 7) ? "nvfp4" : "mxfp4";
    must(sp_widths_parse(&p->arena, getenv("SHARDPLAN_HOME"), preset, &q->bits, &compute, &err),
         &err);
    if (deepseek && strcmp(precision, "fp4") == 0) q->bits.attention_weight = 16.0;
}

static void set_engine(const points *p, uint32_t row, sp_footprint_question *q)
{
    const char *backend = cell(p, row, "backend");
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(backend, engines[i]) == 0) q->server = p->engines[i];
    }
}

/* Experts that are cut by moe_tp x moe_ep take as much on a rank as ones dealt to as many; where
 * neither was recorded they are cut over all ranks, as is every engine's default. */
static uint32_t expert_ranks(const points *p, uint32_t row, const char *prefix, bool recorded,
                             const sp_footprint_question *q)
{
    const uint32_t tp = count(p, row, prefix, recorded ? "moe_tp_size" : "moe_tp");
    const uint32_t ep = count(p, row, prefix, recorded ? "moe_ep_size" : "moe_ep");
    if (q->dp == 1) return ep;
    return tp * ep > 1 ? tp * ep : q->tp * q->dp;
}

static outcome ask(points *p, uint32_t row, const char *prefix, uint32_t per_rank, uint32_t answers)
{
    const bool recorded = prefix[0] != 'l';
    sp_footprint_question q = {0};
    sp_footprint out;
    sp_error err = {0};
    if (!find_model(p, row, &q)) return NO_MODEL;
    find_gpu(p, row, &q);
    set_engine(p, row, &q);
    sp_footprint_defaults(&q);
    set_bits(p, row, &q);
    q.tp = count(p, row, prefix, recorded ? "tp_size" : "tp");
    q.dp = count(p, row, prefix, recorded ? "attention_dp_size" : "dp");
    q.pp = recorded ? count(p, row, prefix, "pp_size") : count(p, row, "", "pp_size");
    q.ep = expert_ranks(p, row, prefix, recorded, &q);
    q.batch = (uint64_t)per_rank * q.dp;
    q.isl = count(p, row, "", "isl");
    q.osl = answers;
    if (sp_footprint_check(&q, &err) != SP_OK) return NOT_ASKED;
    sp_footprint_evaluate(&q, &out);
    if (out.verdict == SP_FOOTPRINT_OOM) return REFUSED;
    return sp_footprint_serves(&out) ? RAN : QUEUED;
}

static outcome ask_together(points *p, uint32_t row)
{
    const char *status = cell(p, row, "layout_status");
    if (strcmp(status, "as_recorded") != 0 && strcmp(status, "corrected") != 0) return NO_LAYOUT;
    return ask(p, row, "layout_", count(p, row, "layout_", "batch_per_dp_rank"),
               count(p, row, "", "osl"));
}

/* Both kinds of workers have to run. */
static outcome ask_apart(points *p, uint32_t row)
{
    const char *flags = cell(p, row, "quality_flags");
    if (strstr(flags, "disagg_workers_unrecorded") != NULL) return NO_LAYOUT;
    const outcome first = ask(p, row, "prefill_", count(p, row, "prefill_", "batch_size"), 1);
    if (first != RAN && first != QUEUED) return first;
    return ask(p, row, "decode_", count(p, row, "decode_", "batch_size"), count(p, row, "", "osl"));
}

static void print_refused(const points *p, uint32_t row)
{
    print_message("refused: %s\n", cell(p, row, "id"));
}

static void fewer_than_one_percent_of_what_ran_is_called_out_of_memory(void **state)
{
    points p = {0};
    sp_error err = {0};
    (void)state;
    const char *file =
        sp_arena_printf(&p.arena, "%s/serving-points/dev.csv", getenv("SHARDPLAN_DATA"));
    assert_non_null(file);
    must(sp_csv_load(file, &p.csv, &err), &err);
    for (size_t i = 0; i < 3; i++) {
        must(sp_server_load(&p.arena, getenv("SHARDPLAN_HOME"), engines[i], &p.engines[i], &err),
             &err);
    }
    for (uint32_t row = 0; row < p.csv.n_rows; row++) {
        const bool together = strcmp(cell(&p, row, "mode"), "agg") == 0;
        const outcome was = together ? ask_together(&p, row) : ask_apart(&p, row);
        p.n[was]++;
        if (was == REFUSED) print_refused(&p, row);
    }
    for (int i = 0; i < N_OUTCOMES; i++) {
        print_message("%5u  %s\n", p.n[i], meanings[i]);
    }
    const uint32_t asked = p.n[RAN] + p.n[QUEUED] + p.n[REFUSED];
    assert_true(asked > 1000);
    assert_true(p.n[REFUSED] * 100 < asked);
    assert_true(p.n[NOT_ASKED] * 100 < asked);
    sp_csv_fini(&p.csv);
    sp_arena_fini(&p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewer_than_one_percent_of_what_ran_is_called_out_of_memory),
    };
    return getenv("SHARDPLAN_DATA") != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
