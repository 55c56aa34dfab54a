/*
 * https_library: libcurl, loaded when the first backend needs it: a proxy without such backends pays nothing for it. Which of its
 * functions are used, and no others. docs/adr/0015-https-backends.md
 */
#ifndef PROXY_HTTPS_LIBRARY_H
#define PROXY_HTTPS_LIBRARY_H

#include "common/sys.h"

#include <curl/curl.h>

/* Name without its `curl_`, which curl's headers have macros for. All are in 7.68, the oldest that is met (Ubuntu 20.04). */
#define HTTPS_LIBRARY(X) \
    X(global_init) X(easy_init) X(easy_setopt) X(easy_getinfo) X(easy_cleanup) X(easy_pause) X(easy_strerror) X(multi_init) \
    X(multi_setopt) X(multi_add_handle) X(multi_remove_handle) X(multi_socket_action) X(multi_assign) X(multi_info_read) X(multi_cleanup) \
    X(slist_append) X(slist_free_all)

struct https_library {
#define HTTPS_FUNCTION(name) __typeof__(curl_##name) *name;
    HTTPS_LIBRARY(HTTPS_FUNCTION)
#undef HTTPS_FUNCTION
};

/* Loads it, once; it stays. NULL with a sentence in why, that says what to install: there is none, or it speaks no TLS. */
const struct https_library *https_library(char *why, size_t why_n);

#endif
