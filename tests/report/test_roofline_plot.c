/* SPDX-License-Identifier: Apache-2.0 */
/* Roofline pictures: no label covers a label or a mark whatever is asked, roofs are worth what the
 * formulas say, files are what their endings promise, and bad questions are refused. */
#include "report/roofline_samples.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static sp_error err;

/* ---- layout ---- */

static bool is_solid(const sp_shape *shape)
{
    return shape->kind == SP_SHAPE_TEXT || shape->kind == SP_SHAPE_MARK;
}

/* Texts touch neither texts nor marks, and lie on the paper. */
static void assert_legible(const sp_picture *picture)
{
    const sp_box paper = {0.5 * picture->width, 0.5 * picture->height, 0.5 * picture->width,
                          0.5 * picture->height, 0.0};
    assert_false(picture->failed);
    for (size_t i = 0; i < picture->n_shapes; i++) {
        const sp_shape *const a = &picture->shapes[i];
        if (a->kind != SP_SHAPE_TEXT) {
            continue;
        }
        if (!sp_box_inside(&a->box, &paper)) {
            fail_msg("'%s' leaves the paper", a->text);
        }
        for (size_t j = 0; j < picture->n_shapes; j++) {
            const sp_shape *const b = &picture->shapes[j];
            if (i != j && is_solid(b) && sp_boxes_overlap(&a->box, &b->box)) {
                fail_msg("'%s' lies upon '%s'", a->text, b->text ? b->text : "a mark");
            }
        }
    }
}

static void assert_all_views_legible(sample *s)
{
    sp_picture picture;
    for (int view = 0; view < SP_ROOFLINE_N_VIEWS; view++) {
        sp_roofline_layout(&s->roofline, (sp_roofline_view)view, &sample_typeface, &picture);
        assert_legible(&picture);
        sp_picture_fini(&picture);
    }
    sp_roofline_legend_layout(&s->roofline, &sample_typeface, &picture);
    assert_legible(&picture);
    sp_picture_fini(&picture);
}

static void no_label_covers_another(void **state)
{
    static const struct {
        uint32_t n_hardware, n_points;
        bool equal;
    } cases[] = {
        {1,  0,   false},
        {1,  1,   true },
        {1,  200, false},
        {6,  200, false},
        {6,  200, true },
        {12, 0,   true },
        {12, 200, false},
        {12, 200, true }
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sample s;
        sample_fill(&s, cases[i].n_hardware, cases[i].n_points, cases[i].equal);
        assert_all_views_legible(&s);
    }
}

static void long_names_and_titles_stay_on_the_paper(void **state)
{
    sample s;
    (void)state;
    sample_fill(&s, 3, 9, false);
    s.hardware[1].name = "An accelerator whose maker could not decide on a name and took them all";
    s.points[4].label = "a projection with a name as long as a path in a checkpoint of a model";
    s.roofline.title = "A title that tells the whole story of the model, of its authors, of the "
                       "prompt, of the batch, and of the weather on the day of the release";
    assert_all_views_legible(&s);
}

static unsigned count_texts(const sp_picture *picture, const char *part)
{
    unsigned n = 0;
    for (size_t i = 0; i < picture->n_shapes; i++) {
        const sp_shape *const shape = &picture->shapes[i];
        n += shape->kind == SP_SHAPE_TEXT && strstr(shape->text, part) != NULL;
    }
    return n;
}

/* Six equal machines: their labels cannot all lie in the plot, yet none is dropped. */
static void every_ridge_ceiling_and_bandwidth_is_named(void **state)
{
    sample s;
    sp_picture picture;
    (void)state;
    sample_fill(&s, 6, 200, true);
    for (int view = 0; view < SP_ROOFLINE_N_VIEWS; view++) {
        sp_roofline_layout(&s.roofline, (sp_roofline_view)view, &sample_typeface, &picture);
        assert_int_equal(count_texts(&picture, " ridge "), 18);
        assert_int_equal(count_texts(&picture, "HBM3 3.35 TB/s"), 6);
        assert_int_equal(count_texts(&picture, "host 64 GB/s"), 6);
        assert_int_equal(count_texts(&picture, view == SP_ROOFLINE_ENERGY ? "FLOP/J at" : "FLOP/s"),
                         view == SP_ROOFLINE_ENERGY ? 18 : 18 + 1);
        sp_picture_fini(&picture);
    }
}

