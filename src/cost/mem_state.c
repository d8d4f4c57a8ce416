/* SPDX-License-Identifier: Apache-2.0 */
/* Weights, gradients and optimizer state of one rank under ZeRO stages 0 to 3.
 * Source: Rajbhandari et al., ZeRO, SC 2020; 18 bytes a parameter for bf16 with fp32 gradients, or
 * 6 + 12 / shards with a distributed optimizer, as Megatron-LM states. */
#include "cost/cost.h"

sp_recipe sp_recipe_adamw(double gradient_bytes)
{
    return (sp_recipe){.weight_bytes = 2.0,
                       .gradient_bytes = gradient_bytes,
                       .master_bytes = 4.0,
                       .moments_bytes = 8.0,
                       /* read gradient twice (norm, update), master and moments; write master,
                        * moments and the working copy */
                       .step_bytes = 2.0 * gradient_bytes + 12.0 + 12.0 + 2.0};
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
    return gradient * unit_params + (zero >= 3 ? recipe->weight_bytes * live : 0.0);
}

sp_state_bytes sp_mem_state(const sp_recipe *recipe, double params, const sp_units *units,
                            uint32_t zero, uint32_t shards)
{
    const double optimizer = recipe->master_bytes + recipe->moments_bytes;
    const double share = params / shards;
    const double sharded = shards > 1 ? 1.0 : 0.0;
    return (sp_state_bytes){
        .weights = recipe->weight_bytes * (zero >= 3 ? share : params),
        .gradients = recipe->gradient_bytes * (zero >= 2 ? share : params),
        .optimizer = optimizer * (zero >= 1 ? share : params),
        .gathered = sharded * gathered_bytes(recipe, units, params, units->largest_params, zero),
        .gathered_layer =
            sharded * gathered_bytes(recipe, units, params, units->layer_params, zero)};
}
