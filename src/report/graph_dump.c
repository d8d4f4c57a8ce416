/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of a model as a graph, as JSON and for Graphviz: one box for each kind of layer
 * with the number of its layers, the ends of the model around them. An operator reads what the one
 * before it wrote, unless the table of branches says otherwise; a residual adds the layer's input.
 */
#include "analysis/analysis_priv.h"
#include "report/analysis_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_INPUTS 4
#define STREAM     UINT32_MAX /* the input of the layer */

/* Operators that read something else than the one before them: of each entry the latest operator
 * that stands before it by the first of these names that is there. */
static const struct branch {
    const char *name;
    const char *inputs[3];
} branches[] = {
    {"q_down",           {"attention_norm"}                                           },
    {"q_up",             {"q_norm|attention_norm"}                                    },
    {"kv_down",          {"attention_norm"}                                           },
    {"q_absorb",         {"q_up"}                                                     },
    {"rotary",           {"qk_norm|q_absorb|q_up|qkv_projection", "kv_up|kv_norm"}    },
    {"index_queries",    {"q_norm|attention_norm"}                                    },
    {"index_key",        {"attention_norm"}                                           },
    {"index_weights",    {"attention_norm"}                                           },
    {"index_norm",       {"index_key"}                                                },
    {"index_scores",     {"index_queries", "index_weights", "index_rotary|index_norm"}},
    {"attention_core",   {"rotary|qk_norm|qkv_projection|q_up", "index_choice"}       },
    {"attention_gate",   {"attention_norm"}                                           },
    {"gated_output",     {"attention_core", "attention_gate"}                         },
    {"recurrent_in",     {"recurrent_norm"}                                           },
    {"router",           {"ffn_norm"}                                                 },
    {"latent_down",      {"ffn_norm"}                                                 },
    {"dispatch_permute", {"latent_down|ffn_norm", "router"}                           },
    {"shared_up",        {"ffn_norm"}                                                 },
    {"ffn_up",           {"ffn_norm"}                                                 },
    {"ffn_residual",     {"ffn_down", "shared_down", "latent_up|combine_unpermute"}   },
};
#define N_BRANCHES (sizeof branches / sizeof branches[0])

typedef struct node_inputs {
    uint32_t n, of[MAX_INPUTS];
} node_inputs;

static bool find_before(const sp_layer_work *work, uint32_t op, const char *names, uint32_t *found)
{
    while (names != NULL && *names != '\0') {
        const size_t length = strcspn(names, "|");
        for (uint32_t i = op; i-- > 0;) {
            const char *name = work->ops[i].name;
            *found = i;
            if (strncmp(name, names, length) == 0 && name[length] == '\0') return true;
        }
        names += length + (names[length] == '|');
    }
    return false;
}

static const struct branch *find_branch(const char *name)
{
    for (size_t i = 0; i < N_BRANCHES; i++) {
        if (strcmp(branches[i].name, name) == 0) return &branches[i];
    }
    return NULL;
}

static void add_input(node_inputs *inputs, uint32_t from)
{
    for (uint32_t i = 0; i < inputs->n; i++) {
        if (inputs->of[i] == from) return;
    }
    if (inputs->n < MAX_INPUTS) inputs->of[inputs->n++] = from;
}

/* The last operator of the block before, for what a block's first one reads and its sum adds. */
static uint32_t stream_before(const sp_layer_work *work, uint32_t op)
{
    for (uint32_t i = op; i-- > 0;) {
        if (work->ops[i].part == SP_PART_RESIDUAL) return i;
    }
    return STREAM;
}

static node_inputs inputs_of(const sp_layer_work *work, uint32_t op)
{
    node_inputs inputs = {0};
    const struct branch *branch = find_branch(work->ops[op].name);
    uint32_t from = 0;
    for (uint32_t i = 0; branch != NULL && i < 3; i++) {
        if (find_before(work, op, branch->inputs[i], &from)) add_input(&inputs, from);
    }
    if (inputs.n == 0) add_input(&inputs, op > 0 ? op - 1 : STREAM);
    if (work->ops[op].part == SP_PART_RESIDUAL) add_input(&inputs, stream_before(work, op));
    return inputs;
}

/* ---- what is walked over: the front end, each kind of layer, the back end ---- */

typedef struct part {
    char title[96];
    uint32_t layers;
    sp_layer_work work;
} part;

static uint32_t n_parts(const sp_analysis_question *q)
{
    return q->model->n_kinds + 2;
}

static sp_phase first_phase(const sp_analysis_question *q)
{
    sp_phase phase = 0;
    while (phase + 1 < SP_N_PHASES && (q->phases >> phase & 1) == 0)
        phase++;
    return phase;
}

static void expand_part(const sp_analysis_question *q, uint32_t idx, part *out)
{
    const sp_pass pass = sp_pass_build(q, first_phase(q), NULL, NULL);
    const sp_shape head = {.tokens = pass.head_tokens, .sequences = pass.shape.sequences};
    out->layers = 1;
    if (idx == 0) {
        (void)snprintf(out->title, sizeof out->title, "embedding");
        sp_graph_embedding_work(q->model, &pass.shape, &pass.sharding, &out->work);
    } else if (idx <= q->model->n_kinds) {
        out->layers = sp_model_layers_of_kind(q->model, idx - 1);
        (void)snprintf(out->title, sizeof out->title, "%u layers of kind %u", (unsigned)out->layers,
                       (unsigned)idx);
        sp_graph_layer(q->model, &q->model->kinds[idx - 1], &pass.shape, &pass.sharding, q->flash,
                       &out->work);
    } else {
        (void)snprintf(out->title, sizeof out->title, "head");
        sp_graph_head_work(q->model, &head, &pass.sharding, &out->work);
    }
}

