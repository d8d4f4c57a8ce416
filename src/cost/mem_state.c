/* SPDX-License-Identifier: Apache-2.0 */
/* Weights, gradients and optimizer state of one rank under ZeRO stages 0 to 3.
 * Source: Rajbhandari et al., ZeRO, SC 2020; 18 bytes a parameter for bf16 with fp32 gradients, or
 * 6 + 12 / shards with a distributed optimizer, as Megatron-LM states. */
#include "cost/cost.h"

double sp_recipe_step_bytes(const sp_recipe *r, double pass_bytes)
{
    return 2.0 * (r->gradient_bytes + r->shard_bytes + r->master_bytes + r->moments_bytes) +
           r->weight_bytes + pass_bytes;
}

sp_recipe sp_recipe_adamw(double gradient_bytes)
{
    sp_recipe recipe = {.weight_bytes = 2.0,
                        .gradient_bytes = gradient_bytes,
                        .sent_bytes = gradient_bytes,
                        .master_bytes = 4.0,
                        .moments_bytes = 8.0};
    recipe.step_bytes = sp_recipe_step_bytes(&recipe, 0.0);
    return recipe;
}

sp_recipe sp_recipe_frozen(double weight_bytes)
{
    return (sp_recipe){.weight_bytes = weight_bytes};
}

/* Under ZeRO-3 a unit is whole, with its gradient, while a layer is fetched ahead; under ZeRO-2 the
 * gradient of a unit is whole until it is reduced. */
static double gathered_bytes(const sp_recipe *recipe, const sp_units *units, double params,
                             double unit_params, uint32_t zero)
{
    const double held = units->live_params < params ? units->live_params : params;
    const double ahead = unit_params + units->layer_params, live = held > ahead ? held : ahead;
    const double gradient = zero >= 2 && recipe->gradient_bytes > 0.0 ? units->gradient_bytes : 0.0;
    return gradient * (unit_params + units->root_gradients) +
           (zero >= 3 ? recipe->weight_bytes * (live + units->root_params) : 0.0);
}

static double weight_bytes(const sp_recipe *recipe, double params, double share, uint32_t zero)
{
    const double shards = recipe->shard_bytes * share;
    if (zero < 3) return recipe->weight_bytes * params + shards;
    return recipe->shard_bytes > 0.0 ? shards : recipe->weight_bytes * share;
}

sp_state_bytes sp_mem_state(const sp_recipe *recipe, double params, const sp_units *units,
                            uint32_t zero, uint32_t shards)
{
    const double optimizer = recipe->master_bytes + recipe->moments_bytes;
    const double share = params / shards;
    const double sharded = shards > 1 ? 1.0 : 0.0;
    const double owned = zero >= 1 ? share : params;
    return (sp_state_bytes){
        .weights = weight_bytes(recipe, params, zero >= 1 ? share : params, zero),
        .gradients = recipe->gradient_bytes * (zero >= 2 ? share : params) +
                     (zero >= 2 ? 0.0 : recipe->twin_bytes * params),
        .optimizer = optimizer * owned,
        .updated = recipe->gradient_bytes > 0.0 ? owned : 0.0,
        .gathered = sharded * gathered_bytes(recipe, units, params, units->largest_params, zero),
        .gathered_layer =
            sharded * gathered_bytes(recipe, units, params, units->layer_params, zero)};
}
