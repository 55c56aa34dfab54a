/*
 * See exchange_state.h. What the body of POST /generate is, by the head: JSON is held as it comes, a form becomes JSON while it
 * comes. curl -d says of JSON that it is a URL-encoded form: there the first character tells.
 */
#include "proxy/exchange_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TAKEN "application/json and multipart/form-data are taken"

static int refuse(struct exchange *x, int status, const char *code, const char *text)
{
    exchange_fail(x, status, code, text);
    return -1;
}

static int is_packed(const struct message *m)
{
    int place = message_find(m, "content-encoding", 0);
    return place >= 0 && (!message_is(m, m->fields[place].value, "identity") || message_count(m, "content-encoding") > 1);
}

/* A status of the form's, or what became of its object; 0, or -1: the exchange has ended. */
static int judge(struct exchange *x, int status)
{
    if (status == 0)
        return 0;
    if (status == -EFBIG)
        return refuse(x, 413, "body_too_large", "as JSON the form is larger than twice [proxy] max_body");
    if (status < 0)
        return refuse(x, 500, NULL, "out of memory");
    exchange_fail_upload(x, status, form_why(x->form));
    return -1;
}

static int begin_form(struct exchange *x, struct span type)
{
    const struct conf_proxy *conf = &x->env->conf->proxy;
    x->form = malloc(sizeof *x->form);
    if (!x->form)
        return refuse(x, 500, NULL, "out of memory");
    x->body.limit_bytes = 2 * (size_t)conf->max_body_bytes; /* base64, and what is escaped, is longer than what was sent */
    return judge(x, form_begin(x->form, message_at(x->request, type), type.n, (uint64_t)conf->upload_limit_bytes, &x->body));
}

int exchange_begin_upload(struct exchange *x)
{
    const struct message *m = x->request;
    int place = message_find(m, "content-type", 0);
    struct span type = place >= 0 ? m->fields[place].value : (struct span){0, 0};
    const char *text = message_at(m, type);
    if (x->admission.route->api != API_PRESET || m->method != METHOD_POST)
        return 0;
    if (is_packed(m))
        return refuse(x, 415, "body_type", "Content-Encoding: the body must be sent as it is; gzip and the like are not taken");
    if (place >= 0 && message_count(m, "content-type") > 1)
        return refuse(x, 400, "body_type", "Content-Type: is there more than once; " TAKEN);
    if (form_is(text, type.n, "multipart/form-data"))
        return begin_form(x, type);
    x->is_json_doubted = form_is(text, type.n, "application/x-www-form-urlencoded");
    if (place < 0 || type.n == 0 || x->is_json_doubted || form_is(text, type.n, "application/json"))
        return 0;
    return refuse(x, 415, "body_type", "Content-Type: " TAKEN);
}

/* The first characters of what may be JSON. */
static int look_for_json(struct exchange *x, const char *bytes, size_t bytes_n)
{
    for (size_t i = 0; i < bytes_n && x->is_json_doubted; i++) {
        if (bytes[i] == '{')
            x->is_json_doubted = 0;
        else if (!strchr(" \t\r\n", bytes[i]) || !bytes[i])
            return refuse(x, 415, "body_type", "Content-Type: a URL-encoded form is not taken; " TAKEN
                                               ": curl -F prompt=…, or -d '{\"prompt\":\"…\"}'");
    }
    return 0;
}

static int feed_form(struct exchange *x, const char *bytes, size_t bytes_n)
{
    struct budget *bodies = &x->env->bodies;
    x->upload_bytes += bytes_n;
    if (x->upload_bytes > (uint64_t)x->env->conf->proxy.max_body_bytes)
        return -EFBIG;
    if (judge(x, form_feed(x->form, bytes, bytes_n)) < 0)
        return 0;
    int error = budget_grow(bodies, &x->body_share, buf_size(&x->body));
    if (error && buf_size(&x->body) > bodies->limit_bytes) /* nobody's end would make room for it */
        (void)refuse(x, 413, "body_too_large", "as JSON the form is larger than [proxy] max_held_bodies");
    return x->state == EXCHANGE_END ? 0 : error;
}

int exchange_take_body(struct exchange *x, const char *bytes, size_t bytes_n)
{
    if (x->form)
        return feed_form(x, bytes, bytes_n);
    return look_for_json(x, bytes, bytes_n) < 0 ? 0 : exchange_hold(x, bytes, bytes_n);
}

int exchange_end_upload(struct exchange *x)
{
    if (x->form && judge(x, form_end(x->form)) < 0)
        return -1;
    exchange_drop_form(x);
    return 0;
}
