/*
 * parse: text to values. Pure functions; each takes the whole text and refuses what is left over.
 *
 * Errors: -EINVAL with a sentence in `why` (at least PARSE_WHY_BYTES) that says what was expected.
 */
#ifndef COMMON_PARSE_H
#define COMMON_PARSE_H

#include "common/sys.h"

#include <netinet/in.h>

enum { PARSE_WHY_BYTES = 256, ADDRESS_HOST_BYTES = 256, ADDRESS_TEXT_BYTES = 272 };

/* A list of strings; the array and each item are owned by the list. */
struct list {
    char **items;
    size_t items_n;
};

/* Where somebody listens: an IP literal, a name, or "" for every interface. */
struct address {
    char host[ADDRESS_HOST_BYTES]; /* without brackets */
    uint16_t port;
};

/* `500ms`, `90s`, `5m`, `1h`, or 0: milliseconds within [min, max]. */
int parse_duration_ms(const char *text, int64_t min_ms, int64_t max_ms, int64_t *out_ms, char *why) WARN_UNUSED;
/* What Go's time.ParseDuration takes, as in OLLAMA_KEEP_ALIVE and keep_alive: `1h30m`, `-1.5s`, `0`. Nanoseconds; -EINVAL
 * without words. text need not end with NUL. */
int parse_go_duration_ns(const char *text, size_t text_n, int64_t *out_ns) WARN_UNUSED;
/* OLLAMA_KEEP_ALIVE as Ollama reads it (envconfig KeepAlive, v0.9.5): blanks and quotes around it go; a duration, else whole
 * seconds, else 5 minutes. Milliseconds, -1: for ever. text: or NULL. */
int64_t parse_ollama_keep_alive_ms(const char *text);
/* `100`, `64K`, `10M`, `2G`: bytes within [min, max]. */
int parse_size_bytes(const char *text, int64_t min, int64_t max, int64_t *out, char *why) WARN_UNUSED;
/* A decimal whole number within [min, max]; a minus only where min is below 0. */
int parse_integer(const char *text, int64_t min, int64_t max, int64_t *out, char *why) WARN_UNUSED;
/* A whole number from 0 on as programs in other languages write it, too: 14000000000, 14e9, 1.4e10. */
int parse_whole_number(const char *text, int64_t *out, char *why) WARN_UNUSED;
/* yes, no, on, off, true, false, 1, 0 in any case: 1 or 0. */
int parse_bool(const char *text, int *out, char *why) WARN_UNUSED;
/* words: `exit|suspend|none`; *out: the index of the one that text names. */
int parse_word(const char *text, const char *words, int *out, char *why) WARN_UNUSED;
/* TERM, SIGTERM or 15: the number. */
int parse_signal(const char *text, int *out, char *why) WARN_UNUSED;

/* HOST:PORT, [V6]:PORT, :PORT (every interface). Port 1 to 65535. */
int parse_address(const char *text, struct address *out, char *why) WARN_UNUSED;
/* OLLAMA_HOST as Ollama reads it (envconfig Host, v0.9.5): scheme, host, port, path each optional. Never fails. */
void parse_ollama_host(const char *text, struct address *out);
/* Where a server is, and below which path its API begins. */
struct url {
    int is_https;
    struct address address; /* with the scheme's own port where none is said */
    const char *path;       /* within the text: "" or /PATH, without the slashes at its end */
    size_t path_n;
};
/* http or https, HOST[:PORT], a path (RFC 3986): neither user nor query. why does not show the text, as a key may be in it. */
int parse_url(const char *text, struct url *out, char *why) WARN_UNUSED;
/* `http://HOST[:PORT]`, or an address; the path, where one is given, must be "/". */
int parse_backend(const char *text, struct address *out, char *why) WARN_UNUSED;
/* http://HOST[:PORT]/PATH: the address and the path ("/" where absent; path_n bytes of room). */
int parse_http_url(const char *text, struct address *out, char *path, size_t path_n, char *why) WARN_UNUSED;

/* HOST:PORT, or [V6]:PORT. */
void address_text(const struct address *a, char out[ADDRESS_TEXT_BYTES]);
/* The address by which a program on this machine reaches a server bound to `a`: "", 0.0.0.0 and :: become loopback. */
void address_reachable(const struct address *a, struct address *out);
int address_equal(const struct address *a, const struct address *b);
/* An IP literal, localhost, or "" as a socket address (:: for ""). -EINVAL for any other name: ask a resolver. */
int address_to_sockaddr(const struct address *a, struct sockaddr_storage *out, socklen_t *out_n) WARN_UNUSED;
void address_from_sockaddr(const struct sockaddr_storage *from, struct address *out);
int address_is_loopback(const struct address *a);

/* `a, b, c`: items trimmed, empty ones dropped. 0 or -ENOMEM. */
int parse_list(const char *text, const char *separators, struct list *out) WARN_UNUSED;
/* A command line split into words as a shell would, without expansion: spaces, '…', "…" and \. */
int parse_command(const char *text, struct list *out, char *why) WARN_UNUSED;
int list_append(struct list *l, const char *item, size_t item_n) WARN_UNUSED;
void list_fini(struct list *l);

/* A model's name as Ollama takes it ([host/][namespace/]model[:tag]); 0, or -EINVAL with the reason. */
int parse_model_name(const char *text, char *why) WARN_UNUSED;
/* A model's name as a Hugging Face hub has it, [ORG/]NAME, fit for a path and for a command line; 0, or -EINVAL with the reason. */
int parse_hub_name(const char *text, char *why) WARN_UNUSED;
/* A revision of one: a branch, a tag, or a commit's digits, fit for a path; 0, or -EINVAL with the reason. */
int parse_hub_revision(const char *text, char *why) WARN_UNUSED;
/* A file of such a model: a relative path that stays below the model's folder; 0, or -EINVAL with the reason. */
int parse_hub_file(const char *text, char *why) WARN_UNUSED;
/* Two names for the same model: case and a missing `:latest` (and Ollama's own host and namespace) do not count. */
int model_name_equal(const char *a, size_t a_n, const char *b, size_t b_n);
/* The same number for names of the same model. */
uint32_t model_name_hash(const char *name, size_t name_n);

/* What a hexadecimal digit stands for; -1 where it is none. */
static inline int parse_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char small = (char)(c | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

#endif
