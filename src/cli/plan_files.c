/* SPDX-License-Identifier: Apache-2.0 */
/* Where the question behind a plan comes from, and whether an id means something in it. */
#include "cli/plan_list.h"

#include <string.h>

sp_status sp_plan_check_launch_file(const char *plan, sp_error *err)
{
    if (plan[0] != '@') return SP_OK;
    sp_fail(err, SP_E_NOT_YET, "launch files cannot be read");
    return sp_fail_value(err, "%s", plan);
}

sp_status sp_plan_check_fingerprint(const sp_settings *settings, const char *fingerprint,
                                    sp_error *err)
{
    const char *stated = settings->fingerprint != NULL ? settings->fingerprint : "none";
    if (strcmp(stated, fingerprint) == 0) return SP_OK;
    sp_fail(
        err, SP_E_INCONSISTENT,
        settings->file_differs
            ? "flags or the environment change the question, so the ids of this answer mean other "
              "plans"
            : "the models or data behind this answer have changed, so its ids mean other plans");
    sp_fail_value(err, "fingerprint %s", stated);
    return sp_fail_file(err, settings->file);
}

sp_status sp_plan_check_id(const sp_settings *settings, const char *plan, const char *fingerprint,
                           sp_error *err)
{
    if (!sp_plan_is_id(plan)) return SP_OK;
    const bool has_answer =
        settings->fingerprint != NULL || sp_settings_text(settings, SP_FLAG_result) != NULL;
    if (has_answer) return sp_plan_check_fingerprint(settings, fingerprint, err);
    sp_fail(err, SP_E_USAGE, "an id needs the answer it comes from: --result RESULT.json");
    return sp_fail_value(err, "%s", plan);
}

sp_status sp_plan_check_ids(const sp_settings *settings, const char *plan, const char *ids,
                            const char *fingerprint, sp_error *err)
{
    if (ids == NULL) return sp_plan_check_id(settings, plan, fingerprint, err);
    if (sp_settings_text(settings, SP_FLAG_result) == NULL) return SP_OK;
    return sp_plan_check_fingerprint(settings, fingerprint, err);
}

sp_status sp_plan_read_files(sp_context *context, const char *job, sp_error *err)
{
    sp_settings *settings = context->settings;
    const char *result = sp_settings_text(settings, SP_FLAG_result);
    if (result != NULL && job != NULL) {
        sp_fail(err, SP_E_USAGE,
                "the question comes from --result or from a job file, not from both");
        return sp_fail_value(err, "%s", job);
    }
    const char *file = result != NULL ? result : job;
    if (file == NULL) return SP_OK;
    SP_TRY(sp_settings_read_job(settings, file, err));
    return sp_run_read(settings, &context->run, err);
}
