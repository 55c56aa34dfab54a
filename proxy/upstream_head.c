/* See upstream_head.h. A list of what may pass, as nobody knows under which names clients send keys, cookies and accounts. */
#include "proxy/upstream_head.h"

static int append_passed(struct buf *out, const struct message *m)
{
    static const char *const passed[] = {"accept", "user-agent", "anthropic-version", "anthropic-beta", "openai-beta"};
    int error = 0;
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        int place = message_find(m, passed[i], 0);
        if (place < 0 || error)
            continue;
        struct span value = m->fields[place].value;
        error = buf_printf(out, "%s: %.*s\r\n", passed[i], (int)value.n, message_at(m, value));
    }
    return error;
}

int upstream_head(struct buf *out, const struct forward_request *f, const struct upstream *u)
{
    const struct message *m = f->request;
    int error = buf_append(out, message_at(m, m->method_name), m->method_name.n);
    error = error ? error : buf_printf(out, " %s", u->path);
    if (!error)
        error = f->target ? buf_text(out, f->target) : buf_append(out, message_at(m, m->target), m->target.n);
    error = error ? error : buf_printf(out, " HTTP/1.1\r\nHost: %s\r\n", u->backend->host);
    if (!error && u->backend->authorization)
        error = buf_printf(out, "Authorization: %s\r\n", u->backend->authorization);
    error = error ? error : append_passed(out, m);
    if (!error && !u->is_hosted) {
        error = buf_printf(out, "X-Request-Id: %s\r\n", f->request_id);
        error = error ? error : tell_backend(f->tell, out, m, f->sender);
    }
    error = error ? error : buf_text(out, "Accept-Encoding: identity\r\nContent-Type: application/json\r\nContent-Length: ");
    error = error ? error : buf_number(out, (uint64_t)f->body_bytes);
    return error ? error : buf_append(out, "\r\n\r\n", 4);
}
