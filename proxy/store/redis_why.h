/*
 * redis_why: an error of Redis' in words: what it means, and what to do. Pure.
 */
#ifndef PROXY_STORE_REDIS_WHY_H
#define PROXY_STORE_REDIS_WHY_H

enum { REDIS_WHY_BYTES = 320 };

/* error: as Redis sent it, which may be anything; harmless on a terminal and in a log's quotes afterwards. */
void redis_why(const char *error, char out[REDIS_WHY_BYTES]);

#endif
