/* SPDX-License-Identifier: Apache-2.0 */
/* Our seconds beside Calculon's, term by term over the 16-bit cases of its reference outputs, with
 * the same inputs: its peaks, its efficiency of each operator's size, its links. The table that is
 * printed stands in ARCHITECTURE.md with the reason of each difference; terms that mean the same
 * must agree, the others stay within the spread that their reason explains. */
#include "calculon.h"
#include "common/close.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXACT     1e-9
#define MAX_CASES 128

/* Ours over Calculon's, by case. */
typedef struct term {
    const char *name;
    uint32_t n;
    double ratio[MAX_CASES];
} term;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void add(term *t, double ours, double theirs)
{
    assert_true(t->n < MAX_CASES && theirs > 0.0);
    t->ratio[t->n++] = ours / theirs;
}

/* Every case lies within low .. high. */
static void show(term *t, double low, double high)
{
    qsort(t->ratio, t->n, sizeof t->ratio[0], by_size);
    print_message("%-40s n %2u   min %.3f   median %.3f   max %.3f\n", t->name, t->n, t->ratio[0],
                  t->ratio[t->n / 2], t->ratio[t->n - 1]);
    assert_true(low <= t->ratio[0] && t->ratio[t->n - 1] <= high);
}

/* ---- Calculon's inputs as rates ---- */

/* Efficiency of an operator of so many (10^9 FLOPs, 10^6 bytes): the first row that it reaches. */
static double step_of(const sp_json *table, double size)
{
    double efficiency = 0.0;
    for (size_t i = 0; i < sp_json_size(table); i++) {
        const sp_json row = sp_json_at(table, i), from = sp_json_at(&row, 0);
        const sp_json ratio = sp_json_at(&row, 1);
        sp_error err = {0};
        double threshold;
        assert_int_equal(sp_json_as_double(&from, 0.0, 1e12, &threshold, &err), SP_OK);
        assert_int_equal(sp_json_as_double(&ratio, 0.0, 1.0, &efficiency, &err), SP_OK);
        if (threshold <= size) break;
    }
    return efficiency;
}

static double s_per_byte(const calculon_case *g, double bytes)
{
    const sp_json memory = sp_json_get(&g->system, "mem1");
    const sp_json table = sp_json_get(&memory, "MB_efficiency");
    return 1e-9 / (calculon_number(&memory, "GBps") * step_of(&table, bytes / 1e6));
}

/* Of matrix units, for one operator. */
static double s_per_flop(const calculon_case *g, double flops)
{
    const sp_json units = sp_json_get(&g->system, "matrix");
    const sp_json unit = sp_json_get(&units, calculon_word(&g->execution, "datatype"));
    const sp_json table = sp_json_get(&unit, "gflops_efficiency");
    return 1e-12 / (calculon_number(&unit, "tflops") * step_of(&table, flops / 1e9));
}

static bool is_product(const sp_op *op)
{
    return op->class == SP_OP_GEMM || op->class == SP_OP_ATTENTION;
}

static double bytes_of(const sp_op *op)
{
    return op->class == SP_OP_GEMM
               ? 2.0 * op->count * (op->m * op->k + op->k * op->n + op->m * op->n)
               : op->bytes;
}

static sp_op_time price(const calculon_case *g, const sp_op *op)
{
    sp_rates rates = {.score_bytes_ratio = 1.0, .grad_bytes = 0.5, .misaligned_ratio = 1.0};
    sp_gemm_rate *rate = &rates.gemm[SP_PRECISION_BF16];
    const double bytes = s_per_byte(g, bytes_of(op));
    *rate = (sp_gemm_rate){.s_per_byte = bytes};
    if (is_product(op)) rate->s_per_flop = s_per_flop(g, op->flops);
    rates.stream_s_per_byte = bytes;
    rates.state_s_per_byte = s_per_byte(g, 2.0 * op->count * op->m * op->n); /* of the scores */
    return sp_roof_op(&rates, op, SP_PRECISION_BF16, true);
}

/* The tier of the network that a dimension uses, as one level without a ramp. */
static sp_fabric link_of(const calculon_case *g, const char *dimension)
{
    const sp_json all = sp_json_get(&g->system, "networks");
    const sp_json link = sp_json_at(&all, (size_t)calculon_number(&g->execution, dimension));
    const double rate = calculon_number(&link, "bandwidth") * calculon_number(&link, "efficiency");
    return (sp_fabric){.node_gpus = 1,
                       .n_levels = 1,
                       .level = {{.n_gpus = UINT32_MAX,
                                  .s_per_byte = 1e-9 / rate,
                                  .latency_s = calculon_number(&link, "latency")}}};
}

/* ---- computation ---- */

typedef struct computation {
    double forward_s, backward_s, core_forward_s;
} computation;

