/* SPDX-License-Identifier: Apache-2.0 */
/* Which settings two plans differ in, in the order of axes.def. */
#include "report/report_priv.h"

void sp_plan_changes(const sp_plan *from, const sp_plan *to, struct sp_text *out)
{
    const char *before = "";
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        char old[24], new[24];
        if (sp_plan_get(from, axis) == sp_plan_get(to, axis)) continue;
        sp_axis_format_value(axis, sp_plan_get(from, axis), old);
        sp_axis_format_value(axis, sp_plan_get(to, axis), new);
        sp_text_printf(out, "%s%s %s -> %s", before, sp_axis_describe(axis)->name, old, new);
        before = ", ";
    }
}

void sp_json_put_changes(sp_json_writer *w, const sp_plan *from, const sp_plan *to)
{
    sp_jw_open_array_compact(w, "changes");
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        const uint32_t old = sp_plan_get(from, axis), new = sp_plan_get(to, axis);
        if (old == new) continue;
        sp_jw_open_object(w, NULL);
        sp_jw_string(w, "axis", sp_axis_describe(axis)->name);
        sp_json_put_setting(w, "from", axis, old);
        sp_json_put_setting(w, "to", axis, new);
        sp_jw_close_object(w);
    }
    sp_jw_close_array(w);
}
