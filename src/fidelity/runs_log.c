/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of training runs as rows of a table that `validate training` and `calibrate steps` take:
 * steps and memory from the lines of every step, the configuration from the arguments that
 * Megatron-LM prints. What a log does not say stays blank, for its owner to fill in. Sources:
 * Megatron-LM, training/training.py and arguments.py; torchtitan, components/metrics.py. */
#include "fidelity/csv.h"
#include "fidelity/score.h"
#include "shardplan/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LOG_BYTES ((size_t)256 << 20)
#define MAX_STEPS     65536u
#define WARM_UP       3u /* first steps, which compile and allocate */
#define VALUE_BYTES   48

/* The table's columns, in its order. */
static const char *const columns[] = {"id",
                                      "group",
                                      "source",
                                      "source_ref",
                                      "confirmed_in",
                                      "released",
                                      "framework",
                                      "task",
                                      "scope",
                                      "model",
                                      "arch",
                                      "layers",
                                      "hidden",
                                      "heads",
                                      "kv_heads",
                                      "head_dim",
                                      "ffn",
                                      "ffn_act",
                                      "vocab",
                                      "seq",
                                      "params_b",
                                      "attn",
                                      "experts",
                                      "topk",
                                      "moe_ffn",
                                      "shared_ffn",
                                      "dense_layers",
                                      "mtp",
                                      "gpu",
                                      "gpu_mem_gb",
                                      "gpus",
                                      "gpus_per_node",
                                      "nvlink_domain",
                                      "inter_gbps_per_gpu",
                                      "network",
                                      "precision",
                                      "tp",
                                      "sp",
                                      "pp",
                                      "vpp",
                                      "pp_schedule",
                                      "cp",
                                      "ep",
                                      "etp",
                                      "dp",
                                      "fsdp_group",
                                      "mbs",
                                      "gbs",
                                      "ga",
                                      "recompute",
                                      "recompute_detail",
                                      "zero_stage",
                                      "dist_opt",
                                      "offload",
                                      "attn_kernel",
                                      "overlap",
                                      "step_s",
                                      "tok_s_gpu",
                                      "tflops_gpu",
                                      "tflops_kind",
                                      "mfu_pct",
                                      "hfu_pct",
                                      "peak_mem_gib",
                                      "mem_state_gib",
                                      "mem_act_gib",
                                      "mem_kind",
                                      "oom",
                                      "derived",
                                      "quality",
                                      "noise_pct",
                                      "config_key",
                                      "latest",
                                      "notes",
                                      "rank_set",
                                      "score_step",
                                      "score_mem",
                                      "mfu_causal_pct"};
enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

/* Arguments of Megatron-LM that are cells as they stand. */
static const struct {
    const char *argument, *column;
} arguments[] = {
    {"num_layers",                           "layers"    },
    {"hidden_size",                          "hidden"    },
    {"num_attention_heads",                  "heads"     },
    {"num_query_groups",                     "kv_heads"  },
    {"kv_channels",                          "head_dim"  },
    {"ffn_hidden_size",                      "ffn"       },
    {"padded_vocab_size",                    "vocab"     },
    {"seq_length",                           "seq"       },
    {"num_experts",                          "experts"   },
    {"moe_router_topk",                      "topk"      },
    {"moe_ffn_hidden_size",                  "moe_ffn"   },
    {"moe_shared_expert_intermediate_size",  "shared_ffn"},
    {"world_size",                           "gpus"      },
    {"tensor_model_parallel_size",           "tp"        },
    {"pipeline_model_parallel_size",         "pp"        },
    {"virtual_pipeline_model_parallel_size", "vpp"       },
    {"context_parallel_size",                "cp"        },
    {"expert_model_parallel_size",           "ep"        },
    {"expert_tensor_parallel_size",          "etp"       },
    {"data_parallel_size",                   "dp"        },
    {"micro_batch_size",                     "mbs"       },
    {"global_batch_size",                    "gbs"       },
    {"recompute_granularity",                "recompute" }
};
enum { N_ARGUMENTS = sizeof arguments / sizeof arguments[0] };

