/* See script.h. The numbers come from the Makefile: a string of that length is none of C11's. */
#include "proxy/store/script.h"

static const unsigned char text[] = {
#include "proxy/store/balance_lua.def"
};

const char *script_text(size_t *bytes_n)
{
    *bytes_n = sizeof text;
    return (const char *)text;
}
