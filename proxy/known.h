/*
 * known: what Ollama answered last to the requests that only read: the state that is told while it is asleep. A bounded table, by
 * what was asked for; the least recently used goes first. Pure.
 *
 * An answer is told only while it is fresh: the backend gave it, and nothing says that another one would come now. What a model
 * is shows in the list of models (Ollama's server/routes.go ListHandler, v0.9.5: digest, modified_at): as long as that and the
 * version stay byte by byte, whatever was shown of models holds.
 */
#ifndef PROXY_KNOWN_H
#define PROXY_KNOWN_H

#include "common/contract.h"

enum {
    KNOWN_ENTRIES = 64,
    KNOWN_BODY_BYTES = 256 * 1024, /* of one answer; what is larger is not kept */
    KNOWN_ALL_BYTES = 2 << 20,     /* of all bodies */
    KNOWN_TYPE_BYTES = 80,
};

enum known_kind {
    KNOWN_PATH, /* GET of a path; name: the path */
    KNOWN_SHOW, /* POST /api/show; name: the model's */
};

/* What is asked for. */
struct known_key {
    enum known_kind kind;
    int is_verbose; /* of a show */
    char name[CONTRACT_NAME_BYTES];
};

struct known_entry {
    struct known_key key;        /* name "": a free place */
    char type[KNOWN_TYPE_BYTES]; /* Content-Type */
    char *body;                  /* owned; NULL: none is there */
    size_t body_n;
    int is_fresh;
    uint64_t used;  /* when it was asked for last, as a count; larger is later */
    unsigned round; /* in which the backend was asked last */
};

struct known {
    struct known_entry entries[KNOWN_ENTRIES];
    size_t bytes;   /* of all bodies */
    uint64_t uses;
    unsigned round;
    int is_changed; /* since whoever keeps it on disk has set it to 0 */
};

/* Those paths are there from the start, as they are asked for before each sleep. */
void known_init(struct known *k);
void known_fini(struct known *k);

/* 1 where this is a key: a path of ours, or a show of what Ollama would take for a model's name. */
int known_key_is_good(const struct known_key *key);

/* Somebody asks for this: it will be there. A key that is none counts for nothing. */
void known_note(struct known *k, const struct known_key *key);
/* The entry of this key, or NULL. */
struct known_entry *known_find(struct known *k, const struct known_key *key);
/* … where its answer may be told. It counts as used. */
const struct known_entry *known_answer(struct known *k, const struct known_key *key);

/* What the backend is asked before a sleep: its state, and what else is not fresh, models first, the latest used first,
 * each once. */
void known_begin_round(struct known *k);
struct known_entry *known_next(struct known *k);
/* The answer to what known_next gave, which is fresh from now on: the bytes are copied. Or there is none: what is always asked
 * for stays without, and all else is forgotten. Where the state of models is another than before, or not known, nothing that was shown of
 * them is fresh any more. What does not fit counts as none. */
void known_take(struct known *k, struct known_entry *e, const char *type, const char *body, size_t body_n);
void known_take_none(struct known *k, struct known_entry *e);

/* As it was kept on disk: the entry is there as given, used later than all others; body NULL: only that it was asked for. 0; -EINVAL
 * where it is no key, -EEXIST where it is there already, -ENOSPC where it does not fit, -ENOMEM. */
int known_restore(struct known *k, const struct known_key *key, const char *type, const char *body, size_t body_n, int is_fresh) WARN_UNUSED;
/* The entry that was used next behind this one (NULL: the first of all), or NULL. */
const struct known_entry *known_next_used(const struct known *k, const struct known_entry *after);
/* Nothing is fresh. */
void known_doubt_all(struct known *k);

#endif
