/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the forms of sweeps share. */
#include "report/analysis_words.h"
#include "shardplan/sweep.h"

/* "100 TFLOP/s, 1 TB/s, 80 GB, 400 W, $20,000" */
void sp_chip_words(const sp_chip *chip, struct sp_text *out);
/* "3 years at 50 %, PUE 1.3, $0.1/kWh, 420 g CO2e/kWh, 80 kg to make" */
void sp_economics_words(const sp_economics *money, struct sp_text *out);
/* Writes what `line` holds in lines of 100 columns and empties it. */
void sp_wrap_line(struct sp_text *line, struct sp_text *out);
/* The question in lines of 100 columns. */
void sp_answer_head(const sp_analysis_question *question, struct sp_text *out);
void sp_json_put_chip(sp_json_writer *w, const char *key, const sp_chip *chip);
void sp_json_put_economics(sp_json_writer *w, const sp_economics *money);
/* Opens the root object, with schema, version, model and lengths. */
void sp_json_open_answer(sp_json_writer *w, const char *schema,
                         const sp_analysis_question *question);
