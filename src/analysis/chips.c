/* SPDX-License-Identifier: Apache-2.0 */
/* One deployment on several chips: every stage of a pipeline analysed with the layers that it has,
 * tensor-parallel sums and hand-overs on the cluster's network. A token still passes all stages, so
 * a pipeline raises throughput by keeping parts of the batch in flight and never shortens the way
 * of one. */
#include "analysis/analysis_priv.h"
#include "base/base.h"
#include "shardplan/sweep.h"

#include <math.h>
#include <string.h>

#define MAX_RUNS 256 /* of a stage */

/* A stage as a model of its own: the layers from .. from + n - 1 and what stands at the ends. */
typedef struct stage {
    sp_model model;
    sp_layer_run runs[MAX_RUNS];
    bool first, last;
} stage;

static void cut_stage(const sp_model *model, uint32_t idx, uint32_t pp, stage *s)
{
    const uint32_t least = model->n_layers / pp, more = model->n_layers % pp;
    uint32_t skip = idx * least + (idx < more ? idx : more);
    uint32_t left = least + (idx < more);
    s->model = *model;
    s->model.n_layers = left;
    s->model.n_runs = 0;
    s->model.runs = s->runs;
    s->first = idx == 0;
    s->last = idx == pp - 1;
    for (uint32_t r = 0; r < model->n_runs && left > 0; r++) {
        const uint32_t count = model->runs[r].count;
        const uint32_t skipped = skip < count ? skip : count;
        const uint32_t taken = count - skipped < left ? count - skipped : left;
        skip -= skipped;
        left -= taken;
        if (taken > 0) s->runs[s->model.n_runs++] = (sp_layer_run){model->runs[r].kind, taken};
    }
}

/* Rows outside the layers belong to the first or the last stage alone. */
static bool has_row(const stage *s, const sp_operator *row)
{
    if (strcmp(row->category, "embedding") == 0) return s->first;
    const bool behind = strcmp(row->category, "head") == 0 || strcmp(row->name, "final_norm") == 0;
    return behind ? s->last : true;
}

typedef struct stage_price {
    double phase_s[SP_N_PHASES], network_s;
    double weight_bytes, cache_bytes, working_bytes;
} stage_price;

static sp_status price_stage(sp_arena *arena, const sp_analysis_question *q, const stage *s,
                             stage_price *price, sp_error *err)
{
    const sp_analysis *a = NULL;
    sp_analysis_question of_stage = *q;
    of_stage.model = &s->model;
    SP_TRY(sp_analyze(arena, &of_stage, &a, err));
    *price = (stage_price){.cache_bytes = a->kv_max_bytes + a->state_bytes};
    price->working_bytes =
        a->memory_needed_bytes - a->weight_bytes - a->kv_max_bytes - a->state_bytes;
    for (uint32_t i = 0; i < a->n_operators; i++) {
        const sp_operator *row = &a->operators[i];
        if (!has_row(s, row)) continue;
        price->phase_s[row->phase] += row->layers * row->time_s;
        if (row->phase != SP_PHASE_DECODE) continue;
        price->network_s += row->layers * row->network_s;
        price->weight_bytes += row->held_layers * row->held_bytes;
    }
    return SP_OK;
}

/* What the stages come to together. */
typedef struct pipeline {
    double prefill_s, decode_s, slowest_s, network_ratio, memory_bytes;
} pipeline;

static void add_stage(const stage_price *price, uint32_t in_flight, double hand_over_s,
                      double prompt_hand_over_s, pipeline *all)
{
    const double decode_s =
        0.5 * (price->phase_s[SP_PHASE_DECODE] + price->phase_s[SP_PHASE_LAST_DECODE]);
    const double bytes =
        price->weight_bytes + in_flight * price->cache_bytes + price->working_bytes;
    all->prefill_s += price->phase_s[SP_PHASE_PREFILL] + prompt_hand_over_s;
    all->decode_s += decode_s + hand_over_s;
    all->memory_bytes = fmax(all->memory_bytes, bytes);
    if (decode_s + hand_over_s > all->slowest_s) {
        all->slowest_s = decode_s + hand_over_s;
        all->network_ratio = (price->network_s + hand_over_s) / all->slowest_s;
    }
}

/* Parts of a replica's batch: at most one a stage, all of one size. */
static uint32_t parts_of(uint64_t sequences, uint32_t pp)
{
    uint32_t parts = sequences < pp ? (uint32_t)sequences : pp;
    while (sequences % parts != 0) {
        parts--;
    }
    return parts;
}

