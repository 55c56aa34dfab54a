/*
 * https_head: a request's head, as it would go out, in the words of libcurl: its url, and a list of fields.
 */
#ifndef PROXY_HTTPS_HEAD_H
#define PROXY_HTTPS_HEAD_H

#include "common/buf.h"
#include "proxy/https_library.h"

/* head: a request line, fields, and an empty line. Adds its fields to *list, which is the caller's in any case; Host and Content-Length are
 * libcurl's own. url: origin and what is asked for, NUL-terminated. 0; -EINVAL where it is no head, -ENOMEM. */
int https_head_read(const struct https_library *curl, const char *head, size_t head_n, const char *origin, struct curl_slist **list,
                    struct buf *url) WARN_UNUSED;

#endif
