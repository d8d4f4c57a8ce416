/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from a job file, or from the question inside a result. Keys are the names of flags in
 * snake case; "workload", "constraints" and "prices" group some of them, as results do. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

/* Where the value stands, kept for errors that are found later. */
static sp_status keep_place(sp_settings *settings, sp_flag_id flag, const sp_json *value,
                            sp_error *err)
{
    sp_setting *setting = &settings->of[flag];
    if (setting->origin != SP_FROM_FILE) return SP_OK;
    sp_error place = {0};
    sp_json_fail(value, &place, SP_E_INTERNAL, "a place");
    const uint32_t i = setting->n_values - 1;
    setting->lines[i] = place.line;
    setting->pointers[i] = sp_arena_strdup(&settings->arena, place.path);
    return setting->pointers[i] != NULL ? SP_OK
                                        : sp_fail(err, SP_E_MEMORY, "no memory for the settings");
}

static sp_status add_scalar(const sp_json *value, sp_text *text, sp_error *err)
{
    const char *string = NULL;
    if (sp_json_is_string(value)) {
        SP_TRY(sp_json_as_string(value, &string, err));
        sp_text_add(text, string);
    } else if (sp_json_is_number(value) || sp_json_is_bool(value)) {
        sp_json_dump(value, text);
    } else {
        return sp_json_fail(value, err, SP_E_TYPE, "a text or a number was expected");
    }
    return SP_OK;
}

/* ["a", "b"] and 8 become "a,b" and "8". */
static sp_status add_joined(const sp_json *value, sp_text *text, sp_error *err)
{
    if (!sp_json_is_array(value)) return add_scalar(value, text, err);
    for (size_t i = 0; i < sp_json_size(value); i++) {
        const sp_json element = sp_json_at(value, i);
        if (i > 0) sp_text_add(text, ",");
        SP_TRY(add_scalar(&element, text, err));
    }
    return SP_OK;
}

/* before is "" or "axis=". */
static sp_status put_joined(sp_settings *settings, sp_flag_id flag, const char *before,
                            const sp_json *value, sp_error *err)
{
    sp_text text = {0};
    sp_text_add(&text, before);
    sp_status status = add_joined(value, &text, err);
    if (status == SP_OK && text.failed)
        status = sp_fail(err, SP_E_MEMORY, "no memory for the file");
    if (status == SP_OK) {
        status =
            sp_settings_put(settings, flag, SP_FROM_FILE, text.length > 0 ? text.data : "", err);
    }
    if (status == SP_OK) status = keep_place(settings, flag, value, err);
    sp_text_fini(&text);
    return status;
}

/* A list: one text, an array of them, or for --set an object {"tp": [4, 8]}. */
static sp_status put_list(sp_settings *settings, sp_flag_id flag, const sp_json *value,
                          sp_error *err)
{
    if (sp_json_is_object(value)) {
        for (size_t i = 0; i < sp_json_size(value); i++) {
            const sp_json member = sp_json_member(value, i);
            char before[64];
            (void)snprintf(before, sizeof before, "%s=", member.key);
            SP_TRY(put_joined(settings, flag, before, &member, err));
        }
        return SP_OK;
    }
    if (!sp_json_is_array(value)) return put_joined(settings, flag, "", value, err);
    for (size_t i = 0; i < sp_json_size(value); i++) {
        const sp_json element = sp_json_at(value, i);
        SP_TRY(put_joined(settings, flag, "", &element, err));
    }
    return SP_OK;
}

static void snake_case(const char *name, char *out, size_t capacity)
{
    (void)snprintf(out, capacity, "%s", name);
    for (char *c = out; *c != '\0'; c++) {
        if (*c == '-') *c = '_';
    }
}

