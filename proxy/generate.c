/*
 * See generate.h. First all is read and judged, so that every mistake is told at once; then the body is changed. Of a member that is
 * null Ollama takes what it would take without it, and so do we: a preset's value comes in its place.
 */
#include "proxy/generate.h"

#include "common/json_read.h"
#include "proxy/image_text.h"
#include "proxy/json_blank.h"
#include "proxy/json_write.h"
#include "proxy/load_options.h"
#include "proxy/mistakes.h"
#include "proxy/splice_body.h"

#include <errno.h>
#include <stdio.h>

enum { PROMPT, MODEL, PRESET, STREAM, OPTIONS, SYSTEM, KEEP_ALIVE, IMAGES, IMAGE, MESSAGES, MEMBERS_N };
static const char *const names[] = {"prompt", "model", "preset", "stream", "options", "system", "keep_alive", "images", "image", "messages"};
_Static_assert(sizeof names / sizeof *names == MEMBERS_N, "a name for each member");

enum { BATCH_SIZE, NUM_BATCH, BATCH_N };
static const char *const batch_names[] = {"batch_size", "num_batch"}; /* the preset's word, and Ollama's */

enum { KNOWN_TEXT_BYTES = 320, FIELD_BYTES = 40 };

struct run {
    const struct generate_rules *rules;
    struct generate *g;
    char *bytes; /* the body's */
    struct json_value values[MEMBERS_N];
    struct json_value batch[BATCH_N];
    struct mistakes mistakes;
    int status;                   /* of the mistakes so far */
    size_t images_n;
    const struct preset *options; /* whose options it has: g->preset, or the one that it names beside a model */
    uint32_t named;               /* which of these the request names itself: bits */
    const char *options_end;      /* the closing brace of its own; NULL: it has none */
    int has_options;              /* … and something is in there */
    struct json_splice splice;    /* what is put in; all else is blanked where it stands */
};

_Static_assert(PRESET_OPTIONS_MAX <= 32, "a bit for each option");

#define KIND(kind) (1U << (kind))

static int is_there(const struct run *r, int member)
{
    return r->values[member].kind != JSON_NULL;
}

/* A text that is not empty. */
static int has_text(const struct run *r, int member)
{
    return r->values[member].kind == JSON_STRING && r->values[member].n > 2;
}

/* One status for all mistakes: that of the first, unless another one has another. */
static void count(struct run *r, int status)
{
    r->status = r->status == 0 || r->status == status ? status : 400;
}

#define WRONG(r, ...) (count(r, 400), mistakes_add(&(r)->mistakes, __VA_ARGS__))

/* 1 where it is there and of one of these kinds; what: what it may be. */
static int is_a(struct run *r, int member, unsigned kinds, const char *what)
{
    const struct json_value *value = &r->values[member];
    if (!is_there(r, member))
        return 0;
    if (KIND(value->kind) & kinds)
        return 1;
    WRONG(r, "%s: must be %s, not %s", names[member], what, json_kind_name(value->kind));
    return 0;
}

/* A form, and many a page, writes an empty field for one that was left out. */
static int is_left_out(const struct run *r, int member)
{
    return !is_there(r, member) || (r->values[member].kind == JSON_STRING && !has_text(r, member));
}

static int is_named(struct run *r, int member, const char *what)
{
    return is_a(r, member, KIND(JSON_STRING), what) && has_text(r, member);
}

static void read_stream(struct run *r)
{
    const struct json_value *stream = &r->values[STREAM];
    r->g->is_stream = -1;
    if (is_a(r, STREAM, KIND(JSON_TRUE) | KIND(JSON_FALSE), "true or false, without quotes"))
        r->g->is_stream = stream->kind == JSON_TRUE;
}

/* *value becomes what stays of it. */
static void read_image(struct run *r, struct json_value *value, const char *field)
{
    char why[IMAGE_WHY_BYTES] = "";
    struct image_text image;
    r->images_n++;
    if (value->kind != JSON_STRING) {
        WRONG(r, "%s: must be a string of base64, not %s", field, json_kind_name(value->kind));
        return;
    }
    int status = image_text_read(&image, value, r->rules->image_bytes_max, why, sizeof why);
    if (status) {
        count(r, status);
        mistakes_add(&r->mistakes, "%s: %s", field, why);
    } else {
        json_blank_string(r->bytes, value, image.bare);
        *value = (struct json_value){JSON_STRING, image.bare.at - 1, image.bare.n + 2};
    }
}

static void read_images(struct run *r)
{
    char field[FIELD_BYTES];
    struct json_items items;
    struct json_value item;
    if (is_there(r, IMAGE) && is_there(r, IMAGES))
        WRONG(r, "image: the same as images, which is there too; put all into images");
    if (is_a(r, IMAGE, KIND(JSON_STRING), "a string of base64; several go into images"))
        read_image(r, &r->values[IMAGE], names[IMAGE]);
    (void)is_a(r, IMAGES, KIND(JSON_ARRAY), "an array of strings of base64");
    json_items_init(&items, &r->values[IMAGES]);
    while (!mistakes_are_many(&r->mistakes) && json_items_next(&items, &item)) {
        snprintf(field, sizeof field, "images[%zu]", items.read_n - 1);
        read_image(r, &item, field);
    }
}

