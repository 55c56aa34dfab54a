/* The ini file, and behind a byte 0x1e the variables of the environment, a line each. What was taken can be dumped and
 * read back with the same values. */
#include "common/conf.h"
#include "tests/fuzz/folder.h"

enum { VARIABLES_MAX = 16 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    folder_init();
    put(models, "x\n", 2);
    return 0;
}

/* The dump without remarks and origins. */
static char *values(const struct conf *c)
{
    struct buf text;
    buf_init(&text, 0);
    if (conf_dump(c, &text) < 0 || buf_append(&text, "", 1) < 0)
        abort();
    char *all = strdup(buf_data(&text)), *out = all;
    for (char *line = all, *next; *line; line = next) {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : line + strlen(line);
        char *origin = memmem(line, (size_t)(next - line), "  ; ", 4);
        size_t n = (size_t)((origin ? origin : next) - line);
        if (*line == ';')
            continue;
        memmove(out, line, n);
        out += n;
        if (origin)
            *out++ = '\n';
    }
    *out = '\0';
    buf_fini(&text);
    return all;
}

static struct conf *load(char **environment)
{
    struct conf *c = NULL;
    struct diag d;
    diag_init(&d);
    int error = conf_load(&c, file, environment, &d);
    if ((error == 0) != (c != NULL) || (error != 0) != (d.errors_n > 0))
        abort();
    diag_fini(&d);
    return c;
}

/* What a dump cannot say: blanks at the ends of a value, from %(ENV_X:- y )s. */
static int is_plain(const uint8_t *data, size_t size)
{
    return memmem(data, size, "%(", 2) == NULL && size < 4000;
}

/* … and what it leaves out: a section that needs its secret can't be read back without it. */
static int has_secrets(const struct conf *c)
{
    for (size_t i = 0; i < c->keys_n; i++)
        if (*c->keys[i].secret)
            return 1;
    for (size_t i = 0; i < c->backends_n; i++)
        if (*c->backends[i].key)
            return 1;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *environment[VARIABLES_MAX + 1] = {NULL}, *room = NULL;
    const uint8_t *mark = memchr(data, 0x1e, size);
    size_t ini_n = mark ? (size_t)(mark - data) : size;
    if (mark) {
        size_t n = 0;
        room = calloc(1, size - ini_n);
        memcpy(room, mark + 1, size - ini_n - 1);
        for (char *rest = NULL, *line = strtok_r(room, "\n", &rest); line && n < VARIABLES_MAX; line = strtok_r(NULL, "\n", &rest))
            environment[n++] = line;
    }
    put(file, data, ini_n);
    struct conf *c = load(environment);
    if (c) {
        struct buf text;
        char **given = conf_environment(c, conf_program(c, "ollama"), NULL);
        conf_environment_free(given);
        buf_init(&text, 0);
        if (conf_dump(c, &text) < 0)
            abort();
        if (!mark && is_plain(data, size) && !has_secrets(c)) {
            char *first = values(c);
            put(file, buf_data(&text), buf_size(&text));
            struct conf *again = load(environment);
            if (!again)
                abort();
            char *second = values(again);
            if (strcmp(first, second) != 0)
                abort();
            free(first);
            free(second);
            conf_free(&again);
        }
        buf_fini(&text);
    }
    conf_free(&c);
    free(room);
    return 0;
}
