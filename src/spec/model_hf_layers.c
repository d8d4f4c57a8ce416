/* SPDX-License-Identifier: Apache-2.0 */
/* Which layer of a Hugging Face model is of which kind: the keys by which layers differ in their
 * sliding window or in having experts. */
#include "spec/spec.h"

#include <string.h>

sp_status sp_hf_layer_kinds(const sp_model_build *build, uint8_t **kinds, sp_error *err)
{
    *kinds = sp_arena_alloc(build->arena, build->model.n_layers);
    if (*kinds == NULL) return sp_fail(err, SP_E_MEMORY, "the layers of the model need more");
    return SP_OK;
}

static sp_status read_words(const sp_model *model, const sp_json *list, uint8_t *kinds,
                            sp_error *err)
{
    static const char *const words[] = {"full_attention", "sliding_attention"};
    if (!sp_json_is_array(list)) {
        return sp_json_fail(list, err, SP_E_TYPE, "must be a list of one word a layer");
    }
    if (sp_json_size(list) != model->n_layers) {
        sp_json_fail(list, err, SP_E_INCONSISTENT, "must have one entry for each layer");
        sp_fail_value(err, "%zu entries", sp_json_size(list));
        return sp_fail_range(err, "%u", (unsigned)model->n_layers);
    }
    for (uint32_t i = 0; i < model->n_layers; i++) {
        const sp_json entry = sp_json_at(list, i);
        const char *word = NULL;
        SP_TRY(sp_json_as_string(&entry, &word, err));
        kinds[i] = strcmp(word, words[SP_HF_SLIDING]) == 0 ? SP_HF_SLIDING : SP_HF_FULL;
        if (kinds[i] == SP_HF_SLIDING || strcmp(word, words[SP_HF_FULL]) == 0) continue;
        sp_json_fail(&entry, err, SP_E_UNKNOWN_NAME, "layers of this type cannot be read");
        return sp_fail_names(err, word, words, 2);
    }
    return SP_OK;
}

sp_status sp_hf_read_layer_types(const sp_model *model, const sp_json *root, uint8_t *kinds,
                                 bool *found, sp_error *err)
{
    const sp_json list = sp_json_get(root, "layer_types");
    *found = list.node != NULL && !sp_json_is_null(&list);
    return *found ? read_words(model, &list, kinds, err) : SP_OK;
}

/* mlp_only_layers: indices of layers that are dense whatever the step says. */
static sp_status mark_dense_layers(const sp_model *model, const sp_json *root, uint8_t *kinds,
                                   sp_error *err)
{
    const sp_json list = sp_json_get(root, "mlp_only_layers");
    if (list.node == NULL || sp_json_is_null(&list)) return SP_OK;
    if (!sp_json_is_array(&list)) {
        return sp_json_fail(&list, err, SP_E_TYPE, "must be a list of layer indices");
    }
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json entry = sp_json_at(&list, i);
        uint64_t layer_idx = 0;
        SP_TRY(sp_json_as_u64(&entry, 0, model->n_layers - 1, &layer_idx, err));
        kinds[layer_idx] = SP_HF_DENSE;
    }
    return SP_OK;
}

/* decoder_sparse_step s: layers s-1, 2s-1, ... have experts. */
sp_status sp_hf_read_sparse_step(sp_model_build *build, const sp_json *root, uint8_t *kinds,
                                 sp_error *err)
{
    const sp_model *const model = &build->model;
    uint32_t step = 1;
    SP_TRY(sp_hf_u32(build, root, "decoder_sparse_step", SP_MODEL_MAX_LAYERS, 1, &step, err));
    for (uint32_t i = 0; i < model->n_layers; i++) {
        kinds[i] = (i + 1) % step == 0 ? SP_HF_SPARSE : SP_HF_DENSE;
    }
    return mark_dense_layers(model, root, kinds, err);
}

/* Transformers knows no other frequency: after the dense layers, all have experts. */
static sp_status check_frequency(const sp_json *root, sp_error *err)
{
    uint32_t frequency = 1;
    SP_TRY(sp_json_u32_or(root, "moe_layer_freq", 1, SP_MODEL_MAX_LAYERS, 1, &frequency, err));
    if (frequency == 1) return SP_OK;
    const sp_json value = sp_json_get(root, "moe_layer_freq");
    sp_json_fail(&value, err, SP_E_NOT_YET, "layers without experts between those with them");
    return sp_fail_range(err, "1");
}

sp_status sp_hf_read_first_dense(sp_model_build *build, const sp_json *root, uint32_t fallback,
                                 uint8_t *kinds, sp_error *err)
{
    const uint32_t n_layers = build->model.n_layers;
    uint32_t n_dense = 0;
    SP_TRY(check_frequency(root, err));
    SP_TRY(
        sp_hf_u32_or_none(build, root, "first_k_dense_replace", n_layers, fallback, &n_dense, err));
    for (uint32_t i = 0; i < n_layers; i++) {
        kinds[i] = i < n_dense ? SP_HF_DENSE : SP_HF_SPARSE;
    }
    return SP_OK;
}
