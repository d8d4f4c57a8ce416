/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of deployments that were measured under one workload: how often the best of them is picked,
 * and what a wrong pick costs. */
#include "fidelity/deployed.h"

#include <math.h>
#include <string.h>

/* A pick within this share of the best counts as right: what repeated runs differ by. */
#define EQUAL_RATE_RATIO 0.02

typedef struct pick {
    double regret; /* 1 - measured rate of the choice over the best */
    double spearman;
    bool right;
    bool fewest_right; /* the layout with the fewest GPUs would have been */
    bool equal_gpus;
    uint32_t n;
} pick;

/* Which sets are asked for. */
typedef struct choice {
    const char *source; /* NULL: any */
    bool equal_gpus;    /* those alone that compare equal numbers of GPUs */
} choice;

static bool comparable(const sp_deployed_row *row)
{
    sp_pair pair;
    return sp_deployed_pair_of(row, SP_DEPLOYED_METRIC_RATE, &pair);
}

/* The set that begins at row `first`; n < 2: nothing to choose. */
static pick pick_from(const sp_deployed_score *score, uint32_t first, sp_pair *pairs, bool *failed)
{
    const sp_deployed_row *chosen = &score->rows[first], *fewest = chosen;
    double best = 0.0;
    pick out = {.equal_gpus = true};
    for (uint32_t i = first; i < score->n_rows; i++) {
        const sp_deployed_row *row = &score->rows[i];
        if (strcmp(row->set, score->rows[first].set) != 0) continue;
        if (!sp_deployed_pair_of(row, SP_DEPLOYED_METRIC_RATE, &pairs[out.n])) continue;
        const double rate = row->predicted.value[SP_DEPLOYED_METRIC_RATE];
        out.equal_gpus = out.equal_gpus && row->gpus == fewest->gpus;
        if (rate > chosen->predicted.value[SP_DEPLOYED_METRIC_RATE]) chosen = row;
        if (row->gpus < fewest->gpus) fewest = row;
        best = fmax(best, row->measured[SP_DEPLOYED_METRIC_RATE]);
        out.n++;
    }
    if (out.n < 2) return out;
    out.spearman = sp_spearman_of(pairs, out.n, failed);
    out.regret = 1.0 - chosen->measured[SP_DEPLOYED_METRIC_RATE] / best;
    out.right = out.regret <= EQUAL_RATE_RATIO;
    out.fewest_right = fewest->measured[SP_DEPLOYED_METRIC_RATE] >= (1.0 - EQUAL_RATE_RATIO) * best;
    return out;
}

static bool begins_set(const sp_deployed_score *score, uint32_t idx)
{
    if (!comparable(&score->rows[idx])) return false;
    for (uint32_t i = 0; i < idx; i++) {
        if (strcmp(score->rows[i].set, score->rows[idx].set) == 0 && comparable(&score->rows[i])) {
            return false;
        }
    }
    return true;
}

/* room: two numbers a row. */
static sp_picks pick_all(const sp_deployed_score *score, const choice *which, sp_pair *pairs,
                         double *room, bool *failed)
{
    double *regrets = room, *correlations = room + score->n_rows;
    uint32_t n_right = 0, n_fewest = 0, n_ranked = 0;
    sp_picks sum = {0};
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const char *source = score->rows[i].source;
        if (which->source != NULL && strcmp(source, which->source) != 0) continue;
        if (!begins_set(score, i)) continue;
        const pick p = pick_from(score, i, pairs, failed);
        if (p.n < 2 || (which->equal_gpus && !p.equal_gpus)) continue;
        if (!isnan(p.spearman)) correlations[n_ranked++] = p.spearman;
        regrets[sum.n++] = p.regret;
        n_right += p.right;
        n_fewest += p.fewest_right;
    }
    sum.spearman_median = sp_quantile_of(correlations, n_ranked, 0.5);
    sum.regret_mean = sp_mean_of(regrets, sum.n);
    sum.regret_median = sp_quantile_of(regrets, sum.n, 0.5);
    sum.regret_p90 = sp_quantile_of(regrets, sum.n, 0.9);
    sum.best_picked_ratio = (double)n_right / sum.n;
    sum.fewest_gpus_ratio = (double)n_fewest / sum.n;
    return sum;
}

void sp_deployed_pick(sp_deployed_score *score, sp_pair *pairs, bool *failed)
{
    double *room = sp_alloc((2 * (size_t)score->n_rows + 1) * sizeof *room);
    if (room == NULL) {
        *failed = true;
        return;
    }
    score->picks = pick_all(score, &(choice){NULL, false}, pairs, room, failed);
    score->picks_equal_gpus = pick_all(score, &(choice){NULL, true}, pairs, room, failed);
    for (uint32_t s = 0; s < score->n_sources; s++) {
        const choice which = {score->sources[s].name, false};
        score->sources[s].picks = pick_all(score, &which, pairs, room, failed);
    }
    sp_free(room);
}
