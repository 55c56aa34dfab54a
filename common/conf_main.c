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

/* Whether a line of an ini file can say this value: it would lose blanks at the ends, ` ;` starts a comment, and a line has its bound. */
static int is_writable(const char *value)
{
    enum { KEY_AND_ORIGIN_BYTES = 512 };
    size_t n = strlen(value), written_n = n;
    for (const char *c = value; *c; c++) {
        if (*c == ';' && c > value && (c[-1] == ' ' || c[-1] == '\t'))
            return 0;
        written_n += *c == '%';
    }
    return n == 0 || (!strchr(" \t", value[0]) && !strchr(" \t", value[n - 1]) &&
                      written_n < CONF_LINE_BYTES - KEY_AND_ORIGIN_BYTES);
}

/* Percent signs are doubled, so that what is dumped can be read back; a line end must not begin another line. */
static int dump_line(struct buf *out, const char *key, const char *value, const char *origin)
{
    const char *text = value ? value : "";
    int error = buf_printf(out, "%s%s%s", is_writable(text) ? "" : "; ", key, *text == ';' ? "=" : " = ");
    for (const char *c = text; *c && !error; c++)
        error = *c == '%' ? buf_text(out, "%%") : buf_append(out, (unsigned char)*c < 0x20 || *c == 0x7f ? "?" : c, 1);
    return error ? error : buf_printf(out, "%s%s\n", *origin ? "  ; " : "", origin);
}

static int dump_param(const struct conf_param *p, const struct conf_origin *o, int has_origins, struct buf *out)
{
    char origin[160] = "";
    if (has_origins && o->kind == CONF_FROM_FILE)
        snprintf(origin, sizeof origin, "line %d", o->line);
    else if (has_origins)
        snprintf(origin, sizeof origin, "%s", o->kind == CONF_FROM_ENVIRONMENT ? o->variable
                                              : o->kind == CONF_FROM_BUILT_IN  ? "built in"
                                                                               : "default");
    return dump_line(out, p->key, o->text, origin);
}

static int dump_instance(const struct conf_head *at, const struct conf_section *s, int has_origins, struct buf *out)
{
    int error = buf_printf(out, "[%s%s%s]\n", s->name, at->name ? ":" : "", at->name ? at->name : "");
    for (size_t i = 0; i < s->params_n && !error; i++)
        error = dump_param(&s->params[i], &at->origins[i], has_origins, out);
    return error ? error : buf_text(out, "\n");
}

int conf_section_values(const struct conf *c, const char *section, struct buf *out)
{
    const struct conf_section *s = conf_find_section(section);
    return dump_instance(conf_existing(c, s, NULL), s, 0, out);
}

static int dump_environment(const struct conf_variables *v, struct buf *out)
{
    int error = buf_text(out, "[environment]\n");
    for (size_t i = 0; i < v->items_n && !error; i++) {
        char origin[32];
        snprintf(origin, sizeof origin, "ini line %d", v->items[i].line);
        error = dump_line(out, v->items[i].name, v->items[i].value, origin);
    }
    return error;
}

/* A remark of one line, whatever is in it. */
static int dump_remark(struct buf *out, const char *pair, const char *origin)
{
    char line[1024];
    snprintf(line, sizeof line, "; %.900s%s", pair, origin);
    buf_neutralise(line);
    int error = buf_text(out, line);
    return error ? error : buf_text(out, "\n");
}

/* Remarks only: when the dump is read back, [supervisor] env_file brings them along. */
static int dump_env_file(const struct conf_variables *v, struct buf *out)
{
    int error = 0;
    for (size_t i = 0; i < v->items_n && !error; i++) {
        char pair[900], origin[40];
        snprintf(pair, sizeof pair, "%s=%s", v->items[i].name, v->items[i].value);
        snprintf(origin, sizeof origin, "  (env_file line %d)", v->items[i].line);
        error = dump_remark(out, pair, origin);
    }
    return error;
}

