/* The messages of a body of /api/chat. Each lies in the text, behind the one before it; what is counted is what decoding gives. */
#include "common/utf8.h"
#include "proxy/prompt.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static void check(int is_so)
{
    if (!is_so)
        abort();
}

static void check_message(const struct prompt_message *m, const char *at, const char *end)
{
    struct buf text;
    buf_init(&text, 0);
    check(m->whole.at >= at && m->whole.at + m->whole.n <= end && m->whole.n > 0);
    int error = prompt_decode(&m->content, &text);
    check(error == 0 || (error == -EINVAL && buf_size(&text) == 0));
    if (error == 0)
        check(m->chars_n == utf8_count(buf_data(&text), buf_size(&text)) + utf8_count(m->calls.at, m->calls.n));
    check(m->chars_n <= m->whole.n);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prompt p;
    char *json = malloc(size ? size : 1); /* ends where it ends */
    check(json != NULL);
    if (size > 0)
        memcpy(json, data, size);
    int error = prompt_read(&p, json, size);
    check(error == 0 || (error == -EINVAL && !p.messages));
    if (error == 0) {
        const char *at = p.whole.at, *end = at + p.whole.n;
        for (size_t i = 0; i < p.messages_n; i++) {
            check_message(&p.messages[i], at, end);
            at = p.messages[i].whole.at + p.messages[i].whole.n;
        }
        check(p.system_n == p.messages_n || p.messages[p.system_n].role != PROMPT_SYSTEM);
        check(p.last_user == p.messages_n || p.messages[p.last_user].role == PROMPT_USER);
        for (size_t i = p.last_user + 1; i < p.messages_n; i++)
            check(p.messages[i].role != PROMPT_USER);
        check(prompt_chars(&p) <= size);
        prompt_fini(&p);
    }
    free(json);
    return 0;
}
