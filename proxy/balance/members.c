/*
 * See member.h. All of them: which there are, as the addresses of their hosts' names come and go. A member is made and freed here alone, freed only
 * at the end of a turn and when nobody uses it.
 */
#include "proxy/balance/members_inner.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOK_UP_SLOW_MS = 3000 }; /* so long who asks for a model that nobody lists waits for a name that was never found yet */

static void let_go(struct member *m)
{
    struct members *all = m->all;
    log_event(LOG_INFO, "member_gone", "backend=%s", m->name);
    loader_stalled(&m->loader, "its address is gone"); /* loads that nobody waits for any more are work, too */
    all->ops.gone(all->ops.context, m);
    all->places[m->index] = NULL;
    member_free(&m);
}

static void on_review(void *context)
{
    struct members *all = context;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = all->places[i];
        if (!m || !m->is_changed)
            continue;
        m->is_changed = 0;
        if (m->is_leaving && m->users_n == 0)
            let_go(m);
        else
            all->ops.changed(all->ops.context, m);
    }
}

/* NULL: all places are taken, or there is no memory. */
static struct member *add(struct members_row *row)
{
    struct members *all = row->all;
    size_t i = 0;
    while (i < BALANCE_BACKENDS && all->places[i])
        i++;
    return i < BALANCE_BACKENDS ? all->places[i] = member_new(row, (int)i) : NULL;
}

static struct member *next_of(const struct members_row *row, size_t *i)
{
    for (; *i < BALANCE_BACKENDS; (*i)++)
        if (row->all->places[*i] && row->all->places[*i]->row == row)
            return row->all->places[(*i)++];
    return NULL;
}

/* The one that is nowhere yet: its row's first, until its host's name was found. */
static struct member *unsettled(const struct members_row *row)
{
    struct member *m;
    for (size_t i = 0; (m = next_of(row, &i));)
        if (!m->has_backend)
            return m;
    return NULL;
}

static struct member *at_address(const struct members_row *row, const struct ip *ip)
{
    struct member *m;
    for (size_t i = 0; (m = next_of(row, &i));)
        if (m->has_backend && ip_is_equal(&m->ip, ip))
            return m;
    return NULL;
}

static int is_found(const struct resolve_found *found, const struct ip *ip)
{
    for (size_t i = 0; i < found->ips_n; i++)
        if (ip_is_equal(&found->ips[i], ip))
            return 1;
    return 0;
}

static void tell_full(struct members *all, const struct members_row *row)
{
    if (!all->is_full_told)
        log_event(LOG_WARNING, "members_full", "backend=%s most=%d hint=\"its further addresses get no requests\"", row->conf->name, BALANCE_BACKENDS);
    all->is_full_told = 1;
}

static void add_address(struct members_row *row, const struct ip *ip)
{
    struct member *m = unsettled(row);
    if (!m)
        m = add(row);
    if (!m)
        tell_full(row->all, row);
    else if (member_settle(m, ip) < 0)
        member_fail(m, *m->why ? m->why : "out of memory");
}

/* Of one that leaves nobody may think that it is the one that has come in its place. */
static void name_members(struct members_row *row, int is_alone)
{
    char name[MEMBER_NAME_BYTES], text[ADDRESS_TEXT_BYTES];
    struct address at = row->url.address;
    struct member *m;
    for (size_t i = 0; (m = next_of(row, &i));) {
        if (!m->has_backend)
            continue;
        ip_text(&m->ip, at.host);
        address_text(&at, text);
        if (is_alone && !m->is_leaving)
            snprintf(name, sizeof name, "%s", row->conf->name);
        else
            snprintf(name, sizeof name, "%s/%s", row->conf->name, text);
        if (strcmp(name, m->name) == 0)
            continue;
        snprintf(m->name, sizeof m->name, "%s", name);
        members_touch(m);
    }
}

static void follow(struct members_row *row, const struct resolve_found *found)
{
    struct member *m;
    for (size_t i = 0; (m = next_of(row, &i));)
        if (m->has_backend)
            member_set_leaving(m, !is_found(found, &m->ip));
    for (size_t i = 0; i < found->ips_n; i++)
        if (!at_address(row, &found->ips[i]))
            add_address(row, &found->ips[i]);
    if (found->is_cut)
        tell_full(row->all, row);
    name_members(row, found->ips_n == 1);
}

/* What was known stays: who can't be reached is found out by his probes. */
static void note_lost(struct members_row *row, const char *why)
{
    char text[MEMBER_WHY_BYTES];
    struct member *m = unsettled(row);
    snprintf(text, sizeof text, "%.50s can't be looked up: %.80s", row->url.address.host, why);
    buf_neutralise(text);
    if (!row->is_lost)
        log_event(LOG_WARNING, "backend_unresolved", "backend=%s reason=\"%s\"", row->conf->name, text);
    row->is_lost = 1;
    if (m)
        member_fail(m, text);
}

static void arm_look_up(struct members_row *row, int64_t after_ms)
{
    loop_arm(row->all->loop, &row->timer, loop_now_ms(row->all->loop) + after_ms);
}

static void on_resolved(void *context, const struct resolve_found *found)
{
    struct members_row *row = context;
    arm_look_up(row, row->all->conf->balancer.resolve_interval_ms);
    if (found->ips_n == 0) {
        note_lost(row, found->why);
        return;
    }
    if (row->is_lost)
        log_event(LOG_INFO, "backend_resolved", "backend=%s addresses=%zu", row->conf->name, found->ips_n);
    row->is_lost = 0;
    follow(row, found);
}

static void look_up(struct members_row *row)
{
    row->looked_up_ms = loop_now_ms(row->all->loop);
    int error = resolve_start(&row->resolve, row->url.address.host);
    arm_look_up(row, error ? row->all->conf->balancer.resolve_interval_ms : LOOK_UP_SLOW_MS);
    if (error)
        note_lost(row, strerror(-error));
}

