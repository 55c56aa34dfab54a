/*
 * See generate.h. All is read and judged before anything is changed (generate_change.c), so that every mistake is told at once. Of a
 * member that is null Ollama takes what it would take without it, and so do we: a preset's value comes in its place.
 */
#include "proxy/generate_run.h"

#include "common/parse.h"
#include "proxy/image_text.h"
#include "proxy/json_blank.h"

#include <errno.h>
#include <stdio.h>

enum { KNOWN_TEXT_BYTES = 320, FIELD_BYTES = 40 };

#define KIND(kind) (1U << (kind))

/* One status for all mistakes: that of the first, unless another one has another. */
static void count(struct generate_run *r, int status)
{
    r->status = r->status == 0 || r->status == status ? status : 400;
}

#define WRONG(r, ...) (count(r, 400), mistakes_add(&(r)->mistakes, __VA_ARGS__))

/* 1 where it is there and of one of these kinds; what: what it may be. */
static int is_a(struct generate_run *r, enum generate_member member, unsigned kinds, const char *what)
{
    const struct json_value *value = &r->values[member];
    if (!generate_is_there(r, member))
        return 0;
    if (KIND(value->kind) & kinds)
        return 1;
    WRONG(r, "%s: must be %s, not %s", generate_names[member], what, json_kind_name(value->kind));
    return 0;
}

/* A form, and many a page, writes an empty field for one that was left out. */
static int is_left_out(const struct generate_run *r, enum generate_member member)
{
    return !generate_is_there(r, member) || (r->values[member].kind == JSON_STRING && !generate_has_text(r, member));
}

static int is_named(struct generate_run *r, enum generate_member member, const char *what)
{
    return is_a(r, member, KIND(JSON_STRING), what) && generate_has_text(r, member);
}

static void read_stream(struct generate_run *r)
{
    const struct json_value *stream = &r->values[GENERATE_STREAM];
    r->g->is_stream = -1;
    if (is_a(r, GENERATE_STREAM, KIND(JSON_TRUE) | KIND(JSON_FALSE), "true or false, without quotes"))
        r->g->is_stream = stream->kind == JSON_TRUE;
}

/* *value becomes what stays of it. */
static void read_image(struct generate_run *r, struct json_value *value, const char *field)
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

static void read_images(struct generate_run *r)
{
    char field[FIELD_BYTES];
    struct json_items items;
    struct json_value item;
    if (generate_is_there(r, GENERATE_IMAGE) && generate_is_there(r, GENERATE_IMAGES))
        WRONG(r, "image: the same as images, which is there too; put all into images");
    if (is_a(r, GENERATE_IMAGE, KIND(JSON_STRING), "a string of base64 (several go into images)"))
        read_image(r, &r->values[GENERATE_IMAGE], generate_names[GENERATE_IMAGE]);
    (void)is_a(r, GENERATE_IMAGES, KIND(JSON_ARRAY), "an array of strings of base64");
    json_items_init(&items, &r->values[GENERATE_IMAGES]);
    while (!mistakes_are_many(&r->mistakes) && json_items_next(&items, &item)) {
        snprintf(field, sizeof field, "images[%zu]", items.read_n - 1);
        read_image(r, &item, field);
    }
}

/* Without a prompt Ollama only loads the model, and says nothing of an image. */
static void read_prompt(struct generate_run *r)
{
    int is_missing = !generate_is_there(r, GENERATE_PROMPT);
    if (generate_has_text(r, GENERATE_PROMPT))
        return;
    if (!is_missing && !is_a(r, GENERATE_PROMPT, KIND(JSON_STRING), "a string"))
        return;
    if (is_missing && generate_is_there(r, GENERATE_MESSAGES))
        WRONG(r, "prompt: missing; messages go to POST /api/chat, the text of this request is its prompt");
    else if (r->images_n > 0)
        WRONG(r, "prompt: %s; it must say what is to be done with the image", is_missing ? "missing" : "empty");
    else if (is_missing && !generate_has_text(r, GENERATE_MODEL))
        WRONG(r, "prompt: missing; it must be a string, of which an empty one only loads the model");
}