static sp_status refuse_key(const sp_json *member, unsigned takes, sp_error *err)
{
    char spellings[SP_N_FLAGS][32];
    const char *names[SP_N_FLAGS];
    size_t n = 0;
    for (sp_flag_id id = 0; id < SP_N_FLAGS; id++) {
        const sp_flag *flag = sp_flag_describe(id);
        if ((flag->commands & takes) == 0 || flag->kind == SP_KIND_LATER) continue;
        snake_case(flag->name, spellings[n], sizeof spellings[n]);
        names[n] = spellings[n];
        n++;
    }
    sp_json_fail(member, err, SP_E_UNKNOWN_KEY, "this is no key of a %sjob",
                 (takes & SP_TAKES_SERVING) != 0 ? "serving " : "");
    sp_fail_value(err, "%s", member->key);
    const char *nearest = sp_name_nearest(member->key, names, n);
    if (nearest != NULL) (void)snprintf(err->nearest, sizeof err->nearest, "%s", nearest);
    return err->status;
}

/* The baseline of an answer: its estimated step is written down for people. */
static sp_status put_baseline(sp_settings *settings, const sp_json *value, sp_error *err)
{
    static const char *const keys[] = {"text", "step_s", "measured_step_s"};
    if (!sp_json_is_object(value)) return put_joined(settings, SP_FLAG_baseline, "", value, err);
    SP_TRY(sp_json_only(value, keys, sizeof keys / sizeof keys[0], err));
    const char *text = NULL;
    SP_TRY(sp_json_string(value, "text", &text, err));
    const sp_json plan = sp_json_get(value, "text");
    SP_TRY(put_joined(settings, SP_FLAG_baseline, "", &plan, err));
    if (!sp_json_has(value, "measured_step_s")) return SP_OK;
    const sp_json measured = sp_json_get(value, "measured_step_s");
    return put_joined(settings, SP_FLAG_measured, "step_s=", &measured, err);
}

static sp_status put_member(sp_settings *settings, const sp_json *member, sp_error *err)
{
    const unsigned takes = sp_asks_takes(settings->asks);
    const sp_flag_id id = sp_flag_find_among(member->key, takes);
    if (id == SP_N_FLAGS || id == SP_FLAG_help) return refuse_key(member, takes, err);
    const sp_flag *flag = sp_flag_describe(id);
    if ((flag->commands & takes) == 0) return refuse_key(member, takes, err);
    if (flag->kind == SP_KIND_LATER) {
        return sp_json_fail(member, err, SP_E_NOT_YET, "%s is announced and not built",
                            member->key);
    }
    if (id == SP_FLAG_baseline) return put_baseline(settings, member, err);
    return flag->kind == SP_KIND_LIST ? put_list(settings, id, member, err)
                                      : put_joined(settings, id, "", member, err);
}

/* A price with a source is that of the GPU's file, written down for people. */
static sp_status put_section(sp_settings *settings, const sp_json *section, sp_error *err)
{
    if (!sp_json_is_object(section)) {
        return sp_json_fail(section, err, SP_E_TYPE, "an object was expected");
    }
    if (strcmp(section->key, "prices") == 0 && sp_json_has(section, "source")) return SP_OK;
    for (size_t i = 0; i < sp_json_size(section); i++) {
        const sp_json member = sp_json_member(section, i);
        SP_TRY(put_member(settings, &member, err));
    }
    return SP_OK;
}

static bool is_one_of(const char *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, names[i]) == 0) return true;
    }
    return false;
}

static sp_status read_job(sp_settings *settings, const sp_json *job, sp_error *err)
{
    static const char *const sections[] = {"workload", "constraints", "prices"};
    static const char *const notes[] = {"schema", "note", "command", "fingerprint"};
    for (size_t i = 0; i < sp_json_size(job); i++) {
        const sp_json member = sp_json_member(job, i);
        if (strcmp(member.key, "questions") == 0) {
            return sp_json_fail(&member, err, SP_E_NOT_YET, "several questions in one job");
        }
        if (is_one_of(member.key, notes, sizeof notes / sizeof notes[0])) continue;
        if (is_one_of(member.key, sections, sizeof sections / sizeof sections[0])) {
            SP_TRY(put_section(settings, &member, err));
        } else {
            SP_TRY(put_member(settings, &member, err));
        }
    }
    return SP_OK;
}

