/* See feed.h. */
#include "proxy/observe/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void tell_one(struct feed *f, struct feed_listener *l, const char *bytes, size_t bytes_n)
{
    if (l->tell(l->context, bytes, bytes_n))
        l->told_ms = loop_now_ms(f->loop);
}

static void tell_all(struct feed *f, int64_t now_ms)
{
    struct buf out;
    buf_init(&out, FEED_BYTES);
    f->told_ms = now_ms;
    if (f->ops.write(f->ops.context, &out) == 0)
        for (struct feed_listener *l = f->first; l; l = l->next)
            tell_one(f, l, buf_data(&out), buf_size(&out));
    buf_fini(&out);
}

static void ping(struct feed *f, int64_t now_ms)
{
    static const char text[] = ": ping\n\n";
    for (struct feed_listener *l = f->first; l; l = l->next)
        if (now_ms - l->told_ms >= FEED_PING_MS)
            tell_one(f, l, text, sizeof text - 1);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct feed *f = context;
    uint64_t seen = f->ops.look(f->ops.context);
    if (seen != f->seen || now_ms - f->told_ms >= FEED_TELL_MS)
        tell_all(f, now_ms);
    f->seen = seen;
    ping(f, now_ms);
    loop_arm(f->loop, &f->timer, now_ms + FEED_LOOK_MS);
}

int feed_new(struct feed **out, struct loop *loop, const struct feed_ops *ops)
{
    struct feed *f = *out = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->loop = loop;
    f->ops = *ops;
    timer_init(&f->timer, on_timer, f);
    return 0;
}

void feed_free(struct feed **f)
{
    if (*f)
        loop_disarm((*f)->loop, &(*f)->timer);
    free(*f);
    *f = NULL;
}

int feed_has_room(const struct feed *f, const char *address)
{
    size_t its_n = 0;
    for (const struct feed_listener *l = f->first; l; l = l->next)
        its_n += strcmp(l->address, address) == 0;
    if (its_n == FEED_OF_ADDRESS_MAX)
        return -EDQUOT;
    return f->listeners_n == FEED_LISTENERS_MAX ? -EBUSY : 0;
}

int feed_enter(struct feed *f, struct feed_listener *l)
{
    struct buf out;
    int error = feed_has_room(f, l->address);
    if (error)
        return error;
    buf_init(&out, FEED_BYTES);
    error = f->ops.write(f->ops.context, &out);
    if (!error) {
        l->is_in = 1;
        l->previous = NULL;
        l->next = f->first;
        if (l->next)
            l->next->previous = l;
        f->first = l;
        if (f->listeners_n++ == 0) {
            f->seen = f->ops.look(f->ops.context);
            f->told_ms = loop_now_ms(f->loop);
            loop_arm(f->loop, &f->timer, f->told_ms + FEED_LOOK_MS);
        }
        tell_one(f, l, buf_data(&out), buf_size(&out));
    }
    buf_fini(&out);
    return error;
}

void feed_leave(struct feed *f, struct feed_listener *l)
{
    if (!l->is_in)
        return;
    l->is_in = 0;
    *(l->previous ? &l->previous->next : &f->first) = l->next;
    if (l->next)
        l->next->previous = l->previous;
    if (--f->listeners_n == 0)
        loop_disarm(f->loop, &f->timer);
}
