/*
 * See door.h. The body is only told, and it may be anything.
 *
 * Invariant: but for a patient request nothing waits longer than five seconds in all, and for a connection nobody does. What changes
 * something is sent once: where a listener has it, no other one is asked.
 */
#include "ctl/door.h"

#include "common/parse.h"
#include "ctl/ask.h"
#include "ctl/plain.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIMIT_MS = 5000, BODY_LIMIT_BYTES = 1 << 22, PATH_BYTES = 1024, KEY_BYTES = 4096 };

/* What is asked, and what comes of it. */
struct question {
    const struct door_request *request;
    struct curl_slist *headers;
    struct door_answer *answer;
    CURL *easy;
    int is_sent; /* a listener has had it */
    char why[CURL_ERROR_SIZE];
};

static size_t on_body(char *bytes, size_t size, size_t bytes_n, void *context)
{
    struct question *q = context;
    bytes_n *= size;
    curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &q->answer->status);
    if (q->request->take && q->answer->status == 200)
        return q->request->take(q->request->context, bytes, bytes_n) ? 0 : bytes_n;
    return buf_append(&q->answer->body, bytes, bytes_n) < 0 ? 0 : bytes_n;
}

static size_t on_header(char *bytes, size_t size, size_t bytes_n, void *context)
{
    static const char name[] = "X-Sidecar-Load-Ms:";
    struct question *q = context;
    char value[24];
    bytes_n *= size;
    if (bytes_n < sizeof name || strncasecmp(bytes, name, sizeof name - 1) != 0)
        return bytes_n;
    snprintf(value, sizeof value, "%.*s", (int)(bytes_n - sizeof name + 1), bytes + sizeof name - 1);
    long long load_ms = strtoll(value, NULL, 10);
    q->answer->load_ms = load_ms >= 0 ? load_ms : -1;
    return bytes_n;
}

