/* See generate_run.h. What goes is written over by spaces where it lies, what comes is put in by one splice. */
#include "proxy/generate_run.h"

#include "proxy/json_blank.h"
#include "proxy/json_write.h"
#include "proxy/load_options.h"
#include "proxy/splice_body.h"

#include <errno.h>

const char *const generate_names[] = {"prompt", "model", "preset", "stream", "options", "system", "keep_alive", "images", "image", "messages"};
const char *const generate_batch_names[] = {"batch_size", "num_batch"};

_Static_assert(PRESET_OPTIONS_MAX <= 32, "a bit for each option");

static enum generate_member member_of(const struct json_text name)
{
    for (unsigned i = 0; i < GENERATE_MEMBERS_N; i++)
        if (json_match(name, generate_names[i]) != JSON_OTHER)
            return (enum generate_member)i;
    return GENERATE_MEMBERS_N;
}

/* The preset's option of this name; -1: it has none. */
static int option_of(const struct generate_run *r, struct json_text name)
{
    int is_batch = json_match(name, generate_batch_names[GENERATE_BATCH_SIZE]) == JSON_EXACT;
    for (size_t i = 0; r->options && i < r->options->options_n; i++) {
        const char *option = r->options->options[i].name;
        if (is_batch ? strcmp(option, generate_batch_names[GENERATE_NUM_BATCH]) == 0 : json_match(name, option) == JSON_EXACT)
            return (int)i;
    }
    return -1;
}

/* A null beside the other word for the same option says nothing: that one counts. Ollama knows only its own. */
static int is_other_word(const struct generate_run *r, const struct json_member *m, int is_batch)
{
    int has_ours = r->batch[GENERATE_BATCH_SIZE].at != NULL;
    return m->value.kind == JSON_NULL && (is_batch || (has_ours && json_match(m->name, generate_batch_names[GENERATE_NUM_BATCH]) == JSON_EXACT));
}

static void change_option(struct generate_run *r, struct json_blank *b, const struct json_member *m)
{
    int option = option_of(r, m->name), is_batch = json_match(m->name, generate_batch_names[GENERATE_BATCH_SIZE]) == JSON_EXACT;
    if (is_other_word(r, m, is_batch) || (m->value.kind == JSON_NULL && option >= 0)) {
        json_blank_member(b, m);
        return;
    }
    if (option >= 0)
        r->named |= 1U << option;
    if (is_batch && r->batch[GENERATE_NUM_BATCH].at) { /* the same number */
        json_blank_member(b, m);
        return;
    }
    if (is_batch)
        json_blank_rename(b, m, generate_batch_names[GENERATE_NUM_BATCH]);
    json_blank_keep(b, m);
}

static void change_options(struct generate_run *r, const struct json_value *object)
{
    struct json_walk w = {object->at + 1, object->at + object->n};
    struct json_blank b = {.bytes = r->bytes};
    struct json_member m = {.is_last = 0};
    for (int is_first = 1; !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0)
        change_option(r, &b, &m);
    r->options_end = object->at + object->n - 1;
    r->has_options = b.kept != NULL;
}

/* Several are merged by Ollama, and a null empties what was there: it stays behind an object, and ours come behind it. */
static void take_options(struct generate_run *r, struct json_blank *b, const struct json_member *m)
{
    if (m->value.kind == JSON_NULL && !r->options_end) {
        json_blank_member(b, m);
        return;
    }
    json_blank_keep(b, m);
    if (m->value.kind == JSON_NULL) {
        r->options_end = NULL;
        r->named = 0;
    } else if (m->value.kind == JSON_OBJECT) {
        change_options(r, &m->value);
    }
}

/* `"image":"…"` becomes `"images":["…"]`. */
static int wrap_image(struct generate_run *r, const struct json_member *m)
{
    static const char opening[] = "\"images\":[";
    const char *value = m->value.at;
    int error = json_splice_add(&r->splice, (size_t)(m->at - r->bytes), (size_t)(value - m->at), opening, sizeof opening - 1);
    return error ? error : json_splice_add(&r->splice, (size_t)(value + m->value.n - r->bytes), 0, "]", 1);
}

