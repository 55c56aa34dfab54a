/*
 * See forwarded.h. Fields are read from left to right in one go, with no list of what was seen: each untrusted address
 * takes the place of the one before it, so the last one stays. An attacker may have written all but the end of a field,
 * an open quote before what a proxy appends too: a field that is not well-formed says nothing.
 */
#include "proxy/forwarded.h"

#include "proxy/strict.h"

#include <errno.h>
#include <string.h>

/* One proxy's say. */
struct element {
    int has_for, is_known; /* is_known: ip is an address */
    struct ip ip;
    struct span host;
    enum forwarded_proto proto;
};

static void take(struct forwarded *out, const struct element *e, const struct networks *trusted, int is_first)
{
    if (e->is_known && networks_hold(trusted, &e->ip) && !is_first)
        return;
    out->is_known = e->is_known;
    out->client = e->ip;
    out->host = e->host;
    out->proto = e->proto;
}

int forwarded_node(const char *text, size_t text_n, struct ip *out)
{
    const char *end = NULL, *colon = memchr(text, ':', text_n);
    if (text_n > 0 && text[0] == '[') {
        end = memchr(text, ']', text_n);
        if (!end || (end + 1 < text + text_n && end[1] != ':') || !memchr(text + 1, ':', (size_t)(end - text - 1)))
            return -EINVAL;
        return ip_parse(text + 1, (size_t)(end - text - 1), out);
    }
    if (colon && !memchr(colon + 1, ':', text_n - (size_t)(colon + 1 - text))) /* one colon: IPv4 and a port */
        text_n = (size_t)(colon - text);
    return ip_parse(text, text_n, out);
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Where reading is: in a field's value, by its place in the message. */
struct reader {
    const char *text; /* the message's */
    uint32_t at, end;
};

static int is_at(const struct reader *r, char c)
{
    return r->at < r->end && r->text[r->at] == c;
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && is_blank(r->text[r->at]))
        r->at++;
}

static struct span read_word(struct reader *r, const char *more)
{
    struct span word = {.at = r->at};
    while (r->at < r->end && (strict_is_token_char(r->text[r->at]) || (r->text[r->at] && strchr(more, r->text[r->at]))))
        r->at++;
    word.n = r->at - word.at;
    return word;
}

/* A word or a quoted text, whose span has no quotes. No address and no host has anything to escape: that is refused.
 * Many proxies write colons and brackets without quotes. 0 or -EINVAL. */
static int read_value(struct reader *r, struct span *out)
{
    if (!is_at(r, '"')) {
        *out = read_word(r, ":[]");
        return out->n > 0 ? 0 : -EINVAL;
    }
    out->at = ++r->at;
    while (r->at < r->end && r->text[r->at] != '"' && r->text[r->at] != '\\')
        r->at++;
    out->n = r->at - out->at;
    if (!is_at(r, '"'))
        return -EINVAL;
    r->at++;
    return 0;
}

static enum forwarded_proto proto_of(const char *text, size_t n)
{
    if (text_is(text, n, "https"))
        return FORWARDED_HTTPS;
    return text_is(text, n, "http") ? FORWARDED_HTTP : FORWARDED_NO_PROTO;
}

/* name=value. RFC 7239 section 4: each name once. */
static int read_pair(struct reader *r, struct element *e)
{
    struct span name = read_word(r, ""), value;
    const char *word = r->text + name.at;
    if (name.n == 0 || !is_at(r, '='))
        return -EINVAL;
    r->at++;
    if (read_value(r, &value) < 0)
        return -EINVAL;
    const char *text = r->text + value.at;
    if (text_is(word, name.n, "for")) {
        if (e->has_for)
            return -EINVAL;
        e->has_for = 1;
        e->is_known = forwarded_node(text, value.n, &e->ip) == 0;
    } else if (text_is(word, name.n, "host")) {
        if (e->host.n)
            return -EINVAL;
        e->host = value;
    } else if (text_is(word, name.n, "proto")) {
        if (e->proto)
            return -EINVAL;
        e->proto = proto_of(text, value.n);
    }
    return 0;
}

