/*
 * See member.h. One Ollama: a probe at each interval, a list of its models when it comes up and as long as it is used. What its breaker makes of
 * that, and of others' answers, is looked at here, told to the log, and to who gives requests.
 */
#include "proxy/balance/members_inner.h"

#include "common/log.h"
#include "proxy/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRESH_MS = 30000, PROBE_AGAIN_MS = 1000, LOOK_UP_AGAIN_MS = 1000 };

static int64_t now_of(const struct member *m)
{
    return loop_now_ms(m->all->loop);
}

static void tell_state(struct member *m)
{
    switch (m->breaker.state) {
    case BREAKER_UNKNOWN:
        break;
    case BREAKER_CLOSED:
        log_event(LOG_INFO, "member_up", "backend=%s url=%s", m->name, m->row->origin);
        break;
    case BREAKER_OPEN:
        log_event(LOG_WARNING, "member_open", "backend=%s for_ms=%lld reason=\"%s\"", m->name, (long long)m->all->rules.open_ms, m->why);
        m->all->ops.failed(m->all->ops.context, m);
        break;
    case BREAKER_HALF_OPEN:
        log_event(LOG_INFO, "member_half_open", "backend=%s", m->name);
        break;
    case BREAKER_DOWN:
        log_event(LOG_WARNING, "member_down", "backend=%s url=%s reason=\"%s\"", m->name, m->row->origin, m->why);
        m->all->ops.failed(m->all->ops.context, m);
        break;
    case BREAKER_STATES:
        break;
    }
}

static void arm(struct member *m)
{
    int64_t due_ms = breaker_due_ms(&m->breaker, (size_t)m->conf->slots, now_of(m));
    if (!m->has_backend || m->is_leaving)
        loop_disarm(m->all->loop, &m->timer);
    else
        loop_arm(m->all->loop, &m->timer, due_ms > 0 && due_ms < m->probe_at_ms ? due_ms : m->probe_at_ms);
}

/* What a process had loaded that is down is not believed any more. */
static void change_state(struct member *m)
{
    enum breaker_state former = m->told_state;
    m->told_state = m->breaker.state;
    if (m->breaker.state == BREAKER_CLOSED)
        *m->why = '\0';
    if (m->breaker.state == BREAKER_DOWN && m->has_backend)
        loader_see_backend(&m->loader, 0, 0);
    tell_state(m);
    if (m->breaker.state == BREAKER_CLOSED && former != BREAKER_HALF_OPEN)
        (void)member_refresh(m, 0);
    members_touch(m);
}

/* Whatever may have changed the breaker, time included, has happened. */
static void look(struct member *m)
{
    int64_t now_ms = now_of(m);
    (void)breaker_may(&m->breaker, now_ms);
    size_t slots_n = member_slots(m, now_ms);
    if (slots_n != m->told_slots_n)
        members_touch(m);
    m->told_slots_n = slots_n;
    if (m->breaker.state != m->told_state)
        change_state(m);
    arm(m);
}

void member_fail(struct member *m, const char *why)
{
    member_say(m, why);
    breaker_probed(&m->breaker, 0, now_of(m));
    look(m);
}

/* Its host's name may have another address by now. */
static void look_up(struct member *m)
{
    struct members_row *row = m->row;
    int64_t at_ms = row->looked_up_ms + LOOK_UP_AGAIN_MS;
    if (row->is_followed && !resolve_is_under_way(&row->resolve) && at_ms < row->timer.at_ms)
        loop_arm(m->all->loop, &row->timer, at_ms > now_of(m) ? at_ms : now_of(m));
}

/* Not all at the same moment, nor in step with those of other proxies. */
static int64_t jittered(int64_t interval_ms)
{
    uint16_t random;
    sys_random(&random, sizeof random);
    return interval_ms - interval_ms / 10 + interval_ms / 5 * random / UINT16_MAX;
}

static void start_probe(struct member *m)
{
    m->probe_at_ms = now_of(m) + jittered(m->all->conf->balancer.probe_interval_ms);
    member_ask(m);
}

void member_probe_soon(struct member *m)
{
    int64_t at_ms = m->probed_ms + PROBE_AGAIN_MS;
    if (at_ms < m->probe_at_ms)
        m->probe_at_ms = at_ms;
    arm(m);
}

static void on_probed(struct member *m, const char *why)
{
    if (*why) {
        look_up(m);
        member_fail(m, why);
    } else {
        breaker_probed(&m->breaker, 1, now_of(m));
        look(m);
        if (m->breaker.state == BREAKER_DOWN)
            member_probe_soon(m); /* it is back: whoever waits does not wait for `rise` intervals */
    }
}

static void on_timer(void *context, int64_t now_ms)
{
    struct member *m = context;
    if (now_ms >= m->probe_at_ms) {
        start_probe(m);
        if (m->breaker.state != BREAKER_DOWN && (m->is_used || !m->is_listed))
            (void)member_refresh(m, FRESH_MS);
    }
    look(m);
}

static void on_load(void *context, int is_begun)
{
    struct member *m = context;
    if (!is_begun)
        member_probe_soon(m);
    m->all->ops.load(m->all->ops.context, m, is_begun);
}

static void on_loaded(void *context, const struct load *load)
{
    (void)context; /* the next probe tells */
    (void)load;
}

