/* SPDX-License-Identifier: Apache-2.0 */
/* Which operators lie beyond the shapes that were measured: what they are expected to take is
 * extrapolated, and said to be. */
#include "analysis/analysis_priv.h"
#include "base/base.h"
#include "shardplan/surface.h"

#include <math.h>
#include <string.h>

/* The tables' word for a format of products; NULL where no table has it. */
static const char *format_of(sp_dtype dtype)
{
    switch (dtype) {
    case SP_BF16:
    case SP_FP16:
        return "bfloat16";
    case SP_FP8:
    case SP_MXFP8:
        return "fp8";
    case SP_NVFP4:
        return "nvfp4";
    case SP_FP32:
    case SP_INT8:
    case SP_INT4:
    case SP_N_DTYPES:
        break;
    }
    return NULL;
}

/* The dimension of a dense product, or of the core of attention over a prompt, that was not measured;
 * NULL where all were, or where nothing was. */
static const char *beyond(const sp_surfaces *surfaces, const char *dtype, const sp_operator *row)
{
    const bool core = strcmp(row->category, "attention") == 0;
    const bool product = row->columns > 0.0 && strcmp(row->category, "experts") != 0 && !core;
    const sp_surface *s = sp_surface_find(
        surfaces, &(sp_surface_query){.op = SP_SURFACE_GEMM, .dtype = dtype});
    if (!product || s == NULL) return NULL;
    const double dim[SP_SURFACE_MAX_DIMS] = {row->rows, row->columns, row->inner};
    return sp_surface_outside(s, dim);
}

sp_status sp_note_measured(struct sp_arena *arena, const sp_analysis_question *question,
                           const sp_analysis *analysis, const char **note, sp_error *err)
{
    const char *dtype = format_of(question->compute);
    const char *first = NULL, *dimension = NULL;
    uint32_t n = 0;
    *note = NULL;
    if (question->surfaces == NULL || dtype == NULL) return SP_OK;
    for (uint32_t i = 0; i < analysis->n_operators; i++) {
        const sp_operator *row = &analysis->operators[i];
        const char *outside = row->expected_s > 0.0 ? beyond(question->surfaces, dtype, row) : NULL;
        if (outside == NULL) continue;
        if (n++ > 0) continue;
        first = row->name;
        dimension = outside;
    }
    if (n == 0) return SP_OK;
    *note = sp_arena_printf(arena,
                            "%u rows lie beyond the products that were measured on %s (first "
                            "%s, by its %s): their expected time is extrapolated",
                            n, question->surfaces->from, first, dimension);
    return *note != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "the analysis needs more");
}
