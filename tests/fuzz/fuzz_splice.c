/* A request's body with members set, set where absent, or removed: the first byte says which. The changes are in order and
 * within the body; made in place they give what copying the pieces gives; and made twice they change nothing more. */
#include "proxy/json_splice.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const struct json_edit set[] = {{1, "num_ctx", "8192", JSON_SET}, {1, "use_mmap", "true", JSON_SET}, {0, "keep_alive", "\"5m\"", JSON_SET}};
static const struct json_edit absent[] = {{1, "num_ctx", "8192", JSON_SET_ABSENT}, {0, "keep_alive", "-1", JSON_SET_ABSENT}};
static const struct json_edit removed[] = {{1, "num_ctx", NULL, JSON_REMOVE}, {0, "keep_alive", NULL, JSON_REMOVE}, {0, "seed", NULL, JSON_REMOVE}};
static const struct json_edit mixed[] = {{1, "num_ctx", NULL, JSON_REMOVE}, {1, "use_mmap", "false", JSON_SET_ABSENT}, {0, "keep_alive", "[]", JSON_SET}};
static const struct json_edits all[] = {{"options", set, 3}, {"options", absent, 2}, {"options", removed, 3}, {"options", mixed, 3}};

static void check_order(const struct json_splice *s, size_t n)
{
    size_t end = 0;
    for (size_t i = 0; i < s->changes_n; i++) {
        const struct json_change *c = &s->changes[i];
        if (c->at < end || c->at > n || c->cut_n > n - c->at)
            abort();
        end = c->at + c->cut_n;
    }
}

static void copy(const struct json_splice *s, const char *json, size_t n, char *out)
{
    size_t from = 0;
    for (size_t i = 0; i < s->changes_n; i++) {
        const struct json_change *c = &s->changes[i];
        memcpy(out, json + from, c->at - from);
        out += c->at - from;
        memcpy(out, c->text, c->text_n);
        out += c->text_n;
        from = c->at + c->cut_n;
    }
    memcpy(out, json + from, n - from);
}

/* bytes: as after the changes. */
static void check_again(const struct json_edits *edits, const char *bytes, size_t n)
{
    struct json_splice s;
    char *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    if (json_splice_find(&s, exact, n, edits) != 0 || s.changes_n != 0)
        abort();
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_splice s;
    if (size < 1)
        return 0;
    const struct json_edits *edits = &all[data[0] % 4];
    const char *json = (const char *)data + 1;
    size_t n = size - 1;
    int error = json_splice_find(&s, json, n, edits);
    size_t after_n = json_splice_size(&s, n);
    if ((error && (s.changes_n || after_n != n)) || (error && error != -EINVAL && error != -E2BIG))
        abort();
    check_order(&s, n);
    char *copied = malloc(after_n + 1), *bytes = malloc((n > after_n ? n : after_n) + 1);
    copy(&s, json, n, copied);
    memcpy(bytes, json, n);
    json_splice_apply(&s, bytes, n);
    if (memcmp(bytes, copied, after_n) != 0)
        abort();
    if (!error)
        check_again(edits, bytes, after_n);
    free(copied);
    free(bytes);
    return 0;
}
