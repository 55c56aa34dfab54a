/*
 * See route.h. An allow-list: Ollama serves more than its API (a profiler, for one), and what is not named here
 * does not exist. Paths are compared as bytes, never normalised: one that could be read in two ways is refused,
 * so that nothing is forwarded as something else than was checked. What could be read in two ways: segments that are
 * empty, `.` or `..`; parameters behind `;`; backslashes; characters that no path has (RFC 3986 section 3.3); and, where
 * they are encoded, what is none of its visible ASCII characters, `.`, `;`, `\`, `%`, and `/` outside of a model's or backend's name.
 */
#include "proxy/route.h"

#include "common/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { GET = METHOD_GET, READ = METHOD_GET | METHOD_HEAD, POST = METHOD_POST };

/* is_activity, needs_model, asleep */
#define READS 0, 0, ASLEEP_WAKES
#define READS_KNOWN 0, 0, ASLEEP_KNOWN
#define READS_SHOWN 0, 0, ASLEEP_SHOW
#define READS_MODEL 0, 0, ASLEEP_MODEL
#define READS_LOADED 0, 0, ASLEEP_LOADED
#define INFERS 1, 1, ASLEEP_WAKES
#define UNLOADS 1, 1, ASLEEP_UNLOADED
#define CHANGES 1, 0, ASLEEP_WAKES

