/* See shelf.h. One list is known while the next one comes. */
#include "proxy/serve/shelf.h"

#include "common/contract.h"
#include "common/json_read.h"
#include "common/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXTS_N = 8, REVISION_N = 40 };

/* A model with its texts behind it. */
struct entry {
    struct shelf_model model;
    char texts[];
};

struct list_of_models {
    struct entry **items; /* by name */
    size_t items_n, room_n;
    char *cache; /* owned; NULL: its last line has not come */
    int64_t free_bytes;
};

struct shelf {
    struct list_of_models known, coming;
};

static void release(struct list_of_models *list)
{
    for (size_t i = 0; i < list->items_n; i++)
        free(list->items[i]);
    free(list->items);
    free(list->cache);
    *list = (struct list_of_models){.free_bytes = -1};
}

struct shelf *shelf_new(void)
{
    struct shelf *s = calloc(1, sizeof *s);
    if (s)
        s->known.free_bytes = s->coming.free_bytes = -1;
    return s;
}

void shelf_free(struct shelf **s)
{
    if (!*s)
        return;
    release(&(*s)->known);
    release(&(*s)->coming);
    free(*s);
    *s = NULL;
}

void shelf_begin(struct shelf *s)
{
    release(&s->coming);
}

/* Decoded; "" for what is no string, too long, or has NUL in it. */
static void read_text(const struct json_value *value, char text[SHELF_TEXT_BYTES])
{
    ssize_t n = value->kind == JSON_STRING ? json_decode(json_read_text(value), text, SHELF_TEXT_BYTES) : -EINVAL;
    if (n < 0 || strlen(text) != (size_t)n)
        text[0] = '\0';
}

static int64_t read_number(const struct json_value *value)
{
    return value->kind == JSON_NUMBER ? (int64_t)json_read_count(value) : -1;
}

/* What is said of it to the supervisor must be able to stand in a message, and mean nothing else there. */
static int is_sound(const struct shelf_model *m)
{
    char why[PARSE_WHY_BYTES];
    size_t name_n = strlen(m->name);
    int has_revision = strlen(m->revision) == REVISION_N && strspn(m->revision, "0123456789abcdef") == REVISION_N;
    int is_file_within = !*m->file || parse_hub_file(m->file, why) == 0;
    return name_n > 0 && name_n < CONTRACT_NAME_BYTES && !strpbrk(m->name, " :") && has_revision && m->local_path[0] == '/' && is_file_within;
}

static int put(struct list_of_models *list, struct entry *entry)
{
    if (list->items_n == SHELF_MODELS)
        return -EFBIG;
    if (list->items_n == list->room_n) {
        size_t room_n = list->room_n ? 2 * list->room_n : 16;
        struct entry **items = realloc(list->items, room_n * sizeof *items);
        if (!items)
            return -ENOMEM;
        list->items = items;
        list->room_n = room_n;
    }
    list->items[list->items_n++] = entry;
    return 0;
}

enum { MODEL, REVISION, LOCAL_PATH, GGUF_FILE, ARCHITECTURE, DESCRIPTION, BACKEND, PULLED_AT,
       FORMAT = TEXTS_N, FILES, HAS_CHAT_TEMPLATE, PREFERRED_QUANTIZED, SIZE_BYTES, CONTEXT_LENGTH, LOAD_DURATION_NS, DONE, CACHE, FREE_BYTES, NAMES_N };

static struct entry *entry_new(const struct json_value v[NAMES_N])
{
    char text[SHELF_TEXT_BYTES];
    size_t all_n = 0, at_n = 0;
    for (size_t i = 0; i < TEXTS_N; i++)
        all_n += v[i].n + 1; /* decoded it is no longer */
    struct entry *entry = malloc(sizeof *entry + all_n);
    if (!entry)
        return NULL;
    struct shelf_model *m = &entry->model;
    const char **texts[TEXTS_N] = {&m->name, &m->revision, &m->local_path, &m->file, &m->architecture, &m->description, &m->backend, &m->pulled_at};
    for (size_t i = 0; i < TEXTS_N; i++) {
        read_text(&v[i], text);
        *texts[i] = memcpy(entry->texts + at_n, text, strlen(text) + 1);
        at_n += strlen(text) + 1;
    }
    return entry;
}

