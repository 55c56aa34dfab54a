/* See refusal.h. */
#include "proxy/refusal.h"

#include "common/log.h"
#include "proxy/reply.h"
#include "proxy/route.h"

#include <string.h>

void refusal_answer(const struct deliver_sink *sink, const struct message *m, int status, const char *code,
                    const char *text)
{
    struct deliver d;
    const char *target = m->target.n ? message_at(m, m->path) : buf_data(&m->text);
    size_t target_n = m->target.n ? m->path.n : buf_size(&m->text);
    const char *space = m->target.n ? NULL : memchr(target, ' ', target_n);
    if (space) { /* the request line was not read to its end */
        target_n -= (size_t)(space + 1 - target);
        target = space + 1;
    }
    deliver_init(&d, sink, m->target.n ? m->minor : 1, m->method == METHOD_HEAD);
    reply_error(&d, route_dialect(target, target_n), status, code, text, NULL);
    deliver_fini(&d);
}

int refusal_is_tls(const char *first, int *has_told)
{
    enum { TLS_HANDSHAKE = 0x16 };
    if (*first != TLS_HANDSHAKE)
        return 0;
    if (!*has_told)
        log_event(LOG_WARNING, "tls_refused",
                  "hint=\"a client speaks https to this port, which takes http only; use http:// in its address\"");
    *has_told = 1;
    return 1;
}
