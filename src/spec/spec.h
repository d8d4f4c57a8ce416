/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this room share with each other and with nobody else. */
#include "base/base.h"
#include "shardplan/cluster.h"
#include "shardplan/engine.h"
#include "shardplan/model.h"
#include "shardplan/plan.h"
#include "shardplan/recipe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- hardware files: figure.c, catalogue.c, link.c, level.c, node.c, topology_string.c --------- */
/* What a figure measures; decides which units it may be written in. */
typedef enum sp_quantity {
    SP_Q_COUNT,
    SP_Q_MEMORY,
    SP_Q_BANDWIDTH,
    SP_Q_COMPUTE,
    SP_Q_TIME,
    SP_Q_RATIO,
    SP_Q_POWER,
    SP_Q_PRICE,
    SP_Q_MONEY,
    SP_Q_LENGTH,
    SP_Q_CARBON
} sp_quantity;

/* Where one figure goes: a double at `offset` of a struct, in base units (bytes, bytes/s, FLOP/s,
 * s, W, USD/hour, USD, m, kg of CO2e), within lo .. hi. */
typedef struct sp_figure_field {
    const char *key;
    sp_quantity quantity;
    size_t offset;
    double lo, hi;
} sp_figure_field;

/* Reads one figure per field, each object[key] = {"value": 80, "unit": "GiB", "source": "...",
 * "date": "2026-01-31"} and, when measured, "samples", "median_ape_ratio", "p90_ape_ratio". */
sp_status sp_figures_read(const sp_json *object, const sp_figure_field *fields, size_t n_fields,
                          void *out, sp_error *err);
/* Constants fitted together share one source: object[key] = {"value": {"launch_s": 3e-6, ...},
 * "source": ..., ...}; the keys carry the unit. Every field must be there and nothing else. */
sp_status sp_figure_set_read(const sp_json *object, const char *key, const sp_figure_field *fields,
                             size_t n_fields, void *out, sp_error *err);

/* Requires "source" and "date" of a figure, and a number of samples where it states residuals. */
sp_status sp_provenance_check(const sp_json *figure, sp_error *err);

/* YYYY-MM-DD with a month and a day that exist somewhere. */
bool sp_is_date(const char *text);

/* Reads object["price"] and where it comes from. */
sp_status sp_gpu_price_read(struct sp_arena *arena, const sp_json *object, sp_gpu *gpu,
                            sp_error *err);
/* gpu_facts.c: what analysis asks of a part and plans do not; each may be left out. */
#define SP_GPU_FACT_KEYS                                                                           \
    "kind", "purchase", "process", "manufacturing", "compute_power_ratio", "memory_tiers"
sp_status sp_gpu_facts_read(struct sp_arena *arena, const sp_json *root, sp_gpu *gpu,
                            sp_error *err);
/* The file of a GPU, by name or path; the caller frees *doc. */
sp_status sp_gpu_document(const char *home, const char *name, sp_json_doc **doc, sp_error *err);
/* Of the fastest link that the part itself has, one direction; 0 when it has none. */
sp_status sp_gpu_link_rate(struct sp_arena *arena, const char *home, const sp_gpu *gpu,
                           double *bytes_per_s, sp_error *err);
/* Adds the file of `value` to an error that names none; returns its status. */
sp_status sp_fail_in(sp_error *err, const sp_json *value);
/* Copies a text into the arena. */
sp_status sp_text_keep(struct sp_arena *arena, const char *text, const char **kept, sp_error *err);

/* A folder of hardware/ whose files have "name" (that of the file) and optional "aliases". */
typedef struct sp_catalogue {
    const char *noun;   /* "GPU", for messages         */
    const char *folder; /* under HOME/hardware         */
    const char *schema; /* of its files                */
} sp_catalogue;

/* The same but for case, '-', '_' and spaces. */
bool sp_same_name(const char *a, const char *b);
/* True of "own.json" and "own.json5": a path rather than a name. */
bool sp_names_file(const char *ref);
/* Loads the file that goes by `ref`; the caller frees *doc. Names that nothing or two files go by
 * are refused. */
