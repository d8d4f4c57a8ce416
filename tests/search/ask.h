/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Questions of the tests of the search, over the models and clusters as shipped. */
#include "common/asked.h"
#include "search/search_priv.h"

/* Mixtral-8x7B on 8 to 32 H100: thousands of plans, a tenth of a second. */
asked ask(void);
sp_search_result search(const asked *a, const sp_search_options *options);
void assert_same_tally(const sp_tally *a, const sp_tally *b);
/* Everything but the figures of the run. */
void assert_same_result(const asked *a, const sp_search_result *x, const sp_search_result *y);
