/*
 * What every program's main() does with its command line and its configuration: --check, --dump, --help.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef SIDECAR_VERSION
#define SIDECAR_VERSION "unknown"
#endif

enum { EXIT_USAGE = 100, EXIT_SYSTEM = 111 };

static void print_help(const char *usage, conf_help_fn *help)
{
    struct buf text;
    buf_init(&text, 0);
    int error = buf_printf(&text,
                           "%s\n"
                           "  -c FILE     the configuration (./supervisor.ini, else /etc/ollama-sidecar/supervisor.ini)\n"
                           "  --check     report every mistake in it and exit: 0 none, 100 some\n"
                           "  --dump      show what is in force and where each value comes from\n"
                           "  --help      this text\n"
                           "  --version   the version\n\n%s",
                           usage, help ? "supervisor.ini, with its defaults:\n\n" : "What supervisor.ini may say: supervisor.ini(5), ollama-supervisor --help\n");
    if (!error && help)
        error = help(&text);
    if (!error)
        (void)!sys_write_all(STDOUT_FILENO, buf_data(&text), buf_size(&text));
    buf_fini(&text);
}

static int usage_error(const char *program, const char *what, const char *argument)
{
    fprintf(stderr, "%s: %s%s; see %s --help\n", program, what, argument, program);
    return EXIT_USAGE;
}

int conf_options(struct conf_options *o, int argc, char **argv, const char *usage)
{
    const char *slash = strrchr(argv[0], '/');
    const char *program = slash ? slash + 1 : argv[0];
    *o = (struct conf_options){.help = o->help};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--") == 0) {
            o->rest_at = i + 1;
            return -1;
        }
        if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0) {
            print_help(usage, o->help);
            return 0;
        }
        if (strcmp(a, "--version") == 0) {
            printf("%s %s\n", program, SIDECAR_VERSION);
            return 0;
        }
        if (strcmp(a, "--check") == 0) {
            o->is_check = 1;
        } else if (strcmp(a, "--dump") == 0) {
            o->is_dump = 1;
        } else if (strcmp(a, "-c") == 0) {
            if (!argv[i + 1])
                return usage_error(program, "-c needs a file", "");
            o->file = argv[++i];
        } else if (strncmp(a, "-c", 2) == 0 && a[2]) {
            o->file = a + 2;
        } else if (a[0] != '-') {
            o->operands_at = i;
            return -1;
        } else {
            return usage_error(program, "unknown argument ", a);
        }
    }
    return -1;
}

int conf_options_alone(struct conf_options *o, int argc, char **argv, const char *usage)
{
    const char *slash = strrchr(argv[0], '/'), *program = slash ? slash + 1 : argv[0];
    int code = conf_options(o, argc, argv, usage);
    if (code < 0 && o->rest_at)
        return usage_error(program, "no command is run, yet there is ", "--");
    return code < 0 && o->operands_at ? usage_error(program, "unknown argument ", argv[o->operands_at]) : code;
}

int conf_main(struct conf **out, const struct conf_options *o, char **environment)
{
    struct diag d;
    diag_init(&d);
    int error = (o->is_supervisor ? conf_load_to_start : conf_load)(out, o->file, environment, &d);
    if (!error && o->is_check)
        conf_check_libraries(*out, &d);
    unsigned errors_n = d.errors_n;
    if (!error && errors_n > 0) {
        conf_free(out);
        error = -EINVAL;
    }
    diag_print(&d);
    diag_fini(&d);
    if (error == -EINVAL) {
        fprintf(stderr, "%u mistake%s; nothing was started\n", errors_n, errors_n == 1 ? "" : "s");
        return EXIT_USAGE;
    }
    if (error) {
        fprintf(stderr, "the configuration can't be read: %s\n", strerror(-error));
        return EXIT_SYSTEM;
    }
    if (!o->is_dump && !o->is_check)
        return -1;
    if (o->is_dump) {
        struct buf text;
        buf_init(&text, 0);
        error = conf_dump(*out, &text);
        if (!error)
            (void)!sys_write_all(STDOUT_FILENO, buf_data(&text), buf_size(&text));
        buf_fini(&text);
    }
    conf_free(out);
    return error ? EXIT_SYSTEM : 0;
}
