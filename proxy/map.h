/*
 * map: the first half of map-reduce. The messages between the leading system messages and the last of the user's are cut in parts
 * (chunks.h), each of which a small model summarises by a request of its own; the answering model then gets the summaries in their
 * place. Here is what is known of one request's parts, what is asked of each, and what is read of the answers. Pure.
 */
#ifndef PROXY_MAP_H
#define PROXY_MAP_H

#include "common/conf.h"
#include "proxy/chunks.h"
#include "proxy/plan.h"
#include "proxy/prompt.h"

enum {
    MAP_TRIES = 2,                   /* of each part */
    MAP_SUMMARY_BYTES = 256 * 1024,  /* an answer that is longer has failed */
    MAP_PREDICT_LEAST = 64,          /* tokens that a summary may have, */
    MAP_PREDICT_MOST = 1024,         /* … whatever there is room for */
    MAP_NOTE_BYTES = 64,
};

enum map_part_state { MAP_PART_WAITS, MAP_PART_RUNS, MAP_PART_DONE, MAP_PART_LOST };

struct map_part {
    struct chunk chunk;
    enum map_part_state state;
    unsigned tries_n;
    struct buf summary; /* UTF-8; of a lost one what is to be said of it */
};

struct map {
    struct buf text;             /* what is mapped, as text */
    size_t *starts;              /* of its messages in it */
    const char **names;          /* … and their roles, literals */
    size_t messages_n;
    struct map_part *parts;
    size_t parts_n;
    size_t running_n, done_n, lost_n;
    size_t summary_tokens;       /* that each may have */
    struct json_text *items;     /* what summaries points to */
    struct plan_parts summaries; /* of map_summaries() */
};

/* What is to be mapped of a body of /api/chat, in parts of at most part_chars code points. parts_n is 0 where there is nothing. 0; -E2BIG
 * where it has more than PLAN_PARTS_MAX parts; -EINVAL where the body can't be read; -ENOMEM. To be given back by map_fini() in any case. */
int map_read(struct map *m, const char *json, size_t json_n, size_t part_chars) WARN_UNUSED;
void map_fini(struct map *m);
/* The same of one that malloc() gave. Harmless where *m is NULL. */
void map_free(struct map **m);

/* How many code points a part of so many of this model's tokens has. */
size_t map_part_chars(const struct token_estimates *e, const char *model, uint64_t tokens_n);
/* room_tokens: what all summaries may have together, and left_tokens: what a part leaves of its model's context; these bound each of them. No room:
 * there is nothing to map any more, as none would have a place. */
void map_share_room(struct map *m, uint64_t room_tokens, uint64_t left_tokens);

/* A part that is to be asked for; parts_n where there is none. */
size_t map_next(const struct map *m);
/* It is asked for: the body of a request to /api/chat, appended to out. 0, -ENOMEM. */
int map_ask(struct map *m, size_t part, const struct conf_strategy *strategy, struct buf *out) WARN_UNUSED;
/* How many code points it has, but for JSON. */
size_t map_ask_chars(const struct map *m, size_t part);
/* … it is not asked for any more, as nobody could be asked: as if it never had been. */
void map_unask(struct map *m, size_t part);
/* Its answer. 1: it has a summary now; 0: this is none, and map_failed() has been called; -ENOMEM. */
int map_answered(struct map *m, size_t part, const char *json, size_t json_n) WARN_UNUSED;
/* Whether such an answer is at least one of Ollama's, though nothing may be in it. */
int map_is_answer(const char *json, size_t json_n);
/* There is no answer: it is asked for once more, or left out. 1 where it is left out. */
int map_failed(struct map *m, size_t part);
/* It is of no use to ask for those that wait: they are left out. */
void map_give_up(struct map *m);
/* Each part has its summary, or is left out. */
static inline int map_is_over(const struct map *m)
{
    return m->done_n + m->lost_n == m->parts_n;
}

/* What was made of the parts, in their order. Borrowed, until map_fini(). NULL: no memory. */
const struct plan_parts *map_summaries(struct map *m);

#endif
