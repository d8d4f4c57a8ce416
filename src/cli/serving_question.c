/* SPDX-License-Identifier: Apache-2.0 */
/* Settings become a question about serving. What contradicts itself is refused here, where the
 * flags are known; what no engine or cluster can do, where the problem is built. */
#include "cli/serving.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_TOKENS      0x40000000u /* 2^30 */
#define MOST_CONCURRENCY 1e7
#define MOST_RATE        1e7
#define MOST_BURSTINESS  1e4

/* Users who come at a rate get the same throughput from every plan that takes them: what differs is
 * how fast each is served. */
static const char *const objectives_at_a_rate = "tokens_per_s_per_user,tokens_per_s_per_gpu";

static bool given(const sp_settings *s, sp_flag_id flag)
{
    return sp_settings_text(s, flag) != NULL && s->of[flag].origin != SP_FROM_DEFAULT;
}

/* The flag's value contradicts another, or is out of range. */
static sp_status blame(const sp_settings *s, sp_flag_id flag, sp_status status, const char *why,
                       sp_error *err)
{
    sp_fail(err, status, "%s", why);
    sp_fail_value(err, "%s", sp_settings_text(s, flag));
    return sp_flag_blame(status, flag, err);
}

static sp_status blame_range(const sp_settings *s, sp_flag_id flag, const char *why,
                             const char *range, sp_error *err)
{
    (void)blame(s, flag, SP_E_RANGE, why, err);
    sp_fail_range(err, "%s", range);
    return SP_E_RANGE;
}

/* Both were said, and one of them is enough. */
static sp_status refuse_pair(const sp_settings *s, sp_flag_id flag, sp_flag_id other,
                             const char *why, sp_error *err)
{
    if (!given(s, flag) || !given(s, other)) return SP_OK;
    return blame(s, flag, SP_E_INCONSISTENT, why, err);
}

static sp_status refuse_pairs(const sp_settings *s, sp_error *err)
{
    static const struct {
        sp_flag_id flag, other;
        const char *why;
    } pairs[] = {
        {SP_FLAG_lengths, SP_FLAG_serve_isl,   "the file says how long prompts are: leave out --isl"},
        {SP_FLAG_lengths, SP_FLAG_serve_osl,   "the file says how long answers are: leave out --osl"},
        {SP_FLAG_rate,    SP_FLAG_concurrency,
         "requests arrive at a rate, or a number of them is always under way: leave out one of "
         "--rate "
         "and --concurrency"                                                                        },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        SP_TRY(refuse_pair(s, pairs[i].flag, pairs[i].other, pairs[i].why, err));
    }
    return SP_OK;
}

/* This flag means something only beside that one. */
static sp_status need(const sp_settings *s, sp_flag_id flag, bool met, const char *why,
                      sp_error *err)
{
    if (!given(s, flag) || met) return SP_OK;
    return blame(s, flag, SP_E_INCONSISTENT, why, err);
}

static sp_status check_flags(const sp_settings *s, sp_error *err)
{
    const char *pools = "only disaggregated plans have a pool for each: leave out --mode agg";
    const bool agg = strcmp(sp_settings_text(s, SP_FLAG_mode), "agg") == 0;
    SP_TRY(refuse_pairs(s, err));
    SP_TRY(need(s, SP_FLAG_burstiness, given(s, SP_FLAG_rate),
                "only requests that arrive at a --rate come in bursts", err));
    SP_TRY(need(s, SP_FLAG_prefill_cluster, !agg, pools, err));
    return need(s, SP_FLAG_decode_cluster, !agg, pools, err);
}

static sp_status read_amount(const sp_settings *s, sp_flag_id flag, double least, double most,
                             double *out, sp_error *err)
{
    char range[48];
    if (!given(s, flag)) return SP_OK;
    SP_TRY(sp_flag_amount(s, flag, out, err));
    if (*out >= least && *out <= most) return SP_OK;
    (void)snprintf(range, sizeof range, "%g .. %g", least, most);
    return blame_range(s, flag, "the number is out of range", range, err);
}

