/* See json_blank.h. White space may stand between any two tokens of JSON. RFC 8259 section 2 */
#include "proxy/json_blank.h"

#include <string.h>

/* The same place, to be written to. */
static char *place(char *bytes, const char *at)
{
    return bytes + (at - bytes);
}

static void blank(char *bytes, const char *from, const char *to)
{
    memset(place(bytes, from), ' ', (size_t)(to - from));
}

void json_blank_keep(struct json_blank *b, const struct json_member *m)
{
    b->kept = m->value.at + m->value.n;
}

void json_blank_member(struct json_blank *b, const struct json_member *m)
{
    const char *end = m->value.at + m->value.n;
    if (m->is_last) {
        blank(b->bytes, b->kept ? b->kept : m->at, end);
        return;
    }
    while (*end != ',') /* white space */
        end++;
    blank(b->bytes, m->at, end + 1);
}

void json_blank_rename(struct json_blank *b, const struct json_member *m, const char *name)
{
    char *at = place(b->bytes, m->at);
    size_t n = strlen(name), room_n = m->name.n + 2;
    memset(at, ' ', room_n);
    at[0] = at[n + 1] = '"';
    memcpy(at + 1, name, n);
}

void json_blank_string(char *bytes, const struct json_value *string, struct json_text part)
{
    const char *end = part.at + part.n;
    blank(bytes, string->at, part.at);
    blank(bytes, end, string->at + string->n);
    *place(bytes, part.at - 1) = '"';
    *place(bytes, end) = '"';
}
