/* SPDX-License-Identifier: Apache-2.0 */
/* One figure of a hardware file: a number with its unit, its source and its date. A bare number is
 * refused, because "80" may be GB or GiB and "400" Gb or GB. */
#include "spec/spec.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct unit {
    sp_quantity quantity;
    const char *name;
    double scale;
} unit;

static const unit units[] = {
    {SP_Q_COUNT,     "count",    1.0            },
    {SP_Q_MEMORY,    "B",        1.0            },
    {SP_Q_MEMORY,    "MiB",      1048576.0      },
    {SP_Q_MEMORY,    "GiB",      1073741824.0   },
    {SP_Q_MEMORY,    "TiB",      1099511627776.0},
    {SP_Q_MEMORY,    "kB",       1e3            },
    {SP_Q_MEMORY,    "MB",       1e6            },
    {SP_Q_MEMORY,    "GB",       1e9            },
    {SP_Q_MEMORY,    "TB",       1e12           },
    {SP_Q_BANDWIDTH, "GB/s",     1e9            },
    {SP_Q_BANDWIDTH, "TB/s",     1e12           },
    {SP_Q_BANDWIDTH, "Gb/s",     1e9 / 8.0      },
    {SP_Q_COMPUTE,   "TFLOP/s",  1e12           },
    {SP_Q_COMPUTE,   "PFLOP/s",  1e15           },
    {SP_Q_TIME,      "us",       1e-6           },
    {SP_Q_TIME,      "ms",       1e-3           },
    {SP_Q_TIME,      "s",        1.0            },
    {SP_Q_RATIO,     "ratio",    1.0            },
    {SP_Q_POWER,     "W",        1.0            },
    {SP_Q_PRICE,     "USD/hour", 1.0            },
    {SP_Q_MONEY,     "USD",      1.0            },
    {SP_Q_LENGTH,    "nm",       1e-9           },
    {SP_Q_CARBON,    "kgCO2e",   1.0            },
};

static sp_status unit_fail(const sp_json *written, const char *name, sp_quantity quantity,
                           sp_error *err)
{
    const char *names[COUNT(units)];
    size_t n_names = 0;
    for (size_t i = 0; i < COUNT(units); i++) {
        if (units[i].quantity == quantity) {
            names[n_names++] = units[i].name;
        }
    }
    (void)sp_json_fail(written, err, SP_E_UNKNOWN_NAME, "not a unit of this figure");
    return sp_fail_names(err, name, names, n_names);
}

static sp_status read_unit(const sp_json *figure, sp_quantity quantity, double *scale,
                           sp_error *err)
{
    const char *name = NULL;
    SP_TRY(sp_json_string(figure, "unit", &name, err));
    for (size_t i = 0; i < COUNT(units); i++) {
        if (units[i].quantity == quantity && strcmp(units[i].name, name) == 0) {
            *scale = units[i].scale;
            return SP_OK;
        }
    }
    const sp_json written = sp_json_get(figure, "unit");
    return unit_fail(&written, name, quantity, err);
}

bool sp_is_date(const char *text)
{
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-') {
        return false;
    }
    for (size_t i = 0; i < 10; i++) {
        if (i != 4 && i != 7 && !isdigit((unsigned char)text[i])) {
            return false;
        }
    }
    const int month = 10 * (text[5] - '0') + (text[6] - '0');
    const int day = 10 * (text[8] - '0') + (text[9] - '0');
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static sp_status check_residuals(const sp_json *figure, sp_error *err)
{
    static const char *const residuals[] = {"median_ape_ratio", "p90_ape_ratio"};
    uint64_t samples = 0;
    SP_TRY(sp_json_u64_or(figure, "samples", 1, UINT64_C(1) << 40, 0, &samples, err));
    for (size_t i = 0; i < COUNT(residuals); i++) {
        double ratio = 0.0;
        SP_TRY(sp_json_double_or(figure, residuals[i], 0.0, 10.0, 0.0, &ratio, err));
        if (sp_json_has(figure, residuals[i]) && samples == 0) {
            return sp_json_fail(figure, err, SP_E_MISSING_KEY,
                                "a residual needs the number of samples it was taken over");
        }
    }
    return SP_OK;
}