static sp_status price_stages(sp_arena *arena, const sp_analysis_question *part, uint32_t pp,
                              uint32_t in_flight, pipeline *all, sp_error *err)
{
    sp_fabric fabric;
    sp_fabric_build(part->cluster, &fabric);
    const sp_group neighbours = sp_group_build(&fabric, pp, part->tp);
    const double token_bytes = (double)part->batch / part->dp * part->model->hidden *
                               part->bits.activation / 8.0 / part->tp;
    stage *s = sp_arena_alloc(arena, sizeof *s);
    if (s == NULL) return sp_fail(err, SP_E_MEMORY, "the pipeline needs more");
    for (uint32_t i = 0; i < pp; i++) {
        const bool hands_on = i + 1 < pp;
        stage_price price;
        cut_stage(part->model, i, pp, s);
        SP_TRY(price_stage(arena, part, s, &price, err));
        const double prompt_bytes = token_bytes * (double)part->prompt_tokens;
        add_stage(&price, in_flight, hands_on ? sp_coll_p2p_s(&neighbours, token_bytes) : 0.0,
                  hands_on ? sp_coll_p2p_s(&neighbours, prompt_bytes) : 0.0, all);
    }
    return SP_OK;
}

static sp_status check(const sp_analysis_question *q, uint64_t gpus, uint32_t pp, uint32_t dp,
                       sp_error *err)
{
    if (q->cluster == NULL) {
        return sp_fail(err, SP_E_INCONSISTENT, "several chips need a network; give --cluster");
    }
    if (pp == 0 || pp > q->model->n_layers || q->model->n_runs > MAX_RUNS) {
        sp_fail(err, SP_E_RANGE, "a pipeline needs a layer for each stage");
        sp_fail_value(err, "%u", (unsigned)pp);
        return sp_fail_range(err, "1 .. %u", (unsigned)q->model->n_layers);
    }
    if (gpus > q->cluster->max_gpus) {
        sp_fail(err, SP_E_RANGE, "the cluster has fewer accelerators");
        sp_fail_value(err, "%llu", (unsigned long long)gpus);
        return sp_fail_range(err, "1 .. %u", (unsigned)q->cluster->max_gpus);
    }
    if (dp > 0 && q->batch % dp == 0) return SP_OK;
    return sp_fail(err, SP_E_INCONSISTENT, "--dp %u does not divide the batch, %llu", (unsigned)dp,
                   (unsigned long long)q->batch);
}

sp_status sp_chips_price(const sp_analysis_question *question, uint32_t tp, uint32_t pp,
                         uint32_t dp, sp_chips *chips, sp_error *err)
{
    SP_TRY(check(question, (uint64_t)tp * pp * dp, pp, dp, err));
    const uint32_t parts = parts_of(question->batch / dp, pp);
    sp_analysis_question part = *question;
    part.tp = tp;
    part.dp = dp;
    part.batch = question->batch / parts;
    part.phases = 1u << SP_PHASE_PREFILL | 1u << SP_PHASE_DECODE | 1u << SP_PHASE_LAST_DECODE;
    pipeline all = {0};
    sp_arena scratch = {0};
    const sp_status status = price_stages(&scratch, &part, pp, parts, &all, err);
    sp_arena_fini(&scratch);
    if (status != SP_OK) return status;
    *chips = (sp_chips){.tp = tp,
                        .pp = pp,
                        .dp = dp,
                        .groups_in_flight = parts,
                        .prefill_s = all.prefill_s,
                        .token_s = fmax(parts * all.slowest_s, all.decode_s),
                        .least_token_s = all.decode_s,
                        .network_ratio = all.network_ratio,
                        .stage_memory_bytes = all.memory_bytes,
                        .fits = all.memory_bytes <= question->gpu->memory_bytes};
    chips->tokens_per_s = (double)question->batch / chips->token_s;
    return SP_OK;
}

/* A split that fits before one that does not, then the one with more tokens a second. */
static bool is_better(const sp_chips *a, const sp_chips *b)
{
    if (b->tp == 0 || a->fits != b->fits) return b->tp == 0 || a->fits;
    return a->tokens_per_s > b->tokens_per_s;
}

static sp_status try_split(const sp_analysis_question *question, uint32_t tp, uint32_t pp,
                           uint32_t dp, sp_chips *best, sp_error *err)
{
    sp_chips chips;
    sp_error refusal = {0};
    const sp_status status = sp_chips_price(question, tp, pp, dp, &chips, &refusal);
    if (status == SP_E_INCONSISTENT || status == SP_E_RANGE) return SP_OK;
    if (status != SP_OK) {
        *err = refusal;
        return status;
    }
    if (is_better(&chips, best)) *best = chips;
    return SP_OK;
}

static sp_status best_of(const sp_analysis_question *question, uint32_t n, sp_chips *best,
                         sp_error *err)
{
    for (uint32_t tp = 1; tp <= n; tp++) {
        for (uint32_t pp = 1; n % tp == 0 && pp <= n / tp; pp++) {
            if (n / tp % pp != 0) continue;
            SP_TRY(try_split(question, tp, pp, n / tp / pp, best, err));
        }
    }
    return SP_OK;
}

sp_status sp_chips_curve(sp_arena *arena, const sp_analysis_question *question, uint32_t max_chips,
                         const sp_chips **curve, sp_error *err)
{
    sp_chips *made = sp_arena_alloc(arena, (size_t)max_chips * sizeof *made);
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "the curve needs more");
    SP_TRY(check(question, max_chips, 1, 1, err));
    for (uint32_t n = 1; n <= max_chips; n++) {
        SP_TRY(best_of(question, n, &made[n - 1], err));
    }
    *curve = made;
    return SP_OK;
}
