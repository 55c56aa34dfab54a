/*
 * shared_tell: what Redis says of backends, beside what shared.h has us say.
 */
#ifndef PROXY_STORE_SHARED_TELL_H
#define PROXY_STORE_SHARED_TELL_H

#include "proxy/store/shared_call.h"

/* A backend is drained, or not: the owner is told where that is news. context: s. */
void shared_on_drained(void *context, const char *backend, int is_drained);
/* Redis is back, or has lost what it had: it is told what is drained, and what was said while it was away. */
void shared_drain_all(struct shared *s);

#endif
