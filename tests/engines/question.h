/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Questions that the files of this folder write down: model (of models/ here), cluster, gpus,
 * seq_len, global_batch, and where they differ from the default task, optimizer, gradients and one
 * --set. */
#include "base/base.h"
#include "common/asked.h"

/* A file of tests/engines, or NULL with `skip`. */
sp_json_doc *load(const char *name);
/* The question's space under that engine ("megatron", "megatron@0.10", "any"). */
asked ask(const sp_json *question, const char *engine);
/* The rule that refuses the plan; NULL when none does. */
const sp_rule_info *refusal(const asked *a, const sp_plan *plan);
