/* SPDX-License-Identifier: Apache-2.0 */
/* A model of which only the size is known takes the shape of the published dense model nearest in
 * size, with as many layers as give the parameters. */
#include "analysis/memory_priv.h"
#include "base/base.h"

#include <math.h>
#include <string.h>

#define NEAR_RATIO 0.15 /* a published size names its model: 7B has 6.74e9 parameters */
#define MAX_LAYERS 1024u
#define MAX_SHAPES 64u

typedef struct shape {
    const char *name;
    uint32_t layers, hidden, heads, kv_heads, ffn, vocab;
} shape;

/* Models write 7b for 7B. */
static void raise_unit(const char *text, char out[32])
{
    static const char small[] = "bmt", large[] = "BMT";
    const size_t n = strlen(text);
    const char *unit = n > 0 ? strchr(small, text[n - 1]) : NULL;
    memcpy(out, text, n + 1);
    if (n > 0 && unit != NULL) out[n - 1] = large[unit - small];
}

sp_status sp_size_parse(const char *text, double *parameters, sp_error *err)
{
    char raised[32];
    const bool fits = strlen(text) < sizeof raised;
    if (fits) raise_unit(text, raised);
    SP_TRY(sp_parse_amount(fits ? raised : text, parameters, err));
    if (*parameters >= 1e8 && *parameters <= 1e13) return SP_OK;
    sp_fail(err, SP_E_RANGE, "no size of a model; write 7B, 7000M or 7e9");
    sp_fail_value(err, "%s", text);
    return sp_fail_range(err, "100M .. 10T");
}

static sp_status read_shape(const sp_json *entry, shape *s, sp_error *err)
{
    const char *text = NULL;
    SP_TRY(sp_json_string(entry, "name", &s->name, err));
    SP_TRY(sp_json_string(entry, "source", &text, err));
    SP_TRY(sp_json_u32(entry, "layers", 1, MAX_LAYERS, &s->layers, err));
    SP_TRY(sp_json_u32(entry, "hidden", 1, 1u << 20, &s->hidden, err));
    SP_TRY(sp_json_u32(entry, "heads", 1, 1u << 16, &s->heads, err));
    SP_TRY(sp_json_u32(entry, "kv_heads", 1, 1u << 16, &s->kv_heads, err));
    SP_TRY(sp_json_u32(entry, "ffn", 1, 1u << 22, &s->ffn, err));
    return sp_json_u32(entry, "vocab", 1, 1u << 24, &s->vocab, err);
}

static double ends_parameters(const shape *s)
{
    return 2.0 * s->vocab * s->hidden;
}

static double layer_parameters(const shape *s)
{
    const double h = s->hidden, kv = h / s->heads * s->kv_heads;
    return 2.0 * h * h + 2.0 * h * kv + 3.0 * h * s->ffn;
}

static double parameters_of(const shape *s)
{
    return ends_parameters(s) + s->layers * layer_parameters(s);
}

struct sp_shapes {
    uint32_t n;
    shape list[MAX_SHAPES];
};

static sp_status read_shapes(const sp_json *root, sp_shapes *shapes, struct sp_arena *arena,
                             sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_schema(root, "shardplan/shapes/1", err));
    SP_TRY(sp_json_array(root, "shapes", &list, err));
    const size_t n = sp_json_size(&list);
    if (n == 0 || n > MAX_SHAPES) {
        return sp_json_fail(&list, err, SP_E_RANGE, "there are 1 to %u shapes", MAX_SHAPES);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json entry = sp_json_at(&list, i);
        shape *s = &shapes->list[shapes->n++];
        SP_TRY(read_shape(&entry, s, err));
        s->name = sp_arena_strdup(arena, s->name);
        if (s->name == NULL) return sp_fail(err, SP_E_MEMORY, "the shapes need more");
    }
    return SP_OK;
}

sp_status sp_quick_hardware(struct sp_arena *arena, const char *home, const char **name,
                            sp_error *err)
{
    const char *file = sp_arena_printf(arena, "%s/configs/shapes.json", home), *value = NULL;
    sp_json_doc *doc = NULL;
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "the shapes need more");
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc), hardware = sp_json_get(&root, "hardware");
    sp_status status = sp_json_string(&hardware, "value", &value, err);
    if (status == SP_OK) *name = sp_arena_strdup(arena, value);
    if (status == SP_OK && *name == NULL) status = sp_fail(err, SP_E_MEMORY, "out of memory");
    sp_json_free(doc);
    return status;
}

