/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Records of what LLM-para (github.com/dengls24/LLM-para) answered, one JSON object a line, from
 * outside the source tree: tests skip where SHARDPLAN_DATA does not name the folder. */
#include "base/base.h"
#include "common/asked.h"
#include "common/close.h"
#include "common/models.h"
#include "shardplan/sweep.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Calls visit with every record of a kind; skips the test where there is no data, fails it where
 * there is no such record. */
typedef void (*llmpara_visit)(const sp_json *record, void *user);
void llmpara_each(const char *kind, llmpara_visit visit, void *user);
/* Calls visit with the record of that id alone. */
void llmpara_one(const char *id, llmpara_visit visit, void *user);

/* A value by the names on the way to it, "metrics/tco/total_tco_usd"; ends the test when it is not
 * there. */
double llmpara_number(const sp_json *record, const char *path);
bool llmpara_has(const sp_json *record, const char *path);
/* Text lives as long as the record. */
const char *llmpara_text(const sp_json *record, const char *path);
/* Element idx of the list at path. Visit it inside the callback. */
void llmpara_element(const sp_json *record, const char *path, size_t idx, llmpara_visit visit,
                     void *user);
size_t llmpara_count(const sp_json *record, const char *path);

/* ---- the reference's inputs as ours ---- */
/* The hardware as a chip, with the peak that the reference uses. */
sp_chip llmpara_chip(const sp_json *record);
/* Its assumptions: lifetime, utilization, PUE and price of its TCO, the grid and making of its
 * carbon. */
sp_economics llmpara_money(const sp_json *record);
/* Attention with h / n columns a head, a dense or a routed feed-forward block: all that the
 * reference has but MLA. */
void llmpara_model(const sp_json *record, const char *config, made_model *made);
/* The config's lengths and widths on a GPU that stays as it is. */
sp_analysis_question llmpara_ask(const sp_json *record, const made_model *made, const sp_gpu *gpu);
/* On `gpu`, which gets the hardware's figures. */
sp_analysis_question llmpara_question(const sp_json *record, const made_model *made, sp_gpu *gpu);

/* ---- the reference's own formulas (its rows, and its scores of a design point) ---- */
typedef struct llmpara_row {
    double flops_all, bytes_all; /* of all layers */
    double density;              /* rounded to 4 decimals, as it uses it */
} llmpara_row;
enum { LLMPARA_MAX_ROWS = 64 };
typedef struct llmpara_rows {
    uint32_t n;
    double layers;
    double total_flops; /* of all rows */
    llmpara_row row[LLMPARA_MAX_ROWS];
} llmpara_rows;
/* Of its analysis of a record's config, for models without MLA and with rotary positions. */
void llmpara_rows_of(const sp_json *record, llmpara_rows *rows);
double llmpara_attained_tflops(const llmpara_rows *rows, const sp_chip *chip);
/* Joules as its design space has them: each row times its layers once too often. */
double llmpara_joules(const llmpara_rows *rows, const sp_chip *chip);
double llmpara_gflops_per_watt(const llmpara_rows *rows, const sp_chip *chip);
