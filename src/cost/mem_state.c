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

/* Under ZeRO-3 the largest unit is whole, with its gradient, while a layer is fetched ahead; under
 * ZeRO-2 the gradient of the largest unit is whole until it is reduced. */
static double gathered_bytes(const sp_recipe *recipe, const sp_units *units, uint32_t zero)
{
    const double gradient = zero >= 2 ? recipe->gradient_bytes * units->largest_params : 0.0;
    const double weights =
        zero >= 3 ? recipe->weight_bytes * (units->largest_params + units->layer_params) : 0.0;
    return gradient + weights;
}

sp_state_bytes sp_mem_state(const sp_recipe *recipe, double params, const sp_units *units,
                            uint32_t zero, uint32_t shards)
{
    const double optimizer = recipe->master_bytes + recipe->moments_bytes;
    const double share = params / shards;
    return (sp_state_bytes){.weights = recipe->weight_bytes * (zero >= 3 ? share : params),
                            .gradients = recipe->gradient_bytes * (zero >= 2 ? share : params),
                            .optimizer = optimizer * (zero >= 1 ? share : params),
                            .gathered = shards > 1 ? gathered_bytes(recipe, units, zero) : 0.0};
}
