/*
 * See form_field.h. What is not a text is written as it comes, too, and looked at where it stands when it is whole. After the first
 * mistake nothing is kept any more, but the rest is still read for others, so that all are told at once.
 */
#include "proxy/form_field.h"

#include "common/diag.h"
#include "common/json_walk.h"
#include "common/keep_alive.h"
#include "common/utf8.h"
#include "proxy/image_text.h"

#include <errno.h>
#include <strings.h>

enum form_how { TEXT, NAME, BOOLEAN, THINK, OBJECT, FORMAT, KEEP_ALIVE, NUMBER, NUMBERS, IMAGE };

struct form_kind {
    char name[16], member[16]; /* no pointers, which take more */
    enum form_how how;
    const char *what; /* it must be */
};

/* As /api/generate has them (api/types.go, GenerateRequest), `preset` and `priority`. */
static const struct form_kind kinds[] = {
    {"prompt", "prompt", TEXT, NULL},
    {"image", "images", IMAGE, NULL},
    {"images", "images", IMAGE, NULL},
    {"images[]", "images", IMAGE, NULL},
    {"model", "model", NAME, NULL},
    {"preset", "preset", NAME, NULL},
    {"stream", "stream", BOOLEAN, "true or false"},
    {"options", "options", OBJECT, "a JSON object, such as {\"num_ctx\":1024}"},
    {"system", "system", TEXT, NULL},
    {"format", "format", FORMAT, "json, or a JSON schema"},
    {"suffix", "suffix", TEXT, NULL},
    {"template", "template", TEXT, NULL},
    {"raw", "raw", BOOLEAN, "true or false"},
    {"keep_alive", "keep_alive", KEEP_ALIVE, "a duration such as 5m, or a number of seconds"},
    {"think", "think", THINK, "true, false, low, medium or high"},
    {"context", "context", NUMBERS, "a JSON array of numbers"},
    {"priority", "priority", NUMBER, "a whole number from 0 to 9"},
};
enum { KINDS_N = sizeof kinds / sizeof *kinds, SHORT_BYTES = 64 };

const char *form_field_name(size_t place)
{
    return place < KINDS_N ? kinds[place].name : NULL;
}

void form_fields_begin(struct form_fields *f, struct buf *out, uint64_t image_bytes_max)
{
    *f = (struct form_fields){.out = out, .image_bytes_max = image_bytes_max};
    mistakes_init(&f->mistakes, f->why, sizeof f->why);
}

/* The field is wrong: nothing more of it is looked at. */
static void wrong(struct form_fields *f, const char *what)
{
    mistakes_add(&f->mistakes, "%s: %s", f->name, what);
    f->kind = NULL;
}

static void wrong_name(struct form_fields *f, const char *name)
{
    const char *names[KINDS_N + 1] = {NULL};
    for (size_t i = 0; i < KINDS_N; i++)
        names[i] = kinds[i].name;
    const char *nearest = diag_nearest(name, names);
    mistakes_add(&f->mistakes, "%s: there is no such field%s%s%s", name, nearest ? "; did you mean " : " here",
                 nearest ? nearest : "", nearest ? "?" : "");
}

