/*
 * See openai_part.h. An image's base64 is copied as it stands, as Ollama takes just that; what is in it is Ollama's to judge.
 * Addresses of images are not asked for: whoever can talk to us could make us read what is near us (as Ollama sees it, too).
 */
#include "proxy/openai_part.h"

#include <strings.h>

enum { PREFIX_BYTES = 64 };

enum { TYPE, TEXT, IMAGE_URL, INPUT_AUDIO, REFUSAL, PART_N };
static const char *const part_names[] = {"type", "text", "image_url", "input_audio", "refusal"};

enum kind { KIND_OTHER, KIND_TEXT, KIND_IMAGE, KIND_SOUND };

/* Those of the Responses API, too: agents mix them. */
static enum kind kind_of(const struct json_value *type)
{
    static const struct {
        const char *type;
        enum kind kind;
    } rows[] = {{"text", KIND_TEXT},        {"image_url", KIND_IMAGE},  {"input_text", KIND_TEXT}, {"output_text", KIND_TEXT},
                {"refusal", KIND_TEXT},     {"input_image", KIND_IMAGE}, {"input_audio", KIND_SOUND}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json_read_is(type, rows[i].type))
            return rows[i].kind;
    return KIND_OTHER;
}

static void wrong(struct openai_ask *a, size_t index, size_t part_index, const char *member, const char *what)
{
    mistakes_add(&a->mistakes, "messages[%zu].content[%zu]%s: %s", index, part_index, member, what);
}

/* What stands behind the comma of a data URI (RFC 2397) of a kind of image that Ollama knows; n is 0 where it is none. */
static struct json_text image_data(struct json_text url)
{
    static const char *const prefixes[] = {"data:image/jpeg;base64", "data:image/jpg;base64", "data:image/png;base64",
                                           "data:image/webp;base64", "data:image/gif;base64", "data:;base64"};
    char decoded[PREFIX_BYTES];
    const char *comma = memchr(url.at, ',', url.n < 2 * PREFIX_BYTES ? url.n : 2 * PREFIX_BYTES);
    struct json_text prefix = {url.at, comma ? (size_t)(comma - url.at) : 0};
    if (!comma || json_decode(prefix, decoded, sizeof decoded) < 0)
        return (struct json_text){NULL, 0};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strcasecmp(decoded, prefixes[i]) == 0)
            return (struct json_text){comma + 1, url.n - prefix.n - 1};
    return (struct json_text){NULL, 0};
}

static int is_web_address(struct json_text url)
{
    return (url.n > 4 && strncasecmp(url.at, "http:", 5) == 0) || (url.n > 5 && strncasecmp(url.at, "https:", 6) == 0);
}

