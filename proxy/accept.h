/*
 * accept: what a client would like its answer to be. RFC 9110 section 12.5.1. Pure.
 */
#ifndef PROXY_ACCEPT_H
#define PROXY_ACCEPT_H

#include "proxy/message.h"

/* Whether Accept names text/event-stream, and neither refuses it (q=0) nor likes JSON, or lines of it, better. A wildcard is no wish. */
int accept_wants_events(const struct message *m);

#endif
