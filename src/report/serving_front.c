/* SPDX-License-Identifier: Apache-2.0 */
/* The Pareto front as a picture of characters: what a user sees against what a GPU yields. Each
 * cell shows the last kind of plan that falls in it; rows of the table stand as their numbers. */
#include "report/serving_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST_COLUMNS  88u
#define LEAST_COLUMNS 20u
#define LINES         16u
#define X_TICKS       11u
#define Y_TICKS       8u
#define LABEL         9u /* digits of the y axis and a blank */

typedef struct marks {
    const char *agg, *disagg, *wall, *corner, *floor, *tick;
} marks;

static const marks plain = {"o", "x", "|", "+", "-", "+"};
static const marks fancy = {"\u25cf", "\u25c6", "\u2502", "\u2514", "\u2500", "\u2534"};

typedef struct scale {
    double most, step; /* of the axis; it begins at 0 */
} scale;

/* Steps of 1, 2 or 5 times a power of ten, `n` of them at most. */
static scale scale_to(double most, uint32_t n)
{
    static const double nice[] = {1.0, 2.0, 5.0, 10.0};
    const double raw = most / n, power = pow(10.0, floor(log10(raw)));
    double step = 10.0 * power;
    for (size_t i = 4; i-- > 0;) {
        if (nice[i] * power >= raw * (1.0 - 1e-9)) step = nice[i] * power;
    }
    return (scale){ceil(most / step * (1.0 - 1e-9)) * step, step};
}

/* As short as the number is. */
static sp_word tick_word(double value)
{
    sp_word word = {0};
    if (value >= 1000.0) return sp_word_count((uint64_t)(value + 0.5));
    (void)snprintf(word.text, sizeof word.text, "%.4g", value);
    return word;
}

typedef struct canvas {
    uint32_t columns;
    scale x, y;
    /* '\0' empty, 'a' and 'd' plans, digits rows of the table */
    char cells[LINES][MOST_COLUMNS];
} canvas;

static uint32_t cell_of(double value, double most, uint32_t n)
{
    const double at = value / most * (n - 1) + 0.5;
    return at >= n ? n - 1 : (uint32_t)at;
}

static char kind_of(const sp_serving_answer *answer, const sp_served_plan *served)
{
    for (uint32_t i = 0; i < answer->n_rows && i < 9; i++) {
        if (answer->rows[i].served.id == served->id) return (char)('1' + i);
    }
    return sp_served_mode(&served->plan) == SP_SERVING_DISAGG ? 'd' : 'a';
}

/* Numbers of rows stay; a lower one wins. */
static void put(canvas *c, const sp_serving_estimate *e, char kind)
{
    const uint32_t column = cell_of(e->tokens_per_s_per_user, c->x.most, c->columns);
    const uint32_t line = cell_of(e->tokens_per_s_per_gpu, c->y.most, LINES);
    char *cell = &c->cells[line][column];
    const bool kept = *cell >= '1' && *cell <= '9' && (kind < '1' || kind > '9' || kind > *cell);
    if (!kept) *cell = kind;
}

static void measure(const sp_served_plan *plans, uint32_t n, double *user, double *gpu)
{
    for (uint32_t i = 0; i < n; i++) {
        *user = fmax(*user, plans[i].estimate.tokens_per_s_per_user);
        *gpu = fmax(*gpu, plans[i].estimate.tokens_per_s_per_gpu);
    }
}

static void fill(canvas *c, const sp_serving_answer *answer, const sp_served_plan *plans)
{
    for (uint32_t i = 0; i < answer->result->front.n_points; i++) {
        put(c, &plans[i].estimate, kind_of(answer, &plans[i]));
    }
}

static void add_cell(const marks *m, char cell, bool color, struct sp_text *out)
{
    char digit[2] = {cell, '\0'};
    if (cell == 'a') {
        sp_tone_add(out, color, SP_TONE_GOOD, m->agg);
    } else if (cell == 'd') {
        sp_tone_add(out, color, SP_TONE_OTHER, m->disagg);
    } else {
        sp_tone_add(out, color, SP_TONE_STRONG, digit);
    }
}

/* The tick of this line of the y axis: NAN where it has none. */
static double tick_at(const scale *s, uint32_t cell, uint32_t n)
{
    for (double value = 0.0; value <= s->most * (1.0 + 1e-9); value += s->step) {
        if (cell_of(value, s->most, n) == cell) return value;
    }
    return NAN;
}

