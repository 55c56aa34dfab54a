/*
 * message: the head of one HTTP message as plain data. Its text is one arena; all else are places in it.
 */
#ifndef PROXY_MESSAGE_H
#define PROXY_MESSAGE_H

#include "common/buf.h"

/* Bits, so that a route can name several. */
enum method {
    METHOD_GET = 1 << 0,
    METHOD_HEAD = 1 << 1,
    METHOD_POST = 1 << 2,
    METHOD_PUT = 1 << 3,
    METHOD_PATCH = 1 << 4,
    METHOD_DELETE = 1 << 5,
    METHOD_OPTIONS = 1 << 6,
    METHOD_OTHER = 1 << 7
};

/* A place in the arena. */
struct span {
    uint32_t at, n;
};

struct field {
    struct span name, value; /* the value without white space around it */
};

struct message {
    struct buf text; /* the head as it came, up to its empty line */
    struct field *fields;
    size_t fields_n, fields_room_n;
    uint64_t names;        /* which kinds of names there may be among the fields: message_name_kind() */
    unsigned minor;        /* of HTTP/1.x */
    int64_t length_bytes;  /* Content-Length, -1 where there is none */
    int is_chunked;
    int is_keep_alive;     /* the sender keeps the connection. RFC 9112 section 9.3 */
    /* of a request */
    enum method method;
    struct span method_name;
    struct span target;    /* in origin form: path and query; of an absolute form, what follows the authority */
    struct span path, query;
    struct span authority; /* Host, or the absolute form's; empty where there is neither. RFC 9112 section 3.2 */
    int is_continue_expected;
    /* of an answer */
    int status;
};

void message_init(struct message *m, size_t limit_bytes);
void message_fini(struct message *m);
/* Empties it for the next message. */
void message_reset(struct message *m);
/* A copy with memory of its own, *to is overwritten. 0; or -ENOMEM, and it is empty. */
int message_copy(struct message *to, const struct message *from) WARN_UNUSED;
/* The memory of its text and fields goes to `to` (which had none, or loses it), or comes from there: so that many who need it
 * for a moment have one between them. An answer's spans and fields are gone then, all else stays. */
void message_move_memory(struct message *from, struct message *to);
/* Frees what is more than most messages need, for one that may be idle for long. */
void message_rest(struct message *m);

/* The text of a span; borrowed until the next field is added. */
static inline const char *message_at(const struct message *m, struct span s)
{
    return buf_data(&m->text) + s.at;
}

/* Adds a field. 0 or -ENOMEM. */
int message_add(struct message *m, struct span name, struct span value) WARN_UNUSED;

/* A bit for a name's length and first letter: a head is asked for far more names than it has, and most differ in it. */
static inline uint64_t message_name_kind(const char *name, size_t name_n)
{
    return (uint64_t)1 << ((name_n * 5 + ((unsigned char)name[0] | 0x20)) & 63);
}

int message_find_among(const struct message *m, const char *name, size_t name_n, size_t from); /* message_find() without its short cut */
/* The place of the first field of this name from place `from` on, or -1. Names do not differ by case. RFC 9110 5.1 */
static inline int message_find(const struct message *m, const char *name, size_t from)
{
    size_t name_n = strlen(name);
    return m->names & message_name_kind(name, name_n) ? message_find_among(m, name, name_n, from) : -1;
}
size_t message_count(const struct message *m, const char *name);
/* Whether a list field (Connection, …) holds this token, in any of its lines. RFC 9110 section 5.6.1 */
int message_has_token(const struct message *m, const char *name, const char *token);
/* The same for a token of n bytes that has no end. */
int message_lists(const struct message *m, const char *name, const char *token, size_t token_n);
/* Whether the text at s is this word, in any case. */
int message_is(const struct message *m, struct span s, const char *word);

int text_is_whole(const char *bytes, size_t n, const char *word); /* text_is() without its short cut */
/* Whether n bytes are this word, in any case (ASCII only). Most comparisons end at the first letter, of which the cases
 * differ in one bit. */
static inline int text_is(const char *bytes, size_t n, const char *word)
{
    return (n == 0 || ((bytes[0] ^ word[0]) & ~0x20) == 0) && text_is_whole(bytes, n, word);
}

/* The method of this name (METHOD_OTHER for the rest), and its name. RFC 9110 section 9.1: case matters */
enum method method_from_name(const char *name, size_t n);
const char *method_name(enum method method);

#endif
