/*
 * The supervisor says where the door is, and the door says how it is: GET /health (or /ready) at the first listener
 * that can be reached from here. Where there is no control socket (it could not be made anywhere), or it is not for us,
 * the configuration says it. Wildcard addresses are reached by loopback. The verdict is the HTTP status alone; the body is
 * only told, and it may be anything.
 *
 * Invariant: nothing waits longer than five seconds in all.
 */
#include "ctl/health.h"

#include "common/parse.h"
#include "ctl/ask.h"
#include "ctl/plain.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LIMIT_MS = 5000, BODY_LIMIT_BYTES = 1 << 20 };

struct answer {
    struct buf body;
    long status;
};

static size_t on_body(char *bytes, size_t size, size_t bytes_n, void *context)
{
    struct answer *a = context;
    return buf_append(&a->body, bytes, size * bytes_n) < 0 ? 0 : size * bytes_n;
}

/* 0 with an answer, or -1 with the reason in why. */
static int get(const struct address *at, const char *path, struct answer *a, char why[CURL_ERROR_SIZE])
{
    char host[ADDRESS_TEXT_BYTES], url[ADDRESS_TEXT_BYTES + 32];
    address_text(at, host);
    snprintf(url, sizeof url, "http://%s%s", host, path);
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
static int ask_doors(const cJSON *doors, const char *path, struct answer *a, char why[CURL_ERROR_SIZE])
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
            if (get(&ways[i], path, a, why) == 0)
                return 0;
        }
    }
    return -1;
}

static int write_clean(struct buf *out, const char *prefix, const char *text)
{
    int error = buf_text(out, prefix);
    return error ? error : plain_clean(out, text, strlen(text), 0);
}

/* `; waiting for a, b` */
static int write_texts(const cJSON *list, const char *head, struct buf *out)
{
    const cJSON *item;
    int error = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || error)
            continue;
        error = write_clean(out, head, item->valuestring);
        head = ", ";
    }
    return error;
}

/* `; pulling a 42 %, b` */
static int write_pulling(const cJSON *list, struct buf *out)
{
    const char *head = "; pulling ";
    const cJSON *item;
    int error = 0;
    cJSON_ArrayForEach(item, list)
    {
        double completed = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "completed"));
        double total = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "total"));
        const char *name = ask_text(item, "name");
        if (!*name || error)
            continue;
        error = write_clean(out, head, name);
        if (!error && completed >= 0 && total >= 1 && completed <= total)
            error = buf_printf(out, " %d %%", (int)(100 * completed / total));
        head = ", ";
    }
    return error;
}

/* `; failed: a (why), b` */
static int write_failed(const cJSON *list, struct buf *out)
{
    const char *head = "; failed: ";
    const cJSON *item;
    int error = 0;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = ask_text(item, "name"), *reason = ask_text(item, "reason");
        if (!*name || error)
            continue;
        error = write_clean(out, head, name);
        error = error || !*reason ? error : write_clean(out, " (", reason);
        error = error || !*reason ? error : buf_text(out, ")");
        head = ", ";
    }
    return error;
}

/* `; 3 in line`: requests that wait for a slot */
static int write_queued(const cJSON *requests, struct buf *out)
{
    double queued_n = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(requests, "queued"));
    return queued_n >= 1 && queued_n <= 1e9 ? buf_printf(out, "; %d in line", (int)queued_n) : 0;
}

static int write_object(long http_status, const cJSON *object, int has_colours, struct buf *out)
{
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(object, "models");
    const char *status = ask_text(object, "status"), *state = ask_text(object, "state");
    const char *error_text = ask_text(object, "error");
    const char *colour = has_colours ? plain_colour(status) : "";
    int error = buf_text(out, colour);
    error = error ? error : write_clean(out, "", *status ? status : http_status == 200 ? "ok" : "not ok");
    error = error || !*colour ? error : buf_text(out, PLAIN_COLOUR_END);
    error = error || !*state ? error : write_clean(out, ", ", state);
    error = error || *status ? error : buf_printf(out, " (HTTP %ld)", http_status);
    error = error ? error : write_texts(cJSON_GetObjectItemCaseSensitive(object, "waiting_for"), "; waiting for ", out);
    error = error ? error : write_queued(cJSON_GetObjectItemCaseSensitive(object, "requests"), out);
    error = error ? error : write_pulling(cJSON_GetObjectItemCaseSensitive(models, "pulling"), out);
    error = error ? error : write_failed(cJSON_GetObjectItemCaseSensitive(models, "failed"), out);
    error = error || !*error_text ? error : write_clean(out, "; ", error_text);
    return error ? error : buf_text(out, "\n");
}