/* Arguments that are on or off, and what on means. */
static const struct {
    const char *argument, *column, *value;
} switches[] = {
    {"swiglu",                    "ffn_act",    "swiglu"},
    {"sequence_parallel",         "sp",         "1"     },
    {"use_distributed_optimizer", "dist_opt",   "1"     },
    {"use_distributed_optimizer", "zero_stage", "1"     },
    {"bf16",                      "precision",  "bf16"  },
    {"fp16",                      "precision",  "fp16"  }
};
enum { N_SWITCHES = sizeof switches / sizeof switches[0] };

/* Arguments that make a cell together with others, once all are read. */
enum { GROUPED_HEADS, FP8, FP8_RECIPE, FP4, LATENT, Q_LORA, KV_LORA, NOPE, ROPE, V_HEAD, N_NOTED };
static const char *const noted_names[N_NOTED] = {
    [GROUPED_HEADS] = "group_query_attention",
    [FP8] = "fp8",
    [FP8_RECIPE] = "fp8_recipe",
    [FP4] = "fp4",
    [LATENT] = "multi_latent_attention",
    [Q_LORA] = "q_lora_rank",
    [KV_LORA] = "kv_lora_rank",
    [NOPE] = "qk_head_dim",
    [ROPE] = "qk_pos_emb_head_dim",
    [V_HEAD] = "v_head_dim",
};

/* One log on its way to a row. */
typedef struct run {
    char cell[N_COLUMNS][VALUE_BYTES];
    char noted[N_NOTED][VALUE_BYTES]; /* "" = not said */
    double *seconds, *tokens_per_s;   /* of its steps */
    uint32_t n_seconds, n_tokens;
    double memory_gib;        /* most that any line says; 0 = none does */
    double last_s, last_step; /* of torchtitan: when the line before was written, of which step */
} run;

static void set(run *r, const char *column, const char *value)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        if (strcmp(columns[i], column) == 0) {
            (void)snprintf(r->cell[i], VALUE_BYTES, "%.*s", VALUE_BYTES - 1, value);
        }
    }
}

/* The number behind a word of the line, thousands set apart by commas or not; false without it. */
static bool number_after(const char *line, const char *word, double *value)
{
    char digits[32];
    size_t n = 0;
    const char *at = strstr(line, word);
    if (at == NULL) return false;
    at += strlen(word);
    at += strspn(at, " ");
    for (;
         n + 1 < sizeof digits && (strchr("0123456789.", *at) != NULL || *at == ',') && *at != '\0';
         at++) {
        if (*at != ',') digits[n++] = *at;
    }
    digits[n] = '\0';
    *value = strtod(digits, NULL);
    return n > 0;
}

static void add_step(run *r, double seconds)
{
    if (r->n_seconds < MAX_STEPS && seconds > 0.0) r->seconds[r->n_seconds++] = seconds;
}

/* ---- Megatron-LM ---- */

/* "  hidden_size ..................................... 4096" */
static void read_argument(run *r, const char *line)
{
    char name[64] = "", dots[64] = "", value[VALUE_BYTES] = "";
    const char *dot = strstr(line, " ....");
    if (dot == NULL) return;
    const char *begin = dot;
    while (begin > line && begin[-1] != ' ' && begin[-1] != ':' && begin[-1] != ']') {
        begin--;
    }
    if (sscanf(begin, "%63s %63s %47s", name, dots, value) != 3) return;
    if (strspn(dots, ".") != strlen(dots) || strcmp(value, "None") == 0) return;
    for (size_t i = 0; i < N_ARGUMENTS; i++) {
        if (strcmp(name, arguments[i].argument) == 0) set(r, arguments[i].column, value);
    }
    for (size_t i = 0; i < N_SWITCHES && strcmp(value, "True") == 0; i++) {
        if (strcmp(name, switches[i].argument) == 0) set(r, switches[i].column, switches[i].value);
    }
    for (size_t i = 0; i < N_NOTED; i++) {
        if (strcmp(name, noted_names[i]) == 0) memcpy(r->noted[i], value, VALUE_BYTES);
    }
}

