/* See overseer_tail.h. */
#include "proxy/observe/overseer_tail.h"

#include "common/contract.h"
#include "common/json_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    READ_BYTES = 16 * 1024,
    LINE_LIMIT_BYTES = 64 * 1024, /* the supervisor's are shorter */
    BEGIN_MS = 5000,
};

void overseer_tail_leave(struct overseer_tail *t)
{
    if (t->fd < 0)
        return;
    loop_disarm(t->overseer->loop, &t->timer);
    loop_remove(t->overseer->loop, t->fd);
    sys_close(t->fd);
    t->fd = -1;
    t->overseer->tails_n--;
    buf_fini(&t->coming);
}

static void end(struct overseer_tail *t, const char *why)
{
    overseer_tail_leave(t);
    t->on_end(t->context, why);
}

static void on_late(void *context, int64_t now_ms)
{
    (void)now_ms;
    end(context, "the supervisor does not answer");
}

/* The first line: whether it is refused; why: in the supervisor's words. */
static enum overseer_refusal read_refusal(const char *line, size_t line_n, char why[OVERSEER_TAIL_WHY_BYTES])
{
    static const char *const codes[] = {[OVERSEER_BUSY] = "busy", [OVERSEER_UNKNOWN_PROGRAM] = "unknown_program", [OVERSEER_NO_LINES] = "no_lines"};
    static const char *const names[] = {"ok", "error", "code"};
    struct json_walk w = {line, line + line_n};
    struct json_value v[3];
    snprintf(why, OVERSEER_TAIL_WHY_BYTES, "the supervisor's answer was not understood");
    if (json_read_members(&w, names, 3, JSON_EXACT, v) < 0)
        return OVERSEER_REFUSED;
    if (v[0].kind == JSON_TRUE)
        return OVERSEER_NOT_REFUSED;
    if (v[1].kind == JSON_STRING && json_decode(json_read_text(&v[1]), why, OVERSEER_TAIL_WHY_BYTES) > 0)
        buf_neutralise(why);
    for (int i = OVERSEER_BUSY; i < OVERSEER_REFUSED; i++)
        if (json_read_is(&v[2], codes[i]))
            return (enum overseer_refusal)i;
    return OVERSEER_REFUSED;
}

/* All that is whole goes to its reader, as the last that is done here: it may be gone then. */
static void tell(struct overseer_tail *t)
{
    char why[OVERSEER_TAIL_WHY_BYTES];
    const char *data = buf_data(&t->coming), *last = memrchr(data, '\n', buf_size(&t->coming));
    size_t whole_n = last ? (size_t)(last - data) + 1 : 0, first_n = 0;
    if (whole_n == 0)
        return;
    if (!t->is_begun) {
        first_n = (size_t)((const char *)memchr(data, '\n', whole_n) - data) + 1;
        t->refusal = read_refusal(data, first_n, why);
        if (t->refusal) {
            end(t, why);
            return;
        }
        t->is_begun = 1;
        loop_disarm(t->overseer->loop, &t->timer);
    }
    struct buf whole = t->coming;
    buf_init(&t->coming, LINE_LIMIT_BYTES);
    if (buf_append(&t->coming, data + whole_n, buf_size(&whole) - whole_n) < 0)
        end(t, "out of memory");
    else
        t->on_lines(t->context, data + first_n, whole_n - first_n);
    buf_fini(&whole);
}

static void on_readable(void *context, short revents)
{
    struct overseer_tail *t = context;
    char *at;
    (void)revents;
    int error = buf_reserve(&t->coming, READ_BYTES, &at);
    ssize_t n = error ? error : sys_recv(t->fd, at, READ_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        buf_commit(&t->coming, (size_t)n);
        tell(t);
    } else if (n != -EAGAIN) {
        end(t, t->is_begun ? NULL : "the supervisor does not answer");
    }
}

void overseer_tail_init(struct overseer_tail *t, void (*on_lines)(void *, const char *, size_t), void (*on_end)(void *, const char *), void *context)
{
    *t = (struct overseer_tail){.fd = -1, .on_lines = on_lines, .on_end = on_end, .context = context};
    timer_init(&t->timer, on_late, t);
}

/* One word, and no option. */
static int is_name(const char *name)
{
    if (!*name || *name == '-' || strlen(name) >= CONTRACT_NAME_BYTES)
        return 0;
    for (; *name; name++)
        if ((unsigned char)*name <= ' ' || *name == 0x7f)
            return 0;
    return 1;
}

int overseer_tail_begin(struct overseer_tail *t, struct overseer *o, const struct overseer_tail_ask *ask)
{
    char line[OVERSEER_LINE_BYTES + 1];
    unsigned lines_n = ask->lines_n < OVERSEER_TAIL_LINES_MOST ? ask->lines_n : OVERSEER_TAIL_LINES_MOST;
    if (ask->program && !is_name(ask->program))
        return -EINVAL;
    if (o->tails_n == OVERSEER_TAILS_MAX)
        return -EBUSY;
    snprintf(line, sizeof line, "tail%s -n %u %s", ask->is_following ? " -f" : "", lines_n, ask->program ? ask->program : "");
    int fd = overseer_hand_up(o, line);
    int error = fd < 0 ? fd : loop_add(o->loop, fd, POLLIN, on_readable, t);
    if (error < 0) {
        sys_close(fd);
        return error;
    }
    t->overseer = o;
    o->tails_n++;
    t->fd = fd;
    t->is_begun = 0;
    t->refusal = OVERSEER_NOT_REFUSED;
    buf_init(&t->coming, LINE_LIMIT_BYTES);
    loop_arm(o->loop, &t->timer, loop_now_ms(o->loop) + BEGIN_MS);
    return 0;
}

void overseer_tail_pause(struct overseer_tail *t, int is_paused)
{
    if (t->fd >= 0)
        loop_set_events(t->overseer->loop, t->fd, is_paused ? 0 : POLLIN);
}
