/*
 * What a program is started as: user, groups, umask, nice, oom_score_adj, no_new_privileges, limits. Names are looked up
 * here, when the configuration is read, as between fork and exec nothing may be looked up.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define LIMIT_MAX (1LL << 50)

/* Every resource of setrlimit(2). is_bytes: 64K, 10M and the like are meant as bytes. */
static const struct {
    const char *name;
    int resource;
    int is_bytes;
} resources[] = {
    {"as", RLIMIT_AS, 1},           {"core", RLIMIT_CORE, 1},     {"cpu", RLIMIT_CPU, 0},
    {"data", RLIMIT_DATA, 1},       {"fsize", RLIMIT_FSIZE, 1},   {"locks", RLIMIT_LOCKS, 0},
    {"memlock", RLIMIT_MEMLOCK, 1}, {"msgqueue", RLIMIT_MSGQUEUE, 1}, {"nice", RLIMIT_NICE, 0},
    {"nofile", RLIMIT_NOFILE, 0},   {"nproc", RLIMIT_NPROC, 0},   {"rss", RLIMIT_RSS, 1},
    {"rtprio", RLIMIT_RTPRIO, 0},   {"rttime", RLIMIT_RTTIME, 0}, {"sigpending", RLIMIT_SIGPENDING, 0},
    {"stack", RLIMIT_STACK, 1},
};
enum { RESOURCES_N = sizeof resources / sizeof *resources };

/* One program in the making, and where its mistakes go. */
struct rights_case {
    struct conf *c;
    const struct conf_program *p;
    struct conf_rights *r;
    struct diag *d;
};

static void tell(const struct rights_case *k, const char *key, const char *format, ...) PRINTF_LIKE(3, 4);
static void tell(const struct rights_case *k, const char *key, const char *format, ...)
{
    char what[PARSE_WHY_BYTES + 128];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    conf_mistake(k->c, (const struct conf_head *)k->p, "program", key, k->d, what);
}

/* The same, of who it is to be: no mistake where it may be who we are (user_required = no). Then it is told where that is root;
 * who was started as somebody else, as a platform does that chooses its own user ids, knows it. */
static void tell_user(const struct rights_case *k, const char *format, ...) PRINTF_LIKE(2, 3);
static void tell_user(const struct rights_case *k, const char *format, ...)
{
    char what[PARSE_WHY_BYTES + 160];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(what, PARSE_WHY_BYTES + 128, format, args);
    va_end(args);
    if (k->p->user_required) {
        tell(k, "user", "%s", what);
        return;
    }
    size_t end = n < 0 ? 0 : strlen(what);
    snprintf(what + end, sizeof what - end, "; it runs as root");
    if (sys_geteuid() == 0)
        conf_warning(k->c, (const struct conf_head *)k->p, "program", "user", k->d, what);
}

/* ---- limits ---- */

static void unknown_limit(const struct rights_case *k, const char *name)
{
    const char *names[RESOURCES_N + 1] = {NULL};
    for (size_t i = 0; i < RESOURCES_N; i++)
        names[i] = resources[i].name;
    const char *nearest = diag_nearest(name, names);
    tell(k, "limits", "there is no limit \"%.40s\"%s%s%s", name, nearest ? "; did you mean " : "; see setrlimit(2): ",
         nearest ? nearest : "nofile, nproc, core, as, memlock, …", nearest ? "?" : "");
}

static int parse_limit_value(const char *text, int is_bytes, uint64_t *out, char *why)
{
    int64_t value;
    *out = SYS_UNLIMITED;
    if (strcmp(text, "unlimited") == 0)
        return 0;
    int error = is_bytes ? parse_size_bytes(text, 0, LIMIT_MAX, &value, why) : parse_integer(text, 0, LIMIT_MAX, &value, why);
    if (!error)
        *out = (uint64_t)value;
    return error;
}

/* NAME=VALUE, or NAME=SOFT:HARD. */
static int parse_limit(const struct rights_case *k, const char *item, struct conf_limit *out)
{
    char name[64], soft[64], why[PARSE_WHY_BYTES] = "";
    size_t at = 0;
    const char *equals = strchr(item, '='), *colon = equals ? strchr(equals, ':') : NULL;
    if (!equals || equals == item || equals - item >= (int)sizeof name) {
        tell(k, "limits", "\"%.60s\" is not NAME=VALUE, such as nofile=20000", item);
        return -EINVAL;
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - item), item);
    snprintf(soft, sizeof soft, "%.*s", colon ? (int)(colon - equals - 1) : 63, equals + 1);
    while (at < RESOURCES_N && strcmp(resources[at].name, name) != 0)
        at++;
    if (at == RESOURCES_N) {
        unknown_limit(k, name);
        return -EINVAL;
    }
    *out = (struct conf_limit){.name = resources[at].name, .resource = resources[at].resource};
    if (parse_limit_value(soft, resources[at].is_bytes, &out->soft, why) < 0 ||
        parse_limit_value(colon ? colon + 1 : soft, resources[at].is_bytes, &out->hard, why) < 0) {
        tell(k, "limits", "%s: %s; or write unlimited", name, why);
        return -EINVAL;
    }
    return 0;
}