static void add_line(const canvas *c, const marks *m, uint32_t line, bool color,
                     struct sp_text *out)
{
    const double tick = tick_at(&c->y, line, LINES);
    uint32_t last = 0;
    sp_text_printf(out, "%*s%s", (int)LABEL - 1, isnan(tick) ? "" : tick_word(tick).text, " ");
    sp_text_add(out, m->wall);
    for (uint32_t i = 0; i < c->columns; i++) {
        if (c->cells[line][i] == '\0') continue;
        sp_text_printf(out, "%*s", (int)(i - last), "");
        add_cell(m, c->cells[line][i], color, out);
        last = i + 1;
    }
    sp_text_add(out, "\n");
}

static void add_floor(const canvas *c, const marks *m, struct sp_text *out)
{
    sp_text_printf(out, "%*s%s", (int)LABEL, "", m->corner);
    for (uint32_t i = 0; i < c->columns; i++) {
        sp_text_add(out, isnan(tick_at(&c->x, i, c->columns)) ? m->floor : m->tick);
    }
    sp_text_add(out, "\n");
    uint32_t at = 0;
    sp_text_printf(out, "%*s", (int)LABEL + 1, "");
    for (uint32_t i = 0; i < c->columns; i++) {
        const double tick = tick_at(&c->x, i, c->columns);
        if (isnan(tick)) continue;
        const sp_word word = tick_word(tick);
        const uint32_t width = (uint32_t)strlen(word.text);
        const uint32_t start = i >= width / 2 ? i - width / 2 : 0;
        if (start < at) continue;
        sp_text_printf(out, "%*s%s", (int)(start - at), "", word.text);
        at = start + width;
    }
    sp_text_add(out, "\n");
}

static bool has_cell(const canvas *c, char kind)
{
    for (uint32_t line = 0; line < LINES; line++) {
        if (memchr(c->cells[line], kind, c->columns) != NULL) return true;
    }
    return false;
}

static void add_title(const sp_serving_answer *answer, const canvas *c, const marks *m,
                      struct sp_text *out)
{
    sp_text_printf(out, "\nPareto front, %s plans: up tok/s/GPU, right tok/s/user; ",
                   sp_word_count(answer->result->front.n_points).text);
    if (has_cell(c, 'a')) sp_text_printf(out, "%s aggregated, ", m->agg);
    if (has_cell(c, 'd')) sp_text_printf(out, "%s disaggregated, ", m->disagg);
    sp_text_add(out, "digits: rows\n");
}

static void draw(const sp_serving_answer *answer, const sp_served_plan *plans,
                 const sp_report_options *options, struct sp_text *out)
{
    const marks *m = options->unicode ? &fancy : &plain;
    canvas c = {0};
    double user = 0.0, gpu = 0.0;
    measure(plans, answer->result->front.n_points, &user, &gpu);
    if (!(user > 0.0 && gpu > 0.0)) return;
    const uint32_t room = options->width > LABEL + 4 ? options->width - LABEL - 4 : 0;
    c.columns = room < LEAST_COLUMNS ? LEAST_COLUMNS : room > MOST_COLUMNS ? MOST_COLUMNS : room;
    c.x = scale_to(user, X_TICKS);
    c.y = scale_to(gpu, Y_TICKS);
    fill(&c, answer, plans);
    add_title(answer, &c, m, out);
    for (uint32_t line = LINES; line-- > 0;) {
        add_line(&c, m, line, options->color, out);
    }
    add_floor(&c, m, out);
}

/* Without memory for its points there is no picture. */
void sp_serving_front_draw(const sp_serving_answer *answer, const sp_report_options *options,
                           struct sp_text *out)
{
    const sp_front *front = &answer->result->front;
    if (front->n_points == 1) sp_text_add(out, "\nThe Pareto front is one plan.\n");
    if (front->n_points < 2) return;
    sp_served_plan *plans = sp_alloc((front->n_points + 1u) * sizeof *plans);
    if (plans == NULL) return;
    for (uint32_t i = 0; i < front->n_points; i++) {
        plans[i] = sp_serving_price_point(answer->space, &front->points[i]);
    }
    draw(answer, plans, options, out);
    sp_free(plans);
}
