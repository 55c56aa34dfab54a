/*
 * See admit.h. Pure: nothing is asked of anybody, no work is begun. The order is that of cost and of harm: the
 * path, the web origin, the right, the size.
 */
#include "proxy/admit.h"

#include <stdio.h>
#include <string.h>

static void refuse(struct admission *a, int status, const char *code)
{
    a->status = status;
    a->code = code;
}

static void find_route(struct admission *a, const struct message *m)
{
    char allow[96];
    const char *path = message_at(m, m->path);
    enum route_verdict verdict = route_find(m->method, path, m->path.n, &a->route);
    a->dialect = a->route ? a->route->dialect : route_dialect(path, m->path.n);
    switch (verdict) {
    case ROUTE_FOUND:
        return;
    case ROUTE_BAD_PATH:
        refuse(a, 400, "bad_path");
        snprintf(a->text, sizeof a->text, "the path can be read in more than one way");
        return;
    case ROUTE_UNKNOWN:
        refuse(a, 404, "unknown_path");
        snprintf(a->text, sizeof a->text, "there is no path %.*s here", m->path.n > 100 ? 100 : (int)m->path.n, path);
        return;
    case ROUTE_WRONG_METHOD:
        refuse(a, 405, "wrong_method");
        route_allow(a->route, allow, sizeof allow);
        snprintf(a->text, sizeof a->text, "this path takes %s", allow);
        snprintf(a->lines, sizeof a->lines, "Allow: %s\r\n", allow);
        a->route = NULL;
        return;
    }
}

static void decide_trust(struct admission *a, const struct trust_rules *rules, const struct message *m,
                         const struct sockaddr_storage *peer)
{
    int origin = message_find(m, "origin", 0);
    struct trust_request r = {.right = a->route->right, .peer = peer};
    if (m->method == METHOD_OPTIONS) /* it carries no right yet, and does nothing */
        r.right = RIGHT_OBSERVE;
    r.host = message_at(m, m->authority);
    r.host_n = m->authority.n;
    if (origin >= 0) {
        a->origin = m->fields[origin].value;
        r.origin = message_at(m, a->origin);
        r.origin_n = a->origin.n;
    }
    r.is_forwarded = message_find(m, "forwarded", 0) >= 0 || message_find(m, "x-forwarded-for", 0) >= 0;
    trust_decide(rules, &r, &a->trust);
    if (a->trust.is_allowed && message_count(m, "origin") > 1) {
        refuse(a, 400, "bad_origin");
        snprintf(a->text, sizeof a->text, "more than one Origin header");
    } else if (!a->trust.is_allowed) {
        refuse(a, 403, a->trust.origin == TRUST_ORIGIN_FOREIGN ? "foreign_origin" : "not_permitted");
        snprintf(a->text, sizeof a->text, "%s", a->trust.why);
    }
}

int admit_is_streamed(const struct admission *a, const struct message *m)
{
    return a->route && a->route->body == ROUTE_STREAMED && m->method == METHOD_POST;
}

void admit(const struct trust_rules *rules, const struct message *m, const struct sockaddr_storage *peer,
           int64_t max_body_bytes, struct admission *a)
{
    *a = (struct admission){.status = 0};
    find_route(a, m);
    if (a->status == 0)
        decide_trust(a, rules, m, peer);
    if (a->status == 0 && !admit_is_streamed(a, m) && m->length_bytes > max_body_bytes) {
        refuse(a, 413, "body_too_large");
        snprintf(a->text, sizeof a->text, "the body has %lld bytes; [proxy] max_body takes %lld",
                 (long long)m->length_bytes, (long long)max_body_bytes);
    }
}

void admit_id(const struct message *m, uint64_t number, char id[ADMIT_ID_BYTES])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    int place = message_find(m, "x-request-id", 0);
    if (place >= 0) {
        struct span value = m->fields[place].value;
        if (value.n > 0 && value.n < ADMIT_ID_BYTES) {
            memcpy(id, message_at(m, value), value.n);
            id[value.n] = '\0';
            if (strspn(id, plain) == value.n)
                return;
        }
    }
    for (int i = 15; i >= 0; i--, number >>= 4)
        id[i] = "0123456789abcdef"[number & 15];
    id[16] = '\0';
}

int admit_cors_lines(const struct admission *a, const struct message *m, struct buf *out)
{
    if (a->trust.origin == TRUST_ORIGIN_NONE || a->trust.origin == TRUST_ORIGIN_FOREIGN)
        return 0;
    int error = buf_text(out, "Access-Control-Allow-Origin: ");
    error = error ? error : buf_append(out, message_at(m, a->origin), a->origin.n);
    return error ? error : buf_text(out, "\r\nVary: Origin\r\n");
}

int admit_preflight_lines(const struct admission *a, const struct message *m, struct buf *out)
{
    char allow[96];
    int place = message_find(m, "access-control-request-headers", 0);
    route_allow(a->route, allow, sizeof allow);
    int error = buf_printf(out, "Access-Control-Allow-Methods: %s\r\nAccess-Control-Max-Age: 600\r\n", allow);
    if (error || place < 0)
        return error;
    error = buf_text(out, "Access-Control-Allow-Headers: ");
    error = error ? error : buf_append(out, message_at(m, m->fields[place].value), m->fields[place].value.n);
    return error ? error : buf_text(out, "\r\n");
}
