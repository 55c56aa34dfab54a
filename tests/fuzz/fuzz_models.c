/* Lists of models: as a file and as a variable; and each pair of lines as two names. */
#include "common/conf.h"
#include "tests/fuzz/folder.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    folder_init();
    put(file, "", 0);
    return 0;
}

/* What is on the list may stand in a URL, a path and a terminal, and stands there once. */
static void check(const struct list *l)
{
    for (size_t i = 0; i < l->items_n; i++) {
        const char *name = l->items[i];
        if (*name == '-' || *name == '/' || strstr(name, "..") == name || strstr(name, "/.") || strstr(name, "//"))
            abort();
        for (const char *c = name; *c; c++)
            if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || strchr("\"'\\%?#&;$`", *c))
                abort();
        for (size_t k = 0; k < i && l->items_n < 100; k++)
            if (model_name_equal(name, strlen(name), l->items[k], strlen(l->items[k])))
                abort();
    }
}

static void load(char **environment)
{
    struct conf *c = NULL;
    struct diag d;
    diag_init(&d);
    if (conf_load(&c, file, environment, &d) == 0) {
        struct list l = {0};
        if (conf_preload_list(c, &l, &d) < 0)
            abort();
        check(&l);
        list_fini(&l);
    }
    conf_free(&c);
    diag_fini(&d);
}

static void compare(const char *a, size_t a_n, const char *b, size_t b_n)
{
    int is_same = model_name_equal(a, a_n, b, b_n);
    if (is_same != model_name_equal(b, b_n, a, a_n) || !model_name_equal(a, a_n, a, a_n))
        abort();
    if (is_same && model_name_hash(a, a_n) != model_name_hash(b, b_n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *nothing[] = {NULL};
    char *variable = malloc(size + 32);
    int n = snprintf(variable, 32, "OLLAMA_PRELOAD_MODELS=");
    memcpy(variable + n, data, size);
    variable[(size_t)n + size] = '\0';
    char *environment[] = {variable, NULL};
    put(models, data, size);
    load(nothing);
    load(environment);
    const char *text = (const char *)data, *newline = memchr(text, '\n', size);
    if (newline) {
        size_t a_n = (size_t)(newline - text);
        compare(text, a_n, newline + 1, size - a_n - 1);
    }
    free(variable);
    return 0;
}