sp_status sp_provenance_check(const sp_json *figure, sp_error *err)
{
    const char *source = NULL;
    const char *date = NULL;
    SP_TRY(sp_json_string(figure, "source", &source, err));
    SP_TRY(sp_json_string(figure, "date", &date, err));
    if (source[0] == '\0') {
        const sp_json written = sp_json_get(figure, "source");
        return sp_json_fail(&written, err, SP_E_RANGE, "must say where the figure comes from");
    }
    if (!sp_is_date(date)) {
        const sp_json written = sp_json_get(figure, "date");
        return sp_json_fail(&written, err, SP_E_RANGE, "must be a date such as 2026-01-31");
    }
    return check_residuals(figure, err);
}

static void store(const sp_figure_field *field, double value, void *out)
{
    memcpy((char *)out + field->offset, &value, sizeof value);
}

static sp_status read_one(const sp_json *object, const sp_figure_field *field, void *out,
                          sp_error *err)
{
    static const char *const keys[] = {
        "value", "unit", "source", "date", "samples", "median_ape_ratio", "p90_ape_ratio"};
    sp_json figure;
    double scale = 1.0;
    double value = 0.0;
    SP_TRY(sp_json_object(object, field->key, &figure, err));
    SP_TRY(sp_json_only(&figure, keys, COUNT(keys), err));
    SP_TRY(read_unit(&figure, field->quantity, &scale, err));
    SP_TRY(sp_json_double(&figure, "value", field->lo / scale, field->hi / scale, &value, err));
    SP_TRY(sp_provenance_check(&figure, err));
    store(field, value * scale, out);
    return SP_OK;
}

sp_status sp_figures_read(const sp_json *object, const sp_figure_field *fields, size_t n_fields,
                          void *out, sp_error *err)
{
    for (size_t i = 0; i < n_fields; i++) {
        SP_TRY(read_one(object, &fields[i], out, err));
    }
    return SP_OK;
}

static sp_status read_set_values(const sp_json *values, const sp_figure_field *fields,
                                 size_t n_fields, void *out, sp_error *err)
{
    const char *keys[16];
    assert(n_fields <= COUNT(keys));
    for (size_t i = 0; i < n_fields; i++) {
        keys[i] = fields[i].key;
    }
    SP_TRY(sp_json_only(values, keys, n_fields, err));
    for (size_t i = 0; i < n_fields; i++) {
        double value = 0.0;
        SP_TRY(sp_json_double(values, fields[i].key, fields[i].lo, fields[i].hi, &value, err));
        store(&fields[i], value, out);
    }
    return SP_OK;
}

sp_status sp_figure_set_read(const sp_json *object, const char *key, const sp_figure_field *fields,
                             size_t n_fields, void *out, sp_error *err)
{
    static const char *const keys[] = {"value",   "source",           "date",
                                       "samples", "median_ape_ratio", "p90_ape_ratio"};
    sp_json figure;
    sp_json values;
    SP_TRY(sp_json_object(object, key, &figure, err));
    SP_TRY(sp_json_only(&figure, keys, COUNT(keys), err));
    SP_TRY(sp_json_object(&figure, "value", &values, err));
    SP_TRY(sp_provenance_check(&figure, err));
    return read_set_values(&values, fields, n_fields, out, err);
}

sp_status sp_text_keep(struct sp_arena *arena, const char *text, const char **kept, sp_error *err)
{
    *kept = sp_arena_strdup(arena, text);
    return *kept != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "out of memory");
}

sp_status sp_fail_in(sp_error *err, const sp_json *value)
{
    return err->file[0] == '\0' ? sp_fail_file(err, sp_json_file(value)) : err->status;
}
