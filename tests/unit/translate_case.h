/*
 * One translation for a test: texts are given to it in memory that ends where they end, so that a sanitizer sees who reads on.
 */
#ifndef TRANSLATE_CASE_H
#define TRANSLATE_CASE_H

#include "common/json_walk.h"
#include "proxy/translate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct translate_case {
    struct translation t;
    struct buf out;
    char why[TRANSLATE_WHY_BYTES];
    char text[16384]; /* what was written by the last call, NUL-terminated */
};

/* Of Ollama's APIs, for a backend that speaks OpenAI's; of the others, for Ollama. */
static inline void case_init(struct translate_case *c, enum route_api api)
{
    int is_ours = api == API_CHAT || api == API_GENERATE || api == API_EMBED || api == API_EMBED_ONE || api == API_SERVE_CHAT;
    memset(c, 0, sizeof *c);
    c->t = (struct translation){.ops = translate_ops_of(api, is_ours ? BACKEND_API_OPENAI : BACKEND_API_OLLAMA), .model = "m", .created_s = 1700000000, .id = "cmpl-abc"};
    assert_non_null(c->t.ops);
    buf_init(&c->out, 0);
}

static inline void case_fini(struct translate_case *c)
{
    if (c->t.ops->fini)
        c->t.ops->fini(&c->t);
    buf_fini(&c->out);
}

static inline char *case_exact(const char *text, size_t n)
{
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    return exact;
}

static inline int case_keep(struct translate_case *c, int error)
{
    assert_true(buf_size(&c->out) < sizeof c->text);
    memcpy(c->text, buf_data(&c->out), buf_size(&c->out));
    c->text[buf_size(&c->out)] = '\0';
    buf_consume(&c->out, buf_size(&c->out));
    return error;
}

static inline int case_request(struct translate_case *c, const char *text)
{
    size_t n = strlen(text);
    char *exact = case_exact(text, n);
    int error = c->t.ops->request(&c->t, exact, n, &c->out, c->why);
    free(exact);
    if (error == -EINVAL)
        assert_true(c->why[0] != '\0' && buf_size(&c->out) == 0);
    return case_keep(c, error);
}

static inline int case_object(struct translate_case *c, const char *text)
{
    size_t n = strlen(text);
    char *exact = case_exact(text, n);
    int error = c->t.ops->object(&c->t, exact, n, &c->out);
    free(exact);
    if (error)
        assert_int_equal(buf_size(&c->out), 0);
    return case_keep(c, error);
}

/* The request becomes just this. */
static inline void case_becomes(enum route_api api, const char *request, const char *wanted)
{
    struct translate_case c;
    case_init(&c, api);
    if (case_request(&c, request) != 0)
        fail_msg("%s: %s", request, c.why);
    assert_string_equal(c.text, wanted);
    case_fini(&c);
}

/* The request is refused with just this text. */
static inline void case_refused(enum route_api api, const char *request, const char *why)
{
    struct translate_case c;
    case_init(&c, api);
    if (case_request(&c, request) != -EINVAL)
        fail_msg("taken: %s", request);
    assert_string_equal(c.why, why);
    case_fini(&c);
}

/* A request that is answered at once: nobody is asked. */
static inline void case_answered(enum route_api api, const char *request, const char *wanted)
{
    struct translate_case c;
    case_init(&c, api);
    assert_int_equal(case_request(&c, request), 1);
    assert_string_equal(c.text, wanted);
    case_fini(&c);
}

#endif
