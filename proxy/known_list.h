/*
 * known_list: whether two lists of models say the same. Ollama sorts them by the second in which they were made, and models of one
 * second, as those that came with an image, stand in another order each time that it is asked (server/routes.go ListHandler, v0.9.5).
 */
#ifndef PROXY_KNOWN_LIST_H
#define PROXY_KNOWN_LIST_H

#include <stddef.h>

/* Two answers to GET /api/tags: 1 where they differ in the order of the models at the most, each of them byte by byte what it was;
 * else, and where one of them is something else, 0. */
int known_list_is_same(const char *a, size_t a_n, const char *b, size_t b_n);

#endif
