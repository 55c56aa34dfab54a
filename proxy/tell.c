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

/* All values of such a field, each with `, ` behind it. */
static int append_list(struct buf *out, const struct message *m, const char *name)
{
    int error = 0;
    for (int i = message_find(m, name, 0); i >= 0 && !error; i = message_find(m, name, (size_t)i + 1)) {
        struct span value = m->fields[i].value;
        if (value.n == 0)
            continue;
        error = buf_append(out, message_at(m, value), value.n);
        error = error ? error : buf_text(out, ", ");
    }
    return error;
}

/* Whether a believed proxy named its client by the other kind of field alone: then that address begins this list. */
static int is_named_otherwise(const struct sender *s, int is_kept)
{
    return !is_kept && s->is_known && s->client == s->text;
}

static int append_usual_list(struct buf *out, const struct message *m, const struct sender *s)
{
    int error = buf_text(out, "X-Forwarded-For: ");
    if (!error && s->is_usual_kept)
        error = append_list(out, m, "x-forwarded-for");
    else if (!error && is_named_otherwise(s, s->is_usual_kept)) {
        error = buf_text(out, s->client);
        error = error ? error : buf_text(out, ", ");
    }
    error = error ? error : buf_text(out, s->peer->text);
    return error ? error : buf_text(out, "\r\n");
}

/* `for=192.0.2.1`, or `for="[2001:db8::1]"`. RFC 7239 section 6 */
static int append_node(struct buf *out, const char *address)
{
    int is_v6 = strchr(address, ':') != NULL;
    int error = buf_text(out, is_v6 ? "for=\"[" : "for=");
    error = error ? error : buf_text(out, address);
    return error || !is_v6 ? error : buf_text(out, "]\"");
}

static int append_standard(struct buf *out, const struct message *m, const struct sender *s)
{
    int error = buf_text(out, "Forwarded: ");
    if (!error && s->is_standard_kept)
        error = append_list(out, m, "forwarded");
    else if (!error && is_named_otherwise(s, s->is_standard_kept)) {
        error = append_node(out, s->client);
        error = error ? error : buf_text(out, ", ");
    }
    error = error ? error : append_node(out, s->peer->text);
    if (!error && m->authority.n > 0) { /* strict.c lets nothing pass that would have to be escaped */
        error = buf_text(out, ";host=\"");
        error = error ? error : buf_append(out, message_at(m, m->authority), m->authority.n);
        error = error ? error : buf_text(out, "\"");
    }
    return error ? error : buf_text(out, ";proto=http\r\n");
}

/* What the client asked of the first proxy, where that is believed; else of us. */
static int append_host_and_proto(struct buf *out, const struct message *m, const struct sender *s)
{
    struct span host = s->host.n > 0 ? s->host : m->authority;
    int error = 0;
    if (host.n > 0) {
        error = buf_text(out, "X-Forwarded-Host: ");
        error = error ? error : buf_append(out, message_at(m, host), host.n);
        error = error ? error : buf_text(out, "\r\n");
    }
    if (error)
        return error;
    return s->proto == FORWARDED_HTTPS ? buf_text(out, "X-Forwarded-Proto: https\r\n")
                                       : buf_text(out, "X-Forwarded-Proto: http\r\n");
}

int tell_backend(const struct tell *t, struct buf *out, const struct message *request, const struct sender *s)
{
    int error = tell_via(t, out, request);
    if (error || !t->is_sender_told)
        return error;
    error = append_usual_list(out, request, s);
    error = error ? error : append_host_and_proto(out, request, s);
    return error ? error : append_standard(out, request, s);
}
