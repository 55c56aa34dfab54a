/*
 * cache_text: a kept answer as the text by which one proxy hands it to another. What is no such text, or of another version, is nothing. Pure.
 */
#ifndef PROXY_STORE_CACHE_TEXT_H
#define PROXY_STORE_CACHE_TEXT_H

#include "common/conf.h"
#include "proxy/cache.h"

/* Appends it. made_ms: on the clock of all. 0 or -errno. */
int cache_text_write(const struct cache_entry *e, int64_t made_ms, struct buf *out) WARN_UNUSED;

struct cache_text {
    struct cache_answer answer; /* its texts are borrowed of the text, but for strategy, which is of conf */
    int64_t made_ms;
    const char *bytes;          /* … the answer itself */
    size_t bytes_n;
};

/* text is cut into pieces at that. 0; -EINVAL: it is none, or made by a strategy that conf has not. */
int cache_text_read(char *text, size_t text_n, const struct conf *conf, struct cache_text *out) WARN_UNUSED;

#endif