static void read_megatron(run *r, const char *line)
{
    double value = 0.0;
    read_argument(r, line);
    if (number_after(line, "elapsed time per iteration (ms):", &value)) add_step(r, 1e-3 * value);
    if (number_after(line, "elapsed time per iteration (s):", &value)) add_step(r, value);
    if (number_after(line, "max reserved:", &value))
        r->memory_gib = fmax(r->memory_gib, value / 1024.0);
}

/* ---- torchtitan ---- */

/* Seconds of the day in "[titan] 2026-02-24 19:46:17,508 - root"; negative without them. */
static double clock_of(const char *line)
{
    int hour = 0, minute = 0, second = 0, milli = 0;
    for (const char *at = strchr(line, ':'); at != NULL; at = strchr(at + 1, ':')) {
        if (at - line < 2) continue;
        if (sscanf(at - 2, "%2d:%2d:%2d,%3d", &hour, &minute, &second, &milli) == 4) {
            return 3600.0 * hour + 60.0 * minute + second + 1e-3 * milli;
        }
    }
    return -1.0;
}

/* Lines of other ranks repeat a step; steps between two lines share the time between them. */
static void read_torchtitan(run *r, const char *line)
{
    double step = 0.0, value = 0.0;
    if (!number_after(line, "step:", &step) || strstr(line, "tps:") == NULL) return;
    if (number_after(line, "memory:", &value)) r->memory_gib = fmax(r->memory_gib, value);
    if (step <= r->last_step) return;
    if (number_after(line, "tps:", &value) && r->n_tokens < MAX_STEPS) {
        r->tokens_per_s[r->n_tokens++] = value;
    }
    const double now_s = clock_of(line);
    if (now_s >= 0.0 && r->last_step > 0.0) {
        const double passed_s =
            now_s >= r->last_s ? now_s - r->last_s : now_s - r->last_s + 86400.0;
        add_step(r, passed_s / (step - r->last_step));
    }
    r->last_s = now_s;
    r->last_step = step;
}

/* ---- rows ---- */

static double median_after_warm_up(double *values, uint32_t n)
{
    const uint32_t skip = n > 2 * WARM_UP ? WARM_UP : 0;
    return sp_quantile_of(values + skip, n - skip, 0.5);
}

static void set_number(run *r, const char *column, double value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.6g", value);
    if (isfinite(value) && value > 0.0) set(r, column, text);
}

static const char *get(const run *r, const char *column)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        if (strcmp(columns[i], column) == 0) return r->cell[i];
    }
    return "";
}

/* The words of the table for 8 and 4 bits; scales by tensor or block are one to it. */
static void set_precision(run *r)
{
    if (r->noted[FP4][0] != '\0') {
        set(r, "precision", "nvfp4");
    } else if (r->noted[FP8][0] != '\0') {
        set(r, "precision", strcmp(r->noted[FP8_RECIPE], "mxfp8") == 0 ? "mxfp8" : "fp8");
    }
}

/* num_query_groups is 1 where group_query_attention is off, and means nothing then. */
static void set_attention(run *r)
{
    const bool whole = strcmp(r->noted[GROUPED_HEADS], "False") == 0;
    if (whole || get(r, "kv_heads")[0] == '\0') set(r, "kv_heads", get(r, "heads"));
    set(r, "attn", strcmp(get(r, "heads"), get(r, "kv_heads")) == 0 ? "mha" : "gqa");
    if (strcmp(r->noted[LATENT], "True") == 0) {
        char text[6 * VALUE_BYTES];
        (void)snprintf(text, sizeof text, "mla(q%s,kv%s,nope%s,rope%s,v%s)", r->noted[Q_LORA],
                       r->noted[KV_LORA], r->noted[NOPE], r->noted[ROPE], r->noted[V_HEAD]);
        set(r, "attn", text);
    }
}

/* What Megatron-LM's arguments mean together, and by their silence. */
static void fill_silence(run *r)
{
    set_precision(r);
    if (get(r, "heads")[0] == '\0') return;
    set_attention(r);
    if (get(r, "recompute")[0] == '\0') set(r, "recompute", "none");
    if (get(r, "ffn_act")[0] == '\0') set(r, "ffn_act", "gelu");
    if (get(r, "zero_stage")[0] == '\0') set(r, "zero_stage", "0");
    if (get(r, "experts")[0] == '\0') set(r, "topk", "");
}

