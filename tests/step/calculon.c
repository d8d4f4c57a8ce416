/* SPDX-License-Identifier: Apache-2.0 */
#include "calculon.h"

#include "common/models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

double calculon_number(const sp_json *object, const char *key)
{
    sp_error err = {0};
    double value = 0.0;
    if (sp_json_double(object, key, -1e300, 1e300, &value, &err) != SP_OK)
        fail_msg("%s", err.message);
    return value;
}

const char *calculon_word(const sp_json *object, const char *key)
{
    sp_error err = {0};
    const char *text = NULL;
    if (sp_json_string(object, key, &text, &err) != SP_OK) fail_msg("%s", err.message);
    return text;
}

bool calculon_flag(const sp_json *object, const char *key)
{
    sp_error err = {0};
    bool on = false;
    if (sp_json_bool(object, key, &on, &err) != SP_OK) fail_msg("%s", err.message);
    return on;
}

/* A GPT without ends, biases and positions. */
static void make_model(const calculon_case *g, made_model *made)
{
    make_gpt(made, (uint32_t)calculon_number(&g->model, "hidden"), 1,
             (uint32_t)calculon_number(&g->model, "num_blocks"));
    sp_layer_kind *kind = &made->model.kinds[0];
    const uint32_t heads = (uint32_t)calculon_number(&g->model, "attn_heads");
    const bool shared = strcmp(calculon_word(&g->execution, "attention_type"), "multiquery") == 0;
    kind->attention = (sp_attention){.norms = 1,
                                     .heads = heads,
                                     .kv_heads = shared ? 1 : heads,
                                     .head_dim = (uint32_t)calculon_number(&g->model, "attn_size")};
    kind->ffn = (sp_ffn){.norms = 1, .ffn = (uint32_t)calculon_number(&g->model, "feedforward")};
}

void calculon_expand(const calculon_case *g, bool sequence_parallel, sp_layer_work *work)
{
    made_model made;
    make_model(g, &made);
    const sp_shape shape = {.sequences = g->micro_batch,
                            .tokens = g->micro_batch * g->seq,
                            .length = g->seq,
                            .context = g->seq / 2.0};
    const sp_sharding sharding = {
        .tp = g->tp, .cp = 1, .ep = 1, .etp = 1, .sp = sequence_parallel && g->tp > 1};
    sp_graph_layer(&made.model, &made.model.kinds[0], &shape, &sharding, false, work);
}

bool calculon_in_16_bits(const calculon_case *g)
{
    const char *type = calculon_word(&g->execution, "datatype");
    return strcmp(type, "float16") == 0 || strcmp(type, "bfloat16") == 0;
}

static sp_json load(const char *folder, const char *kind, const char *name, sp_json_doc **doc)
{
    char path[4096];
    sp_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s/%s.json", folder, kind, name);
    if (sp_json_load_file(path, doc, &err) != SP_OK) fail_msg("%s", err.message);
    return sp_json_root(*doc);
}

/* False for inference and what Calculon refused. */
static bool ask_case(const char *folder, const sp_json *record,
                     bool (*check)(const calculon_case *g))
{
    calculon_case g = {.execution = sp_json_get(record, "execution")};
    if (!calculon_flag(record, "ok") || !calculon_flag(&g.execution, "training")) return false;
    sp_json_doc *model = NULL, *system = NULL;
    g.stats = sp_json_get(record, "stats");
    g.model = load(folder, "models", calculon_word(record, "model"), &model);
    g.system = load(folder, "systems", calculon_word(record, "system"), &system);
    g.tp = (uint32_t)calculon_number(&g.execution, "tensor_par");
    g.pp = (uint32_t)calculon_number(&g.execution, "pipeline_par");
    g.vpp = (uint32_t)calculon_number(&g.execution, "pipeline_interleaving");
    g.dp = (uint32_t)calculon_number(&g.execution, "data_par");
    g.micro_batch = calculon_number(&g.execution, "microbatch_size");
    g.batches = (uint32_t)(calculon_number(&g.execution, "batch_size") / (g.dp * g.micro_batch));
    g.seq = calculon_number(&g.model, "seq_size");
    const bool compared = check(&g);
    sp_json_free(model);
    sp_json_free(system);
    return compared;
}

/* Calls check with each accepted training case; at least `least` of them must be comparable. */
void calculon_each(uint32_t least, bool (*check)(const calculon_case *g))
{
    static char line[1 << 16];
    char path[3072], folder[3072];
    const char *data = getenv("SHARDPLAN_DATA");
    if (data == NULL) skip();
    (void)snprintf(path, sizeof path, "%s/calculon-golden/dev.jsonl", data);
    (void)snprintf(folder, sizeof folder, "%s/calculon-golden", data);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("%s cannot be read", path);
    uint32_t compared = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        sp_json_doc *doc = NULL;
        sp_error err = {0};
        if (sp_json_load_text(line, strlen(line), path, &doc, &err) != SP_OK)
            fail_msg("%s", err.message);
        const sp_json record = sp_json_root(doc);
        compared += ask_case(folder, &record, check);
        sp_json_free(doc);
    }
    assert_int_equal(fclose(file), 0);
    print_message("%u cases compared\n", compared);
    assert_true(compared >= least);
}
