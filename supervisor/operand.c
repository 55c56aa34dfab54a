/* See operand.h. The configuration stays in memory until the command has ended, as its environment and rights are in it. */
#include "supervisor/operand.h"

#include "supervisor/single.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SYSTEM = 111 };

struct operand {
    struct conf_options options;
    char **words, **environment;
    struct conf *conf;
    struct single_command command; /* argv and envp owned */
    char *directory;
};

int operand_is_serve(char *const *words)
{
    return !words[0] || ((strcmp(words[0], "serve") == 0 || strcmp(words[0], "start") == 0) && !words[1]);
}

/* [program:ollama] command, without the `serve` at its end, and the words. NULL: no memory. */
static char **make_argv(const struct list *command, char **words)
{
    size_t words_n = 0, n = command->items_n;
    while (words[words_n])
        words_n++;
    if (n > 1 && strcmp(command->items[n - 1], "serve") == 0)
        n--;
    char **argv = calloc(n + words_n + 1, sizeof *argv);
    if (!argv)
        return NULL;
    memcpy(argv, command->items, n * sizeof *argv);
    memcpy(argv + n, words, words_n * sizeof *argv);
    return argv;
}

static int prepare(void *context, struct single_command *command, int64_t *grace_ms)
{
    struct operand *o = context;
    int code = conf_main(&o->conf, &o->options, o->environment);
    if (code >= 0)
        return code;
    const struct conf_program *ollama = conf_program(o->conf, "ollama");
    *command = (struct single_command){.argv = make_argv(&ollama->command, o->words), .rights = conf_rights(o->conf, ollama),
                                       .envp = conf_environment(o->conf, ollama, NULL)};
    o->directory = ollama->directory[0] ? conf_path(o->conf, ollama->directory) : NULL;
    command->directory = o->directory;
    o->command = *command;
    *grace_ms = o->conf->supervisor.shutdown_timeout_ms;
    if (command->argv && command->envp && (o->directory || !ollama->directory[0]))
        return 0;
    fputs("ollama-supervisor: error: no memory\n", stderr);
    return EXIT_SYSTEM;
}

int operand_run(const struct conf_options *options, char **words, char **environment)
{
    struct operand o = {.options = *options, .words = words, .environment = environment};
    o.options.is_supervisor = 1;
    int code = single_run_prepared(prepare, &o);
    free(o.command.argv);
    conf_environment_free(o.command.envp);
    free(o.directory);
    conf_free(&o.conf);
    return code;
}
