/* See hub.h. */
#include "preload/hub/hub.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

enum { ANSWER_MS = 5 * 60 * 1000 /* for all of one: some networks are slow, and some hubs drip */ };

int hub_turn(struct hub *h, int64_t timeout_ms)
{
    fetcher_turn(&h->fetcher, h->signal_fd, (int)(timeout_ms < 0 ? 0 : timeout_ms < HUB_TURN_MS ? timeout_ms : HUB_TURN_MS));
    h->now_ms = sys_monotonic_ms();
    int number = h->signal_fd >= 0 ? sys_signalfd_read(h->signal_fd) : 0;
    if (number > 0)
        return trouble_set(&h->trouble, TROUBLE_CANCELLED, "stopped by signal %d; what was downloaded is kept: ask again to go on", number);
    return 0;
}

int hub_pause(struct hub *h, int64_t pause_ms)
{
    int64_t until_ms = h->now_ms + pause_ms;
    while (h->now_ms < until_ms)
        if (hub_turn(h, until_ms - h->now_ms) < 0)
            return -1;
    return 0;
}

int64_t hub_pause_ms(const struct hub *h, const struct why *why, struct retry *retry, int has_progress, int64_t took_ms)
{
    uint32_t random = 0;
    sys_random(&random, sizeof random);
    int64_t pause_ms = why_pause_ms(why, retry, h->settings.retries, has_progress, random), since_ms = h->now_ms - h->begun_ms;
    int is_too_late = !h->has_bytes && since_ms <= HUB_SOON_MS && since_ms + pause_ms + took_ms > HUB_SOON_MS;
    return pause_ms >= 0 && is_too_late ? -1 : pause_ms;
}

/* One answer that is held. */
struct get {
    struct buf *text;
    struct why why;
    const char *what;
    const struct settings *settings;
    struct fetch_head *head;
    int is_over;
};

static int take_bytes(void *context, const struct fetch_head *head, const char *bytes, size_t bytes_n)
{
    struct get *get = context;
    (void)head;
    return buf_append(get->text, bytes, bytes_n);
}

static void take_end(void *context, const struct fetch_head *head, const char *lost, int error)
{
    struct get *get = context;
    get->is_over = 1;
    if (get->head)
        *get->head = *head;
    if (error)
        lost = error == -EFBIG ? "its answer is longer than any of a hub" : strerror(-error);
    why_of(&get->why, head, lost, get->what, get->settings);
}

static int get_once(struct hub *h, const char *url, struct get *get)
{
    struct fetch fetch;
    int error;
    fetch_init(&fetch, &h->fetcher, take_bytes, take_end, get);
    buf_consume(get->text, buf_size(get->text));
    get->is_over = 0;
    error = fetch_start(&fetch, url, 0) < 0 ? trouble_system(&h->trouble, -ENOMEM, "asking", url) : 0;
    int64_t until_ms = h->now_ms + ANSWER_MS;
    while (!error && !get->is_over && h->now_ms < until_ms)
        error = hub_turn(h, HUB_TURN_MS);
    if (!error && !get->is_over)
        why_of(&get->why, &fetch.head, "its answer did not come to its end in time", get->what, get->settings);
    fetch_fini(&fetch);
    return error;
}

int hub_get(struct hub *h, const char *url, const char *what, struct buf *text, struct fetch_head *head)
{
    struct get get = {.text = text, .what = what, .settings = &h->settings, .head = head};
    struct retry retry = {0};
    for (;;) {
        int64_t asked_ms = h->now_ms;
        if (get_once(h, url, &get) < 0)
            return -1;
        if (get.why.trouble.code == TROUBLE_NONE)
            return buf_append(text, "", 1) < 0 ? trouble_system(&h->trouble, -ENOMEM, "asking", url) : 0;
        int64_t pause_ms = hub_pause_ms(h, &get.why, &retry, 0, h->now_ms - asked_ms);
        if (pause_ms < 0) {
            h->trouble = get.why.trouble;
            return -1;
        }
        say_status(&h->say, "trying again in %llds: %s", (long long)((pause_ms + 999) / 1000), get.why.trouble.text);
        if (hub_pause(h, pause_ms) < 0)
            return -1;
    }
}
