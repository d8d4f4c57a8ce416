/* SPDX-License-Identifier: Apache-2.0 */
/* The help: of the program, and of each command with its flags in groups. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const char *const group_titles[SP_N_GROUPS] = {
    [SP_GROUP_QUESTION] = "The question", [SP_GROUP_LIMITS] = "Limits and choices",
    [SP_GROUP_SERVING] = "Serving: requests and limits", [SP_GROUP_RECOMMEND] = "What is wanted",
    [SP_GROUP_SEARCH] = "The search",     [SP_GROUP_PLAN] = "Which plan",
    [SP_GROUP_TABLE] = "The score",       [SP_GROUP_ANALYSIS] = "The analysis",
    [SP_GROUP_MEMORY] = "The memory",     [SP_GROUP_OUTPUT] = "Output",
};

static const char exit_codes[] = "Exit codes: 0 found, 1 failed, 2 usage, 3 bad input, 4 nothing "
                                 "feasible, 5 stopped early with what\n"
                                 "was found, 130 interrupted.\n";

/* Every command, those that are not built after the others. */
void sp_help_all(sp_text *out)
{
    sp_text_add(out,
                "shardplan - which deployments of a language model on this cluster are best?\n\n"
                "usage: shardplan COMMAND [ARGUMENT..] [FLAG..]\n\nCommands\n");
#define SP_COMMAND(command)                                                                        \
    sp_text_printf(out, "  %-12s %s\n", sp_command_##command.name, sp_command_##command.summary);
#define SP_COMMAND_LATER(name, meaning)
#include "cli/commands.def"
#undef SP_COMMAND
#undef SP_COMMAND_LATER
    sp_text_add(out, "\nAnnounced, not built yet\n");
#define SP_COMMAND(name)
#define SP_COMMAND_LATER(name, meaning) sp_text_printf(out, "  %-12s %s\n", #name, meaning);
#include "cli/commands.def"
#undef SP_COMMAND
#undef SP_COMMAND_LATER
    sp_text_add(
        out,
        "\n`shardplan COMMAND --help` explains a command, `shardplan --version` names this one.\n"
        "A first answer: shardplan run jobs/llama-3.1-70b-64xh100.json\n\n");
    sp_text_add(out, exit_codes);
}

static void add_words(sp_text *out, const char *words, size_t indent, size_t width)
{
    size_t column = indent;
    while (*words != '\0') {
        const size_t length = strcspn(words, " ");
        if (column > indent && column + 1 + length > width) {
            sp_text_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            sp_text_add(out, " ");
            column++;
        }
        sp_text_add_n(out, words, length);
        column += length;
        words += length + strspn(words + length, " ");
    }
    sp_text_add(out, "\n");
}

static void add_flag(const sp_flag *flag, sp_text *out)
{
    char name[80], words[320];
    char letter[5] = "    ";
    if (flag->letter != '\0') (void)snprintf(letter, sizeof letter, "-%c, ", flag->letter);
    (void)snprintf(name, sizeof name, "%s--%s %s", letter, flag->name, flag->argument);
    const bool has_default = flag->kind != SP_KIND_SWITCH && flag->fallback[0] != '\0';
    (void)snprintf(words, sizeof words, "%s%s%s%s", flag->meaning, has_default ? " [" : "",
                   has_default ? flag->fallback : "", has_default ? "]" : "");
    sp_text_printf(out, "  %-34s", name);
    if (strlen(name) > 33) sp_text_printf(out, "\n%36s", "");
    add_words(out, words, 36, 98);
}

static void add_group(sp_flag_group group, unsigned takes, sp_text *out)
{
    bool titled = false;
    for (sp_flag_id id = 0; id < SP_N_FLAGS; id++) {
        const sp_flag *flag = sp_flag_describe(id);
        if (flag->group != group || (flag->commands & takes) == 0 || flag->kind == SP_KIND_LATER) {
            continue;
        }
        if (!titled) sp_text_printf(out, "\n%s\n", group_titles[group]);
        titled = true;
        add_flag(flag, out);
    }
}

void sp_help_command(const sp_command *command, sp_text *out)
{
    sp_text_printf(out, "usage: shardplan %s\n\n%s", command->usage, command->about);
    for (sp_flag_group group = 0; group < SP_N_GROUPS; group++) {
        add_group(group, command->takes, out);
    }
    if ((command->takes & SP_TAKES_QUESTION) != 0) {
        sp_text_add(out, "\nA value comes from the flag, else from the environment "
                         "(SHARDPLAN_SEQ_LEN=8k), else from the\n"
                         "job file (\"seq_len\": \"8k\"), else it is the default in brackets.\n");
    }
    sp_text_printf(out, "\nExamples\n%s\n%s", command->examples, exit_codes);
}
