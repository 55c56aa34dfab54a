/*
 * See prefix.h. What a backend's cache holds is guessed from what it has answered: as many conversations as it has slots, for each model. One that goes
 * on takes its own place; another one takes the place of the longest unused.
 */
#include "proxy/balance/prefix.h"

#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 512 };

struct row {
    int backend; /* -1: empty */
    uint32_t model;
    uint64_t used; /* when, as numbered by notes */
    struct prefix prefix;
};

struct prefixes {
    uint64_t notes_n;
    size_t rows_n; /* those above were never used */
    struct row rows[ROWS];
};

struct prefixes *prefixes_new(void)
{
    return calloc(1, sizeof(struct prefixes));
}

void prefixes_free(struct prefixes **p)
{
    free(*p);
    *p = NULL;
}

static uint32_t hash_of(const char *model)
{
    return model_name_hash(model, strlen(model));
}

/* How many tokens both begin with. */
static uint32_t common_tokens(const struct prefix *held, const struct prefix *asked)
{
    uint32_t most = 0;
    for (size_t i = 0; i < asked->cuts_n; i++)
        for (size_t k = 0; k < held->cuts_n; k++)
            if (asked->hashes[i] == held->hashes[k] && asked->tokens[i] > most)
                most = asked->tokens[i];
    return most;
}

/* asked goes on from the last cut of what is held. */
static int goes_on(const struct prefix *held, const struct prefix *asked)
{
    size_t i = 0;
    while (i < asked->cuts_n && asked->hashes[i] != held->hashes[held->cuts_n - 1])
        i++;
    return i < asked->cuts_n;
}

/* The one that this prompt takes the place of. */
static struct row *place_for(struct prefixes *p, int backend, size_t slots_n, uint32_t model, const struct prefix *prefix)
{
    struct row *oldest_there = NULL, *oldest = NULL, *empty = NULL;
    size_t there_n = 0;
    for (size_t i = 0; i < p->rows_n; i++) {
        struct row *r = &p->rows[i];
        if (r->backend < 0) {
            empty = r;
            continue;
        }
        if (!oldest || r->used < oldest->used)
            oldest = r;
        if (r->backend != backend || r->model != model)
            continue;
        if (goes_on(&r->prefix, prefix))
            return r;
        there_n++;
        if (!oldest_there || r->used < oldest_there->used)
            oldest_there = r;
    }
    if (oldest_there && there_n >= slots_n)
        return oldest_there;
    if (empty)
        return empty;
    return p->rows_n < ROWS ? &p->rows[p->rows_n++] : oldest;
}

void prefixes_note(struct prefixes *p, int backend, size_t slots_n, const char *model, const struct prefix *prefix)
{
    if (prefix->cuts_n == 0)
        return;
    *place_for(p, backend, slots_n, hash_of(model), prefix) =
        (struct row){.backend = backend, .model = hash_of(model), .used = ++p->notes_n, .prefix = *prefix};
}

int64_t prefixes_cached_tokens(const struct prefixes *p, int backend, const char *model, const struct prefix *prefix)
{
    uint32_t most = 0, hash = hash_of(model);
    for (size_t i = 0; i < p->rows_n; i++) {
        const struct row *r = &p->rows[i];
        if (r->backend != backend || r->model != hash)
            continue;
        uint32_t tokens = common_tokens(&r->prefix, prefix);
        most = tokens > most ? tokens : most;
    }
    return most;
}

void prefixes_keep_models(struct prefixes *p, int backend, const char *const *names, size_t names_n)
{
    for (size_t i = 0; i < p->rows_n; i++) {
        struct row *r = &p->rows[i];
        size_t n = 0;
        if (r->backend != backend)
            continue;
        while (n < names_n && hash_of(names[n]) != r->model)
            n++;
        if (n == names_n)
            r->backend = -1;
    }
}

void prefixes_forget_backend(struct prefixes *p, int backend)
{
    prefixes_keep_models(p, backend, NULL, 0);
}