static sp_status read_tokens(const sp_settings *s, sp_flag_id flag, uint64_t *out, sp_error *err)
{
    char range[24];
    if (!given(s, flag)) return SP_OK;
    SP_TRY(sp_flag_length(s, flag, out, err));
    if (*out >= 1 && *out <= MOST_TOKENS) return SP_OK;
    (void)snprintf(range, sizeof range, "1 .. %u", MOST_TOKENS);
    return blame_range(s, flag, "the number is out of range", range, err);
}

static sp_status read_lengths(const sp_settings *s, sp_serving_question *q, sp_error *err)
{
    uint64_t isl = 0, osl = 0;
    q->lengths = sp_settings_text(s, SP_FLAG_lengths);
    SP_TRY(read_tokens(s, SP_FLAG_serve_isl, &isl, err));
    SP_TRY(read_tokens(s, SP_FLAG_serve_osl, &osl, err));
    SP_TRY(read_tokens(s, SP_FLAG_serve_max_context, &q->max_context, err));
    q->isl = (double)isl;
    q->osl = (double)osl;
    if (q->lengths != NULL || (isl > 0 && osl > 0)) return SP_OK;
    return sp_fail(err, SP_E_USAGE,
                   "say how long prompts and answers are: --isl TOKENS and --osl TOKENS, or "
                   "--lengths FILE");
}

static sp_status read_load(const sp_settings *s, sp_serving_question *q, sp_error *err)
{
    SP_TRY(read_amount(s, SP_FLAG_concurrency, 1.0, MOST_CONCURRENCY, &q->concurrency, err));
    SP_TRY(read_amount(s, SP_FLAG_rate, 1e-6, MOST_RATE, &q->rate, err));
    SP_TRY(read_amount(s, SP_FLAG_burstiness, 0.0, MOST_BURSTINESS, &q->burstiness, err));
    SP_TRY(sp_flag_ratio(s, SP_FLAG_prefix_hit, &q->prefix_hit_ratio, err));
    if (q->prefix_hit_ratio >= 1.0) {
        return blame_range(s, SP_FLAG_prefix_hit, "some of each prompt is new", "0 .. below 1",
                           err);
    }
    SP_TRY(sp_flag_ratio(s, SP_FLAG_spec_acceptance, &q->spec_acceptance, err));
    SP_TRY(sp_flag_ratio(s, SP_FLAG_utilization, &q->utilization, err));
    if (q->utilization <= 0.0) {
        return blame_range(s, SP_FLAG_utilization, "a deployment that takes no load serves no one",
                           "above 0 .. 1", err);
    }
    return sp_flag_count(s, SP_FLAG_spare_replicas, 0, 65536, &q->spare_replicas, err);
}

/* "--ttft-ms 800" is "ttft:p50<=800ms". */
static sp_status add_limit(sp_settings *s, sp_flag_id flag, const char *latency, const char **slo,
                           sp_error *err)
{
    double ms = 0.0;
    char number[32];
    if (!given(s, flag)) return SP_OK;
    SP_TRY(read_amount(s, flag, 1e-3, 1e9, &ms, err));
    sp_format_double(ms, number);
    *slo = *slo == NULL ? sp_arena_printf(&s->arena, "%s:p50<=%sms", latency, number)
                        : sp_arena_printf(&s->arena, "%s,%s:p50<=%sms", *slo, latency, number);
    return *slo != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the question");
}

