/* See json_read.h. Names are compared as bytes first: those of an answer, of which there is one for each token, are hardly ever others. */
#include "common/json_read.h"

#include "common/json_ends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Whether a name may be another writing of one that begins with this letter: its first character is the same, or is escaped, or beyond
 * ASCII. Most are not, and nothing is looked at but that. An empty one has its quote there. */
static int may_begin(struct json_text name, char first)
{
    char c = *name.at;
    return c == first || (c >= 'A' && c <= 'Z' && c - 'A' + 'a' == first) || c == '\\' || (unsigned char)c >= 0x80;
}

static size_t name_index(struct json_text name, const char *const *names, size_t names_n, enum json_match least)
{
    for (size_t i = 0; i < names_n; i++)
        if (*names[i] == *name.at && strlen(names[i]) == name.n && memcmp(names[i], name.at, name.n) == 0)
            return i;
    for (size_t i = 0; i < names_n && least == JSON_FOLDED; i++)
        if (may_begin(name, *names[i]) && json_match(name, names[i]) != JSON_OTHER)
            return i;
    return names_n;
}

static void forget(struct json_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (struct json_value){.kind = JSON_NULL};
}

int json_read_members(struct json_walk *w, const char *const *names, size_t names_n, enum json_match least,
                      struct json_value *values)
{
    struct json_member m = {.is_last = 0};
    forget(values, names_n);
    int got = json_take(w, '{') ? 1 : -EINVAL;
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(w, is_first, &m);
        size_t i = got == 1 ? name_index(m.name, names, names_n, least) : names_n;
        if (i < names_n)
            values[i] = m.value.kind == JSON_NULL ? (struct json_value){.kind = JSON_NULL} : m.value;
    }
    return got < 0 ? got : 0;
}

void json_read_object(const struct json_value *object, const char *const *names, size_t names_n, enum json_match least,
                      struct json_value *values)
{
    struct json_walk w = {object->at, object->at};
    if (object->kind == JSON_OBJECT)
        w.end += object->n;
    if (json_read_members(&w, names, names_n, least, values) < 0)
        forget(values, names_n);
}

void json_items_init(struct json_items *items, const struct json_value *array)
{
    *items = (struct json_items){.is_over = array->kind != JSON_ARRAY};
    if (!items->is_over)
        items->w = (struct json_walk){array->at + 1, array->at + array->n};
}

int json_items_next(struct json_items *items, struct json_value *out)
{
    if (items->is_over || (items->read_n == 0 && json_take(&items->w, ']')) || json_value(&items->w, out) < 0) {
        items->is_over = 1;
        return 0;
    }
    items->read_n++;
    items->is_over = !json_take(&items->w, ',');
    return 1;
}

int json_read_is(const struct json_value *value, const char *text)
{
    char decoded[64];
    size_t text_n = strlen(text);
    if (value->kind != JSON_STRING || value->n < text_n + 2) /* decoded, it does not become longer */
        return 0;
    if (value->n == text_n + 2 && memcmp(value->at + 1, text, text_n) == 0) /* as nearly always */
        return 1;
    return json_decode(json_read_text(value), decoded, sizeof decoded) >= 0 && strcasecmp(decoded, text) == 0;
}

uint64_t json_read_count(const struct json_value *value)
{
    int64_t n = value->kind == JSON_NUMBER ? json_text_number((struct json_text){value->at, value->n}) : 0;
    return n > 0 ? (uint64_t)n : 0;
}

int json_read_number(const char *json, size_t json_n, double *out)
{
    static const double most = 9007199254740992.0;
    char text[64], *end;
    if (json_n >= sizeof text)
        return -EINVAL;
    memcpy(text, json, json_n);
    text[json_n] = '\0';
    *out = strtod(text, &end);
    return end == text + json_n && json_n > 0 && *out > -most && *out < most ? 0 : -EINVAL;
}