static int is_known_limit(const struct conf_rights *r, int resource)
{
    for (size_t i = 0; i < r->limits_n; i++)
        if (r->limits[i].resource == resource)
            return 1;
    return 0;
}

static void check_limit(const struct rights_case *k, const char *item)
{
    struct conf_limit limit;
    uint64_t soft, hard = SYS_UNLIMITED;
    if (parse_limit(k, item, &limit) < 0)
        return;
    if (is_known_limit(k->r, limit.resource)) {
        tell(k, "limits", "%s stands twice", limit.name);
        return;
    }
    if (limit.soft > limit.hard)
        tell(k, "limits", "%s: the soft limit is above the hard one: write SOFT:HARD", limit.name);
    else if (k->c->reader == CONF_READER_SUPERVISOR && !sys_may(SYS_RAISE_LIMITS) &&
             sys_limit(limit.resource, &soft, &hard) == 0 && limit.hard > hard)
        tell(k, "limits", "%s: we may not go above our own hard limit, %llu: that takes CAP_SYS_RESOURCE", limit.name,
             (unsigned long long)hard);
    k->r->limits[k->r->limits_n++] = limit;
}

static int check_limits(const struct rights_case *k)
{
    const struct list *items = &k->p->limits;
    k->r->limits = items->items_n ? calloc(RESOURCES_N, sizeof *k->r->limits) : NULL; /* each stands once */
    if (items->items_n && !k->r->limits)
        return -ENOMEM;
    for (size_t i = 0; i < items->items_n; i++)
        check_limit(k, items->items[i]);
    return 0;
}

/* ---- small ones ---- */

static void check_umask(const struct rights_case *k)
{
    const char *text = k->p->umask;
    k->r->umask = -1;
    if (*text == '\0')
        return;
    size_t n = strspn(text, "01234567");
    int mask = 0;
    for (size_t i = 0; i < n && i < 5; i++)
        mask = mask * 8 + (text[i] - '0');
    if (text[n] || n > 4 || mask > 0777)
        tell(k, "umask", "\"%.20s\" is none: write octal digits, such as 027 (at most 0777)", text);
    else
        k->r->umask = mask;
}

static void check_oom_score_adj(const struct rights_case *k)
{
    int64_t value;
    char why[PARSE_WHY_BYTES];
    if (k->p->oom_score_adj[0] == '\0')
        return;
    if (parse_integer(k->p->oom_score_adj, -1000, 1000, &value, why) < 0)
        tell(k, "oom_score_adj", "%s", why);
    else
        snprintf(k->r->oom_score_adj, sizeof k->r->oom_score_adj, "%d", (int)value);
}

static void check_nice(const struct rights_case *k)
{
    k->r->nice = (int)k->p->nice;
    int lowest = sys_lowest_nice();
    if (k->c->reader == CONF_READER_SUPERVISOR && k->r->nice != 0 && !sys_may(SYS_LOWER_NICE) && k->r->nice < lowest)
        tell(k, "nice", "we may not go below %d: that takes CAP_SYS_NICE", lowest);
}

/* ---- user and groups ---- */

static int parse_id(const char *text, unsigned *out)
{
    int64_t value;
    char why[PARSE_WHY_BYTES];
    if (parse_integer(text, 0, UINT32_MAX - 1, &value, why) < 0) /* -1 means "leave it" to the kernel */
        return -EINVAL;
    *out = (unsigned)value;
    return 0;
}

static int find_group(const struct rights_case *k, const char *key, const char *text, unsigned *gid)
{
    int error = parse_id(text, gid);
    if (error)
        error = sys_group_by_name(text, gid);
    if (error == -ENOENT && strcmp(key, "user") == 0)
        tell_user(k, "there is no group \"%.60s\": make it, or write its number", text);
    else if (error == -ENOENT)
        tell(k, key, "there is no group \"%.60s\": make it, or write its number", text);
    else if (error)
        tell(k, key, "group \"%.60s\" can't be looked up: %s", text, strerror(-error));
    return error;
}

/* Room for so many groups, in the place of those that were there. 0 or -ENOMEM. */
static int make_groups(struct conf_rights *r, size_t groups_n)
{
    free(r->groups);
    r->has_groups = 1;
    r->groups_n = 0;
    r->groups = calloc(groups_n, sizeof *r->groups);
    return r->groups ? 0 : -ENOMEM;
}

static int check_groups(const struct rights_case *k)
{
    struct conf_rights *r = k->r;
    const struct list *groups = &k->p->groups;
    if (groups->items_n == 0)
        return 0;
    if (make_groups(r, groups->items_n) < 0)
        return -ENOMEM;
    if (!sys_may(SYS_SET_GROUPS))
        tell(k, "groups", "we run as uid %u, and may not set groups: that takes root, or CAP_SETGID", sys_geteuid());
    if (groups->items_n == 1 && strcmp(groups->items[0], "none") == 0)
        return 0;
    if (groups->items_n > SYS_GROUPS_MAX) {
        tell(k, "groups", "more than %d", SYS_GROUPS_MAX);
        return 0;
    }
    for (size_t i = 0; i < groups->items_n; i++)
        if (find_group(k, "groups", groups->items[i], &r->groups[r->groups_n]) == 0)
            r->groups_n++;
    return 0;
}

