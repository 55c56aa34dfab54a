/*
 * See access.h. Whatever a client chose (path, agent, model) is bounded, and escaped as JSON strings are, in both forms: it
 * can't begin a line, end a field, or move a terminal's cursor. The query is not told: it may hold a secret.
 *
 * The bounds make the longest line fit one write that a pipe takes whole: 520 bytes of six each, and what is around them.
 */
#include "proxy/access.h"

#include "common/log.h"
#include "proxy/asleep.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 200, AGENT_BYTES = 120, METHOD_BYTES = 20 };

struct line {
    struct buf text;
    int is_json;
    int error;
};

static const char *const end_names[] = {
    "done", "refused", "timeout", "client_gone", "client_stalled", "backend_unreachable",
    "backend_broken", "backend_unfinished", "backend_error", "drained", "cancelled", "failed",
};
_Static_assert(sizeof end_names / sizeof *end_names == ACCESS_END_COUNT, "a name for each end");

const char *access_end_name(enum access_end end)
{
    return end_names[end];
}

enum access_end access_end_of(int status, const char *code)
{
    static const char timeout[] = "_timeout";
    size_t code_n = code ? strlen(code) : 0;
    if (status == 408)
        return ACCESS_TIMEOUT;
    if (!code)
        return status >= 500 ? ACCESS_FAILED : ACCESS_REFUSED;
    if (strcmp(code, "backend_error") == 0)
        return ACCESS_BACKEND_UNREACHABLE;
    if (strcmp(code, "stopping") == 0 || strcmp(code, "aborted") == 0)
        return ACCESS_DRAINED;
    if (strcmp(code, "cancelled") == 0)
        return ACCESS_CANCELLED;
    if (code_n >= sizeof timeout && strcmp(code + code_n - (sizeof timeout - 1), timeout) == 0)
        return ACCESS_TIMEOUT;
    return ACCESS_REFUSED;
}

void access_init(struct access *a, const char *client, int64_t began_ms)
{
    memset(a, 0, offsetof(struct access, id));
    a->began_ms = began_ms;
    a->id[0] = a->model[0] = '\0';
    access_copy(a->client, sizeof a->client, client);
    a->facts = (struct ending_facts){.prompt_tokens_n = -1, .tokens_n = -1, .total_ns = -1, .load_ns = -1,
                                     .prompt_ns = -1, .eval_ns = -1};
}

void access_fini(struct access *a)
{
    free(a->error);
    free(a->backend);
}

static void add_key(struct line *l, const char *key)
{
    if (!l->error)
        l->error = l->is_json ? buf_printf(&l->text, ",\"%s\":", key) : buf_printf(&l->text, " %s=", key);
}

static void add_nothing(struct line *l)
{
    if (!l->error)
        l->error = buf_text(&l->text, l->is_json ? "null" : "-");
}

/* -1: not known. */
static void add_number(struct line *l, const char *key, int64_t value)
{
    add_key(l, key);
    if (value < 0)
        add_nothing(l);
    else if (!l->error)
        l->error = buf_printf(&l->text, "%lld", (long long)value);
}

/* A duration of Ollama's, which counts in nanoseconds. */
static void add_duration(struct line *l, const char *key, int64_t value_ns)
{
    add_number(l, key, value_ns < 0 ? -1 : value_ns / 1000000);
}

/* A word of ours, or NULL. */
static void add_word(struct line *l, const char *key, const char *word)
{
    add_key(l, key);
    if (!word || !*word)
        add_nothing(l);
    else if (!l->error)
        l->error = buf_printf(&l->text, l->is_json ? "\"%s\"" : "%s", word);
}

