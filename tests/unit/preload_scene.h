/*
 * preload_scene: a pull with its models on a page, played without a network: what Ollama says is said by hand.
 */
#ifndef TESTS_UNIT_PRELOAD_SCENE_H
#define TESTS_UNIT_PRELOAD_SCENE_H

#include "preload/pull.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct scene {
    struct list names;
    struct contract contract;
    struct contract_page *page;
    int supervisor_fd;
    struct models models;
    struct show show;
    struct pull pull;
    int64_t now_ms;
};

static inline struct scene *scene_new(const char *const *names, int64_t retries)
{
    struct scene *s = calloc(1, sizeof *s);
    int fds[2];
    assert_non_null(s);
    for (; *names; names++)
        assert_int_equal(list_append(&s->names, *names, strlen(*names)), 0);
    s->page = aligned_alloc(64, sizeof *s->page);
    assert_non_null(s->page);
    memset(s->page, 0, sizeof *s->page);
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds), 0);
    s->supervisor_fd = fds[1];
    s->contract = (struct contract){.channel_fd = fds[0], .page = s->page, .line = &s->page->lines[3]};
    s->now_ms = 1000;
    assert_int_equal(models_init(&s->models, &s->names, &s->contract, s->now_ms), 0);
    show_init(&s->show, NULL, 0, 0);
    pull_init(&s->pull,
              &(struct pull_setup){.models = &s->models, .show = &s->show, .backend = "127.0.0.1:11435",
                                   .retries = retries, .is_backend_ours = 1, .limits = pull_limits_default},
              s->now_ms);
    return s;
}

static inline void scene_free(struct scene *s)
{
    pull_fini(&s->pull);
    models_fini(&s->models);
    list_fini(&s->names);
    sys_close(s->contract.channel_fd);
    sys_close(s->supervisor_fd);
    free(s->page);
    free(s);
}

static inline void say(struct scene *s, const char *text)
{
    pull_bytes(&s->pull, text, strlen(text), s->now_ms);
}

static inline void end(struct scene *s, long status)
{
    pull_answer(&s->pull, &(struct pull_answer){.status = status, .text = ""}, s->now_ms);
}

static inline void lose(struct scene *s)
{
    pull_answer(&s->pull, &(struct pull_answer){.is_lost = 1, .text = "Connection refused"}, s->now_ms);
}

/* Answers GET /api/tags. */
static inline void list_models(struct scene *s, const char *json)
{
    assert_int_equal(s->pull.ask, PULL_ASK_TAGS);
    say(s, json);
    end(s, 200);
}

/* Answers POST /api/pull. */
static inline void answer_pull(struct scene *s, const char *json)
{
    assert_int_equal(s->pull.ask, PULL_ASK_PULL);
    say(s, json);
    end(s, 200);
}

static inline void pass(struct scene *s, int64_t ms)
{
    for (; ms > 0; ms -= 500) {
        s->now_ms += ms < 500 ? ms : 500;
        pull_time(&s->pull, s->now_ms);
    }
}

static inline int row_state(const struct scene *s, size_t i)
{
    struct contract_model_view view;
    contract_model_read(&s->page->models[i], &view);
    return (int)view.state;
}

static inline const char *row_reason(const struct scene *s, size_t i)
{
    static struct contract_model_view view;
    contract_model_read(&s->page->models[i], &view);
    return view.reason;
}

static inline unsigned messages(const struct scene *s)
{
    struct contract_message m;
    unsigned n = 0;
    while (contract_receive(s->supervisor_fd, &m) == 1)
        n += m.kind == CONTRACT_CHANGED;
    return n;
}

__attribute__((unused)) static const char *const two[] = {"tiny", "big:7b", NULL};
__attribute__((unused)) static const char *const one[] = {"tiny", NULL};
__attribute__((unused)) static const char nothing[] = "{\"models\":[]}";
__attribute__((unused)) static const char has_tiny[] = "{\"models\":[{\"name\":\"tiny:latest\"}]}";
__attribute__((unused)) static const char success[] = "{\"status\":\"pulling manifest\"}\n{\"status\":\"success\"}\n";

#endif
