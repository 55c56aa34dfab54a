/* [proxy] containers: what is refused is told with a place that is in the text, in words that a terminal can be shown; what is taken are
 * backends that can be asked, each once, and a dump is read back to the same. */
#include "common/conf.h"
#include "tests/fuzz/folder.h"

#include <errno.h>

static char *nothing[] = {NULL};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    folder_init();
    return 0;
}

/* The folder's other file is that of containers here. */
static const char ini[] = "[proxy]\ncontainers = preload-models.txt\n[preload]\nmodels = none\n";

static void check_backends(const struct conf *c)
{
    char why[PARSE_WHY_BYTES];
    struct url url;
    if (c->backends_n == 0 || c->backends_n > CONF_BACKENDS_MAX)
        abort();
    for (size_t i = 0; i < c->backends_n; i++) {
        const struct conf_backend *b = &c->backends[i];
        if (!*b->name || strlen(b->name) > CONF_NAME_N || parse_url(b->url, &url, why) < 0 || b->weight < 1 || b->weight > 1000)
            abort();
        if (conf_backend_is_member(b) && (b->slots < 1 || !c->is_fleet))
            abort();
        for (size_t k = 0; k < i; k++)
            if (strcmp(b->name, c->backends[k].name) == 0)
                abort();
    }
}

static void values(const struct conf *c, struct buf *out)
{
    buf_init(out, 0);
    if (conf_section_values(c, "proxy", out) < 0 || buf_append(out, "", 1) < 0)
        abort();
}

static struct conf *load(const void *text, size_t text_n, struct diag *d)
{
    struct conf *c = NULL;
    put(file, text, text_n);
    diag_init(d);
    int error = conf_load(&c, file, nothing, d);
    if ((error == -EINVAL) != (d->errors_n > 0) || (error && error != -EINVAL) || (error == 0) != (c != NULL))
        abort();
    return c;
}

/* The dump has the file's path in it, and of its entries only remarks. */
static void read_back(const struct conf *c)
{
    struct buf dump, before, after;
    struct diag d;
    buf_init(&dump, 0);
    if (conf_dump(c, &dump) < 0)
        abort();
    values(c, &before);
    struct conf *again = load(buf_data(&dump), buf_size(&dump), &d);
    if (!again)
        abort();
    values(again, &after);
    if (strcmp(buf_data(&before), buf_data(&after)) != 0)
        abort();
    conf_free(&again);
    diag_fini(&d);
    buf_fini(&dump);
    buf_fini(&before);
    buf_fini(&after);
}

static void check_places(const struct diag *d, const uint8_t *json, size_t json_n)
{
    long lines_n = 1;
    size_t path_n = strlen(models);
    for (size_t i = 0; i < json_n; i++)
        lines_n += json[i] == '\n';
    const char *at = buf_data(&d->text), *end = at + buf_size(&d->text);
    for (const char *c = at; c < end; c++) /* whatever stands in the file: no escape code */
        if (((unsigned char)*c < ' ' && *c != '\n') || *c == 0x7f)
            abort();
    for (const char *next; at < end; at = next + 1) {
        next = memchr(at, '\n', (size_t)(end - at));
        if (!next)
            abort();
        if ((size_t)(next - at) < path_n + 3 || memcmp(at, models, path_n) != 0)
            continue; /* of the ini file */
        long line = atol(at + path_n + 1);
        if (at[path_n] != ':' || line < 1 || line > lines_n)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct diag d;
    put(models, data, size);
    struct conf *c = load(ini, sizeof ini - 1, &d);
    check_places(&d, data, size);
    if (c) {
        check_backends(c);
        read_back(c);
    }
    conf_free(&c);
    diag_fini(&d);
    return 0;
}
