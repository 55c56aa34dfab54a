/*
 * What --check looks for beside the text: libraries that are loaded when they are needed, and by nobody else.
 */
#include "common/conf_internal.h"

#include <dlfcn.h>
#include <strings.h>

void conf_check_libraries(const struct conf *c, struct diag *d)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    const struct conf_head *at = NULL;
    void *library = NULL;
    for (size_t i = 0; i < c->backends_n && !at; i++)
        if (c->backends[i].api == CONF_BACKEND_API_OPENAI && strncasecmp(c->backends[i].url, "https:", 6) == 0)
            at = (const struct conf_head *)&c->backends[i];
    for (size_t i = 0; at && i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
    if (library)
        (void)dlclose(library);
    else if (at)
        conf_mistake(c, at, "backend", "url", d,
                     "https needs libcurl, which this program can't load: install libcurl4; a program that is linked statically can load none");
}
