/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The command line: words become settings, settings a question, the question an answer that is
 * printed. Only this room prints and knows exit codes. */
#include "base/base.h"
#include "shardplan/report.h"
#include "shardplan/search.h"
#include "shardplan/serving.h"

#include <stdbool.h>
#include <stdint.h>

/* INTERFACE of exit codes. */
typedef enum sp_exit {
    SP_EXIT_FOUND = 0,
    SP_EXIT_FAILED = 1,  /* internal, or the answer could not be written */
    SP_EXIT_USAGE = 2,   /* unknown flags and commands, what is not built */
    SP_EXIT_INPUT = 3,   /* values and files that cannot be used          */
    SP_EXIT_NOTHING = 4, /* no feasible plan                              */
    SP_EXIT_PARTIAL = 5, /* stopped early, with what was found            */
    SP_EXIT_INTERRUPTED = 130
} sp_exit;

/* ---- flags.c --------------------------------------------------------------------------------- */
typedef enum sp_flag_id {
#define SP_FLAG(id, name, letter, kind, group, commands, argument, fallback, meaning) SP_FLAG_##id,
#include "cli/flags.def"
#undef SP_FLAG
    SP_N_FLAGS
} sp_flag_id;

typedef enum sp_flag_kind {
    SP_KIND_TEXT,
    SP_KIND_LIST,
    SP_KIND_SWITCH,
    SP_KIND_LATER
} sp_flag_kind;

typedef enum sp_flag_group {
    SP_GROUP_QUESTION,
    SP_GROUP_LIMITS,
    SP_GROUP_SERVING,
    SP_GROUP_RECOMMEND,
    SP_GROUP_SEARCH,
    SP_GROUP_PLAN,
    SP_GROUP_TABLE,
    SP_GROUP_ANALYSIS,
    SP_GROUP_MEMORY,
    SP_GROUP_OUTPUT,
    SP_N_GROUPS
} sp_flag_group;

/* Which commands take a flag. */
enum {
    SP_TAKES_QUESTION = 1,  /* train, run, estimate, compare */
    SP_TAKES_SEARCH = 2,    /* train, run                    */
    SP_TAKES_PLAN = 4,      /* estimate, compare             */
    SP_TAKES_OUTPUT = 8,    /* all                           */
    SP_TAKES_PLANS = 16,    /* estimate: many at once        */
    SP_TAKES_BASELINE = 32, /* train, run, estimate          */
    SP_TAKES_RESULT = 64,   /* train: the question as an answer holds it */
    SP_TAKES_TABLE = 128,   /* validate                      */
    SP_TAKES_ANALYSIS = 256, /* analyze                      */
    SP_TAKES_FORMULAS = 512, /* formula                       */
    SP_TAKES_MEMORY = 1024, /* memory                        */
    SP_TAKES_CALIBRATE = 2048, /* calibrate                  */
    SP_TAKES_SERVING = 4096, /* serve, run, recommend, estimate */
    SP_TAKES_RECOMMEND = 8192 /* recommend                   */
};

typedef struct sp_flag {
    const char *name;
    char letter; /* 0 = none */
    sp_flag_kind kind;
    sp_flag_group group;
    unsigned commands;
    const char *argument, *fallback, *meaning;
} sp_flag;

const sp_flag *sp_flag_describe(sp_flag_id flag);
/* By name, with '-' or '_'; SP_N_FLAGS when there is none. */
sp_flag_id sp_flag_find(const char *name);
/* A name may stand for two flags, which no command takes both of: the one that these commands take,
 * else as sp_flag_find. */
sp_flag_id sp_flag_find_among(const char *name, unsigned commands);
/* "seq-len" -> "SHARDPLAN_SEQ_LEN" */
void sp_flag_variable(const sp_flag *flag, char name[80]);
/* Sets the nearest name among the flags that `commands` take. */
sp_status sp_flag_refuse(const char *word, const char *nearest_to, unsigned commands,
                         sp_error *err);

/* ---- settings.c: the value of every flag and where it comes from ----------------------------- */
typedef enum sp_origin {
    SP_FROM_DEFAULT,
    SP_FROM_FILE,
    SP_FROM_ENVIRONMENT,
    SP_FROM_FLAG
} sp_origin;

#define SP_MAX_VALUES SP_MAX_SETS

typedef struct sp_setting {
    sp_origin origin;
    uint32_t n_values;
    const char *values[SP_MAX_VALUES];
    const char *pointers[SP_MAX_VALUES]; /* JSON pointers, of values from a file */
    int lines[SP_MAX_VALUES];
} sp_setting;

/* What a question is about. */
typedef enum sp_asks { SP_ASKS_UNSAID, SP_ASKS_TRAIN, SP_ASKS_SERVE } sp_asks;