static const struct route routes[] = {
    {"/", READ, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS_KNOWN, SHAPE_OTHER, API_OTHER},
    {"/health", READ, ROUTE_HEALTH, RIGHT_NONE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/live", READ, ROUTE_LIVE, RIGHT_NONE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/ready", READ, ROUTE_READY, RIGHT_NONE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/metrics", READ, ROUTE_METRICS, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/status", READ, ROUTE_STATUS, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/sidecar/status", READ, ROUTE_STATUS, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_JSON, API_SIDECAR_STATUS},
    {"/sidecar/events", GET, ROUTE_STATUS, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_SIDECAR_EVENTS},
    {"/sidecar/requests", READ, ROUTE_STATUS, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_JSON, API_SIDECAR_REQUESTS},
    {"/sidecar/requests/:", METHOD_DELETE, ROUTE_STATUS, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_JSON, API_SIDECAR_CANCEL},
    {"/sidecar/logs", GET, ROUTE_STATUS, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_SIDECAR_LOGS},
    {"/sidecar/models", READ, ROUTE_STATUS, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_JSON, API_SIDECAR_MODELS},
    {"/sidecar/settings", READ, ROUTE_STATUS, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_JSON, API_SIDECAR_SETTINGS},
    {"/sidecar/models/load", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, INFERS, SHAPE_JSON, API_SIDECAR_LOAD},
    {"/sidecar/models/unload", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, UNLOADS, SHAPE_JSON, API_SIDECAR_UNLOAD},
    {"/ui", READ, ROUTE_UI, RIGHT_NONE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/ui/", READ, ROUTE_UI, RIGHT_NONE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/ui/*", READ, ROUTE_UI, RIGHT_NONE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/sidecar/backends/*", POST, ROUTE_MEMBER, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},

    {"/api/version", READ, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS_KNOWN, SHAPE_JSON, API_OTHER},
    {"/api/tags", READ, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS_KNOWN, SHAPE_JSON, API_TAGS},
    {"/api/ps", GET, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS_LOADED, SHAPE_JSON, API_LOADED},
    {"/api/status", GET, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS_KNOWN, SHAPE_JSON, API_OTHER},
    {"/api/show", POST, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS_SHOWN, SHAPE_JSON, API_SHOW},
    {"/api/generate", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, INFERS, SHAPE_LINES, API_GENERATE},
    {"/api/chat", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, INFERS, SHAPE_LINES, API_CHAT},
    {"/api/embed", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, INFERS, SHAPE_JSON, API_EMBED},
    {"/api/embeddings", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, INFERS, SHAPE_JSON, API_EMBED_ONE},
    {"/api/pull", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, CHANGES, SHAPE_LINES, API_OTHER},
    {"/api/push", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, CHANGES, SHAPE_LINES, API_OTHER},
    {"/api/create", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, CHANGES, SHAPE_LINES, API_OTHER},
    {"/api/copy", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, CHANGES, SHAPE_OTHER, API_OTHER},
    {"/api/delete", METHOD_DELETE, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, CHANGES, SHAPE_OTHER, API_OTHER},
    {"/api/blobs/:", METHOD_HEAD | POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_STREAMED, DIALECT_OLLAMA, CHANGES, SHAPE_OTHER, API_OTHER},
    {"/api/me", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_JSON, API_OTHER},
    {"/api/signout", POST, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_JSON, API_OTHER},
    {"/api/user/keys/:", METHOD_DELETE, ROUTE_BACKEND, RIGHT_MANAGE, ROUTE_HELD, DIALECT_OLLAMA, READS, SHAPE_OTHER, API_OTHER},
    {"/api/experimental/web_search", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, CHANGES, SHAPE_JSON, API_OTHER},
    {"/api/experimental/web_fetch", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, CHANGES, SHAPE_JSON, API_OTHER},
    {"/api/experimental/model-recommendations", GET, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OLLAMA, READS_KNOWN, SHAPE_JSON, API_OTHER},

    {"/pull", POST, ROUTE_SERVE, RIGHT_MANAGE, ROUTE_HELD, DIALECT_SERVE, CHANGES, SHAPE_LINES_ASKED, API_SERVE_PULL},
    {"/chat", POST, ROUTE_SERVE, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_SERVE, INFERS, SHAPE_LINES_ASKED, API_SERVE_CHAT},
    {"/models", READ, ROUTE_SERVE, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_SERVE, READS, SHAPE_JSON, API_SERVE_MODELS},
    {"/models/*", METHOD_DELETE, ROUTE_SERVE, RIGHT_MANAGE, ROUTE_HELD, DIALECT_SERVE, CHANGES, SHAPE_JSON, API_SERVE_MODEL},

    {"/generate", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, INFERS, SHAPE_LINES, API_PRESET},
    {"/ollama/generate", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OLLAMA, INFERS, SHAPE_LINES_ASKED, API_GENERATE},

    {"/v1/chat/completions", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OPENAI, INFERS, SHAPE_EVENTS, API_OPENAI_CHAT},
    {"/v1/completions", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OPENAI, INFERS, SHAPE_EVENTS, API_OPENAI_TEXT},
    {"/v1/embeddings", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OPENAI, INFERS, SHAPE_JSON, API_OPENAI_EMBED},
    {"/v1/responses", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OPENAI, INFERS, SHAPE_EVENTS, API_OTHER},
    {"/v1/messages", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_ANTHROPIC, INFERS, SHAPE_EVENTS, API_OTHER},
    {"/v1/messages/count_tokens", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_ANTHROPIC, READS, SHAPE_JSON, API_OTHER},
    {"/v1/audio/transcriptions", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OPENAI, INFERS, SHAPE_OTHER, API_OTHER},
    {"/v1/images/generations", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OPENAI, INFERS, SHAPE_JSON, API_OTHER},
    {"/v1/images/edits", POST, ROUTE_BACKEND, RIGHT_INFERENCE, ROUTE_HELD, DIALECT_OPENAI, INFERS, SHAPE_JSON, API_OTHER},
    {"/v1/models", GET, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OPENAI, READS_MODEL, SHAPE_JSON, API_OPENAI_MODELS},
    {"/v1/models/*", GET, ROUTE_BACKEND, RIGHT_OBSERVE, ROUTE_HELD, DIALECT_OPENAI, READS_MODEL, SHAPE_JSON, API_OPENAI_MODELS},
};

const struct route *route_table(size_t *n)
{
    *n = sizeof routes / sizeof *routes;
    return routes;
}

/* A segment that is `.` or `..`, as names of files go, or empty. A slash at the end is just another path. */
static int is_odd_segment(const char *segment, size_t n, int is_at_end)
{
    if (n == 0)
        return !is_at_end;
    return (n == 1 && segment[0] == '.') || (n == 2 && segment[0] == '.' && segment[1] == '.');
}

/* What may stand in a path as it is. */
static int is_path_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("-._~!$&'()*+,=:@/", c));
}

/* What stands behind the percent sign at path[i]; -1: no two digits. */
static int decoded(const char *path, size_t n, size_t i)
{
    int high = i + 2 < n ? parse_hex_digit(path[i + 1]) : -1, low = i + 2 < n ? parse_hex_digit(path[i + 2]) : -1;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* The character at path[i], decoded: itself, or behind a percent sign; -1 where it may not stand there. */
static int char_at(const char *path, size_t n, size_t i)
{
    if (path[i] != '%')
        return is_path_char(path[i]) ? path[i] : -1;
    int c = decoded(path, n, i);
    return c < 0x21 || c > 0x7e || strchr(".;\\%", c) ? -1 : c;
}

/* What is behind one of these is a name, in which a slash may be encoded. */
static int has_name(const char *path, size_t n)
{
    static const char *const places[] = {"/v1/models/", "/models/", "/sidecar/backends/"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (n > strlen(places[i]) && memcmp(path, places[i], strlen(places[i])) == 0)
            return 1;
    return 0;
}

/* Whether a path can be read in one way only. */
static int is_plain(const char *path, size_t n)
{
    size_t start = 1;
    int has_encoded_slash = 0;
    if (n == 0 || path[0] != '/')
        return 0;
    for (size_t i = 1; i < n;) {
        int c = char_at(path, n, i), is_encoded = path[i] == '%';
        size_t next = i + (is_encoded ? 3 : 1);
        if (c < 0)
            return 0;
        if (c == '/') {
            if (is_odd_segment(path + start, i - start, 0) || (is_encoded && next == n))
                return 0;
            has_encoded_slash |= is_encoded;
            start = next;
        }
        i = next;
    }
    if (is_odd_segment(path + start, n - start, 1))
        return 0;
    return !has_encoded_slash || has_name(path, n);
}

int route_decode(const char *at, size_t n, char *out, size_t out_n)
{
    size_t used_n = 0;
    for (size_t i = 0; i < n; i += at[i] == '%' ? 3 : 1) {
        int c = at[i] != '%' ? at[i] : decoded(at, n, i);
        if (c <= 0 || used_n + 1 >= out_n)
            return -EINVAL;
        out[used_n++] = (char)c;
    }
    out[used_n] = '\0';
    return 0;
}

/* Plain paths end exactly; `:` takes one segment, `*` what is left. */
static int matches(const char *pattern, const char *path, size_t n)
{
    size_t fixed_n = strlen(pattern);
    char last = pattern[fixed_n - 1];
    if (last != ':' && last != '*')
        return n == fixed_n && memcmp(path, pattern, n) == 0;
    fixed_n--;
    if (n <= fixed_n || memcmp(path, pattern, fixed_n) != 0)
        return 0;
    return path[n - 1] != '/' && (last == '*' || !memchr(path + fixed_n, '/', n - fixed_n));
}

/* By pages: what else there is has no use for them. */
static int may_be_asked_about(const struct route *r)
{
    return r->kind == ROUTE_BACKEND || r->kind == ROUTE_SERVE;
}

enum route_verdict route_find(enum method method, const char *path, size_t path_n, const struct route **out)
{
    *out = NULL;
    if (!is_plain(path, path_n))
        return ROUTE_BAD_PATH;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *r = &routes[i];
        if (!matches(r->path, path, path_n))
            continue;
        *out = r;
        int is_preflight = method == METHOD_OPTIONS && may_be_asked_about(r);
        return (r->methods & method) || is_preflight ? ROUTE_FOUND : ROUTE_WRONG_METHOD;
    }
    return ROUTE_UNKNOWN;
}

/* /pull, /chat, /models, and what is behind these. */
static int is_serves(const char *path, size_t path_n)
{
    static const char *const places[] = {"/pull", "/chat", "/models"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        size_t n = strlen(places[i]);
        if (path_n >= n && memcmp(path, places[i], n) == 0 && (path_n == n || (path[n] && strchr("/?#; ", path[n]))))
            return 1;
    }
    return 0;
}

int route_is_sidecars(const struct route *r)
{
    return strncmp(r->path, "/sidecar/", strlen("/sidecar/")) == 0;
}

enum route_dialect route_dialect(const char *path, size_t path_n)
{
    if (path_n >= 12 && memcmp(path, "/v1/messages", 12) == 0 && (path_n == 12 || strchr("/?#; ", path[12])))
        return DIALECT_ANTHROPIC;
    if (path_n >= 4 && memcmp(path, "/v1/", 4) == 0)
        return DIALECT_OPENAI;
    return is_serves(path, path_n) ? DIALECT_SERVE : DIALECT_OLLAMA;
}

const char *route_hint(const char *path, size_t path_n)
{
    static const char responses[] = "/v1/responses/";
    int is_response = path_n >= sizeof responses - 1 && memcmp(path, responses, sizeof responses - 1) == 0;
    return is_response ? ": responses are not kept; send all of the conversation as input" : "";
}

void route_allow(const struct route *r, char *out, size_t out_n)
{
    unsigned methods = r->methods | (may_be_asked_about(r) ? METHOD_OPTIONS : 0u);
    size_t used_n = 0;
    *out = '\0';
    for (unsigned bit = 1; bit < METHOD_OTHER; bit <<= 1)
        if ((methods & bit) && used_n < out_n)
            used_n += (size_t)snprintf(out + used_n, out_n - used_n, "%s%s", used_n ? ", " : "",
                                       method_name((enum method)bit));
}
