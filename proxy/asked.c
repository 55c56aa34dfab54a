/* See asked.h. The timer runs on a while after the last request has its answer: to stop it would cost each request something. */
#include "proxy/asked.h"

/* No message for each request: only of those that wait long, and then now and then. */
static void on_timer(void *context, int64_t now_ms)
{
    struct asked_list *l = context;
    uint64_t progress = atomic_load_explicit(&l->line->progress_bytes, memory_order_relaxed);
    if (atomic_load_explicit(&l->line->asked_n, memory_order_relaxed) == 0)
        return;
    if (progress == l->progress_seen)
        (void)!contract_send(l->channel_fd, CONTRACT_CHANGED, 1, ""); /* a full channel: the next one will do */
    l->progress_seen = progress;
    loop_arm(l->loop, &l->timer, now_ms + l->interval_ms);
}

void asked_init(struct asked_list *l, struct loop *loop, struct contract_line *line, int channel_fd, int64_t limit_ms)
{
    *l = (struct asked_list){.loop = loop, .line = line, .channel_fd = limit_ms > 0 ? channel_fd : -1};
    l->interval_ms = contract_stall_interval_ms(limit_ms);
    timer_init(&l->timer, on_timer, l);
}

void asked_fini(struct asked_list *l)
{
    if (l->loop)
        loop_disarm(l->loop, &l->timer);
}

void asked_count(struct asked_list *l, int is_begun)
{
    if (l->channel_fd < 0)
        return;
    atomic_fetch_add(&l->line->asked_n, is_begun ? 1u : (uint32_t)-1);
    if (!is_begun || timer_is_armed(&l->timer))
        return;
    l->progress_seen = atomic_load_explicit(&l->line->progress_bytes, memory_order_relaxed);
    loop_arm(l->loop, &l->timer, loop_now_ms(l->loop) + l->interval_ms);
}

void asked_enter(struct asked_list *l, struct asked *a)
{
    if (a->is_in || l->channel_fd < 0)
        return;
    a->is_in = 1;
    a->previous = NULL;
    a->next = l->first;
    if (l->first)
        l->first->previous = a;
    l->first = a;
    asked_count(l, 1);
}

void asked_leave(struct asked_list *l, struct asked *a)
{
    if (!a->is_in)
        return;
    a->is_in = 0;
    *(a->previous ? &a->previous->next : &l->first) = a->next;
    if (a->next)
        a->next->previous = a->previous;
    asked_count(l, 0);
}

void asked_stalled(struct asked_list *l, const char *why)
{
    for (struct asked *a = l->first, *next; a; a = next) {
        next = a->next; /* who is told may leave, and takes nobody along */
        a->stalled(a->context, why);
    }
}