sp_status sp_catalogue_load(const char *home, const sp_catalogue *catalogue, const char *ref,
                            sp_json_doc **doc, sp_error *err);

typedef struct sp_link {
    const char *name;
    const char *family;      /* "nvlink": the name for whichever generation a GPU has            */
    const char *label;       /* of a level made of it                                            */
    bool on_gpu;             /* a port of the GPU itself; else a network port of the node        */
    double bytes_per_s, efficiency_ratio, latency_s, half_bytes, base_s; /* as in sp_level, one port     */
} sp_link;

/* The link that goes by `ref` for this GPU; a port that the GPU does not have is refused. */
sp_status sp_link_find(struct sp_arena *arena, const char *home, const sp_gpu *gpu, const char *ref,
                       const sp_link **link, sp_error *err);

/* What levels of one machine share. */
typedef struct sp_level_context {
    struct sp_arena *arena;
    const char *home;
    const sp_gpu *gpu;
    const char *network_link; /* of levels that name no link; NULL = they must                   */
    double ports_per_gpu;     /* network ports of a node over its GPUs                           */
} sp_level_context;

/* A level without oversubscription over n_gpus on `ports` ports a GPU. */
sp_level sp_level_of_link(const sp_link *link, uint32_t n_gpus, double ports);
/* Reads {"label", "link", "gpus", "oversubscription"}; "gpus" absent = UINT32_MAX. */
sp_status sp_level_read(const sp_level_context *context, const sp_json *value, sp_level *out,
                        sp_error *err);

typedef struct sp_node {
    const char *name;
    const sp_gpu *gpu;
    uint32_t gpus;
    uint32_t n_levels;
    sp_level levels[SP_CLUSTER_MAX_LEVELS];
    const char *network_link;
    uint32_t network_ports;
    double host_memory_bytes, host_link_bytes_per_s; /* of all of it; of one GPU               */
    double host_memory_bytes_per_s, nvme_bytes, nvme_bytes_per_s; /* of all of it; 0 = not known  */
} sp_node;


/* Gives a cluster the host of the node, in proportion to the GPUs of the cluster's own nodes. */
void sp_node_lend_host(const sp_node *node, sp_cluster *cluster);

sp_status sp_node_find(struct sp_arena *arena, const char *home, const char *name,
                       const sp_node **node, sp_error *err);
/* Reads a node that stands inside a cluster file. */
sp_status sp_node_read(struct sp_arena *arena, const char *home, const sp_json *value,
                       sp_node *node, sp_error *err);

/* Does ref look like COUNTx...? */
bool sp_topology_is_string(const char *ref);
sp_status sp_topology_build(struct sp_arena *arena, const char *home, const char *text,
                            const sp_cluster **cluster, sp_error *err);
/* The last level holds every GPU; the count it stated becomes max_gpus. */
void sp_cluster_close(sp_cluster *cluster);

/* ---- a cluster from saved output: discover*.c --------------------------------------------------- */
/* What a file says about a machine, or two files together; "" and 0 where they are silent. */
typedef struct sp_machine {
    const char *gpu;          /* as the file names it                                              */
    uint32_t node_gpus;       /* GPUs in one node                                                  */
    uint32_t nvlink_gpus;     /* GPUs that NVLink is sure to join; 1 = it joins none               */
    uint32_t switch_gpus;     /* ... NVLink or PCIe switches                                       */
    uint32_t network_ports;   /* of one node                                                       */
    uint32_t nodes;           /* usable ones                                                       */
    double host_memory_bytes; /* of one node                                                       */
} sp_machine;

