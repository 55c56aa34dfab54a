/*
 * chunk_whole: the one form in which nearly all chunks come: whole, and without extensions. RFC 9112 section 7.1
 */
#ifndef PROXY_CHUNK_WHOLE_H
#define PROXY_CHUNK_WHOLE_H

#include "proxy/message.h"

enum { CHUNK_WHOLE_DIGITS = 4 };

/* Bytes of a chunk that is all there, `SIZE CRLF DATA CRLF`, with up to CHUNK_WHOLE_DIGITS digits that are not all 0; *data: the
 * place of its data. 0: it is something else, good or bad, or not all there. */
size_t chunk_whole(const char *bytes, size_t bytes_n, struct span *data);

#endif
