/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of ZeRO++ as text. */
#include "shardplan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void every_set_is_read_back(void **state)
{
    (void)state;
    for (uint32_t parts = 0; parts <= SP_ZEROPP_ALL; parts++) {
        char text[SP_ZEROPP_TEXT_BYTES];
        sp_error err = {0};
        uint32_t read = SP_ZEROPP_ALL + 1;
        sp_zeropp_format(parts, text);
        assert_int_equal(sp_zeropp_parse(text, &read, &err), SP_OK);
        assert_int_equal(read, parts);
    }
}

static void order_does_not_matter(void **state)
{
    (void)state;
    sp_error err = {0};
    uint32_t parts = 0;
    assert_int_equal(sp_zeropp_parse("qgz,qwz", &parts, &err), SP_OK);
    assert_int_equal(parts, SP_ZEROPP_QWZ | SP_ZEROPP_QGZ);
    assert_int_equal(sp_zeropp_parse("all", &parts, &err), SP_OK);
    assert_int_equal(parts, SP_ZEROPP_ALL);
}

static void what_is_no_part_is_refused_with_those_that_are(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "qwz,", ",qwz", "qwz,hpy", "QWZ", "qwz hpz", "all,qwz"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        sp_error err = {0};
        uint32_t parts = 0;
        assert_int_equal(sp_zeropp_parse(texts[i], &parts, &err), SP_E_UNKNOWN_NAME);
        assert_string_equal(err.value, texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_set_is_read_back),
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(what_is_no_part_is_refused_with_those_that_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