/* The OLLAMA_ variables that `ollama serve` gets. */
static int dump_ollama(const struct conf *c, struct buf *out)
{
    char **environment = conf_environment(c, conf_program(c, "ollama"), NULL);
    char bind[ADDRESS_TEXT_BYTES];
    address_text(&c->ollama, bind);
    int error = environment ? buf_printf(out, "; what ollama gets:\n; OLLAMA_HOST=%s%s\n", bind,
                                         c->is_ollama_moved ? " (moved: its port is one of our listeners')" : "")
                            : -ENOMEM;
    for (char **e = environment; e && *e && !error; e++)
        if (strncmp(*e, "OLLAMA_", 7) == 0 && strncmp(*e, "OLLAMA_HOST=", 12) != 0)
            error = dump_remark(out, *e, "");
    conf_environment_free(environment);
    return error;
}

int conf_dump(const struct conf *c, struct buf *out)
{
    static const char *const unnamed[] = {"supervisor", "preload", "proxy"};
    char backend[ADDRESS_TEXT_BYTES];
    int error = buf_printf(out, "; configuration in force, from %s\n\n", c->file ? c->file : "no file");
    for (size_t i = 0; i < sizeof unnamed / sizeof *unnamed && !error; i++) {
        const struct conf_section *s = conf_find_section(unnamed[i]);
        error = dump_instance(conf_existing(c, s, NULL), s, 1, out);
    }
    for (size_t i = 0; i < c->programs_n && !error; i++)
        error = dump_instance((const struct conf_head *)&c->programs[i], conf_find_section("program"), 1, out);
    error = error ? error : dump_environment(&c->environment, out);
    error = error ? error : dump_env_file(&c->env_file, out);
    address_text(&c->backend, backend);
    error = error ? error : buf_printf(out, "\n; backend: %s (%s)\n", backend, c->is_backend_ours ? "our ollama" : "not ours");
    return error ? error : dump_ollama(c, out);
}

int conf_help(struct buf *out)
{
    int error = 0;
    for (size_t i = 0; i < conf_sections_n && !error; i++) {
        const struct conf_section *s = &conf_sections[i];
        error = buf_printf(out, "%s; %s\n[%s%s]\n", i ? "\n" : "", s->help, s->name, s->is_named ? ":NAME" : "");
        for (size_t j = 0; j < s->params_n && !error; j++) {
            const struct conf_param *p = &s->params[j];
            error = buf_printf(out, "; %s%s%s%s%s\n;%s = %s\n", p->help, p->words ? " (" : "", p->words ? p->words : "",
                               p->words ? ")" : "", p->is_planned ? " [no effect in this version]" : "", p->key, p->def);
        }
    }
    return error;
}

static void write_all(const struct buf *text)
{
    const char *at = buf_data(text);
    size_t left_n = buf_size(text);
    while (left_n > 0) {
        ssize_t n = sys_write(STDOUT_FILENO, at, left_n);
        if (n <= 0)
            break;
        at += n;
        left_n -= (size_t)n;
    }
}

static void print_help(const char *usage)
{
    struct buf text;
    buf_init(&text, 0);
    int error = buf_printf(&text,
                           "%s\n"
                           "  -c FILE     the configuration (./supervisor.ini, else /etc/ollama-sidecar/supervisor.ini)\n"
                           "  --check     report every mistake in it and exit: 0 none, 100 some\n"
                           "  --dump      show what is in force and where each value comes from\n"
                           "  --help      this text\n"
                           "  --version   the version\n\n"
                           "supervisor.ini, with its defaults:\n\n",
                           usage);
    if (!error)
        error = conf_help(&text);
    if (!error)
        write_all(&text);
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
    *o = (struct conf_options){0};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--") == 0) {
            o->rest_at = i + 1;
            return -1;
        }
        if (strcmp(a, "-h") == 0 || strcmp(a, "--help") == 0) {
            print_help(usage);
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
        } else {
            return usage_error(program, "unknown argument ", a);
        }
    }
    return -1;
}

int conf_main(struct conf **out, const struct conf_options *o, char **environment)
{
    struct diag d;
    diag_init(&d);
    int error = conf_load(out, o->file, environment, &d);
    unsigned errors_n = d.errors_n;
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
            write_all(&text);
        buf_fini(&text);
    }
    conf_free(out);
    return error ? EXIT_SYSTEM : 0;
}