/* Sentences for the reader, joined by "; ". */
typedef struct sp_notes {
    struct sp_arena *arena;
    const char *text; /* NULL when memory ran out */
} sp_notes;
void sp_notes_add(sp_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define SP_DOMAIN_MAX 256 /* GPUs of one node whose links are looked at */
/* Joins of pairs of GPUs: a domain is what can reach each other. */
typedef struct sp_domains {
    uint32_t n;
    uint16_t root[SP_DOMAIN_MAX];
} sp_domains;
sp_domains sp_domains_of(uint32_t n);
void sp_domains_join(sp_domains *domains, uint32_t a, uint32_t b);
/* The largest size into which every domain can be cut; says so when they differ, unless notes is
 * NULL. */
uint32_t sp_domains_common(const sp_domains *domains, const char *what, sp_notes *notes);

/* Each reads one kind of file. */
sp_status sp_machine_read_smi(struct sp_arena *arena, const char *file, sp_machine *machine,
                              sp_notes *notes, sp_error *err);
sp_status sp_machine_read_hwloc(struct sp_arena *arena, const char *file, sp_machine *machine,
                                sp_notes *notes, sp_error *err);
/* `gpu` says which kind is meant where nodes have several; NULL = there must be one. */
sp_status sp_machine_read_sinfo(struct sp_arena *arena, const char *file, const char *home,
                                const sp_gpu *gpu, sp_machine *machine, sp_notes *notes,
                                sp_error *err);
/* GPUs of one kind in one node, as a row of sinfo has them. */
typedef struct sp_node_record {
    const char *host;
    uint32_t kind, gpus;
    bool usable;
} sp_node_record;

#define SP_NODE_MAX_KINDS 16
#define SP_NODE_MAX_HOSTS 131072 /* in one row */
/* A table of sinfo while it is read. */
typedef struct sp_node_table {
    struct sp_arena *arena;
    const char *file;
    int line;
    size_t n_columns, host_column, state_column, gres_column; /* n_columns = no such column      */
    const char *kinds[SP_NODE_MAX_KINDS];                     /* "" = GRES names none            */
    uint32_t n_kinds;
    sp_node_record *records;
    size_t n_records;
    const char **hosts; /* of one row */
    sp_error *err;
} sp_node_table;
/* Fills the records with those of the text, which it takes apart. */
sp_status sp_node_table_read(sp_node_table *table, char *text);

/* Appends the hosts of "gpu[01-03,7],login1" to *hosts. */
sp_status sp_hosts_expand(struct sp_arena *arena, const char *text, const char **hosts,
                          size_t capacity, size_t *n, sp_error *err);

/* All that is known of a cluster while it is put together. */
typedef struct sp_findings {
    struct sp_arena *arena;
    const char *home;
    const char *matrix_file; /* of nvidia-smi; NULL = not given          */
    const sp_cluster *base;  /* as named; NULL = not given               */
    const sp_gpu *gpu;
    const sp_node *node;     /* the usual one of the GPU; NULL = there is none */
    sp_machine machine;      /* of all files                             */
    sp_notes notes;
    sp_error *err;
} sp_findings;
/* Adds the levels and the host; gpu and node_gpus of the cluster are set. */
sp_status sp_findings_fill(sp_findings *findings, sp_cluster *cluster);

/* ---- models: model*.c, parameters.c ------------------------------------------------------------ */
/* Upper ends of what a file may state: far above any model, so that a slip of the keyboard is named
 * where it stands. */
#define SP_MODEL_MAX_HIDDEN   (1u << 20)
#define SP_MODEL_MAX_WIDTH    (1u << 24) /* feed-forward and vocabulary */
#define SP_MODEL_MAX_HEADS    (1u << 14)
#define SP_MODEL_MAX_HEAD_DIM (1u << 14)
#define SP_MODEL_MAX_EXPERTS  (1u << 16)
#define SP_MODEL_MAX_LAYERS   (1u << 14)
#define SP_MODEL_MAX_MTP      (1u << 6)
#define SP_MODEL_MAX_CONTEXT  (1u << 30)
#define SP_MODEL_MAX_PARAMS   (1ull << 53)
#define SP_MODEL_MAX_NOTES    64

/* A model while it is read. `model` is copied into the arena when all of it is known. */
typedef struct sp_model_build {
    struct sp_arena *arena;
    const char *home; /* where configs/model_types lies */
    sp_model model;
    const char *notes[SP_MODEL_MAX_NOTES]; /* become model.assumptions */
    uint32_t n_notes;
    uint32_t n_notes_lost; /* those there was no room for */
    bool no_memory;
} sp_model_build;

/* model_type.c: the names of the files in HOME/configs/model_types, sorted. */
sp_status sp_model_type_names(struct sp_arena *arena, const char *home, const char *const **names,
                              size_t *n_names, sp_error *err);
/* Is `name`, which stands at `value`, one of them? *kept is it, in the arena of the model. */
sp_status sp_model_type_check(sp_model_build *build, const sp_json *value, const char *name,
                              const char **kept, sp_error *err);
sp_status sp_model_read_hf(sp_model_build *build, const sp_json *root, sp_error *err);

/* model_own.c: a file in our schema. */
sp_status sp_model_read_own(sp_model_build *build, const sp_json *root, sp_error *err);
/* "source" and "date" of a group of figures */
sp_status sp_model_own_read_origin(const sp_json *group, const char **source, const char **date,
                                   sp_error *err);
/* model_formula.c: a model described by cost formulas. */
bool sp_model_is_formulas(const sp_json *root);
sp_status sp_model_read_formulas(sp_model_build *build, const sp_json *root, sp_error *err);

/* model_own_kinds.c: "kinds" */
sp_status sp_model_own_read_kinds(sp_model_build *build, const sp_json *root, sp_error *err);

/* model_build.c */
/* Adds a sentence to the assumptions. */
void sp_model_note(sp_model_build *build, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Turns one kind index a layer (model.n_layers of them) into runs; kinds that no layer has go. */
sp_status sp_model_set_runs(sp_model_build *build, const uint8_t *kind_of_layer, sp_error *err);
/* The last step: every count fits, and everything is in the arena. */
sp_status sp_model_build_finish(sp_model_build *build, const sp_json *root, const sp_model **model,
                                sp_error *err);

/* model_rope.c: rope_theta and rope_factor, where the config states them. */
void sp_model_read_rope(const sp_json *config, sp_model *model);

/* parameters.c: false when a count does not fit 64 bits. */
bool sp_model_count(const sp_model *model, sp_parameters *out);

/* ---- recipes: recipe.c, recipe_measured.c ----------------------------------------------------- */
/* Reads root["measured"]. */
sp_status sp_recipe_measured_read(const sp_json *root, sp_measured *out, sp_error *err);

/* ---- engines: engine.c, engine_profile.c, engine_rules.c, engine_version.c --------------------- */
typedef enum sp_version_match {
    SP_VERSION_OUT,
    SP_VERSION_IN,
    SP_VERSION_MALFORMED
} sp_version_match;

/* Numbers and dots, "0.12.1". */
bool sp_version_is_valid(const char *version);
/* Is the version one of the selector's: ">=0.4,<0.13", or "*" for all? */
sp_version_match sp_version_select(const char *selector, const char *version);
/* Refuses a malformed selector; it stands under "versions" of the object. */
sp_status sp_engine_check_selector(const sp_json *object, const char *selector, sp_error *err);
/* Fills versions and profile of the engine, whose name is set, with those for the version; base is
 * what holds where the file states nothing, NULL if it must state all. */
sp_status sp_engine_profile_read(struct sp_arena *arena, const sp_json *root, const char *version,
                                 const sp_engine_profile *base, sp_engine *engine, sp_error *err);
/* What a list of rules is read with: the version in hand, and what names stand for. */
typedef struct sp_rule_reader {
    struct sp_arena *arena;
    const char *version;
    sp_expr_resolve resolve;
    void *user;
} sp_rule_reader;
/* Says where in the file an expression stands that was found wrong; returns the status. */
sp_status sp_rule_fail_expression(const sp_json *value, sp_error *err);
/* The members of the list "rules" that hold for the version. */
sp_status sp_rules_read(const sp_rule_reader *reader, const sp_json *root,
                        const sp_engine_rule **rules, uint32_t *n_rules, sp_error *err);
/* Fills the rules of a training engine with those of the file that hold for the version. */
sp_status sp_engine_rules_read(struct sp_arena *arena, const char *home, const sp_json *root,
                               const char *version, const sp_engine_facts *facts, sp_engine *engine,
                               sp_error *err);