static const struct form_kind *find(const char *name)
{
    for (size_t i = 0; i < KINDS_N; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* Whether there was a field for the same member already; from now on there was. */
static int is_again(struct form_fields *f)
{
    unsigned bit = 0;
    for (unsigned i = 0; i < KINDS_N && !bit; i++)
        bit = strcmp(kinds[i].member, f->kind->member) == 0 ? 1u << i : 0;
    int was_seen = (f->seen & bit) != 0;
    f->seen |= bit;
    return was_seen;
}

void form_field_begin(struct form_fields *f, const struct form_part *part, unsigned number)
{
    f->kind = find(part->name);
    f->name = f->kind ? f->kind->name : "";
    f->is_begun = 0;
    f->carry_n = 0;
    f->bytes_n = 0;
    f->is_unnamed = part->is_unnamed;
    f->image_as = part->is_file ? FORM_IMAGE_BYTES : FORM_IMAGE_UNKNOWN;
    f->base64 = (struct base64_encoder){.held_n = 0};
    image_init(&f->image, f->image_bytes_max);
    if (!f->kind && *part->name)
        wrong_name(f, part->name);
    else if (!f->kind)
        mistakes_add(&f->mistakes, "part %u: its name is empty", number);
    else if (f->kind->how == IMAGE) /* counts from its first byte on */
        return;
    else if (is_again(f))
        wrong(f, "is there more than once");
    else if (part->is_foreign_charset)
        wrong(f, "must be UTF-8");
}

/* Whether what comes is to be kept: else it is only looked at. */
static int is_kept(const struct form_fields *f)
{
    return f->mistakes.found_n == 0 || (f->kind->how != TEXT && f->kind->how != NAME && f->kind->how != IMAGE);
}

static int is_string(const struct form_fields *f)
{
    return f->kind->how == TEXT || f->kind->how == NAME;
}

/* The member's name, and how its value begins. */
static int begin_member(struct form_fields *f)
{
    if (f->is_begun || !is_kept(f))
        return 0;
    f->is_begun = 1;
    f->member_at = buf_size(f->out);
    int error = buf_printf(f->out, "%s\"%s\":%s", f->member_at ? "," : "{", f->kind->member, f->kind->how == IMAGE ? "[" : "");
    f->value_at = buf_size(f->out);
    return error || (f->kind->how != IMAGE && !is_string(f)) ? error : buf_text(f->out, "\"");
}

/* How long a character is that begins with this byte; 0: none does. */
static size_t character_bytes(char first)
{
    unsigned char c = (unsigned char)first;
    return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

/* How many of the bytes are whole characters, if they are characters: the last one may not be. */
static size_t whole_bytes(const char *bytes, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        char c = bytes[n - back];
        if ((c & 0xc0) != 0x80)
            return character_bytes(c) > back ? n - back : n;
    }
    return n;
}

static int is_utf8(const char *bytes, size_t n)
{
    uint32_t point;
    for (size_t i = 0, step; i < n; i += step) {
        step = (unsigned char)bytes[i] < 0x80 ? 1 : utf8_decode(bytes + i, n - i, &point);
        if (step == 0)
            return 0;
    }
    return 1;
}

/* Whole characters, or what should be some. */
static int put_text(struct form_fields *f, const char *bytes, size_t n)
{
    if (!is_utf8(bytes, n)) {
        wrong(f, "must be UTF-8");
        return 0;
    }
    if (!is_kept(f))
        return 0;
    return is_string(f) ? buf_json_text(f->out, bytes, n) : buf_append(f->out, bytes, n);
}

static int feed_text(struct form_fields *f, const char *bytes, size_t n)
{
    int error = begin_member(f);
    while (!error && f->kind && f->carry_n > 0 && n > 0) {
        f->carry[f->carry_n++] = *bytes++;
        n--;
        if (f->carry_n < character_bytes(f->carry[0]) && (f->carry[f->carry_n - 1] & 0xc0) == 0x80)
            continue; /* it may still become one */
        error = put_text(f, f->carry, f->carry_n);
        f->carry_n = 0;
    }
    if (error || !f->kind || n == 0)
        return error;
    size_t whole_n = whole_bytes(bytes, n);
    f->carry_n = n - whole_n;
    memcpy(f->carry, bytes + whole_n, f->carry_n);
    return put_text(f, bytes, whole_n);
}

/* What is wrong with an image: 413 and 415 end it all, as more of it would be for nothing. */
static int judge_image(struct form_fields *f)
{
    char why[IMAGE_WHY_BYTES];
    int status = f->image.status;
    image_why(&f->image, why, sizeof why);
    wrong(f, why);
    return status == 400 ? 0 : status;
}

static int feed_image_bytes(struct form_fields *f, const char *bytes, size_t n)
{
    char *at;
    if (image_feed(&f->image, bytes, n))
        return judge_image(f);
    if (!is_kept(f))
        return 0;
    int error = buf_reserve(f->out, BASE64_LETTERS(n), &at);
    if (!error)
        buf_commit(f->out, base64_encode(&f->base64, bytes, n, at));
    return error;
}

/* Lines of 64 letters and more, and a data URI's head. */
static uint64_t letters_max(const struct form_fields *f)
{
    uint64_t letters = BASE64_LETTERS(f->image_bytes_max);
    return letters + letters / 32 + 256;
}

/* What is no letter of ASCII is written as one sign, byte by byte: so it does not matter where a character was cut. It is found to be
 * no letter of base64 when all is there. */
static int put_letters(struct form_fields *f, const char *bytes, size_t n)
{
    int error = 0;
    for (size_t at = 0, next; at < n && !error; at = next + (next < n)) {
        for (next = at; next < n && (unsigned char)bytes[next] < 0x80;)
            next++;
        error = buf_json_text(f->out, bytes + at, next - at);
        if (!error && next < n)
            error = buf_text(f->out, "\xef\xbf\xbd"); /* U+FFFD */
    }
    return error;
}

static int feed_image_letters(struct form_fields *f, const char *bytes, size_t n)
{
    if (f->bytes_n > letters_max(f)) {
        image_refuse_length(&f->image);
        return judge_image(f);
    }
    return is_kept(f) ? put_letters(f, bytes, n) : 0;
}

static int feed_image_as(struct form_fields *f, const char *bytes, size_t n)
{
    if (n == 0)
        return 0;
    return f->image_as == FORM_IMAGE_BYTES ? feed_image_bytes(f, bytes, n) : feed_image_letters(f, bytes, n);
}

/* The first bytes are there: bytes of an image, or letters? */
static int tell_apart(struct form_fields *f)
{
    struct image first;
    size_t n = f->carry_n;
    image_init(&first, UINT64_MAX);
    image_feed(&first, f->carry, n);
    f->image_as = first.kind != IMAGE_NONE ? FORM_IMAGE_BYTES : FORM_IMAGE_LETTERS;
    f->carry_n = 0;
    return feed_image_as(f, f->carry, n);
}

static int feed_image(struct form_fields *f, const char *bytes, size_t n)
{
    int error = 0;
    if (n > 0 && f->bytes_n == 0 && is_again(f)) {
        wrong(f, "is there more than once; one image is taken");
        return 0;
    }
    f->bytes_n += n;
    if (n > 0)
        error = begin_member(f);
    if (f->image_as == FORM_IMAGE_UNKNOWN && !error) {
        for (; f->carry_n < FORM_SNIFF_BYTES && n > 0; n--)
            f->carry[f->carry_n++] = *bytes++;
        if (f->carry_n == FORM_SNIFF_BYTES)
            error = tell_apart(f);
    }
    return error || !f->kind ? error : feed_image_as(f, bytes, n);
}

int form_field_feed(struct form_fields *f, const char *bytes, size_t bytes_n)
{
    if (!f->kind)
        return 0;
    return f->kind->how == IMAGE ? feed_image(f, bytes, bytes_n) : feed_text(f, bytes, bytes_n);
}

/* The base64 that was sent is whole: it is looked at where it stands. */
static int end_image_letters(struct form_fields *f)
{
    char why[IMAGE_WHY_BYTES];
    struct image_text text;
    struct json_value string = {JSON_STRING, buf_data(f->out) + f->value_at, buf_size(f->out) - f->value_at};
    int status = image_text_read(&text, &string, f->image_bytes_max, why, sizeof why);
    if (status == 0)
        return buf_text(f->out, "]");
    wrong(f, why);
    return status == 400 ? 0 : status;
}

static int end_image_bytes(struct form_fields *f)
{
    char rest[4];
    if (image_end(&f->image))
        return judge_image(f);
    if (!is_kept(f))
        return 0;
    int error = buf_append(f->out, rest, base64_encode_end(&f->base64, rest));
    return error ? error : buf_text(f->out, "\"]");
}

static int end_image(struct form_fields *f)
{
    int error = 0;
    if (f->bytes_n == 0 && (f->is_unnamed || f->image_as == FORM_IMAGE_UNKNOWN)) /* nothing was chosen */
        return 0;
    if (f->image_as == FORM_IMAGE_UNKNOWN)
        error = tell_apart(f);
    if (error || !f->kind || f->image_as == FORM_IMAGE_BYTES)
        return error || !f->kind ? error : end_image_bytes(f);
    error = is_kept(f) ? buf_text(f->out, "\"") : 0;
    return error || !is_kept(f) ? error : end_image_letters(f);
}

/* What was sent for a field that is no text, without white space around it. */
static struct json_text sent(const struct form_fields *f)
{
    const char *at = buf_data(f->out) + f->value_at, *end = buf_data(f->out) + buf_size(f->out);
    while (at < end && strchr(" \t\r\n", *at) && *at)
        at++;
    while (at < end && strchr(" \t\r\n", end[-1]) && end[-1])
        end--;
    return (struct json_text){at, (size_t)(end - at)};
}

/* Whether it is one whole JSON value, and of which kind. */
static int is_json(struct json_text text, enum json_kind *kind, struct json_value *value)
{
    struct json_walk w = {text.at, text.at + text.n};
    if (json_value(&w, value) < 0 || w.at != w.end)
        return 0;
    *kind = value->kind;
    return 1;
}

static int is_numbers(const struct json_value *array)
{
    struct json_walk w = {array->at + 1, array->at + array->n};
    struct json_value item;
    if (json_take(&w, ']'))
        return 1;
    do
        if (json_value(&w, &item) < 0 || item.kind != JSON_NUMBER)
            return 0;
    while (json_take(&w, ','));
    return 1;
}

/* A word becomes another text; 0 where it is none of them. *text: NULL where it can stand as it is. */
static int read_word(enum form_how how, const char *word, const char **text)
{
    static const struct {
        const char *word, *text;
        unsigned hows;
    } words[] = {
        {"true", "true", 1u << BOOLEAN | 1u << THINK},   {"false", "false", 1u << BOOLEAN | 1u << THINK}, {"1", "true", 1u << BOOLEAN | 1u << THINK},
        {"0", "false", 1u << BOOLEAN | 1u << THINK},     {"low", "\"low\"", 1u << THINK},                 {"medium", "\"medium\"", 1u << THINK},
        {"high", "\"high\"", 1u << THINK},               {"json", "\"json\"", 1u << FORMAT},              {"\"json\"", "\"json\"", 1u << FORMAT},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if ((words[i].hows & 1u << how) && strcasecmp(words[i].word, word) == 0) {
            *text = words[i].text;
            return 1;
        }
    }
    return 0;
}

/* A JSON value that may stand as it was sent. */
static int is_fit(enum form_how how, struct json_text text)
{
    enum json_kind kind = JSON_NULL;
    struct json_value value;
    int64_t ms;
    if (!is_json(text, &kind, &value))
        return 0;
    if (how == KEEP_ALIVE)
        return (kind == JSON_NUMBER || kind == JSON_STRING) && keep_alive_read(text.at, text.n, &ms) == 0;
    if (how == NUMBERS)
        return kind == JSON_ARRAY && is_numbers(&value);
    if (how == NUMBER)
        return kind == JSON_NUMBER;
    return (how == OBJECT || how == FORMAT) && kind == JSON_OBJECT;
}

/* Puts this in the place of what was sent. */
static int replace(struct form_fields *f, const char *json)
{
    buf_truncate(f->out, f->value_at);
    return buf_text(f->out, json);
}

static int end_value(struct form_fields *f)
{
    char word[SHORT_BYTES], quoted[SHORT_BYTES + 2] = "\"";
    const char *json;
    struct json_text text = sent(f);
    int64_t ms;
    if (text.n == 0) { /* an input of a browser's form that was left empty */
        buf_truncate(f->out, f->member_at);
        return 0;
    }
    if (is_fit(f->kind->how, text))
        return 0;
    size_t n = text.n < sizeof word && !memchr(text.at, '\0', text.n) ? text.n : 0;
    memcpy(word, text.at, n);
    word[n] = '\0';
    if (read_word(f->kind->how, word, &json))
        return replace(f, json);
    memcpy(quoted + 1, word, n);
    memcpy(quoted + 1 + n, "\"", 2);
    if (f->kind->how == KEEP_ALIVE && !strpbrk(word, "\"\\") && keep_alive_read(quoted, n + 2, &ms) == 0)
        return replace(f, quoted);
    mistakes_add(&f->mistakes, "%s: must be %s", f->name, f->kind->what);
    return 0;
}

static int end_text(struct form_fields *f)
{
    int error = begin_member(f); /* one without a byte */
    if (error || f->carry_n > 0) {
        if (!error)
            wrong(f, "must be UTF-8");
        return error;
    }
    if (!is_string(f))
        return end_value(f);
    if (!is_kept(f))
        return 0;
    if (f->kind->how == NAME && buf_size(f->out) == f->value_at + 1) {
        buf_truncate(f->out, f->member_at);
        return 0;
    }
    return buf_text(f->out, "\"");
}

int form_field_end(struct form_fields *f)
{
    int error = !f->kind ? 0 : f->kind->how == IMAGE ? end_image(f) : end_text(f);
    if (f->mistakes.found_n > 0)
        buf_release(f->out);
    f->kind = NULL;
    return error;
}

int form_fields_end(struct form_fields *f)
{
    return buf_text(f->out, buf_size(f->out) ? "}" : "{}");
}