static computation compute(const calculon_case *g)
{
    sp_layer_work work;
    calculon_expand(g, strcmp(calculon_word(&g->execution, "tensor_par_comm_type"), "rs_ag") == 0,
                    &work);
    computation sum = {0};
    for (uint32_t i = 0; i < work.n_ops; i++) {
        const sp_op_time t = price(g, &work.ops[i]);
        sum.forward_s += t.forward_s;
        sum.backward_s += t.input_grad_s + t.weight_grad_s;
        sum.core_forward_s += work.ops[i].class == SP_OP_ATTENTION ? t.forward_s : 0.0;
    }
    return sum;
}

static term forward = {.name = "forward"}, backward = {.name = "backward"};
static term forward_roofline = {.name = "forward, their roofline"};
static term backward_roofline = {.name = "backward, their roofline"};
static term redo_full = {.name = "recompute, full"}, redo_core = {.name = "recompute, core"};

static bool compare_computation(const calculon_case *g)
{
    if (!calculon_in_16_bits(g)) return false;
    const bool roofline = strcmp(calculon_word(&g->system, "processing_mode"), "roofline") == 0;
    const computation ours = compute(g);
    add(roofline ? &forward_roofline : &forward, ours.forward_s,
        calculon_number(&g->stats, "block_fw_time"));
    add(roofline ? &backward_roofline : &backward, ours.backward_s,
        calculon_number(&g->stats, "block_agrad_time") +
            calculon_number(&g->stats, "block_wgrad_time"));
    const char *redo = calculon_word(&g->execution, "activation_recompute");
    const double again = calculon_number(&g->stats, "block_re_time");
    if (strcmp(redo, "full") == 0) add(&redo_full, ours.forward_s, again);
    if (strcmp(redo, "attn_only") == 0) add(&redo_core, ours.core_forward_s, again);
    return true;
}

static void computation_differs_from_calculons_by_what_is_known(void **state)
{
    (void)state;
    calculon_each(50, compare_computation);
    show(&forward, 0.6, 1.0);
    show(&backward, 0.65, 1.0);
    show(&forward_roofline, 0.6, 1.05);
    show(&backward_roofline, 0.7, 1.5);
    show(&redo_full, 0.6, 1.05);
    show(&redo_core, 0.9, 1.5);
}

/* ---- traffic: the same tensors; time by our algorithms on its links ---- */

static term tp_bytes = {.name = "tp, bytes"}, dp_bytes = {.name = "dp, bytes"};
static term tp_whole = {.name = "tp, all-reduce"};
static term tp_split = {.name = "tp, reduce-scatter and all-gather"};

static double hidden_bytes(const calculon_case *g)
{
    return 2.0 * calculon_number(&g->model, "hidden") * g->micro_batch * g->seq;
}

/* Both blocks of a layer, forward. */
static bool compare_tp(const calculon_case *g)
{
    const char *type = calculon_word(&g->execution, "tensor_par_comm_type");
    const bool plain = strcmp(calculon_word(&g->execution, "tensor_par_overlap"), "none") == 0;
    const bool split = strcmp(type, "rs_ag") == 0, whole = strcmp(type, "ar") == 0;
    if (!calculon_in_16_bits(g) || !plain || g->tp == 1 || !(split || whole)) return false;
    const sp_fabric link = link_of(g, "tensor_par_net");
    const sp_group group = sp_group_build(&link, g->tp, 1);
    const double bytes = hidden_bytes(g);
    const double ours_s =
        split ? 4.0 * sp_coll_allgather_s(&group, bytes) : 2.0 * sp_coll_allreduce_s(&group, bytes);
    add(&tp_bytes, (split ? 4.0 : 2.0) * bytes, calculon_number(&g->stats, "baseblock_fw_tp_size"));
    add(split ? &tp_split : &tp_whole, ours_s, calculon_number(&g->stats, "baseblock_fw_tp_time"));
    return true;
}

static term pp_send = {.name = "pp, all messages of a step"};

static bool compare_pp(const calculon_case *g)
{
    if (!calculon_in_16_bits(g) || g->pp == 1) return false;
    const bool cut = strcmp(calculon_word(&g->execution, "tensor_par_comm_type"), "ar") != 0;
    const sp_fabric link = link_of(g, "pipeline_par_net");
    const sp_group group = sp_group_build(&link, g->pp, 1);
    const double message_s = sp_coll_p2p_s(&group, hidden_bytes(g) / (cut ? g->tp : 1.0));
    add(&pp_send, 2.0 * g->vpp * g->batches * message_s,
        calculon_number(&g->stats, "pp_comm_exposed_time"));
    return true;
}

static term dp_whole = {.name = "dp, all-reduce"}, dp_split = {.name = "dp, sharded optimizer"};