static sp_status read_choices(sp_settings *s, sp_serving_question *q, sp_error *err)
{
    static const char *const uses[] = {"all", "upto"}, *const modes[] = {"agg", "disagg", "both"};
    uint32_t use = 0, mode = 2;
    SP_TRY(sp_flag_choice(s, SP_FLAG_use, uses, 2, &use, err));
    SP_TRY(sp_flag_choice(s, SP_FLAG_mode, modes, 3, &mode, err));
    q->use_upto = use == 1;
    q->mode = modes[mode];
    const bool pools_alone = q->cluster == NULL && q->prefill_cluster != NULL &&
                             q->decode_cluster != NULL && !given(s, SP_FLAG_mode);
    if (pools_alone) q->mode = "disagg"; /* one pool for all would stand on neither */
    SP_TRY(sp_flag_ratio(s, SP_FLAG_headroom, &q->headroom_ratio, err));
    SP_TRY(sp_flag_reserve(s, &q->reserve_bytes, err));
    SP_TRY(sp_flag_amount(s, SP_FLAG_usd_per_gpu_hour, &q->usd_per_gpu_hour, err));
    q->slo = sp_settings_text(s, SP_FLAG_slo);
    SP_TRY(add_limit(s, SP_FLAG_ttft_ms, "ttft", &q->slo, err));
    SP_TRY(add_limit(s, SP_FLAG_tpot_ms, "tpot", &q->slo, err));
    SP_TRY(sp_flag_take_list(s, SP_FLAG_set, q->sets, SP_MAX_SETS, &q->n_sets, err));
    return sp_flag_take_list(s, SP_FLAG_where, q->wheres, SP_MAX_WHERES, &q->n_wheres, err);
}

sp_status sp_serving_question_read(sp_settings *s, const char *home, sp_serving_question *q,
                                   sp_error *err)
{
    *q = sp_serving_question_default();
    q->home = home;
    q->model = sp_settings_text(s, SP_FLAG_model);
    q->cluster = sp_settings_text(s, SP_FLAG_cluster);
    q->prefill_cluster = sp_settings_text(s, SP_FLAG_prefill_cluster);
    q->decode_cluster = sp_settings_text(s, SP_FLAG_decode_cluster);
    q->gpus = sp_settings_text(s, SP_FLAG_gpus);
    q->engine = sp_settings_text(s, SP_FLAG_engine);
    q->objectives = sp_settings_text(s, SP_FLAG_objectives);
    q->space = sp_settings_text(s, SP_FLAG_space);
    SP_TRY(check_flags(s, err));
    SP_TRY(read_lengths(s, q, err));
    SP_TRY(read_load(s, q, err));
    if (q->rate > 0.0 && q->objectives == NULL) q->objectives = objectives_at_a_rate;
    return read_choices(s, q, err);
}

void sp_serving_blame(const sp_settings *s, sp_error *err)
{
    if (err->file[0] != '\0' || err->value[0] == '\0') return;
    for (sp_flag_id flag = 0; flag < SP_N_FLAGS; flag++) {
        if ((sp_flag_describe(flag)->commands & SP_TAKES_SERVING) == 0 || !given(s, flag)) continue;
        for (uint32_t i = 0; i < s->of[flag].n_values; i++) {
            if (strstr(s->of[flag].values[i], err->value) == NULL) continue;
            (void)sp_flag_blame(err->status, flag, err);
            return;
        }
    }
}

/* --names is one of the engines that plans may run on. */
static sp_status check_names(const sp_settings *s, const sp_serving_problem *problem, sp_error *err)
{
    const char *const *names = NULL;
    uint32_t choice = 0;
    const uint32_t n = sp_serving_axis_names(problem, SP_SERVING_AXIS_engine, &names);
    return sp_flag_choice(s, SP_FLAG_names, names, n, &choice, err);
}

sp_status sp_serving_question_build(sp_settings *s, const char *home, sp_serving_problem **problem,
                                    sp_serving_space **space, sp_error *err)
{
    sp_serving_question q;
    *problem = NULL;
    *space = NULL;
    sp_status status = sp_serving_question_read(s, home, &q, err);
    if (status == SP_OK) status = sp_serving_problem_build(&q, problem, err);
    if (status == SP_OK) status = check_names(s, *problem, err);
    if (status == SP_OK) status = sp_serving_space_build(*problem, space, err);
    if (status != SP_OK) sp_serving_blame(s, err);
    return status;
}