/* Without a prompt Ollama only loads the model, and says nothing of an image. */
static void read_prompt(struct run *r)
{
    int is_missing = !is_there(r, PROMPT);
    if (has_text(r, PROMPT))
        return;
    if (!is_missing && !is_a(r, PROMPT, KIND(JSON_STRING), "a string"))
        return;
    if (is_missing && is_there(r, MESSAGES))
        WRONG(r, "prompt: missing; messages go to POST /api/chat, the text of this request is its prompt");
    else if (r->images_n > 0)
        WRONG(r, "prompt: %s; it must say what is to be done with the image", is_missing ? "missing" : "empty");
    else if (is_missing && !has_text(r, MODEL))
        WRONG(r, "prompt: missing; it must be a string, of which an empty one only loads the model");
}

static void read_options(struct run *r)
{
    const struct json_value *options = &r->values[OPTIONS];
    (void)is_a(r, OPTIONS, KIND(JSON_OBJECT), "an object");
    json_read_object(options, batch_names, BATCH_N, JSON_EXACT, r->batch);
    const struct json_value *ours = &r->batch[BATCH_SIZE], *ollamas = &r->batch[NUM_BATCH];
    if (ours->kind != JSON_NULL && ours->kind != JSON_NUMBER)
        WRONG(r, "options.batch_size: must be a number, not %s", json_kind_name(ours->kind));
    else if (ours->at && ollamas->at && (ours->n != ollamas->n || memcmp(ours->at, ollamas->at, ours->n) != 0))
        WRONG(r, "options.batch_size: another number than options.num_batch, and both are one option; leave one out");
}

/* The names of all presets, for who looks for one. */
static void list_presets(const struct presets *p, char out[KNOWN_TEXT_BYTES])
{
    size_t used_n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < p->items_n && used_n < KNOWN_TEXT_BYTES; i++)
        used_n += (size_t)snprintf(out + used_n, KNOWN_TEXT_BYTES - used_n, "%s%s", i ? ", " : "", p->items[i].name);
}

static const struct preset *find_named(struct run *r)
{
    const struct presets *presets = r->rules->presets;
    char name[PRESET_NAME_BYTES], known[KNOWN_TEXT_BYTES];
    ssize_t n = json_decode(json_read_text(&r->values[PRESET]), name, sizeof name);
    const struct preset *preset = n > 0 ? presets_find(presets, name, (size_t)n) : NULL;
    list_presets(presets, known);
    if (!preset && presets->items_n == 0)
        WRONG(r, "preset: there are none here; models.json has them");
    else if (!preset)
        WRONG(r, "preset: there is none of this name; there are %s", known);
    return preset;
}

static const struct preset *find_for_use(struct run *r)
{
    const struct presets *presets = r->rules->presets;
    const struct preset *preset = presets_for(presets, r->images_n > 0 ? PRESET_IMAGE : PRESET_TEXT);
    char known[KNOWN_TEXT_BYTES];
    list_presets(presets, known);
    if (!preset && presets->items_n == 0)
        WRONG(r, "model: missing; name one, as no presets are set here, which would choose it (models.json)");
    else if (!preset)
        WRONG(r, "model: missing; name one, or a preset (%s), as none is \"for\": \"%s\"", known, r->images_n > 0 ? "image" : "text");
    return preset;
}

/* Who names a model has that one, and of a preset that it names as well the rest. */
static void choose(struct run *r)
{
    int has_model = is_named(r, MODEL, "the name of a model"), has_preset = is_named(r, PRESET, "the name of a preset");
    if (has_preset)
        r->options = find_named(r);
    else if (is_left_out(r, MODEL) && is_left_out(r, PRESET))
        r->options = find_for_use(r);
    r->g->preset = has_model ? NULL : r->options;
}

static int member_of(const struct json_text name)
{
    for (int i = 0; i < MEMBERS_N; i++)
        if (json_match(name, names[i]) != JSON_OTHER)
            return i;
    return MEMBERS_N;
}

/* The preset's option of this name; -1: it has none. */
static int option_of(const struct run *r, struct json_text name)
{
    int is_batch = json_match(name, batch_names[BATCH_SIZE]) == JSON_EXACT;
    for (size_t i = 0; r->options && i < r->options->options_n; i++) {
        const char *option = r->options->options[i].name;
        if (is_batch ? strcmp(option, batch_names[NUM_BATCH]) == 0 : json_match(name, option) == JSON_EXACT)
            return (int)i;
    }
    return -1;
}