struct member *member_new(struct members_row *row, int index)
{
    struct member *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->all = row->all;
    m->row = row;
    m->conf = row->conf;
    m->index = index;
    m->listed_ms = m->list_asked_ms = -1;
    m->is_drained = row->is_drained;
    m->told_slots_n = (size_t)m->conf->slots;
    snprintf(m->name, sizeof m->name, "%s", row->conf->name);
    timer_init(&m->timer, on_timer, m);
    breaker_init(&m->breaker, &row->all->rules, now_of(m));
    installed_init(&m->installed);
    buf_init(&m->tags, 0);
    buf_init(&m->loaded, 0);
    return m;
}

/* What stands before /api/…; who writes that, or the /v1 of the other dialect, means it so. 0, or -ENAMETOOLONG with m->why. */
static int set_path(struct member *m)
{
    static const char *const ends[] = {"/api", "/v1"};
    const struct url *url = &m->row->url;
    size_t path_n = url->path_n;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (path_n == url->path_n && path_n >= n && memcmp(url->path + path_n - n, ends[i], n) == 0)
            path_n -= n;
    }
    if (path_n >= sizeof m->path) {
        member_say(m, "the path of its url is too long");
        return -ENAMETOOLONG;
    }
    snprintf(m->path, sizeof m->path, "%.*s", (int)path_n, url->path);
    return 0;
}

/* By sockets of our own; or by libcurl, which looks the name up by itself for each connection. 0, or -errno with m->why. */
static int connect_to(struct member *m, const struct ip *ip)
{
    struct members *all = m->all;
    struct address at = m->row->url.address;
    char host[ADDRESS_TEXT_BYTES];
    int error = 0;
    address_text(&at, host);
    if (ip)
        ip_text(ip, at.host);
    if (!m->row->url.is_https)
        error = backend_init(&m->backend, all->loop, &at, m->why, sizeof m->why);
    else if (!all->https)
        error = https_new(&all->https, all->loop, m->why, sizeof m->why);
    if (!error && m->row->url.is_https)
        backend_init_https(&m->backend, all->loop, all->https, m->row->origin, host);
    snprintf(m->backend.host, sizeof m->backend.host, "%s", host); /* as its url has it, also where the name was looked up */
    m->backend.is_hosted = m->row->url.is_https;
    m->backend.authorization = m->row->authorization;
    return error;
}

int member_settle(struct member *m, const struct ip *ip)
{
    struct members *all = m->all;
    int error = set_path(m);
    if (!error)
        error = connect_to(m, ip);
    if (error) {
        if (m->backend.loop)
            backend_fini(&m->backend);
        return error;
    }
    m->ip = ip ? *ip : (struct ip){{0}};
    m->has_backend = 1;
    loader_init(&m->loader, &m->backend, all->tell, all->waiting, ASK_KEEP_UNSAID, all->conf->models.load_cooldown_ms,
                &(struct loader_ops){on_load, on_loaded, m});
    member_ask_init(m, on_probed);
    breaker_init(&m->breaker, &all->rules, now_of(m));
    m->told_state = BREAKER_UNKNOWN;
    start_probe(m);
    (void)member_refresh(m, 0);
    arm(m);
    members_touch(m);
    return 0;
}

void member_set_leaving(struct member *m, int is_leaving)
{
    if (m->is_leaving == is_leaving)
        return;
    m->is_leaving = is_leaving;
    member_ask_cancel(m);
    if (!is_leaving)
        start_probe(m);
    arm(m);
    members_touch(m);
}

void member_free(struct member **out)
{
    struct member *m = *out;
    if (!m)
        return;
    loop_disarm(m->all->loop, &m->timer);
    if (m->has_backend) {
        member_ask_fini(m);
        loader_fini(&m->loader);
        backend_fini(&m->backend);
    }
    installed_fini(&m->installed);
    buf_fini(&m->tags);
    buf_fini(&m->loaded);
    free(m);
    *out = NULL;
}

int member_is_open(struct member *m, int64_t now_ms)
{
    return m->has_backend && !m->is_drained && !m->is_leaving && breaker_may(&m->breaker, now_ms);
}

size_t member_slots(const struct member *m, int64_t now_ms)
{
    return breaker_slots(&m->breaker, (size_t)m->conf->slots, now_ms);
}

/* What it told last is all that is known for now: it is down, or would not tell again. */
static int is_last_word(const struct member *m)
{
    return m->is_listed && (m->breaker.state == BREAKER_DOWN || (!m->is_listing && m->list_asked_ms > m->listed_ms));
}

enum installed_verdict member_has(const struct member *m, const char *model, int64_t now_ms)
{
    if (m->conf->models.items_n > 0)
        return conf_names_model(&m->conf->models, model, strlen(model)) ? INSTALLED_YES : INSTALLED_NO;
    enum installed_verdict verdict = installed_look(&m->installed, model, now_ms);
    return verdict == INSTALLED_UNKNOWN && is_last_word(m) ? INSTALLED_NO : verdict;
}

void member_use(struct member *m)
{
    m->users_n++;
    m->is_used = 1;
}

void member_leave(struct member *m)
{
    m->users_n--;
    m->is_used = 1;
    if (m->is_leaving && m->users_n == 0)
        members_touch(m);
}

void member_answered(struct member *m, unsigned era, enum breaker_outcome outcome, const char *why)
{
    breaker_end(&m->breaker, era, outcome, now_of(m));
    if (outcome == BREAKER_BAD || outcome == BREAKER_REFUSED) {
        member_say(m, why);
        member_probe_soon(m);
        look_up(m);
    }
    look(m);
}
