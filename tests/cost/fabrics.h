/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Networks with round numbers. */
#include "common/draw.h"
#include "cost/cost.h"

/* Nodes of 8 at 100 GB/s and 1 us, behind them 10 GB/s and 5 us; messages of any size reach the
 * full bandwidth. */
sp_fabric round_fabric(void);
/* One to four levels, each domain a multiple of the one inside, slower than it in
 * every respect. */
sp_fabric random_fabric(draw *d);
