/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from the words of the command line and from SHARDPLAN_* variables. */
#include "cli/cli.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LONG 256 /* above every letter */

typedef struct option_table {
    struct option longs[SP_N_FLAGS + 1];
    char letters[2 + 3 * SP_N_FLAGS];
} option_table;

static int argument_of(const sp_flag *flag)
{
    if (flag->kind == SP_KIND_SWITCH) return no_argument;
    return flag->kind == SP_KIND_LATER ? optional_argument : required_argument;
}

static void build_table(unsigned commands, option_table *table)
{
    *table = (option_table){.letters = ":"};
    size_t n = 0, n_letters = 1;
    for (sp_flag_id id = 0; id < SP_N_FLAGS; id++) {
        const sp_flag *flag = sp_flag_describe(id);
        if ((flag->commands & commands) == 0) continue;
        table->longs[n++] =
            (struct option){flag->name, argument_of(flag), NULL, FIRST_LONG + (int)id};
        if (flag->letter == '\0') continue;
        table->letters[n_letters++] = flag->letter;
        if (flag->kind != SP_KIND_SWITCH) table->letters[n_letters++] = ':';
    }
}

static sp_flag_id flag_of_letter(int letter)
{
    for (sp_flag_id id = 0; id < SP_N_FLAGS; id++) {
        if (sp_flag_describe(id)->letter == letter) return id;
    }
    return SP_N_FLAGS;
}

/* "--seq-len=8k" -> "seq-len" */
static void name_in(const char *word, char *name, size_t capacity)
{
    while (*word == '-') {
        word++;
    }
    (void)snprintf(name, capacity, "%.*s", (int)strcspn(word, "="), word);
}

static sp_status refuse_word(const char *word, unsigned commands, sp_error *err)
{
    char name[64];
    name_in(word, name, sizeof name);
    const sp_flag_id flag = sp_flag_find_among(name, commands);
    const bool written = strncmp(word, "--", 2) == 0 && flag != SP_N_FLAGS;
    const bool taken = written && (sp_flag_describe(flag)->commands & commands) != 0;
    if (taken && sp_flag_describe(flag)->kind == SP_KIND_SWITCH && strchr(word, '=') != NULL) {
        sp_fail(err, SP_E_USAGE, "this flag takes no value");
        return sp_fail_value(err, "%s", word);
    }
    return sp_flag_refuse(word, name, commands, err);
}

static sp_status need_value(const char *word, unsigned commands, sp_error *err)
{
    char name[64];
    name_in(word, name, sizeof name);
    const sp_flag_id id =
        name[1] == '\0' ? flag_of_letter(name[0]) : sp_flag_find_among(name, commands);
    sp_fail(err, SP_E_USAGE, "this flag needs a value");
    sp_fail_value(err, "%s", word);
    return id == SP_N_FLAGS ? err->status
                            : sp_fail_range(err, "%s", sp_flag_describe(id)->argument);
}

/* getopt takes abbreviations; we do not, since a flag added later would make them ambiguous. */
static bool is_whole(const char *word, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(word, "--", 2) != 0 ||
           (strncmp(word + 2, name, length) == 0 && strchr("=", word[2 + length]) != NULL);
}

static sp_status put_flag(sp_settings *settings, sp_flag_id id, const char *word, unsigned commands,
                          sp_error *err)
{
    const sp_flag *flag = sp_flag_describe(id);
    if (!is_whole(word, flag->name)) return refuse_word(word, commands, err);
    if (flag->kind == SP_KIND_LATER) {
        sp_fail(err, SP_E_NOT_YET, "this flag is announced and not built");
        return sp_fail_value(err, "--%s", flag->name);
    }
    const char *value = flag->kind == SP_KIND_SWITCH ? "on" : optarg;
    return sp_settings_put(settings, id, SP_FROM_FLAG, value, err);
}

sp_status sp_settings_read_arguments(sp_settings *settings, unsigned commands, int argc,
                                     char **argv, sp_error *err)
{
    option_table table;
    build_table(commands, &table);
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    for (;;) {
        const int found = getopt_long(argc, argv, table.letters, table.longs, NULL);
        if (found == -1) break;
        const bool separate = optarg != NULL && optind >= 2 && optarg == argv[optind - 1];
        const char *word = argv[optind - (separate ? 2 : 1)];
        if (found == '?') {
            const char letter[3] = {'-', (char)optopt, '\0'};
            const bool is_letter = optopt > 0 && optopt < FIRST_LONG;
            return refuse_word(is_letter ? letter : word, commands, err);
        }
        if (found == ':') return need_value(word, commands, err);
        const sp_flag_id id =
            found >= FIRST_LONG ? (sp_flag_id)(found - FIRST_LONG) : flag_of_letter(found);
        SP_TRY(put_flag(settings, id, word, commands, err));
    }
    settings->n_words = argc - optind;
    settings->words = argv + optind;
    return SP_OK;
}

static const char *variable_of(const sp_flag *flag)
{
    char name[80];
    sp_flag_variable(flag, name);
    return getenv(name);
}

/* Values of a list stand apart by ';'. */
static sp_status put_list(sp_settings *settings, sp_flag_id id, const char *text, sp_error *err)
{
    while (*text != '\0') {
        const size_t length = strcspn(text, ";");
        char *value = sp_arena_printf(&settings->arena, "%.*s", (int)length, text);
        if (value == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the settings");
        if (length > 0) SP_TRY(sp_settings_put(settings, id, SP_FROM_ENVIRONMENT, value, err));
        text += length + (text[length] == ';');
    }
    return SP_OK;
}

sp_status sp_settings_read_environment(sp_settings *settings, unsigned commands, sp_error *err)
{
    for (sp_flag_id id = 0; id < SP_N_FLAGS; id++) {
        const sp_flag *flag = sp_flag_describe(id);
        const bool taken = (flag->commands & commands) != 0 && id != SP_FLAG_help;
        const char *text = taken && flag->kind != SP_KIND_LATER ? variable_of(flag) : NULL;
        if (text == NULL || text[0] == '\0') continue;
        if (flag->kind == SP_KIND_LIST) {
            SP_TRY(put_list(settings, id, text, err));
        } else {
            SP_TRY(sp_settings_put(settings, id, SP_FROM_ENVIRONMENT, text, err));
        }
    }
    return SP_OK;
}
