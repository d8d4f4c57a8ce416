/* SPDX-License-Identifier: Apache-2.0 */
/* The base of the rotary frequencies of a config.json and the factor by which its scaling stretches
 * the longest wavelength. No shape depends on them, so what is not understood is passed over. */
#include "spec/spec.h"

#include <string.h>

/* A number above 0 under one of the keys, else 0. */
static double positive(const sp_json *object, const char *const *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++) {
        const sp_json value = sp_json_get(object, keys[i]);
        int64_t whole = 0;
        double real = 0.0;
        if (value.node == NULL || !sp_json_is_number(&value)) continue;
        const double number = sp_json_number(&value, &whole, &real) ? (double)whole : real;
        if (number > 0.0 && number < 1e18) return number;
    }
    return 0.0;
}

static bool is_object(const sp_json *parent, const char *key, sp_json *out)
{
    *out = sp_json_get(parent, key);
    return out->node != NULL && sp_json_is_object(out);
}

/* Where layers of several kinds have parameters of their own, those of full attention count. */
static bool find_parameters(const sp_json *config, sp_json *out)
{
    sp_json inner;
    if (!is_object(config, "rope_parameters", out) && !is_object(config, "rope_scaling", out)) {
        return false;
    }
    if (is_object(out, "full_attention", &inner)) *out = inner;
    return true;
}

/* linear, dynamic, yarn and llama3 state the factor; longrope the length that it starts from. */
static double factor_of(const sp_json *config, const sp_json *parameters)
{
    static const char *const factor[] = {"factor"};
    static const char *const made_for[] = {"max_position_embeddings"};
    static const char *const original[] = {"original_max_position_embeddings"};
    const double stated = positive(parameters, factor, 1);
    const double from = positive(parameters, original, 1) > 0.0 ? positive(parameters, original, 1)
                                                                : positive(config, original, 1);
    const double to = positive(config, made_for, 1);
    if (stated > 0.0) return stated;
    return from > 0.0 && to > from ? to / from : 0.0;
}

void sp_model_read_rope(const sp_json *config, sp_model *model)
{
    static const char *const bases[] = {"rope_theta", "rotary_emb_base", "global_rope_theta"};
    sp_json parameters;
    model->rope_theta = positive(config, bases, sizeof bases / sizeof bases[0]);
    if (!find_parameters(config, &parameters)) return;
    const double inside = positive(&parameters, bases, 1);
    if (inside > 0.0) model->rope_theta = inside;
    model->rope_factor = factor_of(config, &parameters);
}