static void the_legend_lists_every_operator_in_every_phase(void **state)
{
    sample s;
    sp_picture picture;
    unsigned n_marks = 0;
    (void)state;
    sample_fill(&s, 6, 200, false);
    s.points[3].flops_per_byte = 0.0;
    s.points[4].label = s.points[10].label; /* the same name and accelerator, another phase */
    sp_roofline_legend_layout(&s.roofline, &sample_typeface, &picture);
    for (size_t i = 0; i < picture.n_shapes; i++) {
        n_marks +=
            picture.shapes[i].kind == SP_SHAPE_MARK && picture.shapes[i].mark != SP_MARK_SWATCH;
    }
    assert_int_equal(n_marks, 200);
    assert_int_equal(count_texts(&picture, "moves bytes only"), 1);
    assert_int_equal(count_texts(&picture, "last decode step"), 1);
    sp_picture_fini(&picture);
}

/* ---- numbers ---- */

/* 900 TFLOP/s over 3 TB/s: ridge 300. At 30: 90 TFLOP/s; u_c = 0.1, u_m = 1, so with a = 0.6
 * P = 500 (0.06 + 0.4) = 230 W. At 600: u_c = 1, u_m = 0.5, P = 500 (0.6 + 0.2) = 400 W. */
static void roofs_follow_their_formulas(void **state)
{
    const sp_roofline_limit ceiling = {"bf16", 900e12}, memory = {"HBM", 3e12};
    const sp_roofline_hardware h = {"x", &ceiling, 1, &memory, 1, 500.0, 0.6};
    (void)state;
    assert_true(sp_roofline_ridge(&h, 0, 0) == 300.0);
    assert_true(sp_roofline_attainable(&h, 0, 0, 30.0) == 90e12);
    assert_true(sp_roofline_attainable(&h, 0, 0, 3000.0) == 900e12);
    assert_true(fabs(sp_roofline_watts(&h, 0, 0, 30.0) - 230.0) < 1e-9);
    assert_true(fabs(sp_roofline_watts(&h, 0, 0, 300.0) - 500.0) < 1e-9);
    assert_true(fabs(sp_roofline_watts(&h, 0, 0, 600.0) - 400.0) < 1e-9);
    assert_true(fabs(sp_roof_height(&h, SP_ROOFLINE_ENERGY, 0, 0, 600.0) - 2.25e12) < 1.0);
}

/* At half of its roof a kernel takes twice the time at the same power: half of the FLOP/J. */
static void a_slow_point_lies_below_its_roof(void **state)
{
    const sp_roofline_limit ceiling = {"bf16", 900e12}, memory = {"HBM", 3e12};
    const sp_roofline_hardware h = {"x", &ceiling, 1, &memory, 1, 500.0, 0.6};
    const sp_roofline roofline = {.hardware = &h, .n_hardware = 1};
    const sp_roofline_point slow = {.flops_per_byte = 600.0, .flops_per_s = 450e12};
    (void)state;
    assert_true(fabs(sp_point_height(&roofline, SP_ROOFLINE_LOG, &slow) - 450e12) < 1.0);
    assert_true(fabs(sp_point_height(&roofline, SP_ROOFLINE_ENERGY, &slow) - 1.125e12) < 1.0);
}

/* ---- files ---- */

static char folder[] = "/tmp/shardplan-roofline-XXXXXX";

static const char *path_to(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", folder, name);
    return out;
}

static void read_file(const char *name, sp_text *text)
{
    char path[128];
    memset(text, 0, sizeof *text);
    assert_int_equal(sp_file_read(path_to(path, name), 1u << 24, text, &err), SP_OK);
}

static unsigned occurrences(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) {
        n++;
    }
    return n;
}

static void write_sample(const sample *s, sp_roofline_view view, const char *name)
{
    char path[128];
    if (sp_roofline_write(&s->roofline, view, path_to(path, name), &err) != SP_OK) {
        fail_msg("%s", err.message);
    }
}

/* xmllint where there is one. */
static void assert_well_formed(const char *name)
{
    char path[128], command[256];
    snprintf(command, sizeof command, "! command -v xmllint >/dev/null || xmllint --noout %s",
             path_to(path, name));
    assert_int_equal(system(command), 0);
}

static void an_svg_is_well_formed_and_says_each_label_once(void **state)
{
    sample s;
    sp_text svg;
    (void)state;
    if (!sp_picture_can_draw()) skip();
    sample_fill(&s, 1, 5, false);
    s.roofline.title = "A < B & C";
    write_sample(&s, SP_ROOFLINE_LOG, "roof.svg");
    assert_well_formed("roof.svg");
    assert_well_formed("roof-legend.svg");
    read_file("roof.svg", &svg);
    assert_int_equal(occurrences(svg.data, ">A &lt; B &amp; C</text>"), 1);
    assert_int_equal(occurrences(svg.data, ">bf16 ridge 295</text>"), 1);
    assert_int_equal(occurrences(svg.data, ">HBM3 3.35 TB/s</text>"), 1);
    assert_int_equal(occurrences(svg.data, ">alpha  fp8 1.98 PFLOP/s</text>"), 1);
    assert_int_equal(occurrences(svg.data, "<title>operator 4, last decode step, alpha:"), 1);
    sp_text_fini(&svg);
    read_file("roof-legend.svg", &svg);
    assert_int_equal(occurrences(svg.data, ">operator 3</text>"), 1);
    sp_text_fini(&svg);
}