/* base64 of whole letters, but for its padding, as Ollama reads it; -1 where it is none. Its = that are missing: how many. */
static int missing_pads(struct json_text data)
{
    size_t letters_n = 0, pads_n = 0;
    for (size_t i = 0; i < data.n; i++) {
        char c = data.at[i];
        if (c == '\\') { /* as JSON may write it: \/, \u002B and \u003d are letters, line ends count for nothing */
            size_t escape_n = json_escape_char(data.at + i, data.n - i, &c);
            if (escape_n == 0)
                return -1;
            i += escape_n - 1;
            if (c == '\n' || c == '\r')
                continue;
        }
        if (c == '=')
            pads_n++;
        else if (pads_n == 0 && ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/'))
            letters_n++;
        else
            return -1;
    }
    size_t wanted_n = (4 - letters_n % 4) % 4;
    return wanted_n == 3 || pads_n > wanted_n || (pads_n > 0 && pads_n < wanted_n) ? -1 : (int)(wanted_n - pads_n);
}

static void tell_blind(struct openai_ask *a, size_t index, size_t part_index)
{
    mistakes_add(&a->mistakes, "messages[%zu].content[%zu]: the model \"%.*s\" does not see images; choose one that does, or leave the image out", index,
                 part_index, PREFIX_BYTES, a->t->model);
}

/* An image's data: its address is a member of an object, or stands there bare. */
static struct json_text find_image(struct openai_ask *a, size_t index, size_t part_index, const struct json_value *image)
{
    static const char *const names[] = {"url"};
    static const struct json_text none = {NULL, 0};
    const char *member = image->kind == JSON_OBJECT ? ".image_url.url" : ".image_url";
    struct json_value url = *image;
    if (image->kind == JSON_OBJECT)
        json_read_object(image, names, 1, JSON_FOLDED, &url);
    if (url.kind != JSON_STRING) {
        wrong(a, index, part_index, member, "must be a string: a data URI such as data:image/png;base64,…");
        return none;
    }
    struct json_text data = image_data(json_read_text(&url));
    const char *why = NULL;
    if (is_web_address(json_read_text(&url)))
        why = "addresses of images are not read; send the image itself, as data:image/png;base64,…";
    else if (data.n == 0)
        why = "must be a data URI with base64 of a jpeg, png, webp or gif: data:image/png;base64,…";
    else if (missing_pads(data) < 0)
        why = "what stands behind the comma is no base64 (RFC 4648 section 4)";
    if (why)
        wrong(a, index, part_index, member, why);
    else if (a->t->lacks & TRANSLATE_IMAGES)
        tell_blind(a, index, part_index);
    a->t->needs |= TRANSLATE_IMAGES;
    return why ? none : data;
}

/* Ollama takes sound where it takes images. */
static struct json_text find_sound(struct openai_ask *a, size_t index, size_t part_index, const struct json_value *sound)
{
    static const char *const names[] = {"data"};
    struct json_value data;
    json_read_object(sound, names, 1, JSON_FOLDED, &data);
    if (data.kind == JSON_STRING && data.n > 2 && missing_pads(json_read_text(&data)) >= 0)
        return json_read_text(&data);
    wrong(a, index, part_index, ".input_audio.data", "must be base64 in a string");
    return (struct json_text){NULL, 0};
}

/* The text of a part, which may be missing; as a string of its own, too. */
static int text_of(const struct json_value *part, struct json_value *out)
{
    struct json_value v[PART_N];
    *out = *part;
    if (part->kind != JSON_OBJECT)
        return part->kind == JSON_STRING;
    json_read_object(part, part_names, PART_N, JSON_FOLDED, v);
    *out = v[openai_is_there(&v[TEXT]) ? TEXT : REFUSAL];
    return openai_is_there(out) && (!openai_is_there(&v[TYPE]) || kind_of(&v[TYPE]) == KIND_TEXT);
}

/* A string as it stands; anything else as JSON in one. */
static void write_text(struct openai_ask *a, const struct json_value *text)
{
    if (text->kind == JSON_STRING)
        json_write_bytes(&a->w, text->at + 1, text->n - 2);
    else
        json_write_quoted(&a->w, text->at, text->n);
}

int openai_parts_text(struct openai_ask *a, const struct json_value *content, int is_behind)
{
    struct json_items items;
    struct json_value part, text;
    if (content->kind != JSON_ARRAY) {
        if (openai_is_there(content))
            write_text(a, content);
        return is_behind || (openai_is_there(content) && !(content->kind == JSON_STRING && content->n == 2));
    }
    json_items_init(&items, content);
    for (int is_first = 1; json_items_next(&items, &part);) {
        if (!text_of(&part, &text))
            continue;
        json_write_text(&a->w, is_first ? "" : "\\n\\n");
        write_text(a, &text);
        is_first = 0;
        is_behind = 1;
    }
    return is_behind;
}

static struct json_text media_of(struct openai_ask *a, size_t index, size_t part_index, const struct json_value *part)
{
    struct json_value v[PART_N];
    json_read_object(part, part_names, PART_N, JSON_FOLDED, v);
    enum kind kind = openai_is_there(&v[TYPE]) ? kind_of(&v[TYPE]) : KIND_OTHER;
    if (kind == KIND_IMAGE)
        return find_image(a, index, part_index, &v[IMAGE_URL]);
    return kind == KIND_SOUND ? find_sound(a, index, part_index, &v[INPUT_AUDIO]) : (struct json_text){NULL, 0};
}

void openai_parts_images(struct openai_ask *a, size_t index, const struct json_value *content)
{
    static const char pads[] = "==";
    struct json_items items;
    struct json_value part;
    size_t written_n = 0;
    json_items_init(&items, content);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &part)) {
        struct json_text data = part.kind == JSON_OBJECT ? media_of(a, index, items.read_n - 1, &part) : (struct json_text){NULL, 0};
        if (data.n == 0)
            continue;
        json_write_text(&a->w, written_n++ ? ",\"" : ",\"images\":[\"");
        json_write_bytes(&a->w, data.at, data.n);
        json_write_bytes(&a->w, pads, (size_t)missing_pads(data));
        json_write_text(&a->w, "\"");
    }
    if (written_n > 0)
        json_write_text(&a->w, "]");
}
