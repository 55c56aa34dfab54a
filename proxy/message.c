/*
 * See message.h. Plain data and look-ups; knows nothing of sockets, parsers or rules. The arena never moves
 * while spans are used, as a head is parsed only when all of it is there.
 */
#include "proxy/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MESSAGE_USUAL_BYTES = 512, MESSAGE_USUAL_FIELDS = 16 };

void message_init(struct message *m, size_t limit_bytes)
{
    *m = (struct message){.length_bytes = -1};
    buf_init(&m->text, limit_bytes);
}

void message_fini(struct message *m)
{
    buf_fini(&m->text);
    free(m->fields);
    message_init(m, m->text.limit_bytes);
}

void message_reset(struct message *m)
{
    struct message empty = {.length_bytes = -1, .text = m->text};
    empty.fields = m->fields;
    empty.fields_room_n = m->fields_room_n;
    buf_consume(&empty.text, buf_size(&empty.text));
    *m = empty;
}

int message_copy(struct message *to, const struct message *from)
{
    *to = *from;
    buf_init(&to->text, from->text.limit_bytes);
    to->fields_room_n = from->fields_n;
    to->fields = malloc((from->fields_n + 1) * sizeof *to->fields);
    if (!to->fields || buf_append(&to->text, buf_data(&from->text), buf_size(&from->text)) < 0) {
        message_fini(to);
        return -ENOMEM;
    }
    if (from->fields_n > 0)
        memcpy(to->fields, from->fields, from->fields_n * sizeof *to->fields);
    return 0;
}

void message_move_memory(struct message *from, struct message *to)
{
    if (!from->text.bytes && !from->fields)
        return;
    size_t limit_bytes = to->text.limit_bytes;
    buf_fini(&to->text);
    free(to->fields);
    to->text = from->text;
    to->text.limit_bytes = limit_bytes;
    to->text.head_n = to->text.tail_n = 0;
    to->fields = from->fields;
    to->fields_room_n = from->fields_room_n;
    buf_init(&from->text, from->text.limit_bytes);
    from->fields = NULL;
    from->fields_n = from->fields_room_n = 0;
    from->names = 0;
}

void message_rest(struct message *m)
{
    if (m->text.room_n > MESSAGE_USUAL_BYTES || m->fields_room_n > MESSAGE_USUAL_FIELDS)
        message_fini(m);
}

int message_add(struct message *m, struct span name, struct span value)
{
    if (m->fields_n == m->fields_room_n) {
        size_t room_n = m->fields_room_n ? m->fields_room_n * 2 : MESSAGE_USUAL_FIELDS;
        struct field *fields = realloc(m->fields, room_n * sizeof *fields);
        if (!fields)
            return -ENOMEM;
        m->fields = fields;
        m->fields_room_n = room_n;
    }
    m->fields[m->fields_n++] = (struct field){name, value};
    m->names |= message_name_kind(message_at(m, name), name.n);
    return 0;
}

int text_is_whole(const char *bytes, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(bytes, word, n) == 0;
}

int message_is(const struct message *m, struct span s, const char *word)
{
    return text_is(message_at(m, s), s.n, word);
}

int message_find_among(const struct message *m, const char *name, size_t name_n, size_t from)
{
    for (size_t i = from; i < m->fields_n; i++)
        if (m->fields[i].name.n == name_n && message_is(m, m->fields[i].name, name))
            return (int)i;
    return -1;
}

size_t message_count(const struct message *m, const char *name)
{
    size_t count = 0;
    for (int i = message_find(m, name, 0); i >= 0; i = message_find(m, name, (size_t)i + 1))
        count++;
    return count;
}

static int list_has(const char *list, size_t n, const char *token, size_t token_n)
{
    while (n > 0) {
        const char *comma = memchr(list, ',', n);
        size_t item_n = comma ? (size_t)(comma - list) : n;
        const char *item = list;
        size_t left_n = item_n;
        while (left_n > 0 && (*item == ' ' || *item == '\t'))
            item++, left_n--;
        while (left_n > 0 && (item[left_n - 1] == ' ' || item[left_n - 1] == '\t'))
            left_n--;
        if (left_n == token_n && strncasecmp(item, token, token_n) == 0)
            return 1;
        if (!comma)
            break;
        list += item_n + 1;
        n -= item_n + 1;
    }
    return 0;
}

int message_lists(const struct message *m, const char *name, const char *token, size_t token_n)
{
    for (int i = message_find(m, name, 0); i >= 0; i = message_find(m, name, (size_t)i + 1))
        if (list_has(message_at(m, m->fields[i].value), m->fields[i].value.n, token, token_n))
            return 1;
    return 0;
}

int message_has_token(const struct message *m, const char *name, const char *token)
{
    return message_lists(m, name, token, strlen(token));
}

static const struct {
    enum method method;
    const char *name;
} methods[] = {
    {METHOD_GET, "GET"},     {METHOD_HEAD, "HEAD"},     {METHOD_POST, "POST"},       {METHOD_PUT, "PUT"},
    {METHOD_PATCH, "PATCH"}, {METHOD_DELETE, "DELETE"}, {METHOD_OPTIONS, "OPTIONS"},
};

enum method method_from_name(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (n == strlen(methods[i].name) && memcmp(name, methods[i].name, n) == 0) /* case counts. RFC 9110 9.1 */
            return methods[i].method;
    return METHOD_OTHER;
}

const char *method_name(enum method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (methods[i].method == method)
            return methods[i].name;
    return "OTHER";
}