static void on_row_timer(void *context, int64_t now_ms)
{
    struct members_row *row = context;
    (void)now_ms;
    if (!resolve_is_under_way(&row->resolve))
        look_up(row);
    else
        note_lost(row, "no name server has answered yet");
}

/* 0 or -ENOMEM. Whatever else is wrong is its first member's. */
static int set_up_row(struct members_row *row, struct members *all, const struct conf_backend *conf)
{
    char host[ADDRESS_TEXT_BYTES], why[PARSE_WHY_BYTES];
    struct sockaddr_storage at;
    socklen_t at_n;
    *row = (struct members_row){.all = all, .conf = conf};
    resolve_init(&row->resolve, all->loop, on_resolved, row);
    timer_init(&row->timer, on_row_timer, row);
    struct member *m = add(row);
    size_t key_n = strlen(conf->key) + sizeof "Bearer ";
    row->authorization = *conf->key ? malloc(key_n) : NULL;
    if (!m || (*conf->key && !row->authorization))
        return -ENOMEM;
    if (row->authorization)
        snprintf(row->authorization, key_n, "Bearer %s", conf->key);
    if (parse_url(conf->url, &row->url, why) < 0) {
        member_fail(m, why);
        return 0;
    }
    address_text(&row->url.address, host);
    snprintf(row->origin, sizeof row->origin, "%s://%s", row->url.is_https ? "https" : "http", host);
    row->is_followed = !row->url.is_https && address_to_sockaddr(&row->url.address, &at, &at_n) < 0;
    if (row->is_followed) {
        look_up(row);
        return 0;
    }
    int error = member_settle(m, NULL);
    if (error && error != -ENOMEM)
        member_fail(m, m->why);
    return error == -ENOMEM ? error : 0;
}

int members_new(struct members **out, struct loop *loop, const struct conf *conf, const struct tell *tell, struct waiting *waiting,
                const struct members_ops *ops)
{
    const struct conf_balancer *b = &conf->balancer;
    size_t rows_n = 0;
    int error = 0;
    for (size_t i = 0; i < conf->backends_n; i++)
        rows_n += (size_t)conf_backend_is_member(&conf->backends[i]);
    struct members *all = *out = calloc(1, sizeof *all + rows_n * sizeof all->rows[0]);
    if (!all)
        return -ENOMEM;
    *all = (struct members){.loop = loop, .conf = conf, .tell = tell, .waiting = waiting, .ops = *ops};
    all->rules = (struct breaker_rules){.rise_n = (unsigned)b->rise, .fall_n = (unsigned)b->fall, .failures_n = (unsigned)b->breaker_failures,
                                        .open_ms = b->breaker_open_ms, .slow_start_ms = b->slow_start_ms};
    all->review_work = (struct deferred){.fn = on_review, .context = all};
    for (size_t i = 0; i < conf->backends_n && !error; i++)
        if (conf_backend_is_member(&conf->backends[i]))
            error = set_up_row(&all->rows[all->rows_n++], all, &conf->backends[i]);
    if (error)
        members_free(out);
    return error;
}

void members_free(struct members **out)
{
    struct members *all = *out;
    if (!all)
        return;
    loop_forget(all->loop, &all->review_work);
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        member_free(&all->places[i]);
    for (size_t i = 0; i < all->rows_n; i++) {
        loop_disarm(all->loop, &all->rows[i].timer);
        resolve_fini(&all->rows[i].resolve);
        free(all->rows[i].authorization);
    }
    https_free(&all->https);
    free(all);
    *out = NULL;
}

struct member *members_at(const struct members *all, size_t i)
{
    return i < BALANCE_BACKENDS ? all->places[i] : NULL;
}

static int is_name(const char *text, const char *name, size_t name_n)
{
    return strlen(text) == name_n && memcmp(text, name, name_n) == 0;
}

struct member *members_find(const struct members *all, const char *name, size_t name_n)
{
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        if (all->places[i] && is_name(all->places[i]->name, name, name_n))
            return all->places[i];
    return NULL;
}

int member_is_named(const struct member *m, const char *name, size_t name_n)
{
    return is_name(m->name, name, name_n) || is_name(m->conf->name, name, name_n);
}

size_t members_count(const struct members *all, const char *name, size_t name_n)
{
    size_t n = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        const struct member *m = all->places[i];
        n += m && !m->is_leaving && member_is_named(m, name, name_n);
    }
    return n;
}

static void drain(struct member *m, int is_drained)
{
    if (m->is_drained == is_drained)
        return;
    m->is_drained = is_drained;
    log_event(LOG_INFO, is_drained ? "member_drained" : "member_undrained", "backend=%s", m->name);
    members_touch(m);
}

int members_drain(struct members *all, const char *name, size_t name_n, int is_drained)
{
    int is_known = 0;
    for (size_t i = 0; i < all->rows_n; i++) {
        if (!is_name(all->rows[i].conf->name, name, name_n))
            continue;
        all->rows[i].is_drained = is_drained;
        is_known = 1;
    }
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = all->places[i];
        if (!m || !member_is_named(m, name, name_n))
            continue;
        drain(m, is_drained);
        is_known = 1;
    }
    return is_known ? 0 : -ENOENT;
}

int members_refresh(struct members *all, int64_t older_ms)
{
    int is_awaited = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = all->places[i];
        if (m && m->breaker.state == BREAKER_UNKNOWN)
            is_awaited = 1; /* its first probe, or the lookup before that, ends soon */
        if (m && m->breaker.state != BREAKER_DOWN)
            is_awaited |= member_refresh(m, older_ms);
    }
    return !is_awaited;
}
