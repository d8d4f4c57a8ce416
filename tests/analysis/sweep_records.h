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
typedef void (*reference_visit)(const sp_json *record, void *user);
void reference_each(const char *kind, reference_visit visit, void *user);
/* Calls visit with the record of that id alone. */
void reference_one(const char *id, reference_visit visit, void *user);

/* A value by the names on the way to it, "metrics/tco/total_tco_usd"; ends the test when it is not
 * there. */
double reference_number(const sp_json *record, const char *path);
bool reference_has(const sp_json *record, const char *path);
/* Text lives as long as the record. */
const char *reference_text(const sp_json *record, const char *path);
/* Element idx of the list at path. Visit it inside the callback. */
void reference_element(const sp_json *record, const char *path, size_t idx, reference_visit visit,
                       void *user);
size_t reference_count(const sp_json *record, const char *path);

/* ---- the reference's inputs as ours ---- */
/* The hardware as a chip, with the peak that the reference uses. */
sp_chip reference_chip(const sp_json *record);
/* Its assumptions: lifetime, utilization, PUE and price of its TCO, the grid and making of its
 * carbon. */
sp_economics reference_money(const sp_json *record);
/* Attention with h / n columns a head, a dense or a routed feed-forward block: all that the
 * reference has but MLA. */
void reference_model(const sp_json *record, const char *config, made_model *made);
/* The config's lengths and widths on a GPU that stays as it is. */
sp_analysis_question reference_ask(const sp_json *record, const made_model *made,
                                   const sp_gpu *gpu);
/* On `gpu`, which gets the hardware's figures. */
sp_analysis_question reference_question(const sp_json *record, const made_model *made, sp_gpu *gpu);

/* ---- the reference's own formulas (its rows, and its scores of a design point) ---- */
typedef struct reference_row {
    double flops_all, bytes_all; /* of all layers */
    double density;              /* rounded to 4 decimals, as it uses it */
} reference_row;
enum { REFERENCE_MAX_ROWS = 64 };
typedef struct reference_rows {
    uint32_t n;
    double layers;
    double total_flops; /* of all rows */
    reference_row row[REFERENCE_MAX_ROWS];
} reference_rows;
/* Of its analysis of a record's config, for models without MLA and with rotary positions. */
void reference_rows_of(const sp_json *record, reference_rows *rows);
double reference_attained_tflops(const reference_rows *rows, const sp_chip *chip);
/* Joules as its design space has them: each row times its layers once too often. */
double reference_joules(const reference_rows *rows, const sp_chip *chip);
double reference_gflops_per_watt(const reference_rows *rows, const sp_chip *chip);
