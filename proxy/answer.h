/*
 * answer: an answer on its way to one client, in the form that the client asked for. While there is none, heartbeats keep the
 * connection alive through whatever stands in between. The first promises an answer, with status 200: what goes wrong from
 * then on is told inside of it, and the connection ends without the final chunk.
 *
 *     WAIT -> PASS        the backend's bytes, as they come
 *     WAIT -> TRANSLATE   its objects, in the words of another API
 *     WAIT -> GATHER      why it has no answer, where that can't be passed: an answer was promised, or this is another API
 */
#ifndef PROXY_ANSWER_H
#define PROXY_ANSWER_H

#include "common/conf.h"
#include "proxy/deliver.h"
#include "proxy/events.h"
#include "proxy/forward.h"
#include "proxy/translate.h"

enum {
    ANSWER_OBJECT_BYTES = 64 << 20, /* the longest object that is translated */
    ANSWER_ERROR_BYTES = 64 * 1024, /* the longest error that is gathered */
    ANSWER_TEXT_BYTES = ANSWER_ERROR_BYTES, /* of which the text is a part: it is told as it is */
};

/* How the objects come that are translated. */
enum answer_pieces { PIECES_WHOLE, PIECES_LINES, PIECES_EVENTS };
enum answer_form { FORM_OTHER, FORM_JSON, FORM_NDJSON, FORM_SSE };
enum answer_state { ANSWER_WAIT, ANSWER_PASS, ANSWER_TRANSLATE, ANSWER_GATHER };

struct answer {
    struct deliver *deliver; /* borrowed */
    enum answer_state state; /* what a token needs is up to here */
    enum answer_form form;   /* as it was asked for; once it comes, as it is */
    enum route_dialect dialect;
    enum route_api api;
    enum conf_heartbeat heartbeat;
    const char *comment;     /* what heartbeats that are comments say; borrowed; NULL or "": nothing */
    const char *model;       /* as asked for; borrowed */
    int status;              /* of what is gathered */
    int is_late_api;         /* not every backend has it: that it is not there is not passed, but told */
    int has_error;           /* an object that was to be translated, or a line that was to pass, is an error; it is in `in` */
    int is_key_ours;         /* the backend is asked by a key of our own: what it says of that is not passed, but told */
    int is_fallback;         /* its errors are told by others: as answers ([proxy] fallback_answer), or to who listens (exchange_inner.h) */
    int is_one_of_many;      /* another backend may have a better answer than 404 or 5xx: it is not passed, but told, where nobody has */
    int is_why_known;        /* somebody may know the reason of an error: it is not passed, but told */
    int64_t heard_ms;        /* when the backend was heard last, and what it said went on to the client */
    int64_t first_ms;        /* … and first; 0: not yet */
    uint64_t quiet_bytes;    /* deliver->body_bytes behind the last heartbeat */
    uint64_t beats_bytes;    /* … of all heartbeats */
    const char *fault;       /* why it can't go on, a literal; or NULL */
    struct translation translation;
    enum answer_pieces pieces;
    struct events events;    /* one that is not whole */
    struct buf in;           /* gathered: an object that is not whole, or an error */
    struct buf out;          /* translated, and not sent */
};

/* *a is all zero. */
void answer_init(struct answer *a, struct deliver *deliver);
void answer_fini(struct answer *a);
/* What the request asks for. is_stream: what its body says, -1 where it says nothing. model: borrowed. */
void answer_expect(struct answer *a, const struct route *route, int is_stream, const char *model, enum conf_heartbeat heartbeat);

/* Whether a heartbeat may come before, or in, this answer at all. */
int answer_may_beat(const struct answer *a);
/* Whether nothing but heartbeats has gone since the end of a line, or of an event, or from the start on. */
int answer_is_between(const struct answer *a);
/* A heartbeat, where one may stand now: at the end of a line, or event, and where the client has taken all that there is. */
void answer_beat(struct answer *a);

/* An answer with this status is about who asks: by which key. */
static inline int answer_is_about_key(int status)
{
    return status == 401 || status == 403;
}

/* The backend's answer begins, goes on (bytes: valid until the next flush, end or break), and a turn is over. Where it can't go on, a->fault says why. */
void answer_head(struct answer *a, const struct forward_answer *f, int64_t now_ms);
void answer_take(struct answer *a, const char *bytes, size_t bytes_n);
/* An error as a stream's last line, {"error":"…"} as Ollama sends it: what came before it is sent, it itself is to be told. Its
 * chunk is its own. */
int answer_withhold(struct answer *a, const char *bytes, size_t bytes_n);
static inline int answer_withholds(struct answer *a, const char *bytes, size_t bytes_n)
{
    static const char start[] = "{\"error\":";
    return bytes_n > sizeof start && bytes[2] == start[2] && memcmp(bytes, start, sizeof start - 1) == 0 && answer_withhold(a, bytes, bytes_n);
}
static inline void answer_body(struct answer *a, const char *bytes, size_t bytes_n)
{
    if (a->state == ANSWER_PASS && !(a->is_why_known && answer_withholds(a, bytes, bytes_n)))
        deliver_body(a->deliver, bytes, bytes_n);
    else
        answer_take(a, bytes, bytes_n);
}
void answer_flush(struct answer *a, int64_t now_ms);

/* The backend's answer is complete: 0, and so is the client's; or -EREMOTEIO: it is an error, which is to be told (answer_error);
 * -EBADMSG: a->fault; -ENODATA: a stream that never said that it is done. */
int answer_end(struct answer *a) WARN_UNUSED;
/* The text of an error that is an object of Ollama's, or OpenAI's: 1; 0: it has none. */
int answer_words(const char *json, size_t json_n, char text[ANSWER_TEXT_BYTES]);
/* What the backend says went wrong. */
void answer_error(const struct answer *a, char text[ANSWER_TEXT_BYTES]);
/* Ends an answer that has begun, with this error in the client's dialect where there is room for one, and without the final
 * chunk. text NULL: nothing is told. */
void answer_break(struct answer *a, int status, const char *code, const char *text);

#endif
