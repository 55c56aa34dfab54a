/*
 * See call.h. An answer is read leniently, and only what is an object is one: HTML with a status of 200 is somebody else's.
 */
#include "ctl/call.h"

#include "common/parse.h"
#include "ctl/ask.h"
#include "ctl/plain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 1024 };

const char *call_error(const cJSON *object)
{
    const char *text = ask_text(object, "error");
    return *text ? text : ask_text(cJSON_GetObjectItemCaseSensitive(object, "error"), "message");
}

int call_number(const struct ctl *ctl, const char *what, int64_t most, int64_t *out)
{
    char why[PARSE_WHY_BYTES];
    if (!ctl->number || parse_integer(ctl->number, 1, most, out, why) == 0)
        return CTL_OK;
    fprintf(stderr, "sidecarctl: -n takes a number of %s, 1 to %" PRId64 "\n", what, most);
    return CTL_USAGE;
}

static void print_raw(const struct door_answer *a)
{
    size_t n = buf_size(&a->body);
    fwrite(buf_data(&a->body), 1, n, stdout);
    if (n == 0 || buf_data(&a->body)[n - 1] != '\n')
        putchar('\n');
}

int call_refuse(const struct ctl *ctl, const struct door_answer *a)
{
    char text[TEXT_BYTES];
    if (ctl->is_json) {
        print_raw(a);
        return CTL_REFUSED;
    }
    cJSON *object = cJSON_ParseWithLength(buf_data(&a->body), buf_size(&a->body));
    plain_clean_to(text, sizeof text, call_error(object));
    cJSON_Delete(object);
    const char *hint = a->status == 401 ? " (sidecarctl sends the key that SIDECAR_KEY of its environment has)" : "";
    if (text[0])
        fprintf(stderr, "sidecarctl: %s%s\n", text, hint);
    else
        fprintf(stderr, "sidecarctl: the proxy answered with status %ld%s\n", a->status, hint);
    return CTL_REFUSED;
}

int call_ask(const struct ctl *ctl, const struct door_request *request, int is_json_printed, cJSON **object)
{
    struct door_answer a;
    *object = NULL;
    int code = door_ask(ctl, request, &a);
    if (code == CTL_OK && a.status != 200)
        code = call_refuse(ctl, &a);
    if (code == CTL_OK) {
        *object = cJSON_ParseWithLength(buf_data(&a.body), buf_size(&a.body));
        if (!cJSON_IsObject(*object)) {
            fprintf(stderr, "sidecarctl: %s %s was answered, but not by ollama-proxy\n", request->method, request->path);
            cJSON_Delete(*object);
            *object = NULL;
            code = CTL_REFUSED;
        } else if (ctl->is_json && is_json_printed) {
            print_raw(&a);
        }
    }
    door_answer_fini(&a);
    return code;
}

int call_print(struct buf *text, int error)
{
    if (error)
        fprintf(stderr, "sidecarctl: %s\n", strerror(-error));
    else
        fwrite(buf_data(text), 1, buf_size(text), stdout);
    buf_fini(text);
    return error ? CTL_NOBODY : CTL_OK;
}

int call_show(const struct ctl *ctl, const char *path, int (*describe)(const cJSON *object, int has_colours, struct buf *out))
{
    const struct door_request request = {.method = "GET", .path = path};
    cJSON *object;
    struct buf text;
    int code = call_ask(ctl, &request, 1, &object);
    if (code == CTL_OK && !ctl->is_json) {
        buf_init(&text, 0);
        int error = describe(object, ctl->has_colours, &text);
        code = call_print(&text, error);
    }
    cJSON_Delete(object);
    return code;
}

int call_path(const char *head, const char *name, const char *tail, char *out, size_t out_n)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@/";
    size_t used_n = (size_t)snprintf(out, out_n, "%s", head);
    if (!*name)
        return -EINVAL;
    for (; *name && used_n < out_n; name++)
        used_n += (size_t)snprintf(out + used_n, out_n - used_n, strchr(plain, *name) ? "%c" : "%%%02X", (unsigned char)*name);
    if (used_n < out_n)
        used_n += (size_t)snprintf(out + used_n, out_n - used_n, "%s", tail);
    if (used_n >= out_n)
        return -E2BIG;
    size_t n = strlen(out);
    int is_other = strstr(out, "//") || strstr(out, "/./") || strstr(out, "/../") || (n > 2 && strcmp(out + n - 2, "/.") == 0) ||
                   (n > 3 && strcmp(out + n - 3, "/..") == 0);
    return is_other ? -EINVAL : 0; /* it would be another path */
}
