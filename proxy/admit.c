/*
 * See admit.h. Pure: nothing is asked of anybody, no work is begun. The order is that of harm: a circle, the web
 * origin, the path, the right, the size.
 */
#include "proxy/admit.h"

#include <stdio.h>
#include <string.h>

static void refuse(struct admission *a, int status, const char *code)
{
    a->status = status;
    a->code = code;
}

/* The commonest mistake. */
static int is_known_without_slash(const struct message *m, const char *path)
{
    const struct route *route;
    return m->path.n > 1 && path[m->path.n - 1] == '/' && route_find(m->method, path, m->path.n - 1, &route) == ROUTE_FOUND;
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
        snprintf(a->text, sizeof a->text,
                 "the path can be read in more than one way: write it without empty segments, segments of dots, ';', "
                 "backslashes and needless %% escapes");
        return;
    case ROUTE_UNKNOWN:
        refuse(a, 404, "unknown_path");
        snprintf(a->text, sizeof a->text, "there is no path %.*s here%s", m->path.n > 100 ? 100 : (int)m->path.n, path,
                 is_known_without_slash(m, path) ? "; leave out the slash at its end" : route_hint(path, m->path.n));
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

/* The value of a field, NULL where it is not there. */
static const char *value_of(const struct message *m, const char *name, size_t *n)
{
    int place = message_find(m, name, 0);
    *n = place >= 0 ? m->fields[place].value.n : 0;
    return place >= 0 ? message_at(m, m->fields[place].value) : NULL;
}

/* A browser's word that another site's page asks. One who follows a link is let in, as nothing of the answer can be read
 * by that page, and nothing is changed by a GET. But what is told below /sidecar/ may go on for as long as somebody listens, and places are few:
 * no page but our own begins that, be it by an image, a frame, or a window. https://www.w3.org/TR/fetch-metadata/ */
static int is_cross_site(const struct message *m, const struct route *route)
{
    size_t site_n, mode_n;
    int is_sidecars = route && route_is_sidecars(route);
    const char *site = value_of(m, "sec-fetch-site", &site_n);
    if (site && is_sidecars && (text_is(site, site_n, "cross-site") || text_is(site, site_n, "same-site")))
        return 1;
    if (!site || !text_is(site, site_n, "cross-site"))
        return 0;
    const char *mode = value_of(m, "sec-fetch-mode", &mode_n);
    return !((m->method & (METHOD_GET | METHOD_HEAD)) && mode && text_is(mode, mode_n, "navigate"));
}

/* What the right of a path is called in [key:NAME] rights. */
static const char *right_name(enum route_right right, unsigned *bit)
{
    static const struct {
        const char *name;
        unsigned bit;
    } rows[] = {[RIGHT_NONE] = {NULL, 0},
                [RIGHT_INFERENCE] = {"inference", CONF_RIGHT_INFERENCE},
                [RIGHT_OBSERVE] = {"observe", CONF_RIGHT_OBSERVE},
                [RIGHT_MANAGE] = {"manage", CONF_RIGHT_MANAGE}};
    *bit = rows[right].bit;
    return rows[right].name;
}

/* 401 has to say how one may come in. RFC 9110 section 15.5.2, RFC 6750 section 3 */
static void refuse_key(struct admission *a, const struct message *m, const char *code, const char *text)
{
    static const char not_read[] = "; a key in the query is not read";
    refuse(a, 401, code);
    snprintf(a->text, sizeof a->text, "%s%s", text, m->query.n > 0 ? not_read : "");
    snprintf(a->lines, sizeof a->lines, "WWW-Authenticate: Bearer realm=\"ollama-sidecar\"%s\r\n",
             strcmp(code, "invalid_api_key") == 0 ? ", error=\"invalid_token\"" : "");
}

/* What came as a key. Where one came, whose it is and what it may do is all that counts, and not from where, or under which name. */
static enum keys_found find_key(struct admission *a, const struct keys *keys, const struct message *m, enum route_right right)
{
    size_t at;
    enum keys_found found = right == RIGHT_NONE ? KEYS_NONE : keys_find(keys, m, &at);
    if (found == KEYS_KNOWN) {
        a->key = keys->items[at].conf;
        a->key_index = keys->items[at].index;
    }
    return found;
}

static void decide_key(struct admission *a, const struct message *m, enum keys_found found)
{
    unsigned bit;
    const char *right = right_name(a->route->right, &bit);
    if (found == KEYS_UNKNOWN) {
        refuse_key(a, m, "invalid_api_key", "the key is none of those that are known here ([key:NAME] in supervisor.ini)");
    } else if (found == KEYS_MALFORMED) {
        refuse_key(a, m, "invalid_api_key", "the key can't be read: send it as `Authorization: Bearer KEY`, or as `x-api-key: KEY`");
    } else if (found == KEYS_SEVERAL) {
        refuse(a, 400, "several_keys");
        snprintf(a->text, sizeof a->text, "there is more than one key in Authorization and x-api-key: send one");
    } else if (!(conf_key_rights(a->key) & bit)) {
        refuse(a, 403, "not_permitted");
        snprintf(a->text, sizeof a->text, "the key %s may not do this; [key:%s] rights would permit it, with %s", a->key->name, a->key->name, right);
    }
}

static void decide_trust(struct admission *a, const struct admit_rules *all, const struct message *m)
{
    const struct trust_rules *rules = all->trust;
    int origin = message_find(m, "origin", 0), has_keys = all->keys->items_n > 0;
    struct trust_request r = {.right = a->status ? RIGHT_NONE : a->route->right, .sender = &a->sender};
    if (m->method == METHOD_OPTIONS && r.right != RIGHT_NONE) /* it carries no right yet, and does nothing; no browser sends a key with it */
        r.right = has_keys ? RIGHT_NONE : RIGHT_OBSERVE;
    enum keys_found found = has_keys ? find_key(a, all->keys, m, r.right) : KEYS_NONE;
    if (found != KEYS_NONE)
        r.right = RIGHT_NONE;
    r.host = (struct trust_name){message_at(m, m->authority), m->authority.n};
    r.asked = (struct trust_name){message_at(m, a->sender.host), a->sender.host.n};
    if (origin >= 0) {
        a->origin = m->fields[origin].value;
        r.origin = message_at(m, a->origin);
        r.origin_n = a->origin.n;
    } else {
        r.is_cross_site = is_cross_site(m, a->route);
    }
    trust_decide(rules, &r, &a->trust);
    if (!a->trust.is_allowed && has_keys && a->trust.origin != TRUST_ORIGIN_FOREIGN) {
        char text[ADMIT_TEXT_BYTES];
        snprintf(text, sizeof text, "%s; or send a key: `Authorization: Bearer KEY`", a->trust.why);
        refuse_key(a, m, "missing_api_key", text);
    } else if (!a->trust.is_allowed) {
        refuse(a, 403, a->trust.origin == TRUST_ORIGIN_FOREIGN ? "foreign_origin" : "not_permitted");
        snprintf(a->text, sizeof a->text, "%s", a->trust.why);
        a->lines[0] = '\0';
    } else if (origin >= 0 && message_find(m, "origin", (size_t)origin + 1) >= 0) {
        refuse(a, 400, "bad_origin");
        snprintf(a->text, sizeof a->text, "more than one Origin header");
        a->lines[0] = '\0';
    } else if (found != KEYS_NONE) {
        decide_key(a, m, found);
    }
}

int admit_may(const struct trust_rules *rules, const struct message *m, const struct admission *a, enum route_right right, char *why)
{
    unsigned bit;
    const char *name = right_name(right, &bit);
    struct trust_request r = {.right = right, .sender = &a->sender};
    struct trust_answer answer;
    if (a->key) {
        snprintf(why, TRUST_WHY_BYTES, "the key %s may not do this; [key:%s] rights would permit it, with %s", a->key->name, a->key->name, name);
        return (conf_key_rights(a->key) & bit) != 0;
    }
    r.host = (struct trust_name){message_at(m, m->authority), m->authority.n};
    r.asked = (struct trust_name){message_at(m, a->sender.host), a->sender.host.n};
    trust_decide(rules, &r, &answer);
    snprintf(why, TRUST_WHY_BYTES, "%s", answer.why);
    return answer.is_allowed;
}

int admit_is_streamed(const struct admission *a, const struct message *m)
{
    return a->route && a->route->body == ROUTE_STREAMED && m->method == METHOD_POST;
}

static int is_circle(struct admission *a, const struct admit_rules *rules, const struct message *m)
{
    if (!tell_is_circle(rules->tell, m))
        return 0;
    refuse(a, 508, "loop");
    snprintf(a->text, sizeof a->text, "the request has been here before (its Via names %s): [proxy] backend, now %.120s, leads back "
             "to a listener of this sidecar; it is to say where Ollama listens", rules->tell->name, rules->backend);
    a->dialect = route_dialect(message_at(m, m->path), m->path.n);
    return 1;
}

/* What a page of another site may send without asking first is no JSON. https://fetch.spec.whatwg.org/#cors-safelisted-request-header */
static int is_no_json(const struct message *m)
{
    size_t n;
    const char *type = value_of(m, "content-type", &n);
    size_t word_n = 0;
    while (word_n < n && !strchr("; \t", type[word_n]))
        word_n++;
    int has_body = m->length_bytes > 0 || message_find(m, "transfer-encoding", 0) >= 0;
    return has_body && !text_is(type ? type : "", word_n, "application/json");
}

void admit(const struct admit_rules *rules, const struct message *m, const struct peer *peer, struct admission *a)
{
    a->route = NULL;
    a->trust.origin = TRUST_ORIGIN_NONE;
    a->origin = (struct span){0, 0};
    a->status = 0;
    a->code = NULL;
    a->key = NULL;
    a->text[0] = a->lines[0] = '\0';
    sender_read(&a->sender, m, peer, &rules->trust->trusted);
    if (is_circle(a, rules, m))
        return;
    find_route(a, m);
    decide_trust(a, rules, m);
    if (a->status == 0 && !admit_is_streamed(a, m) && m->length_bytes > rules->max_body_bytes) {
        refuse(a, 413, "body_too_large");
        snprintf(a->text, sizeof a->text, "the body has %lld bytes; [proxy] max_body takes %lld",
                 (long long)m->length_bytes, (long long)rules->max_body_bytes);
    } else if (a->status == 0 && route_is_sidecars(a->route) && is_no_json(m)) {
        refuse(a, 415, "content_type");
        snprintf(a->text, sizeof a->text, "a body is JSON here: send it with `Content-Type: application/json`");
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
    static const char vary[] = "Vary: Origin\r\n"; /* of a refusal too: a cache must not give it to another page */
    static const char vary_preflight[] = "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
                                         "Access-Control-Request-Private-Network\r\n";
    if (a->trust.origin == TRUST_ORIGIN_NONE)
        return 0;
    int error = buf_text(out, m->method == METHOD_OPTIONS ? vary_preflight : vary);
    if (error || a->trust.origin == TRUST_ORIGIN_FOREIGN)
        return error;
    error = buf_text(out, "Access-Control-Expose-Headers: X-Request-Id, Retry-After, X-Sidecar-Wait-Ms, X-Sidecar-Load-Ms, "
                          "X-Sidecar-Queue-Ms\r\nAccess-Control-Allow-Origin: ");
    error = error ? error : buf_append(out, message_at(m, a->origin), a->origin.n);
    return error ? error : buf_text(out, "\r\n");
}

int admit_options_lines(const struct admission *a, const struct message *m, struct buf *out)
{
    char allow[96];
    size_t near_n, headers_n;
    const char *near = value_of(m, "access-control-request-private-network", &near_n);
    const char *headers = value_of(m, "access-control-request-headers", &headers_n);
    route_allow(a->route, allow, sizeof allow);
    int error = buf_printf(out, "Allow: %s\r\n", allow);
    if (error || a->trust.origin == TRUST_ORIGIN_NONE)
        return error;
    error = buf_printf(out, "Access-Control-Allow-Methods: %s\r\nAccess-Control-Max-Age: 600\r\n", allow);
    if (!error && near && text_is(near, near_n, "true"))
        error = buf_text(out, "Access-Control-Allow-Private-Network: true\r\n");
    if (error || !headers)
        return error;
    error = buf_text(out, "Access-Control-Allow-Headers: ");
    error = error ? error : buf_append(out, headers, headers_n);
    return error ? error : buf_text(out, "\r\n");
}
