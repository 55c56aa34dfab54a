/*
 * The list of models to preload: OLLAMA_PRELOAD_MODELS, else [preload] models, else the file.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_LIMIT_BYTES = 4 << 20, LIST_MODELS_MAX = 10000, FIRST_SLOTS_N = 64 };

/* The list in the making, and which names are in it: slots has their 1-based places, at their hash or soon after. It grows
 * with the list: memory that was touched once stays PID 1's. */
struct models {
    struct list *list;
    uint16_t *slots;
    size_t slots_n;
};

/* The slot of this name: taken by the same model, or free. */
static uint16_t *find_slot(struct models *out, const char *name)
{
    size_t at = model_name_hash(name, strlen(name)) % out->slots_n;
    for (; out->slots[at]; at = (at + 1) % out->slots_n) {
        const char *known = out->list->items[out->slots[at] - 1];
        if (model_name_equal(known, strlen(known), name, strlen(name)))
            break;
    }
    return &out->slots[at];
}

/* Keeps at least half of the slots free. 0 or -ENOMEM. */
static int make_slots(struct models *out)
{
    if (out->list->items_n * 2 < out->slots_n)
        return 0;
    size_t slots_n = out->slots_n ? out->slots_n * 4 : FIRST_SLOTS_N;
    uint16_t *slots = calloc(slots_n, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    free(out->slots);
    out->slots = slots;
    out->slots_n = slots_n;
    for (size_t i = 0; i < out->list->items_n; i++)
        *find_slot(out, out->list->items[i]) = (uint16_t)(i + 1);
    return 0;
}

static int add_model(struct models *out, const char *name, const char *where, int line, struct diag *d)
{
    char why[PARSE_WHY_BYTES];
    if (parse_model_name(name, why) < 0) {
        diag_add(d, DIAG_ERROR, where, line, "%s", why);
        return 0;
    }
    int error = make_slots(out);
    if (error)
        return error;
    uint16_t *slot = find_slot(out, name);
    if (*slot)
        return 0; /* twice is as good as once */
    if (out->list->items_n == LIST_MODELS_MAX) {
        diag_add(d, DIAG_ERROR, where, line, "more than %d models", LIST_MODELS_MAX);
        return 0;
    }
    error = list_append(out->list, name, strlen(name));
    if (!error)
        *slot = (uint16_t)out->list->items_n;
    return error;
}

static int add_words(struct models *out, const char *text, const char *where, int line, struct diag *d)
{
    struct list words = {0};
    int error = parse_list(text, ", \t\r\n", &words);
    if (!error && words.items_n == 1 && strcmp(words.items[0], "none") == 0)
        words.items[0][0] = '\0';
    for (size_t i = 0; i < words.items_n && !error; i++)
        if (words.items[i][0])
            error = add_model(out, words.items[i], where, line, d);
    list_fini(&words);
    return error;
}

/* One line of the file: a name, and perhaps a comment behind it. */
static int add_line(struct models *out, char *line, const char *path, int number, struct diag *d)
{
    line[strcspn(line, "#")] = '\0';
    line += strspn(line, " \t");
    size_t n = strlen(line);
    while (n > 0 && strchr(" \t\r", line[n - 1]))
        line[--n] = '\0';
    if (n == 0)
        return 0;
    if (strpbrk(line, " \t")) {
        diag_add(d, DIAG_ERROR, path, number, "\"%.100s\" are several words: one model a line", line);
        return 0;
    }
    return add_model(out, line, path, number, d);
}

static int add_file(struct models *out, const char *path, struct diag *d)
{
    char *bytes;
    size_t bytes_n;
    int error = sys_read_file(path, LIST_LIMIT_BYTES, &bytes, &bytes_n);
    if (error)
        return error;
    char *at = bytes, *end = bytes + bytes_n;
    if (bytes_n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        at += 3;
    for (int number = 1; at < end && !error; number++) {
        char *line_end = memchr(at, '\n', (size_t)(end - at));
        char *next = line_end ? line_end + 1 : end;
        if (line_end)
            *line_end = '\0';
        if (memchr(at, '\0', (size_t)((line_end ? line_end : end) - at)))
            diag_add(d, DIAG_ERROR, path, number, "the line has a NUL byte: this is no text file, or UTF-16");
        else
            error = add_line(out, at, path, number, d);
        at = next;
    }
    free(bytes);
    return error;
}

static int read_list(const struct conf *c, struct models *out, struct diag *d)
{
    const char *text = conf_env(c, "OLLAMA_PRELOAD_MODELS");
    const struct conf_section *s = conf_find_section("preload");
    const struct conf_head *at = (const struct conf_head *)&c->preload;
    const struct conf_origin *models = conf_origin(at, s, "models"), *file = conf_origin(at, s, "file");
    unsigned before_n = d->errors_n;
    int error = 0;
    if (text) {
        error = add_words(out, text, "OLLAMA_PRELOAD_MODELS", 0, d);
    } else if (models->text && models->text[0]) {
        const char *where = models->kind == CONF_FROM_ENVIRONMENT ? models->variable : c->file;
        error = add_words(out, models->text, where ? where : "built-in", models->line, d);
    } else if (c->preload.file[0] && strcmp(c->preload.file, "none") != 0) {
        char *path = conf_path(c, c->preload.file);
        int read_error = path ? add_file(out, path, d) : -ENOMEM;
        int is_absent_default = file->kind == CONF_FROM_DEFAULT && read_error == -ENOENT;
        if (read_error == -ENOMEM)
            error = read_error;
        else if (read_error && !is_absent_default)
            diag_add(d, DIAG_ERROR, path, 0, "the list of models can't be read: %s", strerror(-read_error));
        free(path);
    }
    return error ? error : d->errors_n > before_n ? -EINVAL : 0;
}

void conf_check_preload(const struct conf *c, struct diag *d)
{
    const char *load = c->preload.load;
    char why[PARSE_WHY_BYTES], text[PARSE_WHY_BYTES + 64];
    if (!*load || strcmp(load, "none") == 0 || strcmp(load, "last") == 0 || parse_model_name(load, why) == 0)
        return;
    snprintf(text, sizeof text, "write none, last, or a model's name: %s", why);
    conf_mistake(c, (const struct conf_head *)&c->preload, "preload", "load", d, text);
}

/* Where several Ollamas take the place of ours, there is none here; nor where a model server is alone. */
static int is_for_nobody(const struct conf *c)
{
    return c->is_alone || (c->is_fleet && c->preload.targets == CONF_TARGETS_LOCAL);
}

int conf_preload_list(const struct conf *c, struct list *out, struct diag *d)
{
    struct models models = {.list = out};
    int error = read_list(c, &models, d);
    free(models.slots);
    if (!error && is_for_nobody(c))
        list_fini(out);
    return error;
}

int conf_check_preload_list(const struct conf *c, struct diag *d)
{
    struct list list = {0};
    struct models models = {.list = &list};
    int error = read_list(c, &models, d);
    if (!error && list.items_n > 0 && is_for_nobody(c))
        conf_warning(c, (const struct conf_head *)&c->preload, "preload", "targets", d, c->is_alone ?
                     "no model of the list is pulled, as there is no Ollama: POST /pull has models of the hub; leave the list empty" :
                     "no model of the list is pulled, as no Ollama runs here: write all, for each backend with api = ollama, or leave the list empty");
    free(models.slots);
    list_fini(&list);
    return error == -EINVAL ? 0 : error;
}
