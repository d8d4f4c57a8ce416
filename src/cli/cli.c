/* SPDX-License-Identifier: Apache-2.0 */
/* From argv to a command and back to an exit code. Ranks are started first, since every rank runs
 * the same command and only rank 0 speaks. */
#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const sp_command *const commands[] = {
#define SP_COMMAND(name) &sp_command_##name,
#define SP_COMMAND_LATER(name, meaning)
#include "cli/commands.def"
#undef SP_COMMAND
#undef SP_COMMAND_LATER
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static const char *const later[] = {
#define SP_COMMAND(name)
#define SP_COMMAND_LATER(name, meaning) #name,
#include "cli/commands.def"
#undef SP_COMMAND
#undef SP_COMMAND_LATER
};
enum { N_LATER = sizeof later / sizeof later[0] };

/* A file opened later must not take the number of a closed standard stream. */
static void occupy_standard_streams(void)
{
    for (int stream = 0; stream <= 2; stream++) {
        if (fcntl(stream, F_GETFD) == -1)
            (void)open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
    }
}

static sp_status refuse_command(const char *word, sp_error *err)
{
    const char *names[N_COMMANDS];
    for (size_t i = 0; i < N_LATER; i++) {
        if (strcmp(word, later[i]) == 0) {
            sp_fail(err, SP_E_NOT_YET, "this command is announced and not built");
            return sp_fail_value(err, "%s", word);
        }
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i]->name;
    }
    sp_fail(err, SP_E_USAGE, "there is no such command");
    sp_fail_value(err, "%s", word);
    return sp_fail_names(err, word, names, N_COMMANDS);
}

static const sp_command *find_command(const char *word)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(word, commands[i]->name) == 0) return commands[i];
    }
    return NULL;
}

static sp_exit print_help(const sp_context *context, const sp_command *command)
{
    sp_text text = {0};
    if (command != NULL) {
        sp_help_command(command, &text);
    } else {
        sp_help_all(&text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit print_version(const sp_context *context)
{
    sp_text text = {0};
    sp_text_add(&text, "shardplan " SHARDPLAN_VERSION "\n");
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_status read_settings(sp_context *context, const sp_command *command, int argc,
                               char **argv, sp_error *err)
{
    sp_settings *settings = context->settings;
    SP_TRY(sp_settings_read_arguments(settings, command->takes, argc, argv, err));
    if (settings->n_words > command->max_words) {
        sp_fail(err, SP_E_USAGE, "one word too many; usage: shardplan %s", command->usage);
        return sp_fail_value(err, "%s", settings->words[command->max_words]);
    }
    SP_TRY(sp_settings_read_environment(settings, command->takes, err));
    SP_TRY(sp_run_read(settings, &context->run, err));
    return context->run.help ? SP_OK : sp_home_find(&settings->arena, &context->home, err);
}

static sp_exit run_command(sp_context *context, const sp_command *command, int argc, char **argv)
{
    sp_error err = {0};
    const sp_run before = context->run;
    if (read_settings(context, command, argc, argv, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (!context->run.help) return command->run(context);
    context->run = before;
    return print_help(context, command);
}

static bool is_word(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static sp_exit dispatch(sp_context *context, int argc, char **argv)
{
    sp_error err = {0};
    if (argc < 2) {
        sp_fail(&err, SP_E_USAGE, "name a command; shardplan --help lists them");
        return sp_cli_fail(context, &err);
    }
    const sp_command *command = find_command(argv[1]);
    if (command != NULL) return run_command(context, command, argc - 1, argv + 1);
    if (is_word(argv[1], "--help", "-h")) return print_help(context, NULL);
    if (is_word(argv[1], "--version", "version")) return print_version(context);
    if (strcmp(argv[1], "help") == 0) {
        command = argc > 2 ? find_command(argv[2]) : NULL;
        if (argc == 2 || command != NULL) return print_help(context, command);
        (void)refuse_command(argv[2], &err);
    } else {
        (void)refuse_command(argv[1], &err);
    }
    return sp_cli_fail(context, &err);
}

sp_exit sp_cli_main(int argc, char **argv)
{
    sp_error err = {0};
    sp_settings *settings = sp_alloc(sizeof *settings);
    sp_context context = {.settings = settings, .speaks = true, .run = {.output = "-"}};
    if (settings == NULL) return SP_EXIT_FAILED;
    occupy_standard_streams();
    sp_exit code = SP_EXIT_FAILED;
    if (sp_ranks_init(&argc, &argv, &err) != SP_OK) {
        code = sp_cli_fail(&context, &err);
    } else {
        context.speaks = sp_ranks_rank() == 0;
        code = dispatch(&context, argc, argv);
    }
    /* A rank that failed does not wait for the others: the launcher ends them. */
    const bool failed = code == SP_EXIT_FAILED || code == SP_EXIT_USAGE || code == SP_EXIT_INPUT;
    if (!failed || sp_ranks_size() == 1) sp_ranks_fini();
    sp_arena_fini(&settings->arena);
    sp_free(settings);
    return code;
}