sp_status sp_shapes_load(struct sp_arena *arena, const char *home, const sp_shapes **shapes,
                         sp_error *err)
{
    const char *file = sp_arena_printf(arena, "%s/configs/shapes.json", home);
    sp_shapes *loaded = sp_arena_alloc(arena, sizeof *loaded);
    sp_json_doc *doc = NULL;
    if (file == NULL || loaded == NULL) return sp_fail(err, SP_E_MEMORY, "the shapes need more");
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_shapes(&root, loaded, arena, err);
    sp_json_free(doc);
    *shapes = loaded;
    return status;
}

/* By the ratio of sizes; ties go to the first. */
uint32_t sp_shapes_nearest(const sp_shapes *shapes, double parameters)
{
    double distance = (double)INFINITY;
    uint32_t best = 0;
    for (uint32_t i = 0; i < shapes->n; i++) {
        const double away = fabs(log(parameters / parameters_of(&shapes->list[i])));
        if (away >= distance) continue;
        distance = away;
        best = i;
    }
    return best;
}

static uint32_t fitting_layers(const shape *s, double parameters)
{
    const double ratio = parameters / parameters_of(s);
    if (ratio > 1.0 - NEAR_RATIO && ratio < 1.0 + NEAR_RATIO) return s->layers;
    const double layers = round((parameters - ends_parameters(s)) / layer_parameters(s));
    return (uint32_t)fmin(fmax(layers, 1.0), MAX_LAYERS);
}

uint32_t sp_shapes_layers(const sp_shapes *shapes, double parameters)
{
    return fitting_layers(&shapes->list[sp_shapes_nearest(shapes, parameters)], parameters);
}

static sp_status add_note(struct sp_arena *arena, const shape *s, const sp_model **model,
                          sp_error *err)
{
    sp_model *noted = sp_arena_alloc(arena, sizeof *noted);
    const char **notes = sp_arena_alloc(arena, sizeof *notes);
    if (noted == NULL || notes == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    notes[0] = sp_arena_printf(arena,
                               "only the size is known: heads and widths are those of %s, %u "
                               "layers; name the model for its own",
                               s->name, (unsigned)(*model)->n_layers);
    if (notes[0] == NULL) return sp_fail(err, SP_E_MEMORY, "the model needs more");
    *noted = **model;
    noted->assumptions = notes;
    noted->n_assumptions = 1;
    *model = noted;
    return SP_OK;
}

static sp_status assemble(struct sp_arena *arena, const shape *s, double parameters,
                          const sp_model **model, sp_error *err)
{
    const uint8_t kinds[MAX_LAYERS] = {0};
    sp_model parts = {.model_type = "llama",
                      .name = sp_arena_printf(arena, "%.4gB", parameters / 1e9),
                      .source = sp_arena_printf(arena, "a guess: shaped as %s", s->name),
                      .hidden = s->hidden,
                      .vocab = s->vocab,
                      .norm_vectors = 1,
                      .outer_norms = 1,
                      .streams = 1,
                      .n_layers = fitting_layers(s, parameters),
                      .n_kinds = 1};
    parts.kinds[0].attention = (sp_attention){
        .heads = s->heads, .kv_heads = s->kv_heads, .head_dim = s->hidden / s->heads, .norms = 1};
    parts.kinds[0].ffn = (sp_ffn){.ffn = s->ffn, .gated = true, .norms = 1};
    if (parts.name == NULL || parts.source == NULL) {
        return sp_fail(err, SP_E_MEMORY, "the model needs more");
    }
    SP_TRY(sp_model_assemble(arena, &parts, kinds, model, err));
    return add_note(arena, s, model, err);
}

sp_status sp_shapes_guess(struct sp_arena *arena, const sp_shapes *shapes, double parameters,
                          const sp_model **model, sp_error *err)
{
    const shape *nearest = &shapes->list[sp_shapes_nearest(shapes, parameters)];
    return assemble(arena, nearest, parameters, model, err);
}

sp_status sp_model_guess(struct sp_arena *arena, const char *home, double parameters,
                         const sp_model **model, sp_error *err)
{
    const sp_shapes *shapes = NULL;
    SP_TRY(sp_shapes_load(arena, home, &shapes, err));
    return sp_shapes_guess(arena, shapes, parameters, model, err);
}
