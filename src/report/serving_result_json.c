/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a serving search in JSON. Everything but the object "search" (without space and
 * exact) is the same bytes for any number of threads and ranks. */
#include "report/serving_page.h"

static const sp_rule_info *rule_of(const void *space, uint32_t rule)
{
    return sp_serving_space_rule(space, rule);
}

/* Plans that a table shows were run request by request. */
static sp_served_plan served_of(const sp_serving_answer *answer, const sp_point *point)
{
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        if (answer->rows[i].served.id == point->id) return answer->rows[i].served;
    }
    return sp_serving_price_point(answer->space, point);
}

static void put_point(sp_json_writer *w, const sp_serving_answer *answer, const sp_point *point)
{
    const sp_served_plan served = served_of(answer, point);
    sp_jw_open_object(w, NULL);
    sp_json_put_served(w, answer->space, &served);
    sp_jw_close_object(w);
}

static void put_front(sp_json_writer *w, const sp_serving_answer *answer)
{
    const sp_front *front = &answer->result->front;
    sp_point *points = sp_points_of_front(front);
    if (points == NULL) {
        w->out->failed = true;
        return;
    }
    sp_jw_open_array(w, "front");
    for (uint32_t i = 0; i < front->n_points; i++) {
        put_point(w, answer, &points[i]);
    }
    sp_jw_close_array(w);
    sp_free(points);
}

static void put_ranked(sp_json_writer *w, const sp_serving_answer *answer)
{
    sp_jw_open_array(w, "ranked");
    for (uint32_t i = 0; i < answer->result->ranked.n_points && i < answer->top; i++) {
        put_point(w, answer, &answer->result->ranked.points[i]);
    }
    sp_jw_close_array(w);
}

static void put_layouts(sp_json_writer *w, const sp_serving_answer *answer)
{
    const sp_search_result *result = answer->result;
    sp_jw_open_array(w, "layouts");
    for (uint32_t i = 0; i < result->n_layouts && i < answer->top; i++) {
        const sp_served_plan served = served_of(answer, &result->layouts[i].best);
        sp_jw_open_object(w, NULL);
        sp_jw_u64(w, "variants", result->layouts[i].n_variants);
        sp_json_put_served(w, answer->space, &served);
        sp_jw_close_object(w);
    }
    sp_jw_close_array(w);
}

void sp_report_serve_json(const sp_serving_answer *answer, const sp_report_options *options,
                          struct sp_text *out)
{
    const sp_serving_space *space = answer->space;
    const sp_rules rules = {sp_serving_space_rule_count(space), rule_of, space};
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/result/1");
    sp_json_put_version(&w);
    sp_json_put_serving_question(&w, sp_serving_space_problem(space));
    sp_json_put_serving_model(&w, sp_serving_space_problem(space));
    sp_json_put_recommendation(&w, options);
    sp_json_put_search(&w, &rules, answer->result);
    put_front(&w, answer);
    put_ranked(&w, answer);
    put_layouts(&w, answer);
    sp_json_put_grid(&w, &rules, answer->result);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
