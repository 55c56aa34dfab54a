/* See show_request.h. */
#include "proxy/show_request.h"

#include "proxy/model_body.h"
#include "proxy/own_request.h"

#include <errno.h>
#include <stdlib.h>

struct show_request {
    struct own_request own;
    show_request_fn *fn;
    void *context;
};

void show_request_free(struct show_request **r)
{
    if (!*r)
        return;
    own_request_fini(&(*r)->own);
    free(*r);
    *r = NULL;
}

static void on_done(void *context, const struct own_answer *got)
{
    struct show_request *r = context;
    int is_good = got->end == FETCH_DONE && !got->is_unread && got->status == 200;
    r->fn(r->context, is_good ? got->bytes : NULL, is_good ? got->bytes_n : 0);
    show_request_free(&r);
}

/* 0 or -ENOMEM. */
static int start(struct show_request *r, const struct tell *tell, const char *model)
{
    struct buf body;
    buf_init(&body, 0);
    int error = model_body_write(&body, model, "}");
    error = error ? error : own_request_start(&r->own, tell, "/api/show", &body);
    buf_fini(&body);
    return error;
}

int show_request_new(struct show_request **out, struct backend *backend, const struct tell *tell, const char *model,
                     show_request_fn *fn, void *context)
{
    static const struct own_rules rules = {.answer_bytes = SHOW_REQUEST_ANSWER_BYTES, .limit_ms = SHOW_REQUEST_MS};
    struct show_request *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->fn = fn;
    r->context = context;
    own_request_init(&r->own, backend, &rules, on_done, r);
    if (start(r, tell, model) < 0) {
        show_request_free(&r);
        return -ENOMEM;
    }
    *out = r;
    return 0;
}
