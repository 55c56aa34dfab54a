/* See engine_words.h. */
#include "common/engine_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORD_BYTES = 64 * 1024 };

/* In the order of enum engine_placeholder's bits. */
static const char *const names[] = {"path", "file", "model", "port", "length", "gpus"};
enum { NAMES_N = sizeof names / sizeof *names };

/* The next placeholder at or behind text: where it begins, or NULL; *name and *name_n: what stands in it. */
static const char *next_placeholder(const char *text, const char **name, size_t *name_n)
{
    const char *at = strstr(text, "%("), *end = at ? strstr(at, ")s") : NULL;
    if (!end)
        return NULL;
    *name = at + 2;
    *name_n = (size_t)(end - at) - 2;
    return at;
}

/* Its bit; 0: there is none of this name. */
static int bit_of(const char *name, size_t name_n)
{
    for (int i = 0; i < NAMES_N; i++)
        if (strlen(names[i]) == name_n && memcmp(names[i], name, name_n) == 0)
            return 1 << i;
    return 0;
}

int engine_placeholders(const char *text, char *why)
{
    const char *name;
    size_t name_n;
    int bits = 0;
    for (text = next_placeholder(text, &name, &name_n); text; text = next_placeholder(name + name_n + 2, &name, &name_n)) {
        int bit = bit_of(name, name_n);
        if (!bit) {
            snprintf(why, PARSE_WHY_BYTES, "%%(%.*s)s is unknown: there are %%(path)s, %%(file)s, %%(model)s, %%(port)s, %%(length)s, %%(gpus)s and %%(ENV_NAME)s",
                     name_n < 60 ? (int)name_n : 60, name);
            return -EINVAL;
        }
        bits |= bit;
    }
    return bits;
}

static int append_value(int bit, const struct engine_values *v, struct buf *out)
{
    switch ((enum engine_placeholder)bit) {
    case ENGINE_PATH:
        return buf_text(out, v->path);
    case ENGINE_FILE:
        return buf_printf(out, "%s/%s", v->path, v->file);
    case ENGINE_MODEL:
        return buf_text(out, v->model);
    case ENGINE_PORT:
        return buf_number(out, v->port);
    case ENGINE_LENGTH:
        return buf_number(out, (uint64_t)v->length_n);
    case ENGINE_GPUS:
        return buf_number(out, v->gpus_n);
    }
    return -EINVAL;
}

/* One template; what is filled in is not looked at again. */
static int fill(const char *text, const struct engine_values *v, struct buf *out)
{
    const char *name, *at;
    size_t name_n;
    int error = 0;
    while (!error && (at = next_placeholder(text, &name, &name_n)) != NULL) {
        error = buf_append(out, text, (size_t)(at - text));
        error = error ? error : append_value(bit_of(name, name_n), v, out);
        text = name + name_n + 2;
    }
    return error ? error : buf_text(out, text);
}

static int fill_all(const struct list *templates, const struct engine_values *v, struct list *out)
{
    struct buf word;
    int error = 0;
    buf_init(&word, WORD_BYTES);
    for (size_t i = 0; i < templates->items_n && !error; i++) {
        buf_truncate(&word, 0);
        error = fill(templates->items[i], v, &word);
        error = error ? error : buf_append(&word, "", 1);
        error = error ? error : list_append(out, buf_data(&word), buf_size(&word) - 1);
    }
    buf_fini(&word);
    return error == -EFBIG ? -EINVAL : error;
}

int engine_words(const struct conf_engine *e, const struct engine_values *v, struct list *out)
{
    int error = fill_all(&e->command, v, out);
    error = error || v->gpus_n == 0 ? error : fill_all(&e->gpu_flags, v, out);
    error = error || !v->is_quantized ? error : fill_all(&e->quantize_flags, v, out);
    return error || !v->has_remote_code ? error : fill_all(&e->remote_code_flags, v, out);
}

int engine_environment(const struct conf_engine *e, const struct engine_values *v, struct list *out)
{
    return fill_all(&e->environment, v, out);
}

int engine_ready(const struct conf_engine *e, uint16_t port, char url[ENGINE_URL_BYTES])
{
    struct engine_values v = {.path = "", .model = "", .file = "", .port = port};
    struct buf text;
    buf_init(&text, ENGINE_URL_BYTES);
    int error = fill(e->ready, &v, &text);
    error = error ? error : buf_append(&text, "", 1);
    if (!error)
        memcpy(url, buf_data(&text), buf_size(&text));
    buf_fini(&text);
    return error == -EFBIG ? -ENAMETOOLONG : error;
}
