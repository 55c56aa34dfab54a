/* See plan_system.h. */
#include "proxy/plan_system.h"

static const char between[] = "\n\n";

size_t plan_system_chars(const struct prompt *p, size_t messages_n)
{
    size_t chars_n = 0;
    for (size_t i = 0; i < messages_n; i++)
        chars_n += p->messages[i].chars_n;
    return chars_n;
}

static int join(const struct prompt *p, size_t messages_n, struct buf *text)
{
    int error = 0;
    for (size_t i = 0; i < messages_n && !error; i++) {
        error = i > 0 ? buf_text(text, between) : 0;
        error = error ? error : prompt_decode(&p->messages[i].content, text);
    }
    return error;
}

int plan_system_cut(const struct prompt *p, size_t messages_n, size_t budget_chars, struct buf *out, struct truncate_result *r)
{
    struct buf text;
    size_t between_n = messages_n > 0 ? (messages_n - 1) * (sizeof between - 1) : 0;
    *r = (struct truncate_result){.is_truncated = 0};
    if (plan_system_chars(p, messages_n) + between_n <= budget_chars)
        return 0;
    buf_init(&text, 0);
    int error = join(p, messages_n, &text);
    error = error ? error : truncate_prompt(buf_data(&text), buf_size(&text), budget_chars, out, r);
    buf_fini(&text);
    return error;
}
