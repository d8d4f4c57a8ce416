/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this room share: exact arithmetic, tokens, and the form of a program. */
#include "formula/flat.h"
#include "formula/formula.h"

/* ---- rational.c: every operation is exact or SP_FORMULA_OVERFLOW
 * --------------------------------- */
sp_rational sp_rational_of_int(int64_t value);
sp_formula_code sp_rational_make(sp_int128 num, sp_int128 den, sp_rational *out);
sp_formula_code sp_rational_add(sp_rational a, sp_rational b, sp_rational *out);
sp_formula_code sp_rational_subtract(sp_rational a, sp_rational b, sp_rational *out);
sp_formula_code sp_rational_multiply(sp_rational a, sp_rational b, sp_rational *out);
sp_formula_code sp_rational_divide(sp_rational a, sp_rational b, sp_rational *out);
sp_formula_code sp_rational_floor_divide(sp_rational a, sp_rational b, sp_rational *out);
sp_formula_code sp_rational_remainder(sp_rational a, sp_rational b, sp_rational *out);
sp_formula_code sp_rational_power(sp_rational base, sp_rational exponent, sp_rational *out);
sp_rational sp_rational_negate(sp_rational a);
sp_rational sp_rational_floor(sp_rational a);
sp_rational sp_rational_ceil(sp_rational a);
int sp_rational_compare(sp_rational a, sp_rational b); /* -1, 0, 1 */
/* Reads digits, a fraction and an exponent; *length is how many characters they are, 0 where there
 * is no number. */
sp_formula_code sp_rational_scan(const char *text, size_t *length, sp_rational *out);

/* ---- lex.c
 * --------------------------------------------------------------------------------------- */
typedef enum sp_lexeme_kind {
    SP_LEXEME_END,
    SP_LEXEME_NUMBER,
    SP_LEXEME_NAME, /* dotted or not */
    SP_LEXEME_WORD, /* if else and or not in, and other reserved words */
    SP_LEXEME_TEXT, /* with its quotes */
    SP_LEXEME_SIGN,
    SP_LEXEME_BAD
} sp_lexeme_kind;

typedef struct sp_lexeme {
    sp_lexeme_kind kind;
    const char *start;
    size_t length;
} sp_lexeme;

sp_lexeme sp_lexeme_at(const char *p);
sp_lexeme sp_lexeme_after(const sp_lexeme *t);
bool sp_lexeme_is(const sp_lexeme *t, const char *text); /* a sign or a reserved word */

/* ---- programs
 * ------------------------------------------------------------------------------------ */
/* Values are pushed and combined on a stack. Jumps are relative, so that a piece of code can be
 * moved as a whole. */
typedef enum sp_op {
    SP_OP_NUMBER,   /* push numbers[arg]                              */
    SP_OP_TEXT,     /* push texts[arg]                                */
    SP_OP_NONE,     /* push None                                      */
    SP_OP_NAME,     /* push the value of names[arg]                   */
    SP_OP_JUMP,     /* skip arg instructions                          */
    SP_OP_UNLESS,   /* pop; skip arg instructions if it was false     */
    SP_OP_AND,      /* skip arg if the top is false, else pop         */
    SP_OP_OR,       /* skip arg if the top is true, else pop          */
    SP_OP_REF,      /* fail here if refs[arg] cannot be called        */
    SP_OP_CALL_REF, /* pop its arguments, push the cost               */
    SP_OP_CALL,     /* functions[arg] of the n values on top          */
    SP_OP_FAIL,     /* texts[arg] is no function, or has not n arguments */
    SP_OP_NEGATE,
    SP_OP_PLUS, /* a number stays what it is */
    SP_OP_NOT,
    SP_OP_ADD, /* this and the following take two values */
    SP_OP_SUBTRACT,
    SP_OP_MULTIPLY,
    SP_OP_DIVIDE,
    SP_OP_FLOOR_DIVIDE,
    SP_OP_REMAINDER,
    SP_OP_POWER,
    SP_OP_LESS,
    SP_OP_LESS_EQUAL,
    SP_OP_GREATER,
    SP_OP_GREATER_EQUAL,
    SP_OP_EQUAL,
    SP_OP_UNEQUAL,
    SP_OP_IN,
    SP_OP_NOT_IN,
    SP_OP_INDEX
} sp_op;

