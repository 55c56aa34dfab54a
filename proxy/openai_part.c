/*
 * See openai_part.h. An image's base64 is copied as it stands, as Ollama takes just that; what is in it is Ollama's to judge.
 * Addresses of images are not asked for: whoever can talk to us could make us read what is near us (as Ollama sees it, too).
 */
#include "proxy/openai_part.h"

#include <strings.h>

enum { PREFIX_BYTES = 64 };

enum { TYPE, TEXT, IMAGE_URL, INPUT_AUDIO, PART_N };
static const char *const part_names[] = {"type", "text", "image_url", "input_audio"};

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

/* An image's data: its address is a member of an object, or stands there bare. */
static struct json_text find_image(struct openai_ask *a, size_t index, size_t part_index, const struct json_value *image)
{
    static const char *const names[] = {"url"};
    const char *member = image->kind == JSON_OBJECT ? ".image_url.url" : ".image_url";
    struct json_value url = *image;
    if (image->kind == JSON_OBJECT)
        json_read_object(image, names, 1, JSON_FOLDED, &url);
    if (url.kind != JSON_STRING) {
        wrong(a, index, part_index, member, "must be a string: a data URI such as data:image/png;base64,…");
        return (struct json_text){NULL, 0};
    }
    struct json_text data = image_data(json_read_text(&url));
    if (is_web_address(json_read_text(&url)))
        wrong(a, index, part_index, member, "addresses of images are not read; send the image itself, as data:image/png;base64,…");
    else if (data.n == 0)
        wrong(a, index, part_index, member, "must be a data URI with base64 of a jpeg, png, webp or gif: data:image/png;base64,…");
    return data;
}

/* Ollama takes sound where it takes images. */
static struct json_text find_sound(struct openai_ask *a, size_t index, size_t part_index, const struct json_value *sound)
{
    static const char *const names[] = {"data"};
    struct json_value data;
    json_read_object(sound, names, 1, JSON_FOLDED, &data);
    if (data.kind == JSON_STRING && data.n > 2)
        return json_read_text(&data);
    wrong(a, index, part_index, ".input_audio.data", "must be base64 in a string");
    return (struct json_text){NULL, 0};
}

/* 1 where it is no text. */
static size_t write_text_part(struct openai_ask *a, size_t index, size_t part_index, const struct json_value *part, size_t *texts_n)
{
    struct json_value v[PART_N];
    json_read_object(part, part_names, PART_N, JSON_FOLDED, v);
    if (json_read_is(&v[TYPE], "image_url") || json_read_is(&v[TYPE], "input_audio"))
        return 1;
    if (!json_read_is(&v[TYPE], "text")) {
        wrong(a, index, part_index, ".type", "must be text, image_url or input_audio");
    } else if (v[TEXT].kind != JSON_STRING) {
        wrong(a, index, part_index, ".text", "must be a string");
    } else {
        struct json_text text = json_read_text(&v[TEXT]);
        json_write_text(&a->w, (*texts_n)++ ? "\\n\\n" : "");
        json_write_bytes(&a->w, text.at, text.n);
    }
    return 0;
}

static size_t write_media_part(struct openai_ask *a, size_t index, size_t part_index, const struct json_value *part, int is_first)
{
    struct json_value v[PART_N];
    json_read_object(part, part_names, PART_N, JSON_FOLDED, v);
    int is_image = json_read_is(&v[TYPE], "image_url");
    if (!is_image && !json_read_is(&v[TYPE], "input_audio"))
        return 0;
    struct json_text data = is_image ? find_image(a, index, part_index, &v[IMAGE_URL]) : find_sound(a, index, part_index, &v[INPUT_AUDIO]);
    json_write_text(&a->w, is_first ? "\"" : ",\"");
    json_write_bytes(&a->w, data.n ? data.at : "", data.n);
    json_write_text(&a->w, "\"");
    return 1;
}

void openai_parts(struct openai_ask *a, size_t index, const struct json_value *parts)
{
    struct json_items items;
    struct json_value part;
    size_t texts_n = 0, media_n = 0, written_n = 0;
    json_write_text(&a->w, "\"");
    json_items_init(&items, parts);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &part))
        media_n += write_text_part(a, index, items.read_n - 1, &part, &texts_n);
    json_write_text(&a->w, "\"");
    if (media_n == 0)
        return;
    json_write_text(&a->w, ",\"images\":[");
    json_items_init(&items, parts);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &part))
        written_n += write_media_part(a, index, items.read_n - 1, &part, written_n == 0);
    json_write_text(&a->w, "]");
}
