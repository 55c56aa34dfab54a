/* date: when an answer was made. RFC 9110 sections 5.6.7, 6.6.1 */
#ifndef PROXY_DATE_H
#define PROXY_DATE_H

#include "common/buf.h"

/* Appends `Date: …` and its CRLF, as it is now. 0 or -errno. */
int date_append(struct buf *head) WARN_UNUSED;

#endif