static void set_options(struct question *q, const char *url)
{
    const struct door_request *r = q->request;
    curl_easy_setopt(q->easy, CURLOPT_URL, url);
    curl_easy_setopt(q->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(q->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(q->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)LIMIT_MS);
    curl_easy_setopt(q->easy, CURLOPT_TIMEOUT_MS, r->is_patient ? 0L : (long)LIMIT_MS);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(q->easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs is not waited for */
#endif
    curl_easy_setopt(q->easy, CURLOPT_ERRORBUFFER, q->why);
    curl_easy_setopt(q->easy, CURLOPT_USERAGENT, "sidecarctl");
    curl_easy_setopt(q->easy, CURLOPT_HTTPHEADER, q->headers);
    curl_easy_setopt(q->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(q->easy, CURLOPT_HEADERDATA, q);
    curl_easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(q->easy, CURLOPT_WRITEDATA, q);
    if (strcmp(r->method, "POST") == 0)
        curl_easy_setopt(q->easy, CURLOPT_POSTFIELDS, r->body ? r->body : "");
    else if (strcmp(r->method, "GET") != 0)
        curl_easy_setopt(q->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

/* 0 with an answer, or -1 with the reason in q->why. */
static int ask_one(const struct address *at, struct question *q)
{
    char host[ADDRESS_TEXT_BYTES], url[ADDRESS_TEXT_BYTES + PATH_BYTES];
    long sent_bytes = 0;
    address_text(at, host);
    snprintf(url, sizeof url, "http://%s%s", host, q->request->path);
    q->easy = curl_easy_init();
    if (!q->easy) {
        snprintf(q->why, sizeof q->why, "no memory");
        return -1;
    }
    q->why[0] = '\0';
    set_options(q, url);
    q->answer->asked_at_ms = sys_monotonic_ms();
    CURLcode code = curl_easy_perform(q->easy);
    if (code && !q->why[0])
        snprintf(q->why, sizeof q->why, "%s", curl_easy_strerror(code));
    curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &q->answer->status);
    curl_easy_getinfo(q->easy, CURLINFO_REQUEST_SIZE, &sent_bytes);
    q->is_sent |= sent_bytes > 0 && strcmp(q->request->method, "GET") != 0;
    curl_easy_cleanup(q->easy);
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
static int ask_doors(const cJSON *doors, struct question *q)
{
    const cJSON *item;
    snprintf(q->why, sizeof q->why, "the supervisor names no listener");
    int64_t deadline_ms = sys_monotonic_ms() + LIMIT_MS;
    cJSON_ArrayForEach(item, doors)
    {
        struct address ways[2];
        size_t ways_n = cJSON_IsString(item) ? ways_to(item->valuestring, ways) : 0;
        for (size_t i = 0; i < ways_n && !q->is_sent && sys_monotonic_ms() < deadline_ms; i++) {
            buf_consume(&q->answer->body, buf_size(&q->answer->body));
            if (ask_one(&ways[i], q) == 0)
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

static int tell(const struct question *q)
{
    if (!q->request->is_quiet)
        fprintf(stderr, "sidecarctl: %s\n", q->answer->why);
    return CTL_REFUSED;
}

static int refuse(const struct question *q, const char *who)
{
    snprintf(q->answer->why, sizeof q->answer->why, "%s, but %s %s has no answer: %s; see sidecarctl status", who, q->request->method, q->request->path, q->why);
    return tell(q);
}

/* CTL_OK where the proxy runs, or will by itself, as far as the supervisor knows. */
static int see_proxy(const cJSON *status, const struct question *q)
{
    char reason[DOOR_WHY_BYTES / 2];
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, "programs"))
    {
        const char *state = ask_text(item, "state");
        int is_stopped = strcmp(state, "down") == 0 && cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(item, "wanted"));
        int has_failed = strcmp(state, "failed") == 0;
        if (strcmp(ask_text(item, "name"), "proxy") != 0 || !(is_stopped || has_failed))
            continue;
        plain_clean_to(reason, sizeof reason, ask_text(item, "reason"));
        snprintf(q->answer->why, sizeof q->answer->why, "the proxy %s%s: sidecarctl start proxy starts it", has_failed ? "has failed: " : "is stopped", has_failed ? reason : "");
        return tell(q);
    }
    return CTL_OK;
}

/* The answer of a door that the configuration names, where the socket can't be asked. -1 where there is none. */
static int ask_without_socket(const struct ctl *ctl, struct question *q)
{
    char text[ADDRESS_TEXT_BYTES];
    cJSON *doors = is_socket_ours(ctl->socket_path) ? NULL : cJSON_CreateArray();
    for (size_t i = 0; doors && i < ctl->listen_n; i++) {
        address_text(&ctl->listen[i], text);
        cJSON_AddItemToArray(doors, cJSON_CreateString(text));
    }
    int code = doors && ask_doors(doors, q) == 0 ? CTL_OK : q->is_sent ? refuse(q, "the proxy runs") : -1;
    cJSON_Delete(doors);
    return code;
}

/* The answer of a door that the supervisor names. */
static int ask_by_socket(const struct ctl *ctl, struct question *q)
{
    cJSON *status;
    int code = ask_run(ctl, "status", 0, &status);
    if (code != CTL_OK)
        return code;
    code = see_proxy(status, q);
    if (code == CTL_OK && ask_doors(cJSON_GetObjectItemCaseSensitive(status, "listen"), q) < 0)
        code = refuse(q, "the supervisor runs");
    cJSON_Delete(status);
    return code;
}

/* The key of the environment, in a header; one that would be no header's is a mistake. */
static int add_key(struct question *q)
{
    const char *key = getenv("SIDECAR_KEY");
    char header[KEY_BYTES + sizeof "Authorization: Bearer "];
    if (!key || !*key)
        return CTL_OK;
    for (size_t i = 0; key[i]; i++)
        if (key[i] < '!' || key[i] > '~' || i >= KEY_BYTES) {
            fprintf(stderr, "sidecarctl: SIDECAR_KEY of the environment is no key: a key is of 1 to %d visible ASCII characters\n", KEY_BYTES);
            return CTL_USAGE;
        }
    snprintf(header, sizeof header, "Authorization: Bearer %s", key);
    struct curl_slist *more = curl_slist_append(q->headers, header);
    q->headers = more ? more : q->headers;
    return more ? CTL_OK : CTL_NOBODY;
}

int door_ask(const struct ctl *ctl, const struct door_request *request, struct door_answer *out)
{
    struct question q = {.request = request, .answer = out};
    *out = (struct door_answer){.load_ms = -1};
    buf_init(&out->body, BODY_LIMIT_BYTES);
    curl_global_init(CURL_GLOBAL_NOTHING);
    if (request->body)
        q.headers = curl_slist_append(NULL, "Content-Type: application/json");
    int code = add_key(&q);
    if (code == CTL_OK) {
        code = ask_without_socket(ctl, &q);
        if (code < 0)
            code = ask_by_socket(ctl, &q);
    }
    curl_slist_free_all(q.headers);
    curl_global_cleanup();
    return code;
}

void door_answer_fini(struct door_answer *a)
{
    buf_fini(&a->body);
}
