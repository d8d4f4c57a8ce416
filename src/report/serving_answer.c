/* SPDX-License-Identifier: Apache-2.0 */
/* What a search found, with what people are shown of it: rows, which of them are tied, the best
 * plan of each mode. Rows are run request by request. */
#include "report/serving_page.h"

#include <assert.h>
#include <string.h>

static bool is_on_front(const sp_front *front, uint64_t id)
{
    for (uint32_t i = 0; i < front->n_points; i++) {
        if (front->points[i].id == id) return true;
    }
    return false;
}

static void fill_row(sp_serving_answer *answer, const sp_point *point, uint64_t n_variants)
{
    sp_serving_row *row = &answer->rows[answer->n_rows++];
    row->served = sp_serving_price_point(answer->space, point);
    row->n_variants = n_variants;
    row->on_front = is_on_front(&answer->result->front, point->id);
}

/* The same workers as in a row above, only more of them: the same figures on more GPUs. */
static bool repeats(const sp_serving_answer *answer, const sp_point *point)
{
    const sp_serving_plan plan = sp_serving_space_unrank(answer->space, point->id);
    const uint32_t gpus = plan.value[SP_SERVING_AXIS_gpus];
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        sp_serving_plan other = answer->rows[i].served.plan;
        const uint32_t fewer = other.value[SP_SERVING_AXIS_gpus];
        if (gpus <= fewer || plan.workers * fewer != other.workers * gpus) continue;
        other.value[SP_SERVING_AXIS_gpus] = gpus;
        other.value[SP_SERVING_AXIS_prefill_workers] = plan.value[SP_SERVING_AXIS_prefill_workers];
        if (memcmp(other.value, plan.value, sizeof plan.value) == 0) return true;
    }
    return false;
}

/* Within the interval of the first row: nine of ten times such as its own are at most
 * estimate x high_ratio, nine of ten rates at least estimate x rate_low_ratio. */
static void mark_tied(sp_serving_answer *answer)
{
    const sp_serving_problem *problem = sp_serving_space_problem(answer->space);
    const sp_objective *first = sp_serving_problem_objective(problem, 0);
    if (answer->n_rows == 0) return;
    const sp_serving_estimate *leader = &answer->rows[0].served.estimate;
    const bool is_time = strcmp(first->unit, "s") == 0;
    const bool is_rate = strncmp(first->name, "tokens_per_s", strlen("tokens_per_s")) == 0;
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        const double mine = answer->rows[i].served.estimate.objective[0];
        const double best = leader->objective[0];
        answer->rows[i].tied = i == 0 || (is_time && mine <= best * leader->high_ratio) ||
                               (is_rate && mine >= best * leader->rate_low_ratio);
    }
}

/* ---- the best of each mode ---- */

static void consider(sp_serving_answer *answer, const sp_point *point,
                     sp_point leaders[SP_N_SERVING_MODES])
{
    const sp_serving_plan plan = sp_serving_space_unrank(answer->space, point->id);
    const sp_serving_mode mode = sp_served_mode(&plan);
    sp_serving_champion *champion = &answer->champions[mode];
    if (champion->found && !sp_point_precedes(point, &leaders[mode])) return;
    champion->found = true;
    leaders[mode] = *point;
}

static uint32_t row_of(const sp_serving_answer *answer, uint64_t id)
{
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        if (answer->rows[i].served.id == id) return i;
    }
    return UINT32_MAX;
}

static void find_champions(sp_serving_answer *answer)
{
    sp_point leaders[SP_N_SERVING_MODES] = {{0}};
    const sp_search_result *result = answer->result;
    for (uint32_t i = 0; i < result->front.n_points; i++) {
        consider(answer, &result->front.points[i], leaders);
    }
    for (uint32_t i = 0; i < result->ranked.n_points; i++) {
        consider(answer, &result->ranked.points[i], leaders);
    }
    for (uint32_t i = 0; i < result->n_layouts; i++) {
        consider(answer, &result->layouts[i].best, leaders);
    }
    for (uint32_t mode = 0; mode < SP_N_SERVING_MODES; mode++) {
        sp_serving_champion *champion = &answer->champions[mode];
        if (!champion->found) continue;
        champion->served = sp_serving_price_point(answer->space, &leaders[mode]);
        champion->row = row_of(answer, leaders[mode].id);
    }
}

sp_status sp_serving_answer_build(const sp_serving_space *space, const sp_search_result *result,
                                  const sp_serving_shown *shown, sp_serving_answer *answer,
                                  sp_error *err)
{
    const bool by_layout = shown->by_layout;
    const uint32_t top = shown->top;
    const uint32_t found = by_layout ? result->n_layouts : result->ranked.n_points;
    *answer = (sp_serving_answer){.space = space, .result = result, .top = top};
    answer->rows = sp_alloc((top + 1u) * sizeof *answer->rows);
    if (answer->rows == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the answer");
    for (uint32_t i = 0; i < found && answer->n_rows < top; i++) {
        const sp_layout *layout = by_layout ? &result->layouts[i] : NULL;
        const sp_point *point = layout != NULL ? &layout->best : &result->ranked.points[i];
        if (by_layout && repeats(answer, point)) {
            answer->n_repeats++;
        } else {
            fill_row(answer, point, layout != NULL ? layout->n_variants : 0);
        }
    }
    for (uint32_t i = 0; i < answer->n_rows && i < shown->runs; i++) {
        sp_serving_price_run(space, &answer->rows[i].served);
    }
    mark_tied(answer);
    find_champions(answer);
    return SP_OK;
}

void sp_serving_answer_fini(sp_serving_answer *answer)
{
    sp_free(answer->rows);
    *answer = (sp_serving_answer){0};
}

/* ---- the same question, changed ---- */

sp_status sp_serving_ask(const sp_serving_question *question, const sp_search_options *options,
                         sp_serving_asked *asked, sp_error *err)
{
    *asked = (sp_serving_asked){0};
    SP_TRY(sp_serving_problem_build(question, &asked->problem, err));
    SP_TRY(sp_serving_space_build(asked->problem, &asked->space, err));
    return sp_serving_search(asked->space, options, &asked->result, err);
}

void sp_serving_asked_fini(sp_serving_asked *asked)
{
    sp_search_result_fini(&asked->result);
    sp_serving_space_free(asked->space);
    sp_serving_problem_free(asked->problem);
    *asked = (sp_serving_asked){0};
}
