/* See https_library.h. The soname is the same in every Debian and Ubuntu since 2007; the symbols are those of its stable API. */
#include "proxy/https_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static struct {
    struct https_library functions;
    int is_loaded;
} library;

static void *open_any(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    void *handle = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !handle; i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return handle;
}

/* How a pointer to a function comes out of dlsym(3). */
static int find(void *handle, const char *name, void *function, size_t function_n)
{
    void *found = dlsym(handle, name);
    memcpy(function, &found, function_n);
    return found != NULL;
}

const struct https_library *https_library(char *why, size_t why_n)
{
    if (library.is_loaded)
        return &library.functions;
    void *handle = open_any();
    if (!handle) {
        snprintf(why, why_n, "libcurl can't be loaded: install libcurl4 (Debian, Ubuntu: apt-get install libcurl4)");
        return NULL;
    }
#define HTTPS_FUNCTION(name) &&find(handle, "curl_" #name, &library.functions.name, sizeof library.functions.name)
    if (!(1 HTTPS_LIBRARY(HTTPS_FUNCTION)) || library.functions.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
#undef HTTPS_FUNCTION
        snprintf(why, why_n, "libcurl is too old, or can't be used: 7.68 or newer is needed");
        return NULL;
    }
    library.is_loaded = 1;
    return &library.functions;
}