typedef struct sp_settings {
    sp_arena arena;
    sp_asks asks;
    bool recommends;         /* the fewest GPUs, least money or largest rate is wanted */
    sp_setting of[SP_N_FLAGS];
    const char *file;        /* of values from a file */
    const char *fingerprint; /* of the question in it, or NULL */
    bool file_differs;       /* a flag or the environment replaced a value of the file */
    int n_words;             /* that are no flags: files, plans */
    char **words;
} sp_settings;

/* A value of lower origin than the one that is there is dropped, of a higher one replaces it; of
 * equal origin, lists grow and other flags take the last. */
sp_status sp_settings_put(sp_settings *settings, sp_flag_id flag, sp_origin origin,
                          const char *value, sp_error *err);
/* The value or the default; NULL when it is empty. */
const char *sp_settings_text(const sp_settings *settings, sp_flag_id flag);
sp_status sp_settings_switch(const sp_settings *settings, sp_flag_id flag, bool *on, sp_error *err);
const char *sp_origin_name(sp_origin origin);
/* Turns an error about "--flag" into one about the line of the file or the variable it came from.
 */
void sp_settings_locate(const sp_settings *settings, sp_error *err);

/* arguments.c: argv without the program and the command */
sp_status sp_settings_read_arguments(sp_settings *settings, unsigned commands, int argc,
                                     char **argv, sp_error *err);
sp_status sp_settings_read_environment(sp_settings *settings, unsigned commands, sp_error *err);

/* asks.c: flags that a question of this kind has, in files (and on the command line with the
 * flags of the command) */
unsigned sp_asks_takes(sp_asks asks);
const char *sp_asks_name(sp_asks asks); /* "train", "serve" */
/* Where the file did not say it, --command or a flag that one kind alone has; training where
 * nothing does. Then refuses flags of the other kind. */
sp_status sp_asks_settle(sp_settings *settings, sp_error *err);

/* job.c: a job file or the question of a result; settings->asks is set, or refused where it is and
 * the file asks for the other */
sp_status sp_settings_read_job(sp_settings *settings, const char *file, sp_error *err);

/* ---- flag_values.c: a flag that is not given leaves *out as it is ------------------------------ */
/* Adds the flag to an error of a parser; returns status. */
sp_status sp_flag_blame(sp_status status, sp_flag_id flag, sp_error *err);
sp_status sp_flag_length(const sp_settings *s, sp_flag_id flag, uint64_t *out, sp_error *err);
sp_status sp_flag_amount(const sp_settings *s, sp_flag_id flag, double *out, sp_error *err);
sp_status sp_flag_ratio(const sp_settings *s, sp_flag_id flag, double *out, sp_error *err);
/* --reserve */
sp_status sp_flag_reserve(const sp_settings *s, double *bytes, sp_error *err);
sp_status sp_flag_gradients(const sp_settings *s, sp_gradients *out, sp_error *err);
sp_status sp_flag_choice(const sp_settings *s, sp_flag_id flag, const char *const *names,
                         size_t n_names, uint32_t *choice, sp_error *err);
/* Adds the values of a list, `most` of them in all. */
sp_status sp_flag_take_list(const sp_settings *s, sp_flag_id flag, const char **out, uint32_t most,
                            uint32_t *n, sp_error *err);
/* site_factor.c: "1.07", "1.07:9%", or a file of `calibrate steps --site` */
sp_status sp_site_factor_read(const char *text, sp_question *q, sp_error *err);
sp_status sp_flag_count(const sp_settings *s, sp_flag_id flag, uint64_t lo, uint64_t hi,
                        uint32_t *out, sp_error *err);

/* ---- checkpoint_bits.c ------------------------------------------------------------------------ */
/* Takes the widths of weights from the files of `ref` where *text begins with "checkpoint", or where
 * nothing was said and there are such files. *text is left at the parts still to be read, "" where
 * there are none. */
sp_status sp_checkpoint_bits(sp_arena *arena, const char *ref, bool said, const char **text,
                             sp_widths *bits, bool *taken, sp_error *err);

/* ---- question.c ------------------------------------------------------------------------------ */
typedef enum sp_format {
    SP_FORMAT_TABLE,
    SP_FORMAT_JSON,
    SP_FORMAT_CSV,
    SP_FORMAT_MD,
    SP_N_FORMATS
} sp_format;

/* How to search and print. */
typedef struct sp_run {
    uint32_t top, threads;
    bool by_layout, no_bounds, dry_run, show_config, quiet, verbose, color, unicode, help;
    sp_format format;
    bool as_yaml; /* JSON, turned into it when it is written */
    double timeout_s;
    const char *output;
} sp_run;