static void change_option(struct run *r, struct json_blank *b, const struct json_member *m)
{
    int option = option_of(r, m->name), is_batch = json_match(m->name, batch_names[BATCH_SIZE]) == JSON_EXACT;
    if (m->value.kind == JSON_NULL && option >= 0) {
        r->named &= ~(1U << option);
        json_blank_member(b, m);
        return;
    }
    if (option >= 0)
        r->named |= 1U << option;
    if (is_batch && r->batch[NUM_BATCH].at) { /* the same number */
        json_blank_member(b, m);
        return;
    }
    if (is_batch)
        json_blank_rename(b, m, batch_names[NUM_BATCH]);
    json_blank_keep(b, m);
}

static void change_options(struct run *r, const struct json_value *object)
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
static void take_options(struct run *r, struct json_blank *b, const struct json_member *m)
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
static int wrap_image(struct run *r, const struct json_member *m)
{
    static const char opening[] = "\"images\":[";
    const char *value = m->value.at;
    int error = json_splice_add(&r->splice, (size_t)(m->at - r->bytes), (size_t)(value - m->at), opening, sizeof opening - 1);
    return error ? error : json_splice_add(&r->splice, (size_t)(value + m->value.n - r->bytes), 0, "]", 1);
}

/* Whether it goes: ours alone, or null, or not the last of those of which only the last counts. */
static int goes(const struct run *r, int member, const struct json_member *m)
{
    switch (member) {
    case PRESET:
        return 1;
    case MODEL:
        return !has_text(r, MODEL);
    case SYSTEM:
    case KEEP_ALIVE:
        return m->value.kind == JSON_NULL;
    case IMAGES:
    case IMAGE:
        return m->value.at != r->values[member].at;
    default:
        return 0;
    }
}

/* Where the body's closing brace is; 0 or -errno. */
static int change_members(struct run *r, size_t bytes_n, struct json_blank *b, const char **end)
{
    struct json_walk w = {r->bytes, r->bytes + bytes_n};
    struct json_member m = {.is_last = 0};
    int error = json_take(&w, '{') ? 0 : -EINVAL;
    for (int is_first = 1; !error && !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0) {
        int member = member_of(m.name);
        if (member == OPTIONS) {
            take_options(r, b, &m);
        } else if (goes(r, member, &m)) {
            json_blank_member(b, &m);
        } else {
            json_blank_keep(b, &m);
            error = member == IMAGE ? wrap_image(r, &m) : 0;
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
static void write_options(const struct run *r, struct json_write *w, int is_first)
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
static void write_members(const struct run *r, struct json_write *w, int is_first)
{
    const struct preset *p = r->options;
    if (r->g->preset) {
        write_name(w, &is_first, names[MODEL]);
        json_write_string(w, p->models.items[0], strlen(p->models.items[0]));
    }
    if (p->system && !is_there(r, SYSTEM)) {
        write_name(w, &is_first, names[SYSTEM]);
        json_write_text(w, p->system);
    }
    if (p->keep_alive && !is_there(r, KEEP_ALIVE)) {
        write_name(w, &is_first, names[KEEP_ALIVE]);
        json_write_text(w, p->keep_alive);
    }
    if (!r->options_end && p->options_n > 0) {
        write_name(w, &is_first, names[OPTIONS]);
        json_write_text(w, "{");
        write_options(r, w, 1);
        json_write_text(w, "}");
    }
}

static int add_preset(struct run *r, const char *end, int is_empty, struct buf *added)
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

static int change(struct run *r, struct buf *body)
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

static int read_all(struct run *r, size_t bytes_n)
{
    struct json_walk w = {r->bytes, r->bytes + bytes_n};
    if (json_read_members(&w, names, MEMBERS_N, JSON_FOLDED, r->values) < 0) {
        WRONG(r, "the body is no JSON object, such as {\"prompt\": \"…\"}: what stands at byte %zu does not belong there, or is missing",
              (size_t)(w.at - r->bytes));
        return r->status;
    }
    read_stream(r);
    read_images(r);
    read_prompt(r);
    read_options(r);
    choose(r);
    return r->status;
}

int generate_read(struct generate *g, const struct generate_rules *rules, struct buf *body)
{
    char nothing[] = "", *end = nothing;
    struct run r = {.g = g, .rules = rules};
    *g = (struct generate){.is_stream = -1};
    if (buf_size(body) > 0 && buf_reserve(body, 0, &end) < 0)
        return -ENOMEM;
    r.bytes = end - buf_size(body);
    mistakes_init(&r.mistakes, g->why, sizeof g->why);
    int status = read_all(&r, buf_size(body));
    (void)mistakes_end(&r.mistakes);
    if (status)
        g->preset = NULL;
    return status ? status : change(&r, body);
}

const char *generate_error(int status, const char *model, const char *text, char room[GENERATE_WHY_BYTES])
{
    if (status != 404 || !*model)
        return text;
    snprintf(room, GENERATE_WHY_BYTES, "model '%s' is not installed; pull it by `ollama pull %s`, or set [proxy] pull_missing = yes", model, model);
    return room;
}
