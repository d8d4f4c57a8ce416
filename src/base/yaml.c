/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text as YAML in block style, read front to back without a tree. Keys and strings go through
 * libyaml, which quotes what would read as something else; numbers stay as they are written, but
 * for exponents, which YAML 1.1 takes with a point and a sign alone. The only file that knows
 * libyaml. */
#include "base/base_priv.h"

#if SHARDPLAN_YAML

#include <assert.h>
#include <string.h>
#include <yaml.h>

typedef struct converter {
    sp_json_pull in;
    yaml_emitter_t emitter;
    sp_text scratch;
    bool failed; /* libyaml has no memory */
} converter;

static int add_bytes(void *out, unsigned char *bytes, size_t n)
{
    sp_text_add_n(out, (const char *)bytes, n);
    return 1;
}

/* Takes the event; `made` says whether it could be put together. */
static void emit(converter *c, yaml_event_t *event, int made)
{
    if (c->failed) return;
    c->failed = made == 0 || yaml_emitter_emit(&c->emitter, event) == 0;
}

/* ---- scalars ---- */

static void emit_scalar(converter *c, const char *text, size_t length, bool plain)
{
    yaml_event_t event;
    const int made = yaml_scalar_event_initialize(
        &event, NULL, NULL, (const yaml_char_t *)text, (int)length, plain, true,
        plain ? YAML_PLAIN_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE);
    emit(c, &event, made);
}

static bool is_word(const char *name)
{
    static const char *const reserved[] = {"y",   "n",    "yes",   "no",  "on",
                                           "off", "true", "false", "null"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strcmp(name, reserved[i]) == 0) return false;
    }
    return name[0] >= 'a' && name[0] <= 'z' &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static void emit_number(converter *c, const char *text, size_t length)
{
    size_t mantissa = 0;
    while (mantissa < length && text[mantissa] != 'e' && text[mantissa] != 'E') {
        mantissa++;
    }
    c->scratch.length = 0;
    sp_text_add_n(&c->scratch, text, mantissa);
    if (mantissa < length) {
        const bool has_sign = text[mantissa + 1] == '-' || text[mantissa + 1] == '+';
        if (memchr(text, '.', mantissa) == NULL) sp_text_add(&c->scratch, ".0");
        sp_text_add(&c->scratch, has_sign ? "e" : "e+");
        sp_text_add_n(&c->scratch, text + mantissa + 1, length - mantissa - 1);
    }
    if (!c->scratch.failed) emit_scalar(c, c->scratch.data, c->scratch.length, true);
}

static void convert_scalar(converter *c, char first)
{
    if (first == '"') {
        if (sp_json_pull_string(&c->in, &c->scratch) && !c->scratch.failed) {
            emit_scalar(c, c->scratch.data, c->scratch.length, false);
        }
        return;
    }
    const char *const start = c->in.at;
    if (!sp_json_pull_skip(&c->in)) return;
    const size_t length = (size_t)(c->in.at - start);
    if (first == 't' || first == 'f' || first == 'n') {
        emit_scalar(c, start, length, true);
    } else {
        emit_number(c, start, length);
    }
}

/* ---- containers ---- */

static void open_container(converter *c, bool object)
{
    yaml_event_t event;
    const int made = object ? yaml_mapping_start_event_initialize(&event, NULL, NULL, true,
                                                                  YAML_BLOCK_MAPPING_STYLE)
                            : yaml_sequence_start_event_initialize(&event, NULL, NULL, true,
                                                                   YAML_BLOCK_SEQUENCE_STYLE);
    (void)sp_json_pull_enter(&c->in, object ? '{' : '[');
    emit(c, &event, made);
}

static void close_container(converter *c, bool object)
{
    yaml_event_t event;
    emit(c, &event,
         object ? yaml_mapping_end_event_initialize(&event)
                : yaml_sequence_end_event_initialize(&event));
}

static void convert_key(converter *c)
{
    if (!sp_json_pull_key(&c->in, &c->scratch) || c->scratch.failed) return;
    emit_scalar(c, c->scratch.data, c->scratch.length, is_word(c->scratch.data));
}

enum { MAX_DEPTH = 64 }; /* of our own answers */

/* One value with all that is in it; what is open is known by its bracket. */
static void convert_value(converter *c)
{
    char open[MAX_DEPTH];
    size_t depth = 0;
    do {
        const char first = sp_json_pull_peek(&c->in);
        const bool container = first == '{' || first == '[';
        if (container && depth < MAX_DEPTH) {
            open[depth++] = first;
            open_container(c, first == '{');
        } else if (!container) {
            convert_scalar(c, first);
        }
        while (depth > 0 && !c->failed &&
               !sp_json_pull_more(&c->in, open[depth - 1] == '{' ? '}' : ']')) {
            if (c->in.complaint != NULL) return;
            close_container(c, open[--depth] == '{');
        }
        if (depth > 0 && open[depth - 1] == '{') convert_key(c);
    } while (depth > 0 && !c->failed && c->in.complaint == NULL);
}

static void convert(converter *c)
{
    yaml_event_t event;
    emit(c, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(c, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, true));
    convert_value(c);
    (void)sp_json_pull_end(&c->in);
    emit(c, &event, yaml_document_end_event_initialize(&event, true));
    emit(c, &event, yaml_stream_end_event_initialize(&event));
}

sp_status sp_yaml_from_json(const char *json, size_t length, sp_text *out, sp_error *err)
{
    converter c = {.in = sp_json_pull_begin(json, length)};
    if (yaml_emitter_initialize(&c.emitter) == 0) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the answer");
    }
    yaml_emitter_set_output(&c.emitter, add_bytes, out);
    yaml_emitter_set_unicode(&c.emitter, true);
    yaml_emitter_set_width(&c.emitter, -1);
    convert(&c);
    yaml_emitter_delete(&c.emitter);
    const bool failed = c.failed || c.scratch.failed;
    sp_text_fini(&c.scratch);
    if (c.in.complaint != NULL) {
        return sp_fail(err, SP_E_SYNTAX, "this answer has no YAML form: %s", c.in.complaint);
    }
    return failed || out->failed ? sp_fail(err, SP_E_MEMORY, "no memory for the answer") : SP_OK;
}

bool sp_yaml_is_built(void)
{
    return true;
}

#else

sp_status sp_yaml_from_json(const char *json, size_t length, sp_text *out, sp_error *err)
{
    (void)json;
    (void)length;
    (void)out;
    return sp_fail(err, SP_E_NOT_YET, "this build has no libyaml: install libyaml-dev and build");
}

bool sp_yaml_is_built(void)
{
    return false;
}

#endif
