/*
 * accept: what a client would like its answer to be, and how packed. RFC 9110 section 12.5. Pure.
 */
#ifndef PROXY_ACCEPT_H
#define PROXY_ACCEPT_H

#include "proxy/message.h"

/* Whether Accept names text/event-stream, and neither refuses it (q=0) nor likes JSON, or lines of it, better. A wildcard is no wish. */
int accept_wants_events(const struct message *m);

/* Whether an answer may come packed by gzip: Accept-Encoding names it, or all, with a weight, or is not there. RFC 9110 section 12.5.3 */
int accept_takes_gzip(const struct message *m);

#endif