typedef struct sp_instr {
    uint16_t op; /* sp_op */
    uint16_t n;
    uint32_t arg;
} sp_instr;

/* Most values on the stack at once; most of what is ever needed, for which no large frame is laid.
 */
enum { SP_FORMULA_STACK = 288, SP_FORMULA_SMALL_STACK = 24 };

struct sp_formula {
    const char *text;
    const sp_instr *code;
    const sp_rational *numbers;
    const char *const *texts;
    const char *const *names;
    const sp_formula_ref *refs;
    size_t n_code, n_numbers, n_texts, n_names, n_refs;
    size_t stack; /* values it needs at once */
};

/* ---- emit.c: a program while it is written
 * --------------------------------------------------------- */
/* All arrays have room for as many entries as the text has bytes: no token needs more than that. */
typedef struct sp_emitter {
    sp_instr *code;
    sp_rational *numbers;
    const char **texts;
    const char **names;
    sp_formula_ref *refs;
    size_t n_code, n_numbers, n_texts, n_names, n_refs;
    size_t depth, stack; /* values on the stack now, and at most */
    size_t capacity;
    sp_arena *arena; /* of the formula: texts and names live there */
    bool failed;     /* memory ran out; later additions are ignored */
} sp_emitter;

void sp_emit_init(sp_emitter *e, sp_arena *scratch, sp_arena *arena, size_t capacity);
void sp_emit(sp_emitter *e, sp_op op, size_t n, size_t arg);
void sp_emit_number(sp_emitter *e, sp_rational number);
void sp_emit_text(sp_emitter *e, const char *text, size_t length);
void sp_emit_name(sp_emitter *e, const char *name, size_t length);
void sp_emit_fail(sp_emitter *e, const char *function, size_t length, size_t n_args);
size_t sp_emit_ref(sp_emitter *e, const char *class_name, size_t length, size_t column);
/* A jump to be aimed later; returns its place. */
size_t sp_emit_jump(sp_emitter *e, sp_op op);
/* Aims it at the next instruction. */
void sp_emit_land(sp_emitter *e, size_t jump);
/* Swaps the code of [first, second) with that of [second, now). */
void sp_emit_swap(sp_emitter *e, size_t first, size_t second);
/* Copies the whole into the arena; NULL: no memory. */
const sp_formula *sp_emit_finish(sp_emitter *e, const char *text);

/* ---- functions.c
 * ----------------------------------------------------------------------------------- */
/* Its place in the list of functions of a dialect, or -1. */
int sp_function_find(sp_formula_dialect dialect, const char *name, size_t length);
/* The names that a dialect knows, into names; returns how many. */
enum { SP_FUNCTIONS_MAX = 16 };
size_t sp_function_names(sp_formula_dialect dialect, const char *names[SP_FUNCTIONS_MAX]);
bool sp_function_takes(int function, size_t n_args);
sp_formula_code sp_function_call(int function, const sp_value *args, size_t n_args, sp_value *out,
                                 sp_formula_failure *failure);

/* ---- value.c
 * --------------------------------------------------------------------------------------- */
bool sp_value_equal(const sp_value *a, const sp_value *b);
/* Elements of a list, members of an object, characters of a text. */
sp_formula_code sp_value_length(const sp_value *value, sp_value *out, sp_formula_failure *failure);
sp_formula_code sp_value_index(const sp_value *value, const sp_value *at, sp_value *out,
                               sp_formula_failure *failure);
sp_formula_code sp_value_in(const sp_value *needle, const sp_value *haystack, bool *found,
                            sp_formula_failure *failure);

/* ---- eval.c
 * ---------------------------------------------------------------------------------------- */
