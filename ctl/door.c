/*
 * See door.h. The body is only told, and it may be anything.
 *
 * Invariant: nothing waits longer than five seconds in all.
 */
#include "ctl/door.h"

#include "common/parse.h"
#include "ctl/ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT_MS = 5000, BODY_LIMIT_BYTES = 1 << 22, PATH_BYTES = 1024 };

struct question {
    const char *method, *path;
};

static size_t on_body(char *bytes, size_t size, size_t bytes_n, void *context)
{
    struct door_answer *a = context;
    return buf_append(&a->body, bytes, size * bytes_n) < 0 ? 0 : size * bytes_n;
}

/* 0 with an answer, or -1 with the reason in why. */
static int ask_one(const struct address *at, const struct question *q, struct door_answer *a, char why[CURL_ERROR_SIZE])
{
    char host[ADDRESS_TEXT_BYTES], url[ADDRESS_TEXT_BYTES + PATH_BYTES];
    address_text(at, host);
    snprintf(url, sizeof url, "http://%s%s", host, q->path);
    CURL *easy = curl_easy_init();
    if (!easy) {
        snprintf(why, CURL_ERROR_SIZE, "no memory");
        return -1;
    }
    why[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)LIMIT_MS);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs is not waited for */
#endif
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "sidecarctl");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, a);
    if (strcmp(q->method, "POST") == 0)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    CURLcode code = curl_easy_perform(easy);
    if (code && !why[0])
        snprintf(why, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &a->status);
    curl_easy_cleanup(easy);
    return code ? -1 : 0;
}

/* The ways to reach a listener from this machine; [::] may have fallen back to IPv4. */
static size_t ways_to(const char *listen, struct address ways[2])
{
    char why[PARSE_WHY_BYTES];
    struct address bound;
    if (parse_address(listen, &bound, why) < 0)
        return 0;
    address_reachable(&bound, &ways[0]);
    if (bound.host[0] && strcmp(bound.host, "::") != 0)
        return 1;
    ways[1] = ways[0];
    snprintf(ways[1].host, sizeof ways[1].host, "127.0.0.1");
    return 2;
}

/* 0 with the answer of the first door that gives one. */
static int ask_doors(const cJSON *doors, const struct question *q, struct door_answer *a, char why[CURL_ERROR_SIZE])
{
    const cJSON *item;
    snprintf(why, CURL_ERROR_SIZE, "the supervisor names no listener");
    int64_t deadline_ms = sys_monotonic_ms() + LIMIT_MS;
    cJSON_ArrayForEach(item, doors)
    {
        struct address ways[2];
        size_t ways_n = cJSON_IsString(item) ? ways_to(item->valuestring, ways) : 0;
        for (size_t i = 0; i < ways_n && sys_monotonic_ms() < deadline_ms; i++) {
            buf_consume(&a->body, buf_size(&a->body));
            if (ask_one(&ways[i], q, a, why) == 0)
                return 0;
        }
    }
    return -1;
}

/* 0 where there is no socket, or one that is not for us. */
static int is_socket_ours(const char *path)
{
    int fd, error = ask_open(path, "status", &fd);
    sys_close(fd);
    return error != -ENOENT && error != -EACCES && error != -EPERM;
}

/* The answer of a door that the configuration names, where the socket can't be asked. -1 where there is none. */
static int ask_without_socket(const struct ctl *ctl, const struct question *q, struct door_answer *out)
{
    char why[CURL_ERROR_SIZE], text[ADDRESS_TEXT_BYTES];
    cJSON *doors = is_socket_ours(ctl->socket_path) ? NULL : cJSON_CreateArray();
    for (size_t i = 0; doors && i < ctl->listen_n; i++) {
        address_text(&ctl->listen[i], text);
        cJSON_AddItemToArray(doors, cJSON_CreateString(text));
    }
    int code = doors && ask_doors(doors, q, out, why) == 0 ? CTL_OK : -1;
    cJSON_Delete(doors);
    return code;
}

/* The answer of a door that the supervisor names. */
static int ask_by_socket(const struct ctl *ctl, const struct question *q, struct door_answer *out)
{
    char why[CURL_ERROR_SIZE];
    cJSON *status;
    int code = ask_run(ctl, "status", 0, &status);
    if (code != CTL_OK)
        return code;
    if (ask_doors(cJSON_GetObjectItemCaseSensitive(status, "listen"), q, out, why) < 0) {
        fprintf(stderr, "sidecarctl: the supervisor runs, but %s %s has no answer: %s; see sidecarctl status\n", q->method, q->path, why);
        code = CTL_REFUSED;
    }
    cJSON_Delete(status);
    return code;
}

int door_ask(const struct ctl *ctl, const char *method, const char *path, struct door_answer *out)
{
    const struct question q = {method, path};
    *out = (struct door_answer){.status = 0};
    buf_init(&out->body, BODY_LIMIT_BYTES);
    curl_global_init(CURL_GLOBAL_NOTHING);
    int code = ask_without_socket(ctl, &q, out);
    if (code < 0)
        code = ask_by_socket(ctl, &q, out);
    curl_global_cleanup();
    return code;
}

void door_answer_fini(struct door_answer *a)
{
    buf_fini(&a->body);
}
