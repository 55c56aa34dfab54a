/*
 * See trust.h. Two dangers are met here: a web page in the user's browser that speaks to a server near the user (Origin,
 * Fetch Metadata, and names that were rebound by DNS), and strangers on the network (the client's address). Headers of a
 * proxy that is not trusted are never believed, only feared: the peer's address says nothing then.
 */
#include "proxy/trust.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int trust_rules_init(struct trust_rules *rules, const struct conf *conf)
{
    char why[PARSE_WHY_BYTES];
    rules->open = (enum conf_open)conf->proxy.open;
    rules->manage_from = (enum conf_manage)conf->proxy.manage_from;
    rules->allowed_hosts = &conf->proxy.allowed_hosts;
    rules->cors_origins = &conf->proxy.cors_origins;
    rules->is_builtin_narrow = !conf->proxy.cors_builtin;
    for (size_t i = 0; i < conf->proxy.trusted_proxies.items_n; i++) {
        int error = networks_add(&rules->trusted, conf->proxy.trusted_proxies.items[i], why);
        if (error)
            return error; /* only for want of memory: conf_check_trust.c has read them */
    }
    return 0;
}

void trust_rules_fini(struct trust_rules *rules)
{
    networks_fini(&rules->trusted);
}

/* One `*` stands for at least one character of a host or port, never for a slash or an @; alone, for any origin. */
static int glob(const char *pattern, const char *text, size_t n)
{
    const char *star = strchr(pattern, '*');
    size_t front_n = star ? (size_t)(star - pattern) : strlen(pattern);
    size_t back_n = star ? strlen(star + 1) : 0;
    if (strcmp(pattern, "*") == 0)
        return 1;
    if (!star)
        return n == front_n && strncasecmp(pattern, text, n) == 0;
    if (n <= front_n + back_n || strncasecmp(pattern, text, front_n) != 0 ||
        strncasecmp(star + 1, text + n - back_n, back_n) != 0)
        return 0;
    for (size_t i = front_n; i < n - back_n; i++)
        if (strchr("/@\\?#", text[i]))
            return 0;
    return 1;
}

static int is_listed(const struct list *patterns, const char *origin, size_t n)
{
    for (size_t i = 0; patterns && i < patterns->items_n; i++)
        if (glob(patterns->items[i], origin, n))
            return 1;
    return 0;
}

/* SCHEME://HOST[:digits] for one of Ollama's own hosts, with any port. */
static int is_local_origin(const char *origin, size_t n, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t scheme_n = strlen(schemes[i]), host_n = strlen(host), at = scheme_n + host_n;
        if (n < at || strncasecmp(origin, schemes[i], scheme_n) != 0 ||
            strncasecmp(origin + scheme_n, host, host_n) != 0)
            continue;
        if (n == at)
            return 1;
        if (origin[at++] != ':' || at == n)
            continue;
        while (at < n && origin[at] >= '0' && origin[at] <= '9')
            at++;
        if (at == n)
            return 1;
    }
    return 0;
}

/* What Ollama lets in unasked. envconfig AllowedOrigins, v0.9.5 */
static int is_builtin(const struct trust_rules *rules, const char *origin, size_t n)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "0.0.0.0"};
    static const char *const schemes[] = {"app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"};
    size_t hosts_n = rules->is_builtin_narrow ? 2 : sizeof hosts / sizeof *hosts;
    for (size_t i = 0; i < hosts_n; i++)
        if (is_local_origin(origin, n, hosts[i]))
            return 1;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes && !rules->is_builtin_narrow; i++)
        if (n >= strlen(schemes[i]) && strncasecmp(origin, schemes[i], strlen(schemes[i])) == 0)
            return 1;
    return 0;
}

/* http or https before exactly what Host says. */
static int is_same(const char *origin, size_t n, struct trust_name host)
{
    for (size_t scheme_n = 7; scheme_n <= 8; scheme_n++)
        if (host.n > 0 && n == scheme_n + host.n &&
            strncasecmp(origin, scheme_n == 7 ? "http://" : "https://", scheme_n) == 0 &&
            strncasecmp(origin + scheme_n, host.text, host.n) == 0)
            return 1;
    return 0;
}

enum trust_origin trust_origin(const struct trust_rules *rules, const struct trust_request *r)
{
    if (!r->origin || r->origin_n == 0)
        return r->is_cross_site ? TRUST_ORIGIN_FOREIGN : TRUST_ORIGIN_NONE;
    if (is_builtin(rules, r->origin, r->origin_n))
        return TRUST_ORIGIN_BUILTIN;
    if (is_same(r->origin, r->origin_n, r->host) || is_same(r->origin, r->origin_n, r->asked) ||
        (!rules->is_builtin_narrow && is_local_origin(r->origin, r->origin_n, "[::1]")) ||
        is_listed(rules->cors_origins, r->origin, r->origin_n) || is_listed(rules->ollama_origins, r->origin, r->origin_n))
        return TRUST_ORIGIN_OURS;
    return TRUST_ORIGIN_FOREIGN;
}