static int add_model(struct list_of_models *list, const struct json_value v[NAMES_N])
{
    struct entry *entry = entry_new(v);
    struct json_items items;
    struct json_value item;
    if (!entry)
        return -ENOMEM;
    struct shelf_model *m = &entry->model;
    m->format = json_read_is(&v[FORMAT], "safetensors") ? SHELF_SAFETENSORS : json_read_is(&v[FORMAT], "gguf") ? SHELF_GGUF : SHELF_OTHER;
    m->has_chat_template = v[HAS_CHAT_TEMPLATE].kind == JSON_TRUE;
    m->is_preferred_quantized = v[PREFERRED_QUANTIZED].kind == JSON_TRUE;
    m->size_bytes = read_number(&v[SIZE_BYTES]);
    m->context_n = read_number(&v[CONTEXT_LENGTH]);
    m->load_ns = read_number(&v[LOAD_DURATION_NS]);
    m->files_n = 0;
    for (json_items_init(&items, &v[FILES]); json_items_next(&items, &item);)
        m->files_n++;
    int error = is_sound(m) ? put(list, entry) : -EINVAL;
    if (error)
        free(entry);
    return error;
}

static int take_end(struct list_of_models *list, const struct json_value v[NAMES_N])
{
    char text[SHELF_TEXT_BYTES];
    read_text(&v[CACHE], text);
    free(list->cache);
    list->cache = strdup(text);
    list->free_bytes = read_number(&v[FREE_BYTES]);
    return list->cache ? 0 : -ENOMEM;
}

int shelf_line(struct shelf *s, const char *json, size_t json_n)
{
    static const char *const names[NAMES_N] = {"model", "revision", "local_path", "file", "architecture", "description", "backend", "pulled_at",
                                               "format", "files", "has_chat_template", "preferred_quantized", "size_bytes", "context_length",
                                               "load_duration_ns", "done", "cache", "free_bytes"};
    struct json_walk w = {json, json + json_n};
    struct json_value v[NAMES_N];
    if (json_read_members(&w, names, NAMES_N, JSON_EXACT, v) < 0)
        return -EINVAL;
    if (v[MODEL].kind == JSON_STRING)
        return add_model(&s->coming, v);
    return v[DONE].kind == JSON_TRUE ? take_end(&s->coming, v) : -EINVAL;
}

static int by_name(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;
    return strcmp((*x)->model.name, (*y)->model.name);
}

int shelf_end(struct shelf *s)
{
    if (!s->coming.cache) {
        release(&s->coming);
        return -ENODATA;
    }
    release(&s->known);
    s->known = s->coming;
    s->coming = (struct list_of_models){.free_bytes = -1};
    if (s->known.items_n > 1)
        qsort(s->known.items, s->known.items_n, sizeof *s->known.items, by_name);
    return 0;
}

static int is_named(const struct shelf_model *m, const char *name, size_t name_n, int is_folded)
{
    return strlen(m->name) == name_n && (is_folded ? strncasecmp(m->name, name, name_n) : memcmp(m->name, name, name_n)) == 0;
}

const struct shelf_model *shelf_find(const struct shelf *s, const char *name)
{
    static const char latest[] = ":latest";
    size_t name_n = strlen(name), latest_n = sizeof latest - 1;
    if (name_n > latest_n && strcmp(name + name_n - latest_n, latest) == 0)
        name_n -= latest_n;
    for (int is_folded = 0; is_folded < 2; is_folded++)
        for (size_t i = 0; i < s->known.items_n; i++)
            if (is_named(&s->known.items[i]->model, name, name_n, is_folded))
                return &s->known.items[i]->model;
    return NULL;
}

const struct shelf_model *shelf_at(const struct shelf *s, size_t nth)
{
    return nth < s->known.items_n ? &s->known.items[nth]->model : NULL;
}

const char *shelf_cache(const struct shelf *s, int64_t *free_bytes)
{
    *free_bytes = s->known.free_bytes;
    return s->known.cache ? s->known.cache : "";
}
