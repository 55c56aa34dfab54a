/* See ollama_image.h. A data URI says what is in it, which Ollama's clients do not: its first bytes do. */
#include "proxy/ollama_image.h"

#include "proxy/base64.h"
#include "proxy/image.h"

#include <ctype.h>
#include <strings.h>

enum { LETTERS_MAX = 64 }; /* whatever tells a kind from another stands within */

/* As they stand between quotes: letters may be escaped there (\/, \u002B), and line ends, which do not count. 0: an escape that has no place
 * in base64. */
static size_t letter_at(struct json_text data, size_t i, char *letter)
{
    *letter = data.at[i];
    if (*letter != '\\')
        return 1;
    size_t escape_n = json_escape_char(data.at + i, data.n - i, letter);
    if (*letter == '\n' || *letter == '\r')
        *letter = '\0';
    else if (!isalnum((unsigned char)*letter) && !strchr("+/=", *letter))
        return 0;
    return escape_n;
}

static const char *kind_of(struct json_text data)
{
    static const char *const kinds[] = {[IMAGE_NONE] = NULL, [IMAGE_PNG] = "png", [IMAGE_JPEG] = "jpeg", [IMAGE_WEBP] = "webp", [IMAGE_GIF] = "gif"};
    char letters[LETTERS_MAX];
    unsigned char bytes[BASE64_BYTES(LETTERS_MAX)];
    struct base64_decoder decoder = {0};
    struct image image;
    size_t letters_n = 0, bytes_n = 0;
    for (size_t i = 0, step; i < data.n && letters_n < LETTERS_MAX; i += step) {
        step = letter_at(data, i, &letters[letters_n]);
        if (step == 0)
            return NULL;
        letters_n += letters[letters_n] != '\0';
    }
    if (base64_decode(&decoder, letters, letters_n, bytes, &bytes_n) != BASE64_FINE)
        return NULL;
    image_init(&image, UINT64_MAX);
    (void)image_feed(&image, bytes, bytes_n);
    return kinds[image.kind];
}

/* Without line ends, which have no place in an address. 0, or -1 where it is no base64. */
static int write_data(struct openai_ask *a, struct json_text data)
{
    for (size_t i = 0, from = 0; i <= data.n;) {
        const char *escape = memchr(data.at + i, '\\', data.n - i);
        size_t at = escape ? (size_t)(escape - data.at) : data.n;
        char letter = '\0';
        size_t escape_n = escape ? letter_at(data, at, &letter) : 1;
        if (escape_n == 0)
            return -1;
        if (letter == '\0') {
            json_write_bytes(&a->w, data.at + from, at - from);
            from = at + escape_n;
        }
        i = at + escape_n;
    }
    return 0;
}

static void write_image(struct openai_ask *a, const struct json_value *image, const char *where, size_t index)
{
    struct json_text data = image->kind == JSON_STRING ? json_read_text(image) : (struct json_text){"", 0};
    int is_uri = data.n > 11 && strncasecmp(data.at, "data:image/", 11) == 0;
    const char *kind = is_uri ? "" : kind_of(data);
    if (!kind) {
        mistakes_add(&a->mistakes, "%s[%zu]: must be base64 of a PNG, JPEG, WebP or GIF", where, index);
        return;
    }
    json_write_text(&a->w, ",{\"type\":\"image_url\",\"image_url\":{\"url\":\"");
    if (!is_uri) {
        json_write_text(&a->w, "data:image/");
        json_write_text(&a->w, kind);
        json_write_text(&a->w, ";base64,");
    }
    if (write_data(a, data) < 0)
        mistakes_add(&a->mistakes, "%s[%zu]: no base64", where, index);
    json_write_text(&a->w, "\"}}");
}

void ollama_content(struct openai_ask *a, const struct json_value *text, const struct json_value *images, const char *where)
{
    static const struct json_value empty = {JSON_STRING, "\"\"", 2};
    struct json_items items;
    struct json_value image;
    size_t images_n = 0;
    if (text->kind != JSON_STRING)
        text = &empty;
    if (openai_is_a(a, images, OPENAI_KIND(JSON_ARRAY), where, "an array"))
        for (json_items_init(&items, images); json_items_next(&items, &image);)
            images_n += image.kind != JSON_NULL;
    if (images_n == 0) {
        json_write_value(&a->w, text);
        return;
    }
    json_write_text(&a->w, "[{\"type\":\"text\",\"text\":");
    json_write_value(&a->w, text);
    json_write_text(&a->w, "}");
    json_items_init(&items, images);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &image))
        if (image.kind != JSON_NULL)
            write_image(a, &image, where, items.read_n - 1);
    json_write_text(&a->w, "]");
}
