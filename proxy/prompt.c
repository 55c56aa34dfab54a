/* See prompt.h. Each message is walked for its members once; strings are counted where they stand. */
#include "proxy/prompt.h"

#include "common/json_read.h"
#include "common/utf8.h"
#include "proxy/json_write.h"
#include "proxy/openai_tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM_N = 16, UNICODE_ESCAPE_N = 6 };

/* Which half of a pair an escape of four digits is: d8 to db the first, dc to df the second (RFC 8259 section 7). */
static int is_half(const char *at, const char *end, const char *letters)
{
    return end - at >= UNICODE_ESCAPE_N && at[0] == '\\' && at[1] == 'u' && (at[2] == 'd' || at[2] == 'D') && memchr(letters, at[3], strlen(letters));
}

/* At a backslash: how long the escape of one code point is. */
static size_t escape_bytes(const char *at, const char *end)
{
    size_t n = end - at > 1 && at[1] == 'u' ? UNICODE_ESCAPE_N : 2;
    if (is_half(at, end, "89abAB") && is_half(at + UNICODE_ESCAPE_N, end, "cdefCDEF"))
        n += UNICODE_ESCAPE_N;
    return n < (size_t)(end - at) ? n : (size_t)(end - at);
}

size_t prompt_string_chars(struct json_text text)
{
    const char *at = text.at, *end = at + text.n;
    size_t chars_n = 0;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at)), *plain_end = slash ? slash : end;
        chars_n += utf8_count(at, (size_t)(plain_end - at));
        at = plain_end;
        if (slash) {
            at += escape_bytes(slash, end);
            chars_n++;
        }
    }
    return chars_n;
}

static enum prompt_role role_of(const struct json_value *role)
{
    static const char *const names[] = {"system", "user", "assistant", "tool"};
    int i = PROMPT_SYSTEM;
    while (i < PROMPT_OTHER && !json_read_is(role, names[i]))
        i++;
    return (enum prompt_role)i;
}

static void read_message(struct prompt_message *m, const struct json_value *whole)
{
    static const char *const names[] = {"role", "content", "tool_calls"};
    static const struct json_value none = {.kind = JSON_NULL};
    struct json_value v[3];
    json_read_object(whole, names, 3, JSON_FOLDED, v);
    *m = (struct prompt_message){.role = role_of(&v[0]),
                                 .whole = *whole,
                                 .content = v[1].kind == JSON_STRING ? v[1] : none,
                                 .calls = v[2].kind == JSON_ARRAY ? v[2] : none};
    if (m->content.at)
        m->chars_n += prompt_string_chars(json_read_text(&m->content));
    m->chars_n += utf8_count(m->calls.at, m->calls.n);
}

/* Room for one more. */
static int grow(struct prompt *p, size_t *room_n)
{
    if (p->messages_n < *room_n)
        return 0;
    if (p->messages_n == PROMPT_MESSAGES_MAX)
        return -E2BIG;
    size_t wanted_n = *room_n ? *room_n * 2 : FIRST_ROOM_N;
    struct prompt_message *messages = realloc(p->messages, wanted_n * sizeof *messages);
    if (!messages)
        return -ENOMEM;
    p->messages = messages;
    *room_n = wanted_n;
    return 0;
}

static int is_result(const struct prompt_message *m)
{
    static const char begin[] = "\"" OPENAI_TOOLS_RESULT;
    return m->content.kind == JSON_STRING && m->content.n >= sizeof begin - 1 && memcmp(m->content.at, begin, sizeof begin - 1) == 0;
}

/* An agent that has used a tool still needs to know what for. */
static size_t find_task(const struct prompt *p)
{
    for (size_t i = p->last_user + 1; i-- > p->system_n && p->last_user < p->messages_n;) {
        if (p->messages[i].role == PROMPT_USER && !is_result(&p->messages[i]))
            return i;
    }
    return p->last_user;
}

static int read_messages(struct prompt *p)
{
    struct json_items items;
    struct json_value whole;
    size_t room_n = 0;
    json_items_init(&items, &p->whole);
    while (json_items_next(&items, &whole)) {
        int error = grow(p, &room_n);
        if (error)
            return error;
        read_message(&p->messages[p->messages_n++], &whole);
    }
    while (p->system_n < p->messages_n && p->messages[p->system_n].role == PROMPT_SYSTEM)
        p->system_n++;
    p->last_user = p->messages_n;
    while (p->last_user > 0 && p->messages[p->last_user - 1].role != PROMPT_USER)
        p->last_user--;
    p->last_user = p->last_user > 0 ? p->last_user - 1 : p->messages_n;
    p->task = find_task(p);
    return 0;
}

int prompt_read(struct prompt *p, const char *json, size_t n)
{
    static const char *const names[] = {"messages", "tools", "options"};
    struct json_value v[3];
    struct json_walk w = {json, json + n};
    *p = (struct prompt){.messages_n = 0};
    if (json_read_members(&w, names, 3, JSON_FOLDED, v) < 0 || v[0].kind != JSON_ARRAY)
        return -EINVAL;
    p->whole = v[0];
    p->tools = v[1];
    p->options = v[2];
    p->tools_chars_n = utf8_count(p->tools.at, p->tools.n);
    int error = read_messages(p);
    if (error)
        prompt_fini(p);
    return error;
}

void prompt_fini(struct prompt *p)
{
    free(p->messages);
    *p = (struct prompt){.messages_n = 0};
}

size_t prompt_chars(const struct prompt *p)
{
    size_t chars_n = p->tools_chars_n;
    for (size_t i = 0; i < p->messages_n; i++)
        chars_n += p->messages[i].chars_n;
    return chars_n;
}

int prompt_decode(const struct json_value *content, struct buf *out)
{
    const char *at;
    struct json_write w = json_write_begin(out);
    if (content->kind != JSON_STRING)
        return 0;
    if (json_write_decoded(&w, json_read_text(content), &at) == -EINVAL)
        w.error = -EINVAL;
    return json_write_end(&w);
}