int health_describe(long http_status, const char *body, size_t body_n, int has_colours, struct buf *out)
{
    cJSON *object = cJSON_ParseWithLength(body, body_n);
    int error;
    if (cJSON_IsObject(object)) {
        error = write_object(http_status, object, has_colours, out);
    } else {
        size_t shown_n = body_n < 200 ? body_n : 200;
        error = buf_printf(out, "%s (HTTP %ld%s", http_status == 200 ? "ok" : "not ok", http_status,
                           shown_n ? ": " : "");
        error = error ? error : plain_clean(out, body, shown_n, 0);
        error = error ? error : buf_text(out, ")\n");
    }
    cJSON_Delete(object);
    return error;
}

static int print_answer(const struct ctl *ctl, const struct answer *a)
{
    struct buf text;
    buf_init(&text, 0);
    int error = 0;
    if (ctl->is_json)
        error = buf_append(&text, buf_data(&a->body), buf_size(&a->body));
    else
        error = health_describe(a->status, buf_data(&a->body), buf_size(&a->body), ctl->has_colours, &text);
    if (!error && buf_size(&text) > 0) {
        fwrite(buf_data(&text), 1, buf_size(&text), stdout);
        if (buf_data(&text)[buf_size(&text) - 1] != '\n')
            putchar('\n');
    }
    buf_fini(&text);
    return a->status == 200 ? CTL_OK : CTL_REFUSED;
}

/* 0 where there is no socket, or one that is not for us. */
static int is_socket_ours(const char *path)
{
    int fd, error = ask_open(path, "status", &fd);
    sys_close(fd);
    return error != -ENOENT && error != -EACCES && error != -EPERM;
}

/* The answer of a door that the configuration names, where the socket can't be asked. -1 where there is none. */
static int ask_without_socket(const struct ctl *ctl, const char *path)
{
    char why[CURL_ERROR_SIZE], text[ADDRESS_TEXT_BYTES];
    struct answer a = {.status = 0};
    cJSON *doors = is_socket_ours(ctl->socket_path) ? NULL : cJSON_CreateArray();
    int code = -1;
    buf_init(&a.body, BODY_LIMIT_BYTES);
    for (size_t i = 0; doors && i < ctl->listen_n; i++) {
        address_text(&ctl->listen[i], text);
        cJSON_AddItemToArray(doors, cJSON_CreateString(text));
    }
    if (doors && ask_doors(doors, path, &a, why) == 0)
        code = print_answer(ctl, &a);
    buf_fini(&a.body);
    cJSON_Delete(doors);
    return code;
}

/* The answer of a door that the supervisor names. */
static int ask_by_socket(const struct ctl *ctl, const char *path)
{
    char why[CURL_ERROR_SIZE];
    struct answer a = {.status = 0};
    cJSON *status;
    int code = ask_run(ctl, "status", 0, &status);
    if (code != CTL_OK)
        return code;
    buf_init(&a.body, BODY_LIMIT_BYTES);
    if (ask_doors(cJSON_GetObjectItemCaseSensitive(status, "listen"), path, &a, why) == 0) {
        code = print_answer(ctl, &a);
    } else {
        fprintf(stderr, "sidecarctl: the supervisor runs, but GET %s has no answer: %s; see sidecarctl status\n", path,
                why);
        code = CTL_REFUSED;
    }
    buf_fini(&a.body);
    cJSON_Delete(status);
    return code;
}

int health_run(const struct ctl *ctl)
{
    const char *path = ctl->is_ready_asked ? "/ready" : "/health";
    curl_global_init(CURL_GLOBAL_NOTHING);
    int code = ask_without_socket(ctl, path);
    if (code < 0)
        code = ask_by_socket(ctl, path);
    curl_global_cleanup();
    return code;
}
