/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a checkpoint beside those of its model, and the usual reasons why they differ:
 * multi-token prediction modules, which a model's total leaves out, and a tied head stored twice.
 */
#include "shardplan/checkpoint.h"

#include <assert.h>
#include <string.h>

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* Index of the decoder layer that the tensor is of; false where it is of none. Towers of images and
 * sound have layers of their own under other names. */
static bool layer_of(const char *name, uint64_t *layer_idx)
{
    static const char *const before[] = {
        "model.layers.",  "layers.", "model.language_model.layers.", "language_model.model.layers.",
        "transformer.h.", "blk."};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        if (!begins_with(name, before[i])) continue;
        const char *c = name + strlen(before[i]);
        if (*c < '0' || *c > '9') return false;
        for (*layer_idx = 0; *c >= '0' && *c <= '9' && *layer_idx < UINT32_MAX; c++)
            *layer_idx = *layer_idx * 10 + (uint64_t)(*c - '0');
        return *c == '.';
    }
    return false;
}

static bool is_prediction(const char *name, const sp_model *model)
{
    uint64_t layer_idx = 0;
    if (layer_of(name, &layer_idx)) return layer_idx >= model->n_layers;
    return begins_with(name, "mtp.") || begins_with(name, "model.mtp.") ||
           strstr(name, ".mtp.") != NULL;
}

static bool is_head(const char *name)
{
    static const char *const heads[] = {"lm_head.weight", "output.weight",
                                        "language_model.lm_head.weight"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        if (strcmp(name, heads[i]) == 0) return true;
    }
    return false;
}

sp_checkpoint_match sp_checkpoint_compare(const sp_checkpoint *checkpoint, const sp_model *model)
{
    assert(checkpoint->n_missing == 0);
    sp_checkpoint_match m = {.model = sp_model_parameters(model).total,
                             .checkpoint = checkpoint->parameters};
    for (size_t i = 0; i < checkpoint->n_listed; i++) {
        const sp_checkpoint_tensor *t = &checkpoint->tensors[i];
        if (is_prediction(t->name, model)) {
            m.prediction += t->parameters;
        } else if (model->tied_embeddings && is_head(t->name)) {
            m.tied_head += t->parameters;
        }
    }
    const uint64_t rest = m.checkpoint - m.prediction - m.tied_head;
    m.more = rest > m.model;
    m.unexplained = m.more ? rest - m.model : m.model - rest;
    return m;
}
