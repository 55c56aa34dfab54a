/* See site.h. Invariant: behind site_follow the request under way is the one that the machine asks for, or none. */
#include "preload/site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void take_bytes(void *context, const char *bytes, size_t bytes_n)
{
    struct site *s = context;
    s->has_news |= s->pull.state == PULL_PULLING;
    pull_bytes(&s->pull, bytes, bytes_n, s->now_ms);
}

static int start_pull(struct site *s)
{
    struct buf json;
    const char *name = s->pull.current->name;
    buf_init(&json, 0);
    int error = buf_text(&json, "{\"model\":");
    error = error ? error : buf_json_string(&json, name, strlen(name));
    error = error ? error : buf_text(&json, ",\"stream\":true}");
    error = error ? error : buf_append(&json, "", 1);
    error = error ? error : http_start(&s->http, "/api/pull", buf_data(&json));
    buf_fini(&json);
    return error;
}

void site_follow(struct site *s)
{
    while (s->done_ask_n != s->pull.ask_n) {
        int error = 0;
        s->done_ask_n = s->pull.ask_n;
        http_cancel(&s->http);
        if (s->pull.ask == PULL_ASK_TAGS)
            error = http_start(&s->http, "/api/tags", NULL);
        else if (s->pull.ask == PULL_ASK_PULL)
            error = start_pull(s);
        if (error)
            pull_answer(&s->pull, &(struct pull_answer){.is_lost = 1, .text = strerror(-error)}, s->now_ms);
    }
}

void site_turn(struct site *s, int64_t now_ms)
{
    struct http_answer answer;
    s->now_ms = now_ms;
    if (s->done_ask_n == s->pull.ask_n && http_perform(&s->http, &answer)) {
        struct pull_answer told = {.is_lost = answer.is_lost, .status = answer.status, .text = answer.text};
        pull_answer(&s->pull, &told, now_ms);
    }
    pull_time(&s->pull, now_ms);
}

int site_init(struct site *s, const struct conf *conf, const struct site_plan *plan, int64_t now_ms)
{
    const struct conf_backend *b = plan->backend;
    char url[ADDRESS_TEXT_BYTES + 8];
    *s = (struct site){.name = b ? b->name : NULL, .nobody = {.channel_fd = -1}, .now_ms = now_ms};
    address_text(&conf->backend, s->address);
    snprintf(url, sizeof url, "http://%s", s->address);
    int error = http_init(&s->http, b ? b->url : url, b ? b->key : "", take_bytes, s);
    if (!error && b && (error = models_init(&s->own, plan->names, &s->nobody, now_ms)) < 0)
        http_fini(&s->http);
    if (error)
        return error;
    show_init(&s->show, s->name, plan->has_terminal, plan->has_colours);
    pull_init(&s->pull,
              &(struct pull_setup){.models = b ? &s->own : plan->models, .show = &s->show, .backend = b ? s->name : s->address, .turns = plan->turns,
                                   .retries = conf->preload.retries, .is_backend_ours = conf->is_backend_ours, .limits = plan->limits},
              now_ms);
    return 0;
}

void site_fini(struct site *s)
{
    pull_fini(&s->pull);
    http_fini(&s->http);
    models_fini(&s->own);
}
