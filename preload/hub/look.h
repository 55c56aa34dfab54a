/*
 * look: what is in a snapshot of the cache: whether it is a model, whole, and what its files say of it.
 */
#ifndef PRELOAD_HUB_LOOK_H
#define PRELOAD_HUB_LOOK_H

#include "preload/hub/facts.h"
#include "preload/hub/note.h"
#include "preload/hub/pick.h"

enum { LOOK_TEXT_BYTES = 200 };

struct look {
    struct tree tree;        /* its files, by path; owned */
    enum pick_format format; /* PICK_NONE: it is no model, or not whole; why says what is missing */
    const char *file;        /* of GGUF: the one to load */
    uint64_t bytes_n, weights_bytes; /* of all, of its weights */
    struct facts facts;
    char why[LOOK_TEXT_BYTES];
};

/* note: what is known of the model. 0 also where it is no model; -errno. */
int look_at(struct look *look, const struct place *place, const char *revision, const struct note *note, const struct settings *settings) WARN_UNUSED;
void look_fini(struct look *look);

#endif