static void finish(run *r, const char *id, const char *gpu, bool megatron)
{
    if (megatron) fill_silence(r);
    set(r, "id", id);
    set(r, "group", id);
    set(r, "source", "own");
    set(r, "framework", megatron ? "Megatron-Core" : "torchtitan");
    set(r, "task", "pretrain");
    set(r, "scope", "core");
    set(r, "model", "own");
    set(r, "gpu", gpu != NULL ? gpu : "");
    set(r, "quality", "A");
    set(r, "latest", "1");
    set_number(r, "step_s", median_after_warm_up(r->seconds, r->n_seconds));
    set_number(r, "tok_s_gpu", median_after_warm_up(r->tokens_per_s, r->n_tokens));
    set_number(r, "peak_mem_gib", r->memory_gib);
    set(r, "mem_kind", r->memory_gib > 0.0 ? "torch reserved" : "");
    set(r, "score_step", r->n_seconds > 0 ? "1" : "0");
    set(r, "score_mem", r->memory_gib > 0.0 ? "1" : "0");
    set(r, "oom", "0");
}

static void add_row(const run *r, sp_text *out)
{
    for (size_t i = 0; i < N_COLUMNS; i++) {
        const bool quoted = strpbrk(r->cell[i], ",\"") != NULL;
        sp_text_printf(out, "%s%s%s%s", i > 0 ? "," : "", quoted ? "\"" : "", r->cell[i],
                       quoted ? "\"" : "");
    }
    sp_text_add(out, "\n");
}

static sp_status read_log(run *r, const char *file, bool megatron, sp_error *err)
{
    sp_text text = {0};
    sp_status status = sp_file_read(file, MAX_LOG_BYTES, &text, err);
    for (char *line = status == SP_OK ? text.data : NULL; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL) *end = '\0';
        if (megatron) {
            read_megatron(r, line);
        } else {
            read_torchtitan(r, line);
        }
        line = end != NULL ? end + 1 : NULL;
    }
    sp_text_fini(&text);
    if (status != SP_OK || r->n_seconds > 0) return status;
    (void)sp_fail(err, SP_E_SYNTAX, "no line of this log says how long a step took");
    return sp_fail_file(err, file);
}

static const char *stem_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash != NULL ? slash + 1 : file;
}

static sp_status add_log(const char *file, const char *gpu, bool megatron, sp_text *out,
                         sp_error *err)
{
    run *r = sp_alloc(sizeof *r);
    double *steps = sp_alloc(2 * MAX_STEPS * sizeof *steps);
    sp_status status = SP_OK;
    if (r == NULL || steps == NULL) {
        status = sp_fail(err, SP_E_MEMORY, "no memory for the log");
    } else {
        *r = (run){.seconds = steps, .tokens_per_s = steps + MAX_STEPS};
        status = read_log(r, file, megatron, err);
    }
    if (status == SP_OK) {
        finish(r, stem_of(file), gpu, megatron);
        add_row(r, out);
    }
    sp_free(steps);
    sp_free(r);
    return status;
}

sp_status sp_runs_of_logs(const char *format, const char *gpu, const char *const *files,
                          uint32_t n_files, sp_text *out, sp_error *err)
{
    static const char *const names[] = {"megatron", "torchtitan"};
    const bool megatron = strcmp(format, names[0]) == 0;
    if (!megatron && strcmp(format, names[1]) != 0) {
        (void)sp_fail(err, SP_E_UNKNOWN_NAME, "no training runs are read from such logs");
        (void)sp_fail_file(err, "--log");
        (void)sp_fail_value(err, "%s", format);
        return sp_fail_names(err, format, names, 2);
    }
    for (size_t i = 0; i < N_COLUMNS; i++) {
        sp_text_printf(out, "%s%s", i > 0 ? "," : "", columns[i]);
    }
    sp_text_add(out, "\n");
    for (uint32_t i = 0; i < n_files; i++) {
        SP_TRY(add_log(files[i], gpu, megatron, out, err));
    }
    return SP_OK;
}
