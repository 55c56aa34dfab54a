/*
 * See tell.h. Text work alone: whom to believe has been decided (sender.c). Where the peer is trusted, its own lists are
 * continued; else they begin anew, so that a backend never reads what a stranger wrote. RFC 7239, RFC 9110 section 7.6.3
 */
#include "proxy/tell.h"

#include <stdio.h>
#include <string.h>

void tell_init(struct tell *t, uint64_t token, int is_sender_told)
{
    *t = (struct tell){.is_sender_told = is_sender_told};
    snprintf(t->name, sizeof t->name, "sidecar-%016llx", (unsigned long long)token);
    for (int minor = 0; minor <= 1; minor++)
        t->via_n = (size_t)snprintf(t->via[minor], TELL_VIA_BYTES, "Via: 1.%d %s\r\n", minor, t->name);
}

int tell_is_circle(const struct tell *t, const struct message *request)
{
    for (int i = message_find(request, "via", 0); i >= 0; i = message_find(request, "via", (size_t)i + 1)) {
        struct span value = request->fields[i].value;
        if (memmem(message_at(request, value), value.n, t->name, strlen(t->name)))
            return 1;
    }
    return 0;
}

int tell_via(const struct tell *t, struct buf *out, const struct message *m)
{
    return buf_append(out, t->via[m->minor > 0], t->via_n);
}

/* Below, `at` is where the next byte goes, with room enough: room_bytes(). A line costs some ten instructions so, which
 * every request pays. */
static char *put(char *at, const char *bytes, size_t bytes_n)
{
    memcpy(at, bytes, bytes_n);
    return at + bytes_n;
}
#define PUT(at, word) put(at, word, sizeof word - 1)

static char *put_span(char *at, const struct message *m, struct span s)
{
    return put(at, message_at(m, s), s.n);
}

/* All values of such a field, each with `, ` behind it. */
static char *put_list(char *at, const struct message *m, const char *name)
{
    for (int i = message_find(m, name, 0); i >= 0; i = message_find(m, name, (size_t)i + 1))
        if (m->fields[i].value.n > 0)
            at = PUT(put_span(at, m, m->fields[i].value), ", ");
    return at;
}

/* `for=192.0.2.1`, or `for="[2001:db8::1]"`. RFC 7239 section 6 */
static char *put_node(char *at, const char *address, size_t address_n, int is_v4)
{
    at = is_v4 ? PUT(at, "for=") : PUT(at, "for=\"[");
    at = put(at, address, address_n);
    return is_v4 ? at : PUT(at, "]\"");
}

/* Whether a believed proxy named its client by the other kind of field alone: then that address begins this list. */
static int is_named_otherwise(const struct sender *s)
{
    return s->is_known && s->client == s->text;
}

static char *put_usual_list(char *at, const struct message *m, const struct sender *s)
{
    at = PUT(at, "X-Forwarded-For: ");
    if (s->is_usual_kept)
        at = put_list(at, m, "x-forwarded-for");
    else if (is_named_otherwise(s))
        at = PUT(put(at, s->client, strlen(s->client)), ", ");
    at = put(at, s->peer->text, s->peer->text_n);
    return PUT(at, "\r\n");
}

/* What the client asked of the first proxy, where that is believed; else of us. */
static char *put_host_and_proto(char *at, const struct message *m, const struct sender *s)
{
    struct span host = s->host.n > 0 ? s->host : m->authority;
    if (host.n > 0) {
        at = put_span(PUT(at, "X-Forwarded-Host: "), m, host);
        at = PUT(at, "\r\n");
    }
    return s->proto == FORWARDED_HTTPS ? PUT(at, "X-Forwarded-Proto: https\r\n") : PUT(at, "X-Forwarded-Proto: http\r\n");
}

static char *put_standard(char *at, const struct message *m, const struct sender *s)
{
    at = PUT(at, "Forwarded: ");
    if (s->is_standard_kept)
        at = put_list(at, m, "forwarded");
    else if (is_named_otherwise(s))
        at = PUT(put_node(at, s->client, strlen(s->client), strchr(s->client, ':') == NULL), ", ");
    at = put_node(at, s->peer->text, s->peer->text_n, ip_is_v4(&s->peer->ip));
    if (m->authority.n > 0) { /* strict.c lets nothing pass that would have to be escaped */
        at = put_span(PUT(at, ";host=\""), m, m->authority);
        at = PUT(at, "\"");
    }
    return PUT(at, ";proto=http\r\n");
}

/* No less than all of it together has. */
static size_t room_bytes(const struct tell *t, const struct message *m, const struct sender *s)
{
    enum { WORDS_BYTES = 256, ADDRESSES_N = 4 };
    size_t kept_n = s->is_usual_kept || s->is_standard_kept ? buf_size(&m->text) + 2 * m->fields_n : 0;
    return t->via_n + WORDS_BYTES + ADDRESSES_N * IP_TEXT_BYTES + s->host.n + 2 * (size_t)m->authority.n + kept_n;
}

int tell_backend(const struct tell *t, struct buf *out, const struct message *request, const struct sender *s)
{
    char *start, *at;
    if (!t->is_sender_told)
        return tell_via(t, out, request);
    int error = buf_reserve(out, room_bytes(t, request, s), &start);
    if (error)
        return error;
    at = put(start, t->via[request->minor > 0], t->via_n);
    at = put_usual_list(at, request, s);
    at = put_host_and_proto(at, request, s);
    at = put_standard(at, request, s);
    buf_commit(out, (size_t)(at - start));
    return 0;
}
