/*
 * share: one answer in the making, and those who read it: each at his own pace, from its first byte on. Pure; time is an argument.
 *
 * Its start is kept as long as the whole is no longer than [proxy] share_buffer: so long somebody may join. Behind that only what the
 * slowest has not read. Whoever reads alone is as far behind as he likes; among others he may be so by share_buffer, and whoever keeps
 * the maker waiting beyond that, while others do not, has [proxy] share_stall left.
 */
#ifndef PROXY_SHARE_H
#define PROXY_SHARE_H

#include "common/buf.h"
#include "proxy/exchange_sink.h"

enum {
    SHARE_KEY_BYTES = 16,
    SHARE_BUCKETS = 64,
    SHARE_TYPE_BYTES = 64,
    SHARE_PROGRESS_BYTES = 80,
    SHARE_HIGH_BYTES = 64 * 1024, /* so much beyond what they may be behind: the maker waits */
    SHARE_LOW_BYTES = 32 * 1024,  /* … until it is only so much */
};

enum share_state { SHARE_MAKING, SHARE_WHOLE, SHARE_FAILED };

struct share;

struct share_reader {
    struct share_reader *previous, *next;
    const struct share *share; /* NULL: it reads none */
    void *context;             /* of who reads */
    uint64_t read_bytes;       /* from the answer's first one on */
    int64_t holds_since_ms;    /* it keeps the maker, and so the others, waiting since; -1: it does not */
};

struct share {
    enum share_state state;
    int status;                    /* of the answer's head; 0: there is none yet */
    char type[SHARE_TYPE_BYTES];   /* … its media type */
    struct buf lines;              /* … more of it, each with its CRLF */
    struct buf bytes;              /* from start_bytes on */
    const char *lent;              /* … or all there is, borrowed: share_lend(); NULL: it is made */
    size_t lent_bytes;
    uint64_t start_bytes;
    size_t keep_bytes;             /* [proxy] share_buffer; 0 where nobody may join */
    int is_private;                /* nobody may join */
    int is_held;                   /* the maker waits for who reads */
    struct share_reader *first;
    size_t readers_n;
    char progress[SHARE_PROGRESS_BYTES]; /* what is done, for those who wait; "": nothing to say */
    struct inner_failure failure;  /* of SHARE_FAILED; its text and lines are in failure_room */
    struct buf failure_room;
    unsigned char key[SHARE_KEY_BYTES]; /* whose, and what: see shares_find() */
    struct share *next_same;       /* in its bucket */
    int is_listed;
};

/* Those that may be joined. All zero: none. */
struct shares {
    struct share *buckets[SHARE_BUCKETS];
};

/* key: NULL where nobody may join. */
void share_init(struct share *s, const unsigned char key[SHARE_KEY_BYTES], size_t keep_bytes);
/* No longer listed, and read by nobody. */
void share_fini(struct share *s);

/* The maker: the head, more of the body, and the end. 0 or -ENOMEM: the share is as it was. */
int share_head(struct share *s, int status, const char *type, const char *lines) WARN_UNUSED;
int share_append(struct share *s, const char *bytes, size_t bytes_n) WARN_UNUSED;
void share_end(struct share *s);
/* … or the whole body at once, which stays where it is as long as the share is; nothing may be appended. */
void share_lend(struct share *s, const char *bytes, size_t bytes_n);
void share_fail(struct share *s, const struct inner_failure *f);
/* A few words of ours: "mapped 3 of 8 parts". Cut where they are too long. */
void share_set_progress(struct share *s, const char *text);
/* How far the slowest is behind what he may be: beyond SHARE_HIGH_BYTES the maker is to wait. */
size_t share_pending_bytes(const struct share *s);

/* Somebody begins to read at the first byte, which must be there still, or stops. Stopping twice is harmless. */
void share_join(struct share *s, struct share_reader *r, void *context);
void share_leave(struct share *s, struct share_reader *r);
/* What he has not read, valid until the share changes; and that he has read so much of it. */
const char *share_unread(const struct share *s, const struct share_reader *r, size_t *n);
void share_read(struct share_reader *r, size_t n);

/* Something was appended, or read, or somebody has left: what nobody needs any more goes; and who keeps the others waiting is noted. */
void share_review(struct share *s, int64_t now_ms);
/* When the first of them has done so for stall_ms; 0: none does. And whether this one has, by now. */
int64_t share_next_ms(const struct share *s, int64_t stall_ms);
int share_is_stalled(const struct share_reader *r, int64_t stall_ms, int64_t now_ms);

/* One that is being made for this key, from its first byte on; or NULL. */
struct share *shares_find(const struct shares *all, const unsigned char key[SHARE_KEY_BYTES]);
void shares_add(struct shares *all, struct share *s);
/* Harmless for who is not in it. */
void shares_remove(struct shares *all, struct share *s);

#endif