sp_status sp_run_read(const sp_settings *settings, sp_run *run, sp_error *err);
/* Forms of an answer as bits. */
enum {
    SP_FORM_TABLE = 1 << SP_FORMAT_TABLE,
    SP_FORM_JSON = 1 << SP_FORMAT_JSON,
    SP_FORM_CSV = 1 << SP_FORMAT_CSV
};
/* Refuses a form that this answer does not have. */
sp_status sp_run_check_format(const sp_run *run, unsigned forms, sp_error *err);
/* Flags that also change the memory of a step: load of the busiest experts, parts of ZeRO++. */
sp_status sp_uneven_read(const sp_settings *s, sp_question *q, sp_error *err);
/* Builds the problem and its space; a batch such as 4Mtok or 1000:5% is resolved, and *note says to
 * what (NULL when nothing changed). Free both whatever comes back. */
sp_status sp_question_build(sp_settings *settings, const char *home, sp_problem **problem,
                            sp_space **space, const char **note, sp_error *err);

/* --kernels */
sp_status sp_question_read_kernels(const sp_settings *settings, sp_question *question, sp_error *err);

/* batch.c */
typedef struct sp_batch {
    uint64_t sequences;
    double tolerance_ratio;
} sp_batch;
sp_status sp_batch_parse(const char *text, uint64_t seq_len, sp_batch *batch, sp_error *err);
/* The batch within the tolerance that the largest divisor of the GPUs divides, nearest to the one
 * asked for. */
uint64_t sp_batch_nearest(const sp_batch *batch, uint32_t gpus);

/* ---- output.c -------------------------------------------------------------------------------- */
/* What a command works with. */
typedef struct sp_context {
    const char *home;
    sp_settings *settings;
    sp_run run;
    bool speaks;                 /* rank 0 */
    const sp_baseline *baseline; /* NULL = none */
    const sp_recommendation *recommendation; /* that the answer stands behind; NULL = none */
    sp_evidence_base *evidence;  /* published runs, once an answer needs them */
} sp_context;

/* Prints "shardplan: ..." and returns the exit code of the error. */
sp_exit sp_cli_fail(const sp_context *context, const sp_error *err);
void sp_cli_warn(const sp_context *context, const char *text);
/* Warns where the files behind an answer that is asked again have changed since. */
void sp_cli_warn_of_change(const sp_context *context, const char *fingerprint);
/* What a search that ran amounts to; warns where it stopped early. */
sp_exit sp_cli_search_code(const sp_context *context, const sp_search_result *result);
/* Writes the answer where it belongs and frees it; returns `code`, or another when that fails. */
sp_exit sp_cli_write(const sp_context *context, sp_text *text, sp_exit code);
sp_report_options sp_cli_options(const sp_context *context);

/* ---- baseline.c ------------------------------------------------------------------------------ */
/* --baseline and --measured; text is NULL where there is no baseline. */
sp_status sp_baseline_read(const sp_context *context, const sp_space *space, sp_baseline *baseline,
                           sp_error *err);

/* ---- progress.c ------------------------------------------------------------------------------ */
/* Fills progress, cancel and user of the options; `shown` must outlive the search. */
typedef struct sp_progress_line {
    bool on, drawn;
} sp_progress_line;
void sp_progress_start(sp_search_options *options, sp_progress_line *line, bool on);
void sp_progress_end(sp_progress_line *line);
/* From here on a signal stops the search, not the program; a second one does. */
void sp_catch_signals(void);
bool sp_was_interrupted(void);

/* ---- commands -------------------------------------------------------------------------------- */
typedef struct sp_command {
    const char *name;
    const char *usage;    /* after "shardplan" */
    const char *summary;  /* one line of `shardplan --help` */
    const char *about;    /* paragraphs of its own help */
    const char *examples; /* lines */
    unsigned takes;
    int max_words;
    sp_exit (*run)(const sp_context *context);
} sp_command;

#define SP_COMMAND(name) extern const sp_command sp_command_##name;
#define SP_COMMAND_LATER(name, meaning)
#include "cli/commands.def"
#undef SP_COMMAND
#undef SP_COMMAND_LATER

/* asks.c: reads the file (NULL when flags or --result make the question), then answers what is asked
 * or shows the settings. */
sp_exit sp_ask(const sp_context *context, const char *file, unsigned takes);
/* The settings are complete. */
sp_exit sp_train_answer(const sp_context *context);
sp_exit sp_serve_answer(const sp_context *context);
sp_exit sp_recommend_answer(const sp_context *context);

/* ---- help.c, home.c, show_config.c, cli.c ---------------------------------------------------- */
void sp_help_all(sp_text *out);
void sp_help_command(const sp_command *command, sp_text *out);
/* SHARDPLAN_HOME, else share/shardplan beside the program, else the source tree above it. */
sp_status sp_home_find(sp_arena *arena, const char **home, sp_error *err);
void sp_show_config(const sp_settings *settings, unsigned commands, sp_text *out);
sp_exit sp_cli_main(int argc, char **argv);
