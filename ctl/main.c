/*
 * sidecarctl: the owner's hand on a running ollama-supervisor.
 *
 * Reads the command line, finds the control socket by the same configuration that the supervisor reads, and hands
 * over to the verb's file. A configuration with mistakes does not keep the owner from asking what runs: it is told,
 * and the rest of it says where the socket is.
 *
 * Exit: 0, 1 (not healthy, or refused), 100 usage, 111 nobody answers.
 */
#include "ctl/main.h"

#include "common/conf.h"
#include "ctl/backends.h"
#include "ctl/bench.h"
#include "ctl/change.h"
#include "ctl/ctl.h"
#include "ctl/health.h"
#include "ctl/models.h"
#include "ctl/new_key.h"
#include "ctl/place.h"
#include "ctl/plain.h"
#include "ctl/requests.h"
#include "ctl/status.h"
#include "ctl/tail.h"
#include "ctl/top.h"
#include "ctl/why.h"

#include <stdio.h>
#include <string.h>

enum { ARGUMENTS_MAX = 32 };

static const char usage[] =
    "usage: sidecarctl [-s SOCKET] [-c FILE] [--json] [--no-color] VERB [ARGUMENT]\n"
    "\n"
    "  status            what runs: a row for each program\n"
    "  top [-n PICTURES] the same with requests, models and speeds, each second anew\n"
    "  why               what went wrong last, and what to do\n"
    "  start NAME        start a program\n"
    "  stop NAME         stop it, and leave it stopped (Ollama: until a request needs it)\n"
    "  restart NAME      stop and start it; a new proxy takes over without refusing anybody\n"
    "  reload            read supervisor.ini again\n"
    "  tail [-f] [-n LINES] [NAME...]\n"
    "                    what programs wrote last (10 lines; all programs), with -f also what they write from now on\n"
    "  health [--ready]  one line of GET /health (or /ready); exit 0 only when it answers 200\n"
    "  requests          who is served, who waits and for what, and how the last ones ended\n"
    "  cancel ID         end a request\n"
    "  models            which models are on the disk, and which are loaded\n"
    "  load MODEL        load one, and wait for it\n"
    "  unload MODEL      take it out of memory\n"
    "  pull MODEL        bring it here\n"
    "  bench [-n ROUNDS] [--cold] [MODEL]\n"
    "                    this machine's first token and tokens per second; --cold: also from the disk, which unloads it first\n"
    "  backends          several Ollamas: who waits, and a row for each backend\n"
    "  drain NAME        a backend gets no new requests; those that it has go on\n"
    "  undrain NAME      it gets requests again\n"
    "  dump              the configuration in force, and where each value comes from\n"
    "  new-key           makes a key for [key:NAME]: the key, and the hash that stands in supervisor.ini\n"
    "  help              this text\n"
    "\n"
    "  -s SOCKET  where the supervisor's control socket is\n"
    "  -c FILE    the configuration that says where (./supervisor.ini, else /etc/ollama-sidecar/supervisor.ini)\n"
    "  --json     print what is answered as JSON\n"
    "  --no-color no colours, also on a terminal; as NO_COLOR in the environment\n"
    "  --help     this text\n"
    "  --version  the version\n"
    "\n"
    "Exit codes: 0, 1 (not healthy, or refused), 100 usage, 111 nobody answers.\n";

struct options {
    const char *socket_path, *file, *verb, *number;
    const char *arguments[ARGUMENTS_MAX + 1]; /* NULL-terminated */
    size_t arguments_n;
    int is_json, is_ready, is_following, is_cold, is_plain;
};

static int run_start(const struct ctl *ctl)
{
    return change_run(ctl, "start");
}

static int run_stop(const struct ctl *ctl)
{
    return change_run(ctl, "stop");
}

static int run_restart(const struct ctl *ctl)
{
    return change_run(ctl, "restart");
}

static int run_reload(const struct ctl *ctl)
{
    return change_run(ctl, "reload");
}

/* options: what else it takes than what all take: -f, -n, --ready, --cold by their letters. */
static const struct verb {
    const char *name;
    int (*run)(const struct ctl *ctl);
    enum { NO_ARGUMENT, ONE_ARGUMENT, MAYBE_ONE, ANY_ARGUMENTS } takes;
    const char *options;
} verbs[] = {
    {"status", status_run, NO_ARGUMENT, ""},      {"top", top_run, NO_ARGUMENT, "n"},
    {"why", why_run, NO_ARGUMENT, ""},            {"start", run_start, ONE_ARGUMENT, ""},
    {"stop", run_stop, ONE_ARGUMENT, ""},         {"restart", run_restart, ONE_ARGUMENT, ""},
    {"reload", run_reload, NO_ARGUMENT, ""},      {"tail", tail_run, ANY_ARGUMENTS, "fn"},
    {"health", health_run, NO_ARGUMENT, "r"},     {"requests", requests_run, NO_ARGUMENT, ""},
    {"cancel", requests_cancel, ONE_ARGUMENT, ""}, {"models", models_run, NO_ARGUMENT, ""},
    {"load", models_load, ONE_ARGUMENT, ""},      {"unload", models_unload, ONE_ARGUMENT, ""},
    {"pull", models_pull, ONE_ARGUMENT, ""},         {"bench", bench_run, MAYBE_ONE, "nc"},
    {"backends", backends_run, NO_ARGUMENT, ""},  {"drain", backends_drain, ONE_ARGUMENT, ""},
    {"undrain", backends_undrain, ONE_ARGUMENT, ""}, {"dump", change_dump, NO_ARGUMENT, ""},
    {"new-key", new_key_run, NO_ARGUMENT, ""},
};

