/*
 * site: one Ollama that gets the list: its requests and its machine. As one of several it has rows of its own; what all of them have come to
 * is together.h's.
 */
#ifndef PRELOAD_SITE_H
#define PRELOAD_SITE_H

#include "common/conf.h"
#include "preload/http.h"
#include "preload/pull.h"

struct site {
    const char *name;      /* of its backend; NULL: it is the only one */
    char address[ADDRESS_TEXT_BYTES]; /* of that one */
    struct http http;
    struct pull pull;
    struct show show;
    struct models own;     /* of one of several */
    struct contract nobody; /* to whom these are told */
    unsigned done_ask_n;   /* the last wish that was carried out */
    int64_t now_ms;
    /* of its progress, as it was told to all */
    int has_news;
    const struct model *told_model;
    uint64_t told_grown;
};

struct site_plan {
    const struct conf_backend *backend; /* NULL: the Ollama of conf->backend */
    const struct list *names;
    struct models *models;              /* the rows that all see */
    struct pull_turns *turns;           /* of several */
    struct pull_limits limits;
    int has_terminal, has_colours;
};

/* 0 or -ENOMEM, and then there is nothing to give back. It stays where it is. */
int site_init(struct site *s, const struct conf *conf, const struct site_plan *plan, int64_t now_ms) WARN_UNUSED;
void site_fini(struct site *s);

/* Makes the request under way the one that is wanted. */
void site_follow(struct site *s);
/* Moves what can be moved, and tells the machine the time. */
void site_turn(struct site *s, int64_t now_ms);

#endif