/* A recommendation is about serving where it says how long prompts are. */
static sp_asks asks_of(const char *command, const sp_json *job)
{
    static const char *const of_serving[] = {"isl", "osl", "lengths"};
    const sp_json workload = sp_json_get(job, "workload");
    if (strcmp(command, "train") == 0) return SP_ASKS_TRAIN;
    if (strcmp(command, "serve") == 0) return SP_ASKS_SERVE;
    for (size_t i = 0; i < sizeof of_serving / sizeof of_serving[0]; i++) {
        const char *key = of_serving[i];
        const bool grouped = sp_json_is_object(&workload) && sp_json_has(&workload, key);
        if (grouped || sp_json_has(job, key)) return SP_ASKS_SERVE;
    }
    return SP_ASKS_TRAIN;
}

/* Sets what the job is about, unless the command says it and the file does not. */
static sp_status check_command(sp_settings *settings, const sp_json *job, sp_error *err)
{
    static const char *const names[] = {"train", "serve", "recommend"};
    const char *command = NULL;
    const sp_asks wanted = settings->asks;
    SP_TRY(sp_json_string_or(job, "command", NULL, &command, err));
    if (command == NULL && wanted != SP_ASKS_UNSAID) return SP_OK;
    if (command == NULL) command = "train";
    const sp_json value = sp_json_get(job, "command");
    if (!is_one_of(command, names, sizeof names / sizeof names[0])) {
        sp_json_fail(&value, err, SP_E_UNKNOWN_NAME, "a job cannot hold this command");
        return sp_fail_names(err, command, names, sizeof names / sizeof names[0]);
    }
    const bool recommends = strcmp(command, "recommend") == 0;
    settings->recommends = settings->recommends || recommends;
    settings->asks = asks_of(command, job);
    if (wanted == SP_ASKS_UNSAID || (settings->asks == wanted && !recommends)) return SP_OK;
    return sp_json_fail(&value, err, SP_E_INCONSISTENT,
                        "this is no question of shardplan %s; shardplan run asks any",
                        sp_asks_name(wanted));
}

/* The job itself, or the question of a result. */
static sp_status find_job(const sp_json *root, sp_json *job, sp_error *err)
{
    const char *schema = NULL;
    *job = *root;
    SP_TRY(sp_json_string(root, "schema", &schema, err));
    if (strcmp(schema, "shardplan/job/1") == 0) return SP_OK;
    if (strcmp(schema, "shardplan/result/1") == 0 || strcmp(schema, "shardplan/estimate/1") == 0) {
        return sp_json_object(root, "question", job, err);
    }
    return sp_json_schema(root, "shardplan/job/1", err);
}

static sp_status read_root(sp_settings *settings, const sp_json *root, sp_error *err)
{
    sp_json job = {0};
    const char *fingerprint = NULL;
    if (!sp_json_is_object(root)) return sp_json_fail(root, err, SP_E_TYPE, "a job is an object");
    SP_TRY(find_job(root, &job, err));
    SP_TRY(check_command(settings, &job, err));
    SP_TRY(sp_json_string_or(&job, "fingerprint", NULL, &fingerprint, err));
    if (fingerprint != NULL) {
        settings->fingerprint = sp_arena_strdup(&settings->arena, fingerprint);
        if (settings->fingerprint == NULL)
            return sp_fail(err, SP_E_MEMORY, "no memory for the file");
    }
    return read_job(settings, &job, err);
}

sp_status sp_settings_read_job(sp_settings *settings, const char *file, sp_error *err)
{
    sp_json_doc *doc = NULL;
    settings->file = file;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_root(settings, &root, err);
    sp_json_free(doc);
    return status;
}
