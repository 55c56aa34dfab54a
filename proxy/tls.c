/* See tls.h. */
#include "proxy/tls.h"

#include "common/log.h"

int tls_is_handshake(const char *first, int *has_told)
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
