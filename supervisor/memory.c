/*
 * See memory.h. A kill shows in the kernel's counter before the process is gone. So a death by SIGKILL after which the counter
 * has grown was for want of memory (it is claimed); what nobody claims was a process below a program, such as a runner of
 * Ollama's. The counter of v2 also wakes us each time a full group is made to give back page cache, which a large model may
 * cause without end: so after each look the watch pauses.
 */
#include "supervisor/memory.h"

#include "common/human.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    LOOK_AGAIN_MS = 250,
    LOOKS_AGAIN = 8,            /* v1 tells of a full group, and then looks for a victim */
    CLAIM_WITHIN_MS = 500,      /* then it was no main process … */
    CLAIM_LATE_WITHIN_MS = 5000, /* … unless that is reaped yet: gigabytes are given back first */
    TELL_EVERY_MS = 5000,
    LIMIT_WORDS_BYTES = HUMAN_BYTES + 32,
};

static const char *const hint = "use a smaller model, a smaller context (OLLAMA_CONTEXT_LENGTH), or give it more memory";

/* The machine's counter has the kills of others in it; it is read only when one of ours was killed. */
static int is_own_counter(const struct memory *m)
{
    return m->group.kills_source != CGROUP_MACHINE;
}

/* The limit as it is now; "" where there is none. */
static void limit_words(const struct memory *m, char words[LIMIT_WORDS_BYTES])
{
    struct cgroup_memory is;
    char limit[HUMAN_BYTES];
    cgroup_read(&m->group, &is);
    human_bytes(limit, is.limit_bytes);
    words[0] = '\0';
    if (is.limit_bytes != CGROUP_NONE)
        snprintf(words, LIMIT_WORDS_BYTES, "%s %s", is.source == CGROUP_MACHINE ? "the machine has" : "the limit is", limit);
}

static void tell_now(struct memory *m, int64_t now_ms)
{
    struct cgroup_memory is;
    char limit[HUMAN_BYTES], peak[HUMAN_BYTES];
    const char *owner = m->main_name[0] ? m->main_name : m->owner(m->context);
    cgroup_read(&m->group, &is);
    human_bytes(limit, is.limit_bytes);
    human_bytes(peak, is.peak_bytes);
    log_event(LOG_ERROR, "oom_kill", "count=%u total=%" PRIu64 " limit=\"%s\" from=%s peak=\"%s\" program=%s process=%s hint=\"%s\"",
              m->untold_n, m->kills_n, limit, cgroup_source_name(is.source), peak, owner ? owner : "unknown",
              m->main_name[0] ? "main" : "child", hint);
    m->untold_n = 0;
    m->main_name[0] = '\0';
    m->has_told = 1;
    m->told_at_ms = now_ms;
}

/* A storm is one line in some seconds. */
static void tell(struct memory *m)
{
    int64_t now_ms = loop_now_ms(m->loop);
    if (m->untold_n == 0)
        return;
    if (m->has_told && now_ms < m->told_at_ms + TELL_EVERY_MS)
        loop_arm(m->loop, &m->tell, m->told_at_ms + TELL_EVERY_MS);
    else
        tell_now(m, now_ms);
}

static void tell_later(void *context, int64_t now_ms)
{
    struct memory *m = context;
    if (m->untold_n)
        tell_now(m, now_ms);
}

static void settle_soon(struct memory *m)
{
    if (!timer_is_armed(&m->settle)) /* who asks again and again does not put it off */
        loop_arm(m->loop, &m->settle, loop_now_ms(m->loop) + LOOK_AGAIN_MS);
}

/* Whose answers break of it should hear of it while they can still be told. */
static void tell_at_once(const struct memory *m)
{
    char words[LIMIT_WORDS_BYTES];
    if (!m->killed)
        return;
    limit_words(m, words);
    m->killed(m->context, words);
}

