/* The priority of a request, of its body's members and of a head's field: what is taken is 0 to 9, what is refused has a reason that can be shown, and
 * a body without the member says nothing any more. The field's value is the first line. */
#include "proxy/priority.h"
#include "proxy/splice_body.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_why(const char *why)
{
    size_t n = strnlen(why, PRIORITY_WHY_BYTES);
    if (n == 0 || n == PRIORITY_WHY_BYTES)
        abort();
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)why[i] < 0x20)
            abort();
}

static void check_taken_out(const struct message *m, const char *json, size_t json_n)
{
    static const struct json_edit edit = {0, "priority", NULL, JSON_REMOVE};
    char why[PRIORITY_WHY_BYTES];
    struct priority_said said;
    struct buf body;
    buf_init(&body, 0);
    if (buf_append(&body, json, json_n) < 0)
        abort();
    if (splice_body(&body, &(struct json_edits){.items = &edit, .items_n = 1}) == 0 &&
        (priority_read(&said, m, buf_data(&body), buf_size(&body), why) < 0 || said.is_in_body))
        abort();
    buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[PRIORITY_WHY_BYTES] = "";
    struct priority_said said;
    struct message m;
    const char *text = (const char *)data, *end = size ? memchr(text, '\n', size) : NULL;
    size_t value_n = end ? (size_t)(end - text) : 0, head_n = end ? value_n + 1 : 0;
    message_init(&m, 0);
    if (buf_text(&m.text, "X-Priority") < 0 || buf_append(&m.text, text, value_n) < 0 ||
        message_add(&m, (struct span){0, 10}, (struct span){10, (uint32_t)value_n}) < 0)
        abort();
    int error = priority_read(&said, &m, text + head_n, size - head_n, why);
    if (error && error != -EINVAL)
        abort();
    if (error)
        check_why(why);
    else if (said.of_body < PRIORITY_UNSAID || said.of_body > 9 || said.of_head < PRIORITY_UNSAID || said.of_head > 9 ||
             priority_choose(&said, PRIORITY_UNSAID) > 9 || priority_choose(&said, 3) > 3)
        abort();
    if (!error)
        check_taken_out(&m, text + head_n, size - head_n);
    message_fini(&m);
    return 0;
}
