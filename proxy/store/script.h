/*
 * script: what Redis runs (balance/, its pieces one behind the other), as it is built into the program: without its comments and indents, its lines as they were.
 */
#ifndef PROXY_STORE_SCRIPT_H
#define PROXY_STORE_SCRIPT_H

#include <stddef.h>

/* Its bytes; how many. */
const char *script_text(size_t *bytes_n);

#endif
