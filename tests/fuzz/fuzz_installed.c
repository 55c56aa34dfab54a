/*
 * Answers to GET /api/tags, one behind the other, with a byte 0x1e between them; behind the last one the name that is looked for. What is
 * counted is bounded, each name that was taken is found, with a digest of its own, and what is no list changes nothing.
 */
#include "proxy/installed.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static void check(int is_right)
{
    if (!is_right)
        abort();
}

static void check_names(const struct installed *i)
{
    size_t used_n = 0;
    check(i->names_n <= INSTALLED_MODELS && buf_size(&i->names) <= INSTALLED_NAMES_BYTES);
    for (size_t k = 0; k < i->names_n; k++) {
        const char *name = buf_data(&i->names) + i->places[k];
        check(i->places[k] == used_n && *name);
        used_n += strlen(name) + 1;
        check(installed_look(i, name, INT64_MAX) == INSTALLED_YES);
        const unsigned char *digest = installed_digest(i, name);
        check(!digest || digest == i->digests[k]);
    }
    check(used_n == buf_size(&i->names));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct installed i;
    char name[256];
    const char *at = (const char *)data, *end = at + size, *mark;
    installed_init(&i);
    for (int64_t now_ms = 1; (mark = memchr(at, 0x1e, (size_t)(end - at))); now_ms++) {
        size_t before_n = i.names_n;
        int64_t fresh_until_ms = i.fresh_until_ms;
        int error = installed_read(&i, at, (size_t)(mark - at), now_ms);
        check(error == 0 || error == -EINVAL || error == -ENOMEM);
        check(error != -EINVAL || (i.names_n == before_n && i.fresh_until_ms == fresh_until_ms));
        check(error != 0 || (installed_is_fresh(&i, now_ms) && i.listed_ms == now_ms));
        check(error == -ENOMEM || i.listed_ms < 0 || (i.same_since_ms >= 1 && i.same_since_ms <= i.listed_ms));
        check_names(&i);
        at = mark + 1;
    }
    size_t name_n = (size_t)(end - at) < sizeof name - 1 ? (size_t)(end - at) : sizeof name - 1;
    memcpy(name, at, name_n);
    name[name_n] = '\0';
    enum installed_verdict verdict = installed_look(&i, name, 0);
    check(i.names_n > 0 || i.is_cut || verdict != INSTALLED_YES);
    installed_fini(&i);
    return 0;
}