/* Takes what the counter says now. */
static void count(struct memory *m, int64_t kills_n)
{
    if (kills_n == CGROUP_NONE || m->seen_n == CGROUP_NONE || !is_own_counter(m)) {
        m->seen_n = kills_n;
        return;
    }
    if (kills_n > m->seen_n) {
        int64_t grown_n = kills_n - m->seen_n;
        m->kills_n += (uint64_t)grown_n;
        if (m->unclaimed_n == 0) /* the first one's time: a storm does not put it off */
            m->unclaimed_since_ms = loop_now_ms(m->loop);
        m->unclaimed_n += grown_n > 100000 ? 100000 : (unsigned)grown_n; /* a counter that lies must not overflow ours */
        m->looks_n = 0;
        settle_soon(m);
        tell_at_once(m);
    }
    m->seen_n = kills_n;
}

static void look(struct memory *m)
{
    int64_t kills_n;
    int fd = cgroup_open_kills(&m->group, &kills_n);
    sys_close(fd);
    if (fd >= 0)
        count(m, kills_n);
}

static void has_news(void *context, short revents);

static void stop_watching(struct memory *m)
{
    if (m->watch_fd >= 0)
        loop_remove(m->loop, m->watch_fd);
    sys_close(m->watch_fd);
    m->watch_fd = -1;
}

/* v2: the file has news (POLLPRI) from the moment in which it was read through this very descriptor. */
static void watch_file(struct memory *m)
{
    int64_t kills_n;
    int fd = cgroup_open_kills(&m->group, &kills_n);
    if (fd < 0)
        return;
    count(m, kills_n);
    if (loop_add(m->loop, fd, POLLPRI, has_news, m) < 0) {
        sys_close(fd);
        return;
    }
    m->watch_fd = fd;
}

/* v1: an eventfd is registered in our own group; a group above it that is full tells it too. */
static void watch_event(struct memory *m)
{
    char path[CGROUP_PATH_BYTES + 32], line[32];
    int oom_fd = cgroup_kills_path(&m->group, path) < 0 ? -ENAMETOOLONG : sys_open(path, O_RDONLY, 0);
    snprintf(path, sizeof path, "%s/cgroup.event_control", m->group.kills_dir);
    int control_fd = oom_fd < 0 ? oom_fd : sys_open(path, O_WRONLY, 0);
    int event_fd = control_fd < 0 ? control_fd : sys_eventfd();
    snprintf(line, sizeof line, "%d %d", event_fd, oom_fd);
    if (event_fd >= 0 && sys_write(control_fd, line, strlen(line)) == (ssize_t)strlen(line) &&
        loop_add(m->loop, event_fd, POLLIN, has_news, m) == 0)
        m->watch_fd = event_fd;
    else
        sys_close(event_fd);
    sys_close(control_fd);
    sys_close(oom_fd);
}

static void has_news(void *context, short revents)
{
    struct memory *m = context;
    uint64_t events_n;
    (void)revents;
    if (m->group.kills_source == CGROUP_V2) { /* it has news until it is read; settled() watches again */
        stop_watching(m);
        m->looks_n = 1;
        look(m);
    } else if (sys_read(m->watch_fd, &events_n, sizeof events_n) == (ssize_t)sizeof events_n) {
        m->looks_n = LOOKS_AGAIN;
    } else {
        stop_watching(m);
    }
    settle_soon(m);
}

/* A quarter of a second later: counts, watches again, and gives up waiting for claims. */
static void settled(void *context, int64_t now_ms)
{
    struct memory *m = context;
    m->looks_n -= m->looks_n > 0;
    if (m->group.kills_source == CGROUP_V2 && m->watch_fd < 0)
        watch_file(m);
    else if (is_own_counter(m))
        look(m);
    if (m->unclaimed_n && now_ms >= m->unclaimed_since_ms + CLAIM_WITHIN_MS) {
        m->late_n = m->unclaimed_n;
        m->late_until_ms = now_ms + CLAIM_LATE_WITHIN_MS;
        m->untold_n += m->unclaimed_n;
        m->unclaimed_n = 0;
        tell(m);
    }
    if (m->unclaimed_n || m->looks_n)
        settle_soon(m);
}