/* Fills found from NAME or UID; has_entry: somebody of /etc/passwd. */
static int find_user(const struct rights_case *k, const char *text, struct sys_user *found, int *has_entry)
{
    unsigned uid;
    int is_number = parse_id(text, &uid) == 0;
    int error = is_number ? sys_user_by_id(uid, found) : sys_user_by_name(text, found);
    *has_entry = error == 0;
    if (error == -ENOENT && is_number) {
        *found = (struct sys_user){.uid = uid, .home = "/"};
        return 0;
    }
    if (error == -ENOENT)
        tell_user(k, "there is no user \"%.60s\": make it, or write numbers, UID:GID", text);
    else if (error)
        tell_user(k, "user \"%.60s\" can't be looked up: %s", text, strerror(-error));
    return error;
}

/* The groups that /etc/group gives this user. */
static int take_own_groups(const struct rights_case *k, const struct sys_user *user, int has_entry)
{
    unsigned groups[SYS_GROUPS_MAX] = {k->r->gid};
    int n = has_entry ? sys_user_groups(user->name, k->r->gid, groups) : 1;
    if (n < 0 && k->p->groups.items_n == 0)
        tell(k, "user", "%.60s is in more than %d groups: choose them by groups", user->name, SYS_GROUPS_MAX);
    if (n < 0)
        return 0;
    if (make_groups(k->r, (size_t)n) < 0)
        return -ENOMEM;
    memcpy(k->r->groups, groups, (size_t)n * sizeof *groups);
    k->r->groups_n = (size_t)n;
    return 0;
}

/* What the environment of another user says of him. 0 or -ENOMEM. */
static int take_home(const struct rights_case *k, const struct sys_user *user)
{
    k->r->user = conf_text(k->c, user->name, strlen(user->name));
    k->r->home = conf_text(k->c, user->home[0] ? user->home : "/", user->home[0] ? strlen(user->home) : 1);
    k->r->shell = conf_text(k->c, user->shell, strlen(user->shell));
    return k->r->user && k->r->home && k->r->shell ? 0 : -ENOMEM;
}

static int check_user(const struct rights_case *k)
{
    struct conf_rights *r = k->r;
    struct sys_user user;
    char name[256];
    int has_entry;
    const char *colon = strchr(k->p->user, ':');
    if (k->p->user[0] == '\0')
        return 0;
    snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - k->p->user) : 255, k->p->user);
    if (name[0] == '\0' || (colon && colon[1] == '\0')) {
        tell(k, "user", "\"%.60s\" is none: write NAME, UID, NAME:GROUP or UID:GID", k->p->user);
        return 0;
    }
    int user_error = find_user(k, name, &user, &has_entry);
    int group_error = colon ? find_group(k, "user", colon + 1, &r->gid) : 0;
    if (user_error || group_error)
        return 0;
    if (!colon && !has_entry) {
        tell(k, "user", "uid %u has no entry in /etc/passwd that says its group: write %u:GID", user.uid, user.uid);
        return 0;
    }
    if (!colon)
        r->gid = user.gid;
    int is_us = user.uid == sys_geteuid();
    r->has_ids = !is_us || r->gid != sys_getegid();
    if (r->has_ids && !(sys_may(SYS_SET_USER) && sys_may(SYS_SET_GROUPS) && sys_may(SYS_SIGNAL_OTHERS))) {
        tell_user(k, "we run as uid %u, gid %u, and may not change: that takes root, or CAP_SETUID, CAP_SETGID and CAP_KILL",
                  sys_geteuid(), sys_getegid());
        r->has_ids = 0;
        return 0;
    }
    r->uid = user.uid;
    if (r->has_ids && take_own_groups(k, &user, has_entry) < 0)
        return -ENOMEM;
    return is_us ? 0 : take_home(k, &user);
}

int conf_check_rights(struct conf *c, struct diag *d)
{
    int error = 0;
    for (size_t i = 0; i < c->programs_n && !error; i++) {
        const struct conf_program *p = &c->programs[i];
        struct rights_case k = {c, p, &c->rights[i], d};
        *k.r = (struct conf_rights){.no_new_privileges = p->no_new_privileges};
        check_umask(&k);
        check_oom_score_adj(&k);
        check_nice(&k);
        error = check_limits(&k);
        if (error || c->reader != CONF_READER_SUPERVISOR)
            continue; /* who starts nothing need not know anybody */
        error = check_user(&k);
        error = error ? error : check_groups(&k);
    }
    return error;
}

void conf_fini_rights(struct conf_rights *r)
{
    free(r->groups);
    free(r->limits);
}

const struct conf_rights *conf_rights(const struct conf *c, const struct conf_program *p)
{
    static const struct conf_rights as_we_are = {.umask = -1};
    size_t at = conf_program_at(c, p);
    return at < c->programs_n ? &c->rights[at] : &as_we_are;
}