/* Fills *failure (unless it is NULL) and returns the code. */
sp_formula_code sp_formula_fail(sp_formula_failure *failure, sp_formula_code code, const char *name,
                                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Where a running program finds its names and references. */
typedef struct sp_frame {
    sp_formula_code (*load)(const struct sp_frame *frame, const sp_formula *f, size_t name,
                            sp_value *out, sp_formula_failure *failure);
    /* admit refuses a reference before its arguments are worked out; both NULL: none is known. */
    sp_formula_code (*admit)(const struct sp_frame *frame, size_t ref, sp_formula_failure *failure);
    sp_formula_code (*call)(const struct sp_frame *frame, size_t ref, const sp_value *args,
                            sp_value *out, sp_formula_failure *failure);
    const void *user;
} sp_frame;

sp_formula_code sp_formula_run(const sp_formula *f, const sp_frame *frame, sp_value *out,
                               sp_formula_failure *failure);

/* ---- library.c
 * ------------------------------------------------------------------------------------- */
enum {
    SP_FORMULA_CLASS_LEVELS = 64, /* classes inside each other */
    SP_FORMULA_KERNELS_MAX = 4096,
    SP_FORMULA_KERNEL_LEVELS = 64,   /* kernels or layers inside each other */
    SP_FORMULA_VARIABLES_MAX = 1024, /* of one class */
    SP_FORMULA_CLASSES_MAX = 4096
};

/* A reference that found its class: where its arguments go. */
typedef struct sp_link {
    uint32_t class_idx;
    sp_formula_code code; /* not SP_FORMULA_OK: it cannot be called, detail says why */
    const char *name, *detail;
    const int32_t *slots; /* argument i is variable slots[i] of the class; -1: nobody wants it */
} sp_link;

/* A formula of a class. */
typedef struct sp_member {
    const sp_formula *f; /* NULL: absent (code is SP_FORMULA_OK) or not well formed */
    sp_formula_code code;
    const char *words, *path;
    const uint32_t *slots; /* of its names */
    const sp_link *links;  /* of its references */
} sp_member;

/* Further figures that a kernel may state, by their keys. */
typedef enum sp_kernel_figure {
    SP_FIGURE_M, /* shape of a product or core */
    SP_FIGURE_N,
    SP_FIGURE_K,
    SP_FIGURE_V,
    SP_FIGURE_COUNT,
    SP_FIGURE_PARAMETERS,
    SP_FIGURE_VECTOR_FLOPS,
    SP_N_KERNEL_FIGURES
} sp_kernel_figure;
extern const char *const sp_kernel_figure_names[SP_N_KERNEL_FIGURES];

typedef enum sp_kernel_unit {
    SP_UNIT_UNSTATED,
    SP_UNIT_MATRIX,
    SP_UNIT_VECTOR
} sp_kernel_unit;

typedef struct sp_kernel {
    const char *operation, *type, *path;
    sp_member metrics[SP_N_FORMULA_METRICS];
    sp_member figures[SP_N_KERNEL_FIGURES];
    sp_kernel_unit unit;
    sp_flat_part part;
    sp_member repeat;  /* absent: 1 */
    const char *child; /* class that it stands for, NULL = none */
    const char **binding_names;
    sp_member *bindings;
    size_t n_bindings;
    sp_link link;
    struct sp_kernel *subs; /* kernels that it is the sum of */
    size_t n_subs;
} sp_kernel;

/* Its variables lie behind those that every class inherits. */
typedef struct sp_class {
    const char *name, *file, *path;
    const char **variables;
    uint32_t *slots; /* of the variables */
    size_t n_variables, capacity, n_locals;
    const char **parameters;
    size_t n_parameters;
    bool declared; /* parameters are stated, not found */
    bool strict;   /* calls by name must bind exactly the parameters */
    bool adapter;  /* a signature: stands before the class of the same name */
    sp_kernel *kernels;
    size_t n_kernels;
} sp_class;

typedef struct sp_alias {
    const char *name, *meaning;
} sp_alias;

struct sp_formula_library {
    sp_arena *arena;
    sp_class *classes;
    sp_alias *aliases;
    sp_formula_finding *findings;
    const char **globals; /* variables that calls inherit */
    size_t n_classes, n_aliases, n_findings, n_globals;
    size_t classes_room, aliases_room, findings_room, globals_room;
    bool linked;
};

/* Memory of an array with room for one more entry; NULL: no memory. */
void *sp_library_grow(sp_arena *arena, void *entries, size_t n, size_t *room, size_t bytes);
/* A class to be filled; refuses a name that is there already. */
sp_status sp_library_class(sp_formula_library *library, const sp_json *at, const char *name,
                           const char *path, sp_class **out, sp_error *err);
sp_status sp_library_kernels(sp_formula_library *library, const sp_json *at, size_t n,
                             sp_kernel **out, sp_error *err);
sp_status sp_library_find_odd(sp_formula_library *library, const char *file, const char *path,
                              sp_error *err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Reads a formula that may be a text or a number; absent stays absent. */
sp_status sp_library_member(sp_formula_library *library, sp_class *owner, const sp_json *value,
                            const char *path, sp_member *out, sp_error *err);
sp_status sp_library_variable(sp_formula_library *library, sp_class *owner, const char *name,
                              sp_error *err);
/* Parameters of a class out of lists of names, or of objects with a name. */
sp_status sp_library_parameters(sp_formula_library *library, sp_class *owner, const sp_json *list,
                                sp_error *err);
sp_status sp_library_bindings(sp_formula_library *library, sp_class *owner, const sp_json *bindings,
                              const char *path, sp_kernel *kernel, sp_error *err);
bool sp_is_byte_width(const char *variable);
bool sp_is_global(const char *variable);

/* ---- read_analysis.c, read_cost.c, read_db.c, read_tree.c: one published form each
 * ----------------- */
sp_status sp_read_analysis(sp_formula_library *library, const sp_json *object, const char *path,
                           sp_error *err);
sp_status sp_read_kernel_cost(sp_formula_library *library, const sp_json *object, const char *path,
                              sp_error *err);
sp_status sp_read_catalogue(sp_formula_library *library, const sp_json *root, sp_error *err);
sp_status sp_read_signature(sp_formula_library *library, const sp_json *entry, sp_error *err);
sp_status sp_read_db_entry(sp_formula_library *library, const sp_json *object, const char *path,
                           sp_error *err);
sp_status sp_read_tree(sp_formula_library *library, const sp_json *object, const char *path,
                       sp_error *err);

/* ---- memo.c, expand.c: an expansion that is under way
 * ------------------------------------------------ */
enum { SP_EXPANSION_BUCKETS = 1024, SP_EXPANSION_CALLS = 1000000 };

typedef struct sp_memo {
    const struct sp_memo *next;
    size_t class_idx;
    sp_formula_metric metric;
    uint64_t hash;
    const sp_value *variables;
    sp_rational cost;
} sp_memo;

typedef struct sp_expansion {
    const sp_formula_library *library;
    sp_formula_metric metric;
    sp_formula_failure *failure;
    sp_value *values; /* variables of all calls that are under way */
    size_t n_values, room, n_calls;
    size_t active[SP_FORMULA_CLASS_LEVELS]; /* classes that are under way */
    size_t n_active;
    const sp_memo *buckets[SP_EXPANSION_BUCKETS];
    sp_arena arena; /* of the memos */
    /* Takes the place of working out a class, where one wants to look into it. */
    sp_formula_code (*enter)(struct sp_expansion *x, size_t class_idx, size_t base,
                             sp_rational *out);
    void *user;
} sp_expansion;

/* Variables of a call of the class, the inherited ones with it. */
size_t sp_expansion_variables(const sp_expansion *x, const sp_class *c);
uint64_t sp_expansion_hash(const sp_value *variables, size_t n, size_t class_idx);
const sp_memo *sp_expansion_recall(const sp_expansion *x, size_t class_idx, uint64_t hash,
                                   size_t base);
/* Without memory the result is worked out again next time. */
void sp_expansion_remember(sp_expansion *x, size_t class_idx, uint64_t hash, size_t base,
                           sp_rational cost);

/* Lays the variables of the outermost class; false: no memory. End it whatever comes back. */
bool sp_expansion_begin(sp_expansion *x, const sp_class *c, const sp_scope *scope);
void sp_expansion_end(sp_expansion *x);
sp_formula_code sp_expansion_no_memory(const sp_expansion *x);
/* One repetition of a kernel for the metric, under the variables at base; and how often. */
sp_formula_code sp_expansion_single(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                    size_t base, sp_rational *out);
sp_formula_code sp_expansion_repeat(sp_expansion *x, const sp_class *owner, const sp_kernel *kernel,
                                    size_t base, sp_rational *out);

/* ---- nodes.c: values that only a running model knows
 * ------------------------------------------------ */
typedef enum sp_node_op {
    SP_NODE_CONSTANT,
    SP_NODE_RUNTIME, /* a is the sp_runtime */
    SP_NODE_ADD,
    SP_NODE_SUBTRACT,
    SP_NODE_MULTIPLY,
    SP_NODE_DIVIDE,
    SP_NODE_FLOOR,
    SP_NODE_CEIL,
    SP_NODE_MIN,
    SP_NODE_MAX,
    SP_NODE_LESS,
    SP_NODE_LESS_EQUAL,
    SP_NODE_EQUAL,
    SP_NODE_SELECT /* b where a is not 0, else c */
} sp_node_op;

typedef struct sp_node {
    sp_node_op op;
    uint32_t a, b, c;
    sp_rational value; /* of a constant */
    double lo, hi;     /* between which it stays */
} sp_node;

/* Nodes in an order in which each comes behind those that it reads; equal ones are one. Node 0 is
 * the constant 0. */
enum { SP_NODES_MAX = 4096 };
typedef struct sp_nodes {
    sp_node node[SP_NODES_MAX];
    uint32_t n;
} sp_nodes;

void sp_nodes_init(sp_nodes *nodes);
sp_formula_code sp_nodes_constant(sp_nodes *nodes, sp_rational value, uint32_t *out);
sp_formula_code sp_nodes_runtime(sp_nodes *nodes, sp_runtime which, uint32_t *out);
bool sp_nodes_is_constant(const sp_nodes *nodes, uint32_t idx);
/* Constants are folded; SP_FORMULA_DIV0 where a divisor may be zero, SP_FORMULA_OVERFLOW where a
 * value may be beyond doubles, SP_FORMULA_DEPTH where there are too many nodes. */
sp_formula_code sp_nodes_add(sp_nodes *nodes, sp_node_op op, uint32_t a, uint32_t b, uint32_t *out);
sp_formula_code sp_nodes_select(sp_nodes *nodes, uint32_t condition, uint32_t a, uint32_t b,
                                uint32_t *out);

/* ---- form.c: numbers that are linear in the widths of an element
 * ------------------------------------ */
typedef struct sp_form {
    uint32_t base, width[SP_N_WIDTHS];
} sp_form;

sp_form sp_form_of(uint32_t node);
bool sp_form_is_plain(const sp_form *form); /* has no width in it */
/* a op b of a program, into *a. SP_FORMULA_TYPE where it would not be linear. */
sp_formula_code sp_form_combine(sp_nodes *nodes, sp_op op, sp_form *a, const sp_form *b);
sp_formula_code sp_form_select(sp_nodes *nodes, uint32_t condition, const sp_form *a,
                               const sp_form *b, sp_form *out);
/* A function of a formula, by its name. */
sp_formula_code sp_form_call(sp_nodes *nodes, const char *function, const sp_form *args,
                             size_t n_args, sp_form *out);
const char *sp_function_name(int function);

/* ---- flatten.c, flat.c
 * ------------------------------------------------------------------------------ */
/* A kernel while its class is laid flat; times counts its repetitions. */
typedef struct sp_leaf {
    const char *name;
    const sp_class *owner;
    const sp_kernel *kernel;
    sp_flat_part part;
    uint32_t times;
    sp_form metrics[SP_N_FORMULA_METRICS];
    uint32_t figures[SP_N_KERNEL_FIGURES];
} sp_leaf;

enum { SP_LEAVES_MAX = 1024 };

/* As what the kernels of a class are listed: the name of the kernel that stands for it. */
typedef struct sp_listing {
    const char *name;
    sp_flat_part part; /* of kernels that state none */
    uint32_t times;
} sp_listing;

typedef struct sp_flatten {
    const sp_flat_request *request;
    const sp_formula_library *library;
    sp_formula_failure *failure;
    sp_nodes nodes;
    sp_leaf leaves[SP_LEAVES_MAX];
    size_t n_leaves;
    sp_form *stack;     /* of the programs that are under way */
    sp_form *variables; /* of the calls that are under way; unbound ones have base UINT32_MAX */
    size_t n_stack, n_variables, n_calls;
    size_t active[SP_FORMULA_CLASS_LEVELS];
    size_t n_active;
    bool no_memory;
    const sp_listing *entering; /* the next class that is called is listed instead of summed up */
} sp_flatten;

/* Fills x->leaves; on failure *x->failure. */
sp_formula_code sp_flatten_class(sp_flatten *x);