static void read_options(struct generate_run *r)
{
    const struct json_value *options = &r->values[GENERATE_OPTIONS];
    (void)is_a(r, GENERATE_OPTIONS, KIND(JSON_OBJECT), "an object");
    json_read_object(options, generate_batch_names, GENERATE_BATCH_N, JSON_EXACT, r->batch);
    const struct json_value *ours = &r->batch[GENERATE_BATCH_SIZE], *ollamas = &r->batch[GENERATE_NUM_BATCH];
    if (ours->kind != JSON_NULL && ours->kind != JSON_NUMBER)
        WRONG(r, "options.batch_size: must be a number, not %s", json_kind_name(ours->kind));
    else if (ours->at && ollamas->at && (ours->n != ollamas->n || memcmp(ours->at, ollamas->at, ours->n) != 0))
        WRONG(r, "options.batch_size: another number than options.num_batch, and both are one option; leave one out");
}

/* The generate_names of all presets, for who looks for one. */
static void list_presets(const struct presets *p, char out[KNOWN_TEXT_BYTES])
{
    size_t used_n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < p->items_n && used_n < KNOWN_TEXT_BYTES; i++)
        used_n += (size_t)snprintf(out + used_n, KNOWN_TEXT_BYTES - used_n, "%s%s", i ? ", " : "", p->items[i].name);
}

static const struct preset *find_named(struct generate_run *r)
{
    const struct presets *presets = r->rules->presets;
    char name[PRESET_NAME_BYTES], known[KNOWN_TEXT_BYTES];
    ssize_t n = json_decode(json_read_text(&r->values[GENERATE_PRESET]), name, sizeof name);
    const struct preset *preset = n > 0 ? presets_find(presets, name, (size_t)n) : NULL;
    list_presets(presets, known);
    if (!preset && presets->items_n == 0)
        WRONG(r, "preset: there are none here; models.json has them");
    else if (!preset)
        WRONG(r, "preset: there is none of this name; there are %s", known);
    return preset;
}

static const struct preset *find_for_use(struct generate_run *r)
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

/* Who generate_names a model has that one, and of a preset that it generate_names as well the rest. */
static void choose(struct generate_run *r)
{
    int has_model = is_named(r, GENERATE_MODEL, "the name of a model"), has_preset = is_named(r, GENERATE_PRESET, "the name of a preset");
    if (has_preset)
        r->options = find_named(r);
    else if (is_left_out(r, GENERATE_MODEL) && is_left_out(r, GENERATE_PRESET))
        r->options = find_for_use(r);
    r->g->preset = has_model ? NULL : r->options;
}

static int read_all(struct generate_run *r, size_t bytes_n)
{
    struct json_walk w = {r->bytes, r->bytes + bytes_n};
    if (json_read_members(&w, generate_names, GENERATE_MEMBERS_N, JSON_FOLDED, r->values) < 0) {
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
    struct generate_run r = {.g = g, .rules = rules};
    *g = (struct generate){.is_stream = -1};
    if (buf_size(body) > 0 && buf_reserve(body, 0, &end) < 0)
        return -ENOMEM;
    r.bytes = end - buf_size(body);
    mistakes_init(&r.mistakes, g->why, sizeof g->why);
    int status = read_all(&r, buf_size(body));
    (void)mistakes_end(&r.mistakes);
    if (status)
        g->preset = NULL;
    return status ? status : generate_change(&r, body);
}

const char *generate_error(int status, const char *model, const char *text, char room[GENERATE_WHY_BYTES])
{
    if (status != 404 || !*model)
        return text;
    if (parse_model_name(model, room) < 0) /* nothing to be pulled, nor to be pasted into a shell */
        return room;
    snprintf(room, GENERATE_WHY_BYTES, "model '%s' is not installed; pull it by `ollama pull %s`, or set [proxy] pull_missing = yes", model, model);
    return room;
}