/* Up to a comma or the end. */
static int read_element(struct reader *r, struct element *e)
{
    for (;;) {
        skip_blanks(r);
        if (r->at < r->end && !is_at(r, ';') && !is_at(r, ',') && read_pair(r, e) < 0)
            return -EINVAL;
        skip_blanks(r);
        if (r->at == r->end || is_at(r, ','))
            return 0;
        if (!is_at(r, ';'))
            return -EINVAL;
        r->at++;
    }
}

static int is_empty(const struct element *e, const struct reader *r, uint32_t began_at)
{
    struct reader rest = {.text = r->text, .at = began_at, .end = r->at};
    skip_blanks(&rest);
    return !e->has_for && rest.at == rest.end; /* `a, , b` is `a, b`. RFC 9110 section 5.6.1 */
}

void forwarded_read_standard(const struct message *m, const struct networks *trusted, struct forwarded *out)
{
    int elements_n = 0;
    *out = (struct forwarded){.is_there = 0};
    for (int i = message_find(m, "forwarded", 0); i >= 0; i = message_find(m, "forwarded", (size_t)i + 1)) {
        struct span value = m->fields[i].value;
        struct reader r = {.text = buf_data(&m->text), .at = value.at, .end = value.at + value.n};
        out->is_there = 1;
        while (r.at < r.end) {
            struct element e = {.has_for = 0};
            uint32_t began_at = r.at;
            if (read_element(&r, &e) < 0) {
                *out = (struct forwarded){.is_there = 1, .is_malformed = 1};
                return;
            }
            if (!is_empty(&e, &r, began_at))
                take(out, &e, trusted, elements_n++ == 0);
            if (r.at < r.end) /* a comma */
                r.at++;
        }
    }
}

/* The next entry of a list without quotes, without the blanks around it. 0 at the end. */
static int next_entry(struct reader *r, struct span *out)
{
    if (r->at >= r->end)
        return 0;
    const char *comma = memchr(r->text + r->at, ',', r->end - r->at);
    uint32_t end = comma ? (uint32_t)(comma - r->text) : r->end;
    skip_blanks(r);
    out->at = r->at < end ? r->at : end;
    out->n = end - out->at;
    while (out->n > 0 && is_blank(r->text[out->at + out->n - 1]))
        out->n--;
    r->at = end + 1;
    return 1;
}

/* The last entry of the last such field. */
static struct span last_entry(const struct message *m, const char *name)
{
    struct span entry, last = {0, 0};
    for (int i = message_find(m, name, 0); i >= 0; i = message_find(m, name, (size_t)i + 1)) {
        struct span value = m->fields[i].value;
        struct reader r = {.text = buf_data(&m->text), .at = value.at, .end = value.at + value.n};
        while (next_entry(&r, &entry))
            if (entry.n > 0)
                last = entry;
    }
    return last;
}

void forwarded_read_usual(const struct message *m, const struct networks *trusted, struct forwarded *out)
{
    int entries_n = 0;
    *out = (struct forwarded){.is_there = 0};
    for (int i = message_find(m, "x-forwarded-for", 0); i >= 0; i = message_find(m, "x-forwarded-for", (size_t)i + 1)) {
        struct span value = m->fields[i].value, entry;
        struct reader r = {.text = buf_data(&m->text), .at = value.at, .end = value.at + value.n};
        out->is_there = 1;
        while (next_entry(&r, &entry)) {
            struct element e = {.has_for = 1};
            if (entry.n == 0)
                continue;
            e.is_known = forwarded_node(r.text + entry.at, entry.n, &e.ip) == 0;
            take(out, &e, trusted, entries_n++ == 0);
        }
    }
    struct span proto = last_entry(m, "x-forwarded-proto");
    out->host = last_entry(m, "x-forwarded-host");
    out->proto = proto_of(message_at(m, proto), proto.n);
}
