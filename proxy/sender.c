/*
 * See sender.h. Most requests have none of these fields: one look at each field's first letter says so, and the
 * connection's own address is the answer.
 */
#include "proxy/sender.h"

#include <strings.h>

static const char family[] = "x-forwarded-";

int sender_is_field(const struct message *m, struct span name)
{
    const char *text = message_at(m, name);
    switch (name.n > 0 ? text[0] | 0x20 : 0) {
    case 'f':
        return text_is(text, name.n, "forwarded");
    case 'x':
        return text_is(text, name.n, "x-real-ip") ||
               (name.n > sizeof family - 1 && text_is(text, sizeof family - 1, family));
    default:
        return 0;
    }
}

/* Whether any field is one. */
static int look(const struct message *m)
{
    const char *text = buf_data(&m->text);
    if (message_find(m, "forwarded", 0) >= 0 || message_find(m, "x-real-ip", 0) >= 0)
        return 1;
    for (size_t i = 0; i < m->fields_n; i++) {
        struct span name = m->fields[i].name;
        if (name.n > sizeof family - 1 && (text[name.at] | 0x20) == 'x' && text_is(text + name.at, sizeof family - 1, family))
            return 1;
    }
    return 0;
}

static int is_same_host(const struct message *m, struct span a, struct span b)
{
    return a.n == b.n && strncasecmp(message_at(m, a), message_at(m, b), a.n) == 0;
}

/* Two fields that name different clients, or that these asked for different hosts: a proxy wrote one and passed on the other,
 * and nobody knows which. */
static int agree(const struct message *m, const struct forwarded *a, const struct forwarded *b)
{
    if (a->is_there && b->is_there && (a->is_known != b->is_known || !ip_is_equal(&a->client, &b->client)))
        return 0;
    return a->host.n == 0 || b->host.n == 0 || is_same_host(m, a->host, b->host);
}

static void believe(struct sender *s, const struct message *m, const struct networks *trusted)
{
    struct forwarded standard, usual;
    forwarded_read_standard(m, trusted, &standard);
    forwarded_read_usual(m, trusted, &usual);
    const struct forwarded *said = usual.is_there ? &usual : &standard;
    s->is_standard_kept = standard.is_there && !standard.is_malformed;
    s->is_usual_kept = usual.is_there;
    s->host = usual.host.n ? usual.host : standard.host;
    s->proto = usual.proto ? usual.proto : standard.proto;
    s->is_known = said->is_known && agree(m, &standard, &usual);
    s->is_loopback = s->is_known && ip_is_loopback(&said->client);
    s->is_private = s->is_known && ip_is_private(&said->client);
    if (s->is_known) {
        ip_text(&said->client, s->text);
        s->client = s->text;
    } else {
        s->client = "unknown";
    }
}

void sender_read(struct sender *s, const struct message *m, const struct peer *peer, const struct networks *trusted)
{
    s->peer = peer;
    s->client = peer->text;
    s->is_known = 1;
    s->is_loopback = peer->is_loopback;
    s->is_private = peer->is_private;
    s->is_standard_kept = s->is_usual_kept = 0;
    s->host = (struct span){0, 0};
    s->proto = FORWARDED_NO_PROTO;
    s->has_fields = look(m);
    int is_proxied = s->has_fields || message_find(m, "via", 0) >= 0; /* Via names no client, but somebody in between */
    s->is_forwarded = is_proxied && !peer->is_trusted;
    if (is_proxied && peer->is_trusted)
        believe(s, m, trusted);
}