/* ---- JSON ---- */

static void put_node(sp_json_writer *w, const sp_layer_work *work, uint32_t idx)
{
    const sp_op *op = &work->ops[idx];
    const node_inputs inputs = inputs_of(work, idx);
    const bool product =
        op->class == SP_OP_GEMM || op->class == SP_OP_GROUPED || op->class == SP_OP_ATTENTION;
    sp_jw_open_object_compact(w, NULL);
    sp_jw_u64(w, "idx", idx);
    sp_jw_string(w, "operator", op->name);
    if (product) {
        sp_jw_double(w, "m", op->m);
        sp_jw_double(w, "n", op->n);
        sp_jw_double(w, "k", op->k);
        sp_jw_double(w, "count", op->count);
    } else {
        sp_jw_double(w, "read_elements", op->m);
        sp_jw_double(w, "written_elements", op->n);
    }
    sp_jw_double(w, "flops", op->flops);
    sp_jw_double(w, "parameters", sp_op_params(op));
    sp_jw_open_array_compact(w, "inputs");
    for (uint32_t i = 0; i < inputs.n; i++) {
        if (inputs.of[i] == STREAM) {
            sp_jw_string(w, NULL, "input");
        } else {
            sp_jw_u64(w, NULL, inputs.of[i]);
        }
    }
    sp_jw_close_array(w);
    sp_jw_close_object(w);
}

void sp_report_graph_json(const sp_analysis_question *question, struct sp_text *out)
{
    sp_json_writer w;
    part made;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/graph/1");
    sp_json_put_version(&w);
    sp_jw_string(&w, "model", question->model->name);
    sp_jw_string(&w, "phase", sp_phase_name(first_phase(question)));
    sp_jw_open_array(&w, "parts");
    for (uint32_t p = 0; p < n_parts(question); p++) {
        expand_part(question, p, &made);
        sp_jw_open_object(&w, NULL);
        sp_jw_string(&w, "part", made.title);
        sp_jw_u64(&w, "layers", made.layers);
        sp_jw_open_array(&w, "operators");
        for (uint32_t i = 0; i < made.work.n_ops; i++) {
            put_node(&w, &made.work, i);
        }
        sp_jw_close_array(&w);
        sp_jw_close_object(&w);
    }
    sp_jw_close_array(&w);
    sp_jw_open_array(&w, "runs");
    for (uint32_t r = 0; r < question->model->n_runs; r++) {
        sp_jw_open_object_compact(&w, NULL);
        sp_jw_u64(&w, "kind", question->model->runs[r].kind + 1);
        sp_jw_u64(&w, "layers", question->model->runs[r].count);
        sp_jw_close_object(&w);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
}

/* ---- Graphviz ---- */

static void dot_node(struct sp_text *out, uint32_t p, uint32_t i, const sp_op *op)
{
    const bool product =
        op->class == SP_OP_GEMM || op->class == SP_OP_GROUPED || op->class == SP_OP_ATTENTION;
    sp_text_printf(out, "    p%u_%u [label=\"%s", (unsigned)p, (unsigned)i, op->name);
    if (product) {
        sp_text_printf(out, "\\n%s x %s x %s", sp_word_number(op->m).text,
                       sp_word_number(op->k).text, sp_word_number(op->n).text);
        if (op->count > 1.0) sp_text_printf(out, ", %s times", sp_word_number(op->count).text);
    }
    if (op->flops > 0.0) sp_text_printf(out, "\\n%sFLOP", sp_word_si(op->flops).text);
    sp_text_printf(out, "\"%s];\n", product ? ", style=filled, fillcolor=\"#D6E6F4\"" : "");
}

static void dot_edges(struct sp_text *out, uint32_t p, const sp_layer_work *work)
{
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const node_inputs inputs = inputs_of(work, i);
        for (uint32_t k = 0; k < inputs.n; k++) {
            if (inputs.of[k] == STREAM) {
                if (p > 0)
                    sp_text_printf(out, "  in%u -> p%u_%u;\n", (unsigned)p, (unsigned)p,
                                   (unsigned)i);
            } else {
                sp_text_printf(out, "  p%u_%u -> p%u_%u;\n", (unsigned)p, (unsigned)inputs.of[k],
                               (unsigned)p, (unsigned)i);
            }
        }
    }
}

static void dot_part(const sp_analysis_question *q, uint32_t p, uint32_t *last, struct sp_text *out)
{
    part made;
    expand_part(q, p, &made);
    sp_text_printf(out, "  subgraph cluster_%u {\n    label=\"%s\";\n", (unsigned)p, made.title);
    if (p > 0) sp_text_printf(out, "    in%u [shape=point, label=\"\"];\n", (unsigned)p);
    for (uint32_t i = 0; i < made.work.n_ops; i++) {
        dot_node(out, p, i, &made.work.ops[i]);
    }
    sp_text_add(out, "  }\n");
    dot_edges(out, p, &made.work);
    if (p > 0)
        sp_text_printf(out, "  p%u_%u -> in%u;\n", (unsigned)(p - 1), (unsigned)*last, (unsigned)p);
    *last = made.work.n_ops > 0 ? made.work.n_ops - 1 : 0;
}

void sp_report_graph_dot(const sp_analysis_question *question, struct sp_text *out)
{
    uint32_t last = 0;
    sp_text_printf(
        out,
        "digraph \"%s\" {\n  label=\"%s, %s\";\n  node [shape=box, fontname=\"sans-serif\","
        " fontsize=10];\n  graph [fontname=\"sans-serif\"];\n",
        question->model->name, question->model->name, sp_phase_name(first_phase(question)));
    for (uint32_t p = 0; p < n_parts(question); p++) {
        dot_part(question, p, &last, out);
    }
    sp_text_add(out, "}\n");
}