static uint32_t big_endian(const char *at)
{
    const unsigned char *const b = (const unsigned char *)at;
    return ((uint32_t)b[0] << 24) | ((uint32_t)b[1] << 16) | ((uint32_t)b[2] << 8) | b[3];
}

static void a_png_has_its_signature_and_size(void **state)
{
    sample s;
    sp_text png;
    (void)state;
    if (!sp_picture_can_draw()) skip();
    sample_fill(&s, 1, 5, false);
    write_sample(&s, SP_ROOFLINE_LINEAR, "roof.PNG");
    read_file("roof.PNG", &png);
    assert_memory_equal(png.data, "\x89PNG\r\n\x1a\n", 8);
    assert_int_equal(big_endian(png.data + 16), 1200);
    assert_int_equal(big_endian(png.data + 20), 808); /* a ridge is told in a line below the plot */
    sp_text_fini(&png);
}

static void the_same_question_gives_the_same_file(void **state)
{
    static const char *const endings[] = {"svg", "png"};
    (void)state;
    if (!sp_picture_can_draw()) skip();
    for (int e = 0; e < 2; e++) {
        sample s;
        sp_text first, second;
        char name[32];
        sample_fill(&s, 6, 60, false);
        snprintf(name, sizeof name, "same.%s", endings[e]);
        write_sample(&s, SP_ROOFLINE_ENERGY, name);
        read_file(name, &first);
        write_sample(&s, SP_ROOFLINE_LOG, "other.svg");
        write_sample(&s, SP_ROOFLINE_ENERGY, name);
        read_file(name, &second);
        assert_int_equal(first.length, second.length);
        assert_memory_equal(first.data, second.data, first.length);
        sp_text_fini(&first);
        sp_text_fini(&second);
    }
}

/* ---- refusals ---- */

static void a_path_of_another_kind_is_refused(void **state)
{
    sample s;
    (void)state;
    sample_fill(&s, 1, 1, false);
    const sp_status status = sp_roofline_write(&s.roofline, SP_ROOFLINE_LOG, "roof.pdf", &err);
    assert_int_equal(status, sp_picture_can_draw() ? SP_E_USAGE : SP_E_NOT_YET);
}

static void numbers_that_cannot_be_drawn_are_refused(void **state)
{
    sample s;
    (void)state;
    sample_fill(&s, 2, 3, false);
    s.points[1].flops_per_byte = (double)NAN;
    assert_int_equal(sp_roofline_check(&s.roofline, SP_ROOFLINE_LOG, &err), SP_E_RANGE);
    assert_non_null(strstr(err.message, "operator 1"));
    s.points[1].flops_per_byte = 1.0;
    s.hardware[1].compute_power_ratio = 0.0;
    assert_int_equal(sp_roofline_check(&s.roofline, SP_ROOFLINE_LOG, &err), SP_OK);
    assert_int_equal(sp_roofline_check(&s.roofline, SP_ROOFLINE_ENERGY, &err), SP_E_INCONSISTENT);
    s.roofline.n_hardware = 0;
    assert_int_equal(sp_roofline_check(&s.roofline, SP_ROOFLINE_LOG, &err), SP_E_RANGE);
}

/* The first, the second, ... allocation fails; the layout says so and leaks nothing. */
static void memory_that_runs_out_is_noticed(void **state)
{
    sample s;
    sp_picture picture;
    bool failed = true;
    (void)state;
    sample_fill(&s, 2, 12, false);
    for (uint64_t n = 1; failed; n++) {
        sp_alloc_fail_at(n);
        sp_roofline_layout(&s.roofline, SP_ROOFLINE_LOG, &sample_typeface, &picture);
        failed = picture.failed;
        sp_picture_fini(&picture);
        assert_true(n < 100000);
    }
    sp_alloc_fail_at(0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_label_covers_another),
        cmocka_unit_test(long_names_and_titles_stay_on_the_paper),
        cmocka_unit_test(every_ridge_ceiling_and_bandwidth_is_named),
        cmocka_unit_test(the_legend_lists_every_operator_in_every_phase),
        cmocka_unit_test(roofs_follow_their_formulas),
        cmocka_unit_test(a_slow_point_lies_below_its_roof),
        cmocka_unit_test(an_svg_is_well_formed_and_says_each_label_once),
        cmocka_unit_test(a_png_has_its_signature_and_size),
        cmocka_unit_test(the_same_question_gives_the_same_file),
        cmocka_unit_test(a_path_of_another_kind_is_refused),
        cmocka_unit_test(numbers_that_cannot_be_drawn_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_noticed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