/* Anything at all, cut at so many bytes, but not within a character. */
static void add_text(struct line *l, const char *key, const char *text, size_t text_n, size_t limit_n)
{
    size_t n = text_n < limit_n ? text_n : limit_n;
    while (n < text_n && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    add_key(l, key);
    if (text_n == 0)
        add_nothing(l);
    else if (!l->error)
        l->error = buf_json_string(&l->text, text, n);
}

static void add_span(struct line *l, const char *key, const struct message *m, struct span s, size_t limit_n)
{
    add_text(l, key, message_at(m, s), s.n, limit_n);
}

static void add_agent(struct line *l, const struct message *m)
{
    int place = message_find(m, "user-agent", 0);
    add_span(l, "agent", m, place < 0 ? (struct span){0, 0} : m->fields[place].value, AGENT_BYTES);
}

static void add_optimised(struct line *l, const struct access_optimised *o)
{
    int is_known = o->strategy != NULL;
    add_word(l, "strategy", o->strategy);
    add_number(l, "tokens_received", is_known ? (int64_t)o->tokens_received_n : -1);
    add_number(l, "tokens_saved", is_known ? (int64_t)o->tokens_saved_n : -1);
    add_number(l, "parts", is_known ? (int64_t)o->parts_n : -1);
    add_number(l, "parts_failed", is_known ? (int64_t)o->parts_failed_n : -1);
    add_word(l, "cache", o->cache);
    add_word(l, "shared", o->is_shared ? "yes" : NULL);
}

/* The upper half of Latin-1 has control characters too, which JSON lets stand. */
static void end(struct line *l)
{
    if (!l->error)
        l->error = buf_append(&l->text, l->is_json ? "}" : "", l->is_json ? 2 : 1);
    if (l->error)
        return;
    char *text = l->text.bytes + l->text.head_n;
    buf_neutralise(text);
    size_t n = strlen(text);
    text[n] = '\n';
    log_whole_line(text, n + 1);
}

void access_write(const struct access *a, const struct message *m, int is_json, int64_t now_ms, uint64_t out_bytes)
{
    struct line l = {.is_json = is_json};
    buf_init(&l.text, LOG_JSON_BYTES);
    l.error = log_begin_line(&l.text, LOG_INFO, "access", is_json ? LOG_JSON : LOG_TEXT);
    add_word(&l, "id", a->id);
    add_word(&l, "client", a->client);
    add_word(&l, "key", a->key);
    add_span(&l, "method", m, m->method_name, METHOD_BYTES);
    add_span(&l, "path", m, m->path, PATH_BYTES);
    add_text(&l, "model", a->model, strlen(a->model), sizeof a->model);
    add_number(&l, "status", a->status ? a->status : -1);
    add_word(&l, "ended", access_end_name(a->ended));
    add_word(&l, "code", a->code);
    add_word(&l, "backend", a->backend);
    add_word(&l, "state", a->asleep == CONTRACT_AWAKE ? NULL : asleep_name(a->asleep));
    add_number(&l, "in_bytes", (int64_t)a->in_bytes);
    add_number(&l, "out_bytes", (int64_t)out_bytes);
    add_number(&l, "prompt_tokens", a->facts.prompt_tokens_n);
    add_number(&l, "generated_tokens", a->facts.tokens_n);
    add_text(&l, "finish", a->facts.reason, strlen(a->facts.reason), sizeof a->facts.reason);
    add_number(&l, "tool_calls_repaired", a->repaired_n);
    add_duration(&l, "load_ms", a->facts.load_ns);
    add_duration(&l, "prompt_ms", a->facts.prompt_ns);
    add_duration(&l, "eval_ms", a->facts.eval_ns);
    add_number(&l, "wait_ms", a->wait_ms);
    add_number(&l, "load_wait_ms", a->load_ms);
    add_number(&l, "queue_ms", a->queue_ms);
    add_optimised(&l, &a->optimised);
    add_number(&l, "first_byte_ms", a->first_byte_ms ? a->first_byte_ms - a->began_ms : -1);
    add_number(&l, "total_ms", now_ms - a->began_ms);
    add_agent(&l, m);
    end(&l);
    if (l.error)
        log_whole_line(NULL, 0);
    buf_fini(&l.text);
}
