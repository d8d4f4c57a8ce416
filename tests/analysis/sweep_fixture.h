/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Questions made by hand for the tests of sweeps: a small Llama on an accelerator with round
 * figures. */
#include "base/base.h"
#include "common/asked.h"
#include "common/close.h"
#include "common/models.h"
#include "shardplan/sweep.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct swept {
    made_model model;
    sp_gpu gpu;
    sp_cluster cluster;
    sp_analysis_question question;
    sp_arena arena;
    const sp_analysis *analysis;
    sp_workload *workload;
} swept;

/* 100 TFLOP/s, 1 TB/s, 80 GB, 400 W; vector units a quarter of it. */
void sweep_machine(swept *s);
/* As sweep_machine, with a Llama of 12 layers: analysed and reduced. */
void sweep_setup(swept *s);
void sweep_analyse(swept *s);
void sweep_fini(swept *s);
/* The accelerator itself as a design point. */
sp_chip sweep_own_chip(const swept *s);
/* 3 years at a half, PUE 1.2, $0.1, 400 g/kWh, 80 kg, alpha 0.6. */
sp_economics sweep_money(void);
