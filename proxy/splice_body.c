/* See splice_body.h. */
#include "proxy/splice_body.h"

#include <errno.h>

int splice_body_apply(struct buf *body, const struct json_splice *s)
{
    size_t before_n = buf_size(body), after_n = json_splice_size(s, before_n);
    char *end;
    if (body->limit_bytes > 0 && after_n > before_n)
        body->limit_bytes += after_n - before_n; /* it is the client's limit, who is done */
    if (buf_reserve(body, after_n > before_n ? after_n - before_n : 0, &end) < 0)
        return -ENOMEM;
    json_splice_apply(s, end - before_n, before_n);
    if (after_n > before_n)
        buf_commit(body, after_n - before_n);
    else
        buf_truncate(body, after_n);
    return 0;
}

int splice_body(struct buf *body, const struct json_edits *edits)
{
    struct json_splice splice;
    int error = json_splice_find(&splice, buf_data(body), buf_size(body), edits);
    if (error == -EINVAL)
        return 0;
    return error || splice.changes_n == 0 ? error : splice_body_apply(body, &splice);
}
