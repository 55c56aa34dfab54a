/* One section [engine:e], and behind a byte 0x1e, a line each, what is filled into it: a model's name, a file of it. */
#include "common/engine_words.h"
#include "tests/fuzz/folder.h"

#include <errno.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    folder_init();
    return 0;
}

/* A good name leads nowhere else when it stands in a path, and is no option. */
static void check_name(const char *name)
{
    if (*name == '-' || *name == '.' || *name == '/' || strstr(name, "..") || strstr(name, "--") || strstr(name, "//") || strlen(name) > 96 + 1 + 96)
        abort();
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || strchr("\"'\\%?#&;$`:", *c))
            abort();
}

static void check_file(const char *file)
{
    char path[1100];
    snprintf(path, sizeof path, "/%s/", file);
    if (strlen(file) > 1000 || strstr(path, "//") || strstr(path, "/../") || strstr(path, "/./"))
        abort();
}

/* A word for each word: those without a placeholder as they are, and nothing that can be filled in is left. */
static void check_words(const struct list *templates, const struct list *words, size_t *at)
{
    char why[PARSE_WHY_BYTES];
    for (size_t i = 0; i < templates->items_n; i++, (*at)++) {
        int bits = engine_placeholders(templates->items[i], why);
        if (bits < 0 || *at >= words->items_n || (bits == 0 && strcmp(templates->items[i], words->items[*at]) != 0))
            abort();
    }
}

static void check_engine(const struct conf_engine *e, const struct engine_values *v)
{
    struct list words = {0};
    char url[ENGINE_URL_BYTES], path[ENGINE_URL_BYTES], why[PARSE_WHY_BYTES];
    struct address a;
    size_t at = 0;
    int error = engine_words(e, v, &words);
    if (error && error != -EINVAL) /* a word of more than 64 KB */
        abort();
    if (!error) {
        check_words(&e->command, &words, &at);
        if (v->gpus_n)
            check_words(&e->gpu_flags, &words, &at);
        if (v->is_quantized)
            check_words(&e->quantize_flags, &words, &at);
        if (v->has_remote_code)
            check_words(&e->remote_code_flags, &words, &at);
        if (at != words.items_n || at == 0)
            abort();
    }
    list_fini(&words);
    error = engine_environment(e, v, &words);
    for (size_t i = 0; !error && i < words.items_n; i++)
        if (!strchr(words.items[i], '=') || *words.items[i] == '=')
            abort();
    list_fini(&words);
    if (engine_ready(e, v->port, url) == 0 && (parse_http_url(url, &a, path, sizeof path, why) < 0 || !address_is_loopback(&a) || a.port != v->port))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *nothing[] = {NULL};
    static const char head[] = "[preload]\nmodels = none\n[engine:e]\n";
    char why[PARSE_WHY_BYTES], *text = calloc(1, sizeof head + size + 1);
    struct conf *c = NULL;
    struct diag d;
    if (!text)
        return 0;
    memcpy(text, head, sizeof head - 1);
    memcpy(text + sizeof head - 1, data, size);
    char *mark = memchr(text, 0x1e, sizeof head + size), *model = mark ? mark + 1 : text + sizeof head - 1 + size;
    char *line_end = strchr(model, '\n'), *of_model = line_end ? line_end + 1 : model + strlen(model);
    put(file, text, mark ? (size_t)(mark - text) : sizeof head - 1 + size);
    if (line_end)
        *line_end = '\0';
    struct engine_values v = {.path = "/cache/models--o--n/snapshots/0", .model = model, .file = of_model, .port = 8123, .length_n = 4096, .gpus_n = size & 1,
                              .is_quantized = size & 2, .has_remote_code = size & 4};
    if (parse_hub_name(model, why) == 0)
        check_name(model);
    if (parse_hub_file(of_model, why) == 0)
        check_file(of_model);
    diag_init(&d);
    int error = memmem(text, size, "env_file", 8) ? -EINVAL : conf_load_to_start(&c, file, nothing, &d);
    if (!error)
        check_engine(conf_engine(c, "e"), &v);
    conf_free(&c);
    diag_fini(&d);
    free(text);
    return 0;
}