static bool compare_dp(const calculon_case *g)
{
    if (!calculon_in_16_bits(g) || g->dp == 1 || calculon_flag(&g->execution, "data_par_overlap"))
        return false;
    const bool sharded = calculon_flag(&g->execution, "optimizer_sharding");
    const sp_fabric link = link_of(g, "data_par_net");
    const sp_group group = sp_group_build(&link, g->dp, 1);
    sp_layer_work work;
    calculon_expand(g, false, &work);
    const double blocks = ceil(calculon_number(&g->model, "num_blocks") / g->pp);
    const double bytes = 2.0 * work.params.dense;
    const double ours_s =
        sharded ? 2.0 * sp_coll_allgather_s(&group, bytes) : sp_coll_allreduce_s(&group, bytes);
    add(&dp_bytes, bytes, calculon_number(&g->stats, "block_dp_size"));
    add(sharded ? &dp_split : &dp_whole, blocks * ours_s,
        calculon_number(&g->stats, "dp_comm_exposed_time"));
    return true;
}

static void traffic_is_calculons_and_takes_what_its_links_explain(void **state)
{
    (void)state;
    calculon_each(5, compare_tp);
    calculon_each(20, compare_pp);
    calculon_each(5, compare_dp);
    show(&tp_bytes, 1.0 - EXACT, 1.0 + EXACT);
    show(&dp_bytes, 1.0 - EXACT, 1.0 + EXACT);
    show(&pp_send, 1.0 - EXACT, 1.0 + EXACT);
    show(&tp_whole, 0.8, 2.0);
    show(&tp_split, 0.45, 1.3);
    show(&dp_whole, 1.0, 2.8);
    show(&dp_split, 0.5, 1.7);
}

/* ---- schedule and update ---- */

static term bubble = {.name = "bubble"};

/* Time of one micro-batch on a stage from Calculon's own parts: our share of it for p - 1 others.
 */
static bool compare_bubble(const calculon_case *g)
{
    const double layers = calculon_number(&g->model, "num_blocks");
    const double theirs = calculon_number(&g->stats, "bubble_time");
    const bool even = fmod(layers, g->pp) == 0.0 && g->batches % g->pp == 0;
    const bool hides = calculon_flag(&g->execution, "weight_offload") ||
                       calculon_flag(&g->execution, "activations_offload") ||
                       calculon_flag(&g->execution, "optimizer_offload");
    if (!calculon_in_16_bits(g) || g->pp == 1 || !even || hides || theirs == 0.0) return false;
    static const char *const parts[] = {"fw_time",
                                        "bw_time",
                                        "recompute_time",
                                        "recomm_exposed_time",
                                        "tp_comm_exposed_time",
                                        "pp_comm_exposed_time"};
    double stage_s = 0.0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        stage_s += calculon_number(&g->stats, parts[i]) / g->batches;
    }
    const sp_schedule_kind *schedule =
        sp_schedule_describe(g->vpp > 1 ? SP_SCHEDULE_INTERLEAVED : SP_SCHEDULE_1F1B);
    const sp_pipeline_shape shape = {.p = g->pp, .v = g->vpp, .m = g->batches};
    const sp_pass_times one = {.forward_s = stage_s / 3.0, .input_grad_s = 2.0 * stage_s / 3.0};
    const sp_pass_times all = {.forward_s = g->pp * one.forward_s,
                               .input_grad_s = g->pp * one.input_grad_s};
    const sp_chain chain = {.shape = &shape,
                            .pivot = &one,
                            .sum = &all,
                            .n = g->pp,
                            .n_after = g->pp - 1,
                            .after_s = (g->pp - 1.0) * stage_s};
    add(&bubble, schedule->chain_s(&chain) - g->batches * stage_s, theirs);
    return true;
}

static void bubbles_are_calculons(void **state)
{
    (void)state;
    calculon_each(5, compare_bubble);
    show(&bubble, 1.0 - EXACT, 1.0 + EXACT);
}

static term update = {.name = "optimizer"};

static bool compare_update(const calculon_case *g)
{
    if (!calculon_in_16_bits(g) || calculon_flag(&g->execution, "optimizer_offload")) return false;
    sp_layer_work work;
    calculon_expand(g, false, &work);
    const double shards = calculon_flag(&g->execution, "optimizer_sharding") ? g->dp : 1.0;
    const double bytes = sp_recipe_adamw(2.0).step_bytes * work.params.dense / shards;
    add(&update, bytes * s_per_byte(g, calculon_number(&g->stats, "block_optim_mem_accessed")),
        calculon_number(&g->stats, "block_optim_time"));
    return true;
}

static void updates_differ_from_calculons_by_what_is_known(void **state)
{
    (void)state;
    calculon_each(30, compare_update);
    show(&update, 1.2, 2.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(computation_differs_from_calculons_by_what_is_known),
        cmocka_unit_test(traffic_is_calculons_and_takes_what_its_links_explain),
        cmocka_unit_test(bubbles_are_calculons),
        cmocka_unit_test(updates_differ_from_calculons_by_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
