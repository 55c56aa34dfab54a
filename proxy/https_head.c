/* See https_head.h. */
#include "proxy/https_head.h"

#include "proxy/message.h"

#include <errno.h>
#include <strings.h>

/* One field of the head for libcurl, which writes Host and Content-Length itself, and wants a semicolon for an empty one.
 * CURLOPT_HTTPHEADER(3) */
static int add_field(const struct https_library *curl, struct curl_slist **list, const char *line, size_t n, struct buf *text)
{
    const char *colon = memchr(line, ':', n);
    if (!colon || (n > 5 && text_is(line, 5, "host:")) || (n > 15 && text_is(line, 15, "content-length:")))
        return 0;
    size_t value_at = (size_t)(colon - line) + 1;
    while (value_at < n && line[value_at] == ' ')
        value_at++;
    buf_consume(text, buf_size(text));
    int error = value_at < n ? buf_append(text, line, n) : buf_append(text, line, (size_t)(colon - line));
    error = error || value_at < n ? error : buf_append(text, ";", 1);
    error = error ? error : buf_append(text, "", 1);
    struct curl_slist *fields = error ? NULL : curl->slist_append(*list, buf_data(text));
    if (!fields)
        return -ENOMEM;
    *list = fields;
    return 0;
}

int https_head_read(const struct https_library *curl, const char *head, size_t head_n, const char *origin, struct curl_slist **list, struct buf *url)
{
    static const char *const ours[] = {"Expect:", "Accept:", "User-Agent: ollama-sidecar"}; /* for libcurl's own, where the head has none */
    const char *end = memmem(head, head_n, "\r\n", 2), *space = end ? memchr(head, ' ', (size_t)(end - head)) : NULL;
    const char *target = space ? space + 1 : NULL, *target_end = target ? memchr(target, ' ', (size_t)(end - target)) : NULL;
    struct buf text;
    int error = 0;
    if (!target_end)
        return -EINVAL;
    buf_init(&text, 0);
    for (const char *line = end + 2, *whole = head + head_n; !error && line < whole; line = end + 2) {
        end = memmem(line, (size_t)(whole - line), "\r\n", 2);
        if (!end)
            break;
        error = add_field(curl, list, line, (size_t)(end - line), &text);
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours && !error; i++) {
        int is_there = 0;
        for (const struct curl_slist *f = *list; f; f = f->next)
            is_there |= strncasecmp(f->data, ours[i], strcspn(ours[i], ":") + 1) == 0;
        struct curl_slist *fields = is_there ? *list : curl->slist_append(*list, ours[i]);
        error = fields ? 0 : -ENOMEM;
        *list = fields ? fields : *list;
    }
    buf_fini(&text);
    error = error ? error : buf_text(url, origin);
    error = error ? error : buf_append(url, target, (size_t)(target_end - target));
    return error ? error : buf_append(url, "", 1);
}