static void refuse(struct trust_answer *answer, const char *format, ...) PRINTF_LIKE(2, 3);
static void refuse(struct trust_answer *answer, const char *format, ...)
{
    va_list args;
    answer->is_allowed = 0;
    va_start(args, format);
    vsnprintf(answer->why, sizeof answer->why, format, args);
    va_end(args);
}

/* For %.*s: hostile texts are shown, but not at length. */
static int shown(size_t n)
{
    return n > 100 ? 100 : (int)n;
}

/* The names that a request goes by must all be known: what a page of a stranger could ask under is refused. */
static int has_foreign_host(const struct trust_rules *rules, const struct trust_request *r, struct trust_name *foreign)
{
    *foreign = r->host;
    if (!trust_is_local_host(rules, r->host.text, r->host.n))
        return 1;
    *foreign = r->asked;
    return !trust_is_local_host(rules, r->asked.text, r->asked.n);
}

/* Inference and observation: `open` says from where. A page that a stranger's name was rebound for comes from a near
 * address all the same, so near addresses ask under near names; who lets in everybody has nothing left to protect. */
static void decide_use(const struct trust_rules *rules, const struct trust_request *r, struct trust_answer *answer)
{
    int is_private = rules->open == CONF_OPEN_PRIVATE;
    struct trust_name foreign;
    if (rules->open == CONF_OPEN_YES)
        return;
    if (!r->sender->is_known)
        refuse(answer, "the proxy at %s does not say who asks, or says it in two ways: it is to set X-Forwarded-For or Forwarded, "
               "one of them; [proxy] open = yes would let anybody in", r->sender->peer->text);
    else if (is_private && !r->sender->is_private)
        refuse(answer, "requests are taken from private addresses only, which %s is not; [proxy] open = yes would let anybody in",
               r->sender->client);
    else if (!is_private && !r->sender->is_loopback)
        refuse(answer,
               "requests are taken from this machine only; [proxy] open = private would let private addresses in");
    else if (has_foreign_host(rules, r, &foreign))
        refuse(answer, "the host name %.*s is not known here; [proxy] allowed_hosts would permit it", shown(foreign.n),
               foreign.text);
}

static void decide_manage(const struct trust_rules *rules, const struct trust_request *r, struct trust_answer *answer)
{
    const struct sender *s = r->sender;
    int is_near = rules->manage_from == CONF_MANAGE_PRIVATE ? s->is_private : s->is_loopback;
    struct trust_name foreign;
    if (!s->is_known)
        refuse(answer, "models may not be changed through a proxy that does not say who asks, or says it in two ways: %s is to set "
               "X-Forwarded-For or Forwarded, one of them; see [proxy] trusted_proxies", s->peer->text);
    else if (!is_near && rules->manage_from == CONF_MANAGE_PRIVATE)
        refuse(answer, "models may be changed from private addresses only ([proxy] manage_from = private)");
    else if (!is_near)
        refuse(answer,
               "models may be changed from this machine only; [proxy] manage_from = private would let private "
               "addresses do it");
    else if (s->is_forwarded)
        refuse(answer,
               "models may not be changed through a proxy that is not known (the request has Forwarded, X-Forwarded-For or "
               "the like); [proxy] trusted_proxies = %s would believe what it says", s->peer->text);
    else if (has_foreign_host(rules, r, &foreign))
        refuse(answer, "models may not be changed under the host name %.*s; [proxy] allowed_hosts would permit it",
               shown(foreign.n), foreign.text);
}

static void refuse_origin(const struct trust_request *r, struct trust_answer *answer)
{
    if (r->origin_n > 0)
        refuse(answer, "the web origin %.*s may not ask; [proxy] cors_origins would permit it", shown(r->origin_n), r->origin);
    else
        refuse(answer, "a page of another web site may not ask without its Origin (Sec-Fetch-Site); with it, [proxy] "
               "cors_origins would permit it");
}

void trust_decide(const struct trust_rules *rules, const struct trust_request *r, struct trust_answer *answer)
{
    answer->is_allowed = 1;
    answer->why[0] = '\0';
    answer->origin = trust_origin(rules, r);
    if (answer->origin == TRUST_ORIGIN_FOREIGN) {
        refuse_origin(r, answer);
        return;
    }
    switch (r->right) {
    case RIGHT_NONE:
        return;
    case RIGHT_INFERENCE:
    case RIGHT_OBSERVE:
        decide_use(rules, r, answer);
        return;
    case RIGHT_MANAGE:
        decide_manage(rules, r, answer);
        return;
    }
}