static int usage_error(const char *what, const char *word)
{
    char clean[128];
    plain_clean_to(clean, sizeof clean, word);
    fprintf(stderr, "sidecarctl: %s%s; see sidecarctl --help\n", what, clean);
    return CTL_USAGE;
}

static int print_help(void)
{
    fputs(usage, stdout);
    return CTL_OK;
}

/* The value of -s or -c at argv[*i], which may stand in the same word; NULL where there is none. */
static const char *option_value(int argc, char **argv, int *i)
{
    if (argv[*i][2])
        return argv[*i] + 2;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int take_word(struct options *o, const char *word)
{
    if (!o->verb)
        o->verb = word;
    else if (o->arguments_n < ARGUMENTS_MAX)
        o->arguments[o->arguments_n++] = word;
    else
        return usage_error("too many arguments, from ", word);
    return -1;
}

static int take_option(struct options *o, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    if (strncmp(word, "-s", 2) == 0)
        return (o->socket_path = option_value(argc, argv, i)) ? -1 : usage_error("-s needs a socket", "");
    if (strncmp(word, "-c", 2) == 0)
        return (o->file = option_value(argc, argv, i)) ? -1 : usage_error("-c needs a file", "");
    if (strncmp(word, "-n", 2) == 0)
        return (o->number = option_value(argc, argv, i)) ? -1 : usage_error("-n needs a number", "");
    if (strcmp(word, "-f") == 0)
        o->is_following = 1;
    else if (strcmp(word, "--json") == 0)
        o->is_json = 1;
    else if (strcmp(word, "--ready") == 0)
        o->is_ready = 1;
    else if (strcmp(word, "--cold") == 0)
        o->is_cold = 1;
    else if (strcmp(word, "--no-color") == 0)
        o->is_plain = 1;
    else
        return usage_error("unknown option ", word);
    return -1;
}

/* -1 to go on, else the exit code. Options may stand anywhere, also behind the verb. */
static int read_options(struct options *o, int argc, char **argv)
{
    int code = -1;
    for (int i = 1; i < argc && code < 0; i++) {
        if (strcmp(argv[i], "--version") == 0)
            return conf_options(&(struct conf_options){0}, 2, (char *[]){argv[0], argv[i], NULL}, "");
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return print_help();
        code = argv[i][0] == '-' && argv[i][1] ? take_option(o, argc, argv, &i) : take_word(o, argv[i]);
    }
    return code;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static int unknown_verb(const char *name)
{
    const char *names[sizeof verbs / sizeof *verbs + 1] = {NULL};
    char clean[64];
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        names[i] = verbs[i].name;
    const char *nearest = diag_nearest(name, names);
    plain_clean_to(clean, sizeof clean, name);
    fprintf(stderr, "sidecarctl: unknown verb \"%s\"%s%s; see sidecarctl --help\n", clean,
            nearest ? ", did you mean " : "", nearest ? nearest : "");
    return CTL_USAGE;
}

/* -1 where verb, argument and options go together, else the exit code. */
static int check_words(const struct options *o, const struct verb *verb)
{
    if (verb->takes == ONE_ARGUMENT && o->arguments_n == 0)
        return usage_error("which one? Write its name behind ", verb->name);
    if (verb->takes == NO_ARGUMENT && o->arguments_n > 0)
        return usage_error("no argument is taken, yet there is ", o->arguments[0]);
    if ((verb->takes == ONE_ARGUMENT || verb->takes == MAYBE_ONE) && o->arguments_n > 1)
        return usage_error("too many arguments, from ", o->arguments[1]);
    const struct {
        int is_there;
        char letter;
        const char *mistake;
    } rows[] = {{o->is_following, 'f', "-f is nothing for "},
                {o->number != NULL, 'n', "-n is nothing for "},
                {o->is_ready, 'r', "--ready is nothing for "},
                {o->is_cold, 'c', "--cold is nothing for "}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].is_there && !strchr(verb->options, rows[i].letter))
            return usage_error(rows[i].mistake, verb->name);
    return -1;
}

int ctl_main(int argc, char **argv)
{
    struct options o = {0};
    struct conf *conf = NULL;
    int code = read_options(&o, argc, argv);
    if (code >= 0)
        return code;
    if (!o.verb) {
        fputs(usage, stderr);
        return CTL_USAGE;
    }
    if (strcmp(o.verb, "help") == 0)
        return print_help();
    const struct verb *verb = find_verb(o.verb);
    if (!verb)
        return unknown_verb(o.verb);
    code = check_words(&o, verb);
    if (code >= 0)
        return code;
    if (verb->run == new_key_run) /* it needs no supervisor, and no configuration */
        return new_key_run(&(struct ctl){.is_json = o.is_json});
    if (!o.socket_path && place_load(&conf, o.file) < 0) {
        fputs("sidecarctl: the configuration can't be read; say by -s SOCKET where the supervisor listens\n", stderr);
        return CTL_USAGE;
    }
    struct ctl ctl = {.socket_path = o.socket_path ? o.socket_path : place_socket(conf),
                      .listen = conf ? conf->listen : NULL,
                      .listen_n = conf ? conf->listen_n : 0,
                      .argument = o.arguments[0],
                      .names = o.arguments,
                      .number = o.number,
                      .is_following = o.is_following,
                      .is_json = o.is_json,
                      .is_ready_asked = o.is_ready,
                      .is_cold_asked = o.is_cold,
                      .has_colours = !o.is_plain && plain_has_colours()};
    code = verb->run(&ctl);
    conf_free(&conf);
    if (fflush(stdout) != 0 && code == CTL_OK)
        code = CTL_NOBODY;
    return code;
}