/* Whether it goes: ours alone, or null, or not the last of those of which only the last counts. */
static int goes(const struct generate_run *r, enum generate_member member, const struct json_member *m)
{
    switch (member) {
    case GENERATE_PRESET:
        return 1;
    case GENERATE_MODEL:
        return !generate_has_text(r, GENERATE_MODEL);
    case GENERATE_SYSTEM:
    case GENERATE_KEEP_ALIVE:
        return m->value.kind == JSON_NULL;
    case GENERATE_IMAGES:
    case GENERATE_IMAGE:
        return m->value.at != r->values[member].at;
    default:
        return 0;
    }
}

/* Where the body's closing brace is; 0 or -errno. */
static int change_members(struct generate_run *r, size_t bytes_n, struct json_blank *b, const char **end)
{
    struct json_walk w = {r->bytes, r->bytes + bytes_n};
    struct json_member m = {.is_last = 0};
    int error = json_take(&w, '{') ? 0 : -EINVAL;
    for (int is_first = 1; !error && !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0) {
        enum generate_member member = member_of(m.name);
        if (member == GENERATE_OPTIONS) {
            take_options(r, b, &m);
        } else if (goes(r, member, &m)) {
            json_blank_member(b, &m);
        } else {
            json_blank_keep(b, &m);
            error = member == GENERATE_IMAGE ? wrap_image(r, &m) : 0;
        }
    }
    *end = w.at - 1;
    return error;
}

/* A comma before each member but the first of an object. */
static void write_name(struct json_write *w, int *is_first, const char *name)
{
    json_write_text(w, *is_first ? "" : ",");
    json_write_string(w, name, strlen(name));
    json_write_text(w, ":");
    *is_first = 0;
}

static void note_option(struct generate *g, const char *name)
{
    for (int i = 0; i < LOAD_OPTION_COUNT; i++)
        if (strcmp(name, load_option_name((enum load_option)i)) == 0)
            g->load_options |= 1U << i;
}

/* The preset's options that the request does not name. */
static void write_options(const struct generate_run *r, struct json_write *w, int is_first)
{
    for (size_t i = 0; i < r->options->options_n; i++) {
        if (r->named >> i & 1)
            continue;
        write_name(w, &is_first, r->options->options[i].name);
        json_write_text(w, r->options->options[i].value);
        note_option(r->g, r->options->options[i].name);
    }
}

/* What the preset adds beside the options. */
static void write_members(const struct generate_run *r, struct json_write *w, int is_first)
{
    const struct preset *p = r->options;
    if (r->g->preset) {
        write_name(w, &is_first, generate_names[GENERATE_MODEL]);
        json_write_string(w, p->models.items[0], strlen(p->models.items[0]));
    }
    if (p->system && !generate_is_there(r, GENERATE_SYSTEM)) {
        write_name(w, &is_first, generate_names[GENERATE_SYSTEM]);
        json_write_text(w, p->system);
    }
    if (p->keep_alive && !generate_is_there(r, GENERATE_KEEP_ALIVE)) {
        write_name(w, &is_first, generate_names[GENERATE_KEEP_ALIVE]);
        json_write_text(w, p->keep_alive);
    }
    if (!r->options_end && p->options_n > 0) {
        write_name(w, &is_first, generate_names[GENERATE_OPTIONS]);
        json_write_text(w, "{");
        write_options(r, w, 1);
        json_write_text(w, "}");
    }
}

static int add_preset(struct generate_run *r, const char *end, int is_empty, struct buf *added)
{
    struct json_write w = json_write_begin(added);
    if (r->options && r->options_end)
        write_options(r, &w, !r->has_options);
    size_t options_n = buf_size(added);
    if (r->options)
        write_members(r, &w, is_empty);
    int error = json_write_end(&w);
    const char *text = buf_data(added);
    if (!error && options_n > 0)
        error = json_splice_add(&r->splice, (size_t)(r->options_end - r->bytes), 0, text, options_n);
    return error ? error : json_splice_add(&r->splice, (size_t)(end - r->bytes), 0, text + options_n, buf_size(added) - options_n);
}

int generate_change(struct generate_run *r, struct buf *body)
{
    struct json_blank b = {.bytes = r->bytes};
    struct buf added;
    const char *end;
    buf_init(&added, 2 * PRESETS_FILE_BYTES); /* what stands in the file once, and its quotes */
    int error = change_members(r, buf_size(body), &b, &end);
    error = error ? error : add_preset(r, end, !b.kept, &added);
    error = error ? error : splice_body_apply(body, &r->splice);
    buf_fini(&added);
    return error;
}
