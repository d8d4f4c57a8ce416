/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How far estimates lie from measurements.
 *
 * A table of measured training runs (CSV, one run or out-of-memory event a row) is predicted row by
 * row with sp_estimate_plan and compared. HOME/configs/validation/training-points.json says how the
 * words of a row become a question and a plan: which engine profile, which link, which axes. A
 * prediction reads configuration columns only, so rows whose measured columns are blank are
 * predicted all the same.
 *
 *     sp_score *score;
 *     if (sp_score_training(home, "runs.csv", NULL, &score, &err) == SP_OK) {
 *         sp_score_page(score, &(sp_report_options){0}, &text);
 *         sp_score_free(score);
 *     }
 *
 * Times are in seconds, memory in bytes, ratios in 0..1. Nothing here is shared between threads.
 */
#include "shardplan/report.h"
#include "shardplan/status.h"

#include <stdbool.h>

struct sp_text;

typedef struct sp_score sp_score;

/* Bad tables are refused with file, line, column and what would have been right; rows that this
 * version cannot express are counted under the reason.
 *
 * cross NULL: predictions are those of the engine files as they stand. Otherwise a way to deal rows
 * into groups of HOME/configs/validation/fit-training.json ("source", "gpu", "model"): the
 * constants listed there are fitted without each group in turn, intervals included, and score that
 * group. */
sp_status sp_score_training(const char *home, const char *file, const char *cross, sp_score **score,
                            sp_error *err);
void sp_score_free(sp_score *score); /* NULL is fine */

/* "shardplan/score/1"; with_points adds every predicted row. */
void sp_score_json(const sp_score *score, bool with_points, struct sp_text *out);
void sp_score_page(const sp_score *score, const sp_report_options *options, struct sp_text *out);

/* Of a score across sources: the fitted constants as figures that engine files take
 * ("shardplan/steps/1"), dated `date`. */
void sp_steps_json(const sp_score *score, const char *date, struct sp_text *out);

/* The site factor: measured over predicted steps of one cluster, as a few whole steps of it tell.
 */
typedef struct sp_site {
    uint32_t n;                 /* runs                                                           */
    double factor, low, high;   /* of estimated steps, and its 80 % interval                      */
    double step_error_ratio;    /* 8 of 10 further runs lie within +- this of the corrected step  */
    double raw_median_ape;      /* of the estimates as they are                                   */
    double left_out_median_ape; /* of each run corrected by the others alone                     */
} sp_site;
/* Rows with a step count, of any quality. */
sp_status sp_site_measure(const char *home, const char *file, sp_site *site, sp_error *err);
void sp_site_json(const sp_site *site, struct sp_text *out);
void sp_site_page(const sp_site *site, struct sp_text *out);

/* Parameter counts, which must be equal: `folder` holds configs/NAME.json and expected.json with
 * {"models": {NAME: {"total", "embedding", "active"}}}. Models that cannot be read are counted. */
typedef struct sp_params_score sp_params_score;
sp_status sp_score_params(const char *home, const char *folder, sp_params_score **score,
                          sp_error *err);
void sp_params_score_free(sp_params_score *score); /* NULL is fine */
void sp_params_score_json(const sp_params_score *score, bool with_points, struct sp_text *out);
void sp_params_score_page(const sp_params_score *score, struct sp_text *out);

/* Deployments that served a closed loop of requests, in the columns of InferenceMAX dumps as
 * configs/validation/serving-points.json reads them. */
typedef struct sp_deployed_score sp_deployed_score;
typedef struct sp_deployed_request {
    const char *home, *file;
    const char *models; /* NULL, or a folder of Hugging Face configurations: NAME.json, or
                         * NAME/config.json, NAME as in the last part of a row's path */
    const char *cross;  /* NULL, or a grouping of HOME/configs/validation/fit-serving.json: "model",
                         * "system"; as with training */
} sp_deployed_request;
sp_status sp_score_serving(const sp_deployed_request *request, sp_deployed_score **score,
                           sp_error *err);
void sp_deployed_score_free(sp_deployed_score *score); /* NULL is fine */
void sp_deployed_score_json(const sp_deployed_score *score, bool with_points, struct sp_text *out);
void sp_deployed_score_page(const sp_deployed_score *score, const sp_report_options *options,
                            struct sp_text *out);
/* Of a score across groups: the fitted constants as figures that files of engines take
 * ("shardplan/steps/1"), dated `date`; `origin` NULL: the table is named as their source. */
void sp_deployed_steps_json(const sp_deployed_score *score, const char *origin, const char *date,
                            struct sp_text *out);

/* An engine under requests at a rate, with what its users saw: `file` has one stage a line, as JSON.
 * Means and tails of both tiers, the simulation and the closed form. */
typedef struct sp_stages_score sp_stages_score;
sp_status sp_score_stages(const char *home, const char *file, sp_stages_score **score,
                          sp_error *err);
void sp_stages_score_free(sp_stages_score *score); /* NULL is fine */
void sp_stages_score_json(const sp_stages_score *score, bool with_points, struct sp_text *out);
void sp_stages_score_page(const sp_stages_score *score, const sp_report_options *options,
                          struct sp_text *out);

/* Serving memory: `file` ("shardplan/serving-logs/1") has what engines printed when they started,
 * such as HOME/configs/validation/serving-memory.json. Errors are by engine, of all, and of logs
 * that no constant was read off. */
typedef struct sp_memory_score sp_memory_score;
sp_status sp_score_memory(const char *home, const char *file, sp_memory_score **score,
                          sp_error *err);
void sp_memory_score_free(sp_memory_score *score); /* NULL is fine */
void sp_memory_score_json(const sp_memory_score *score, bool with_points, struct sp_text *out);
void sp_memory_score_page(const sp_memory_score *score, bool with_points, struct sp_text *out);
