/* SPDX-License-Identifier: Apache-2.0 */
/* Several nodes in `shardplan memory` of training: --nodes and --interconnect become a topology,
 * and the plan's traffic is set beside the best plan of a search of the same question. */
#include "cli/memory.h"
#include "spec/spec.h"
#include "step/step.h"

#include <string.h>

#define MOST_IN_NODE   8u
#define LEAST_GBPS     0.1
#define MOST_GBPS      1e5
#define SEARCH_LIMIT_S 10.0

/* What a bare number of Gb/s goes by: the link whose latencies hold at any rate. */
static const char NUMBERED_LINK[] = "ib-ndr";

/* What may follow a number of Gb/s; a capital B would be bytes. */
static bool is_rate_unit(const char *text)
{
    static const char *const units[] = {"Gb", "Gb/s", "Gbps", "Gbit/s"};
    text += strspn(text, " ");
    if (*text == '\0') return true;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text, units[i]) == 0) return true;
    }
    return false;
}

static sp_status rate_between(sp_arena *arena, const char *number, const char **link, sp_error *err)
{
    double gbps = 0.0;
    SP_TRY(sp_parse_amount(number, &gbps, err));
    if (gbps < LEAST_GBPS || gbps > MOST_GBPS) {
        sp_fail(err, SP_E_RANGE, "Gb/s of one GPU");
        sp_fail_range(err, "%g .. %g", LEAST_GBPS, MOST_GBPS);
        return sp_fail_value(err, "%s", number);
    }
    *link = sp_arena_printf(arena, "%s:%sGb", NUMBERED_LINK, number);
    return SP_OK;
}

/* "400", "400Gb/s", "ib-hdr", "ib-hdr:100Gb": in the words of a topology. */
static sp_status link_between(sp_arena *arena, const char *home, const char *hardware,
                              const char *text, const char **link, sp_error *err)
{
    const size_t digits = strspn(text, "0123456789.");
    const sp_gpu *gpu = NULL;
    const sp_link *found = NULL;
    const bool rate = digits > 0 && is_rate_unit(text + digits);
    const int length = (int)(rate ? digits : strcspn(text, ":@"));
    const char *name = sp_arena_printf(arena, "%.*s", length, text);
    if (name == NULL) return sp_fail(err, SP_E_MEMORY, "the question needs more");
    if (rate) return rate_between(arena, name, link, err);
    SP_TRY(sp_gpu_find(arena, home, hardware, &gpu, err));
    *link = text;
    if (sp_link_find(arena, home, gpu, name, &found, err) == SP_OK || digits == 0) {
        return err->status;
    }
    *err = (sp_error){0};
    sp_fail(err, SP_E_SYNTAX,
            "a rate is that of one GPU in Gb/s, bits and not bytes; write 400 or 400Gb/s");
    return sp_fail_value(err, "%s", text);
}

static sp_status check_nodes(const char *between, uint32_t gpus, uint32_t nodes, sp_error *err)
{
    if (nodes == 1 && gpus > MOST_IN_NODE) {
        sp_fail(err, SP_E_USAGE,
                "a node has at most %u GPUs: say how many there are with --nodes, and what lies "
                "between them with --interconnect, for example ib-ndr or 400 (Gb/s); or name a "
                "--cluster",
                MOST_IN_NODE);
        return sp_fail_value(err, "%u GPUs", gpus);
    }
    if (gpus % nodes != 0 || gpus / nodes > MOST_IN_NODE) {
        sp_fail(err, SP_E_INCONSISTENT,
                "nodes are equally large and have at most %u GPUs; name other ones with --cluster",
                MOST_IN_NODE);
        return sp_fail_value(err, "%u GPUs on --nodes %u", gpus, nodes);
    }
    if (nodes > 1 && between == NULL) {
        return sp_fail(err, SP_E_USAGE,
                       "name what lies between the nodes with --interconnect, for example ib-ndr "
                       "or 400 (Gb/s)");
    }
    if (nodes == 1 && between != NULL) {
        return sp_fail(err, SP_E_INCONSISTENT,
                       "--interconnect lies between nodes: give --nodes, at least 2");
    }
    return SP_OK;
}

sp_status sp_memory_no_nodes(const sp_settings *s, sp_error *err)
{
    static const sp_flag_id flags[] = {SP_FLAG_nodes, SP_FLAG_interconnect};
    return sp_memory_refuse_flags(
        s, flags, sizeof flags / sizeof flags[0],
        "a --cluster has its own nodes and network; name the GPU with --hardware instead", err);
}

sp_status sp_memory_nodes(const sp_settings *s, sp_arena *arena, const char *home, uint32_t gpus,
                          const char **cluster, sp_error *err)
{
    const char *hardware = sp_settings_text(s, SP_FLAG_hardware);
    const char *between = sp_settings_text(s, SP_FLAG_interconnect), *link = NULL;
    uint32_t nodes = 1;
    SP_TRY(sp_flag_count(s, SP_FLAG_nodes, 1, 65536, &nodes, err));
    SP_TRY(check_nodes(between, gpus, nodes, err));
    if (between != NULL) {
        SP_TRY(sp_flag_blame(link_between(arena, home, hardware, between, &link, err),
                             SP_FLAG_interconnect, err));
    }
    *cluster = nodes > 1
                   ? sp_arena_printf(arena, "%ux%s,%ux%s", gpus / nodes, hardware, nodes, link)
                   : sp_arena_printf(arena, "%ux%s", gpus, hardware);
    return *cluster != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "the question needs more");
}

/* ---- what the plan sends, and what a search finds ---- */

static sp_status search(const sp_space *space, sp_advice *advice, sp_error *err)
{
    const sp_search_options options = {.top_k = 1, .timeout_s = SEARCH_LIMIT_S};
    sp_search_result result = {0};
    SP_TRY(sp_search_run(space, &options, &result, err));
    advice->whole = result.exact && result.counts.uncovered == 0;
    advice->found = result.ranked.n_points > 0;
    if (advice->found) {
        const sp_plan plan = sp_space_unrank(space, result.ranked.points[0].id);
        sp_price_plan(space, &plan, &advice->best);
    }
    sp_search_result_fini(&result);
    return SP_OK;
}

sp_status sp_memory_advise(const sp_question *question, const sp_problem *problem,
                           const sp_plan *plan, sp_advice *advice, sp_error *err)
{
    sp_question asked = *question;
    sp_problem *own = NULL;
    sp_space *space = NULL;
    *advice = (sp_advice){0};
    sp_traffic_build(problem, plan, &advice->traffic);
    asked.objectives = "tokens_per_s";
    sp_status status = sp_problem_build(&asked, &own, err);
    if (status == SP_OK) status = sp_space_build(own, &space, err);
    if (status == SP_OK) status = search(space, advice, err);
    sp_space_free(space);
    sp_problem_free(own);
    return status;
}