void memory_init(struct memory *m, struct loop *loop, const char *proc, const char *(*owner)(void *context), void *context)
{
    struct cgroup_memory is;
    char limit[HUMAN_BYTES], used[HUMAN_BYTES];
    *m = (struct memory){.loop = loop, .watch_fd = -1, .seen_n = CGROUP_NONE, .owner = owner, .context = context};
    timer_init(&m->settle, settled, m);
    timer_init(&m->tell, tell_later, m);
    cgroup_find(&m->group, proc);
    cgroup_read(&m->group, &is);
    human_bytes(limit, is.limit_bytes);
    human_bytes(used, is.used_bytes);
    look(m);
    if (m->group.kills_source == CGROUP_V2)
        watch_file(m);
    else if (m->group.kills_source == CGROUP_V1)
        watch_event(m);
    log_event(is.source == CGROUP_MACHINE ? LOG_DEBUG : LOG_INFO, "memory", "limit=\"%s\" used=\"%s\" from=%s path=\"%s\" kills_from=%s watched=%s",
              limit, used, cgroup_source_name(is.source), is.path, cgroup_source_name(m->group.kills_source),
              m->watch_fd >= 0 ? "yes" : "no");
}

void memory_fini(struct memory *m)
{
    if (!m->loop)
        return;
    stop_watching(m);
    loop_disarm(m->loop, &m->settle);
    loop_disarm(m->loop, &m->tell);
}

int64_t memory_limit_bytes(const struct memory *m)
{
    struct cgroup_memory is;
    cgroup_read(&m->group, &is);
    return is.limit_bytes;
}

void memory_look_soon(struct memory *m)
{
    if (is_own_counter(m) && m->watch_fd < 0)
        settle_soon(m);
}

void memory_reaped(struct memory *m)
{
    if (!is_own_counter(m))
        look(m);
    memory_look_soon(m);
}

/* 1 where there is a kill that may have been this one. */
static int take_kill(struct memory *m, const char *program)
{
    int64_t before_n = m->seen_n;
    look(m);
    if (!is_own_counter(m)) {
        if (before_n == CGROUP_NONE || m->seen_n <= before_n)
            return 0;
        m->kills_n++;
    } else if (m->unclaimed_n) {
        m->unclaimed_n--;
    } else if (m->late_n && loop_now_ms(m->loop) < m->late_until_ms) {
        m->late_n--;
        return 1; /* the log has it already, as a child */
    } else {
        return 0;
    }
    m->untold_n++;
    snprintf(m->main_name, sizeof m->main_name, "%s", program);
    return 1;
}

int memory_claim(struct memory *m, const char *program, char why[MEMORY_WHY_BYTES])
{
    char words[LIMIT_WORDS_BYTES];
    if (!take_kill(m, program))
        return 0;
    limit_words(m, words);
    snprintf(why, MEMORY_WHY_BYTES, "%sout of memory%s%s", is_own_counter(m) ? "" : "probably ", *words ? ", " : "", words);
    tell(m);
    return 1;
}

static int write_number(struct buf *out, const char *key, int64_t number)
{
    return number == CGROUP_NONE ? buf_printf(out, "\"%s\":null,", key) : buf_printf(out, "\"%s\":%" PRId64 ",", key, number);
}

int memory_write(const struct memory *m, struct buf *out)
{
    struct cgroup_memory is;
    cgroup_read(&m->group, &is);
    int error = buf_text(out, "{");
    error = error ? error : write_number(out, "limit_bytes", is.limit_bytes);
    error = error ? error : write_number(out, "used_bytes", is.used_bytes);
    error = error ? error : write_number(out, "peak_bytes", is.peak_bytes);
    error = error ? error : write_number(out, "cache_bytes", is.cache_bytes);
    return error ? error : buf_printf(out, "\"oom_kills\":%" PRIu64 ",\"source\":\"%s\"}", m->kills_n, cgroup_source_name(is.source));
}
