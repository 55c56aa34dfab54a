/* See known.h. */
#include "proxy/known.h"

#include "common/parse.h"
#include "proxy/known_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is asked for before each sleep; the first ones tell whether anything has changed. */
static const char *const standing[] = {"/api/version", "/api/tags", "/"};
enum { STANDING = sizeof standing / sizeof *standing, TELLING = 2 };

void known_init(struct known *k)
{
    *k = (struct known){.round = 1};
    for (size_t i = 0; i < STANDING; i++)
        snprintf(k->entries[i].key.name, sizeof k->entries[i].key.name, "%s", standing[i]);
}

static void drop_body(struct known *k, struct known_entry *e)
{
    k->bytes -= e->body_n;
    k->is_changed |= e->is_fresh;
    free(e->body);
    e->body = NULL;
    e->body_n = 0;
    e->is_fresh = 0;
}

void known_fini(struct known *k)
{
    for (size_t i = 0; i < KNOWN_ENTRIES; i++)
        drop_body(k, &k->entries[i]);
}

static int is_standing(const struct known *k, const struct known_entry *e)
{
    return e < k->entries + STANDING;
}

static void forget(struct known *k, struct known_entry *e)
{
    drop_body(k, e);
    if (!is_standing(k, e))
        *e = (struct known_entry){.key.name = ""};
}

static int is_path(const char *name)
{
    for (const char *c = name; *c; c++)
        if (*c <= ' ' || *c > '~')
            return 0;
    return name[0] == '/';
}

int known_key_is_good(const struct known_key *key)
{
    char why[PARSE_WHY_BYTES];
    if (key->kind == KNOWN_PATH)
        return !key->is_verbose && is_path(key->name);
    return parse_model_name(key->name, why) == 0;
}

static int is_same(const struct known_key *a, const struct known_key *b)
{
    if (a->kind != b->kind || a->is_verbose != b->is_verbose)
        return 0;
    if (a->kind == KNOWN_PATH)
        return strcmp(a->name, b->name) == 0;
    return model_name_equal(a->name, strlen(a->name), b->name, strlen(b->name));
}

struct known_entry *known_find(struct known *k, const struct known_key *key)
{
    for (size_t i = 0; i < KNOWN_ENTRIES; i++)
        if (k->entries[i].key.name[0] && is_same(&k->entries[i].key, key))
            return &k->entries[i];
    return NULL;
}

/* The least recently used of those that come and go; free places first. */
static struct known_entry *oldest(struct known *k)
{
    struct known_entry *found = &k->entries[STANDING];
    for (struct known_entry *e = found; e < k->entries + KNOWN_ENTRIES; e++)
        if (e->used < found->used)
            found = e;
    return found;
}

void known_note(struct known *k, const struct known_key *key)
{
    if (!known_key_is_good(key))
        return;
    struct known_entry *e = known_find(k, key);
    if (!e) {
        e = oldest(k);
        forget(k, e);
        e->key = *key;
    }
    e->used = ++k->uses;
}

const struct known_entry *known_answer(struct known *k, const struct known_key *key)
{
    struct known_entry *e = known_find(k, key);
    if (!e || !e->is_fresh)
        return NULL;
    e->used = ++k->uses;
    return e;
}

/* Of what is always asked for the answer stays, to be compared with the next one. */
static void doubt(struct known *k, struct known_entry *e)
{
    if (!is_standing(k, e))
        drop_body(k, e);
    k->is_changed |= e->is_fresh;
    e->is_fresh = 0;
}

void known_doubt_all(struct known *k)
{
    for (size_t i = 0; i < KNOWN_ENTRIES; i++)
        doubt(k, &k->entries[i]);
}

static void doubt_all_but_standing(struct known *k)
{
    for (size_t i = STANDING; i < KNOWN_ENTRIES; i++)
        doubt(k, &k->entries[i]);
}

void known_begin_round(struct known *k)
{
    k->round++;
    for (size_t i = 0; i < STANDING; i++)
        doubt(k, &k->entries[i]);
}

/* Models first: other paths may need the world outside, and long for it. */
static int is_asked_before(const struct known_entry *a, const struct known_entry *b)
{
    return a->key.kind == b->key.kind ? a->used > b->used : a->key.kind == KNOWN_SHOW;
}

struct known_entry *known_next(struct known *k)
{
    struct known_entry *found = NULL;
    for (size_t i = 0; i < KNOWN_ENTRIES; i++) {
        struct known_entry *e = &k->entries[i];
        if (!e->key.name[0] || e->is_fresh || e->round == k->round)
            continue;
        if (is_standing(k, e)) {
            found = e;
            break;
        }
        if (!found || is_asked_before(e, found))
            found = e;
    }
    if (found)
        found->round = k->round;
    return found;
}

/* Room for so many bytes, at the cost of what was used before e. 1, or 0 where there is none. */
static int make_room(struct known *k, const struct known_entry *e, size_t body_n)
{
    while (k->bytes + body_n > KNOWN_ALL_BYTES) {
        struct known_entry *victim = NULL;
        for (struct known_entry *other = k->entries + STANDING; other < k->entries + KNOWN_ENTRIES; other++)
            if (other != e && other->body && (!victim || other->used < victim->used))
                victim = other;
        if (!victim || (!is_standing(k, e) && victim->used > e->used))
            return 0;
        forget(k, victim);
    }
    return 1;
}

static int is_type(const char *type)
{
    size_t n = 0;
    while (type[n] >= ' ' && type[n] <= '~')
        n++;
    return type[n] == '\0' && n < KNOWN_TYPE_BYTES;
}

static int set_body(struct known *k, struct known_entry *e, const char *type, const char *body, size_t body_n)
{
    drop_body(k, e);
    if (!is_type(type))
        return -EINVAL;
    if (body_n > KNOWN_BODY_BYTES || !make_room(k, e, body_n))
        return -ENOSPC;
    e->body = malloc(body_n ? body_n : 1);
    if (!e->body)
        return -ENOMEM;
    memcpy(e->body, body, body_n);
    e->body_n = body_n;
    k->bytes += body_n;
    snprintf(e->type, sizeof e->type, "%s", type);
    return 0;
}

static int is_telling(const struct known *k, const struct known_entry *e)
{
    return e < k->entries + TELLING;
}

/* Models in another order are no change: else all that was shown would be asked for again before each sleep. */
static int is_same_answer(const struct known *k, const struct known_entry *e, const char *type, const char *body, size_t body_n)
{
    if (!e->body || e->body_n != body_n || strcmp(e->type, type) != 0)
        return 0;
    return memcmp(e->body, body, body_n) == 0 || (is_telling(k, e) && known_list_is_same(e->body, e->body_n, body, body_n));
}

void known_take(struct known *k, struct known_entry *e, const char *type, const char *body, size_t body_n)
{
    int is_same_as_before = is_same_answer(k, e, type, body, body_n);
    if (!is_same_as_before && is_telling(k, e))
        doubt_all_but_standing(k);
    if (!is_same_as_before && set_body(k, e, type, body, body_n) < 0) {
        known_take_none(k, e);
        return;
    }
    e->is_fresh = 1;
    k->is_changed = 1;
}

void known_take_none(struct known *k, struct known_entry *e)
{
    if (is_telling(k, e))
        doubt_all_but_standing(k);
    forget(k, e);
}

int known_restore(struct known *k, const struct known_key *key, const char *type, const char *body, size_t body_n, int is_fresh)
{
    if (!known_key_is_good(key))
        return -EINVAL;
    struct known_entry *e = known_find(k, key);
    if (e && (e->body || !is_standing(k, e)))
        return -EEXIST;
    if (!e)
        e = oldest(k);
    if ((!is_standing(k, e) && e->key.name[0]) || k->bytes + body_n > KNOWN_ALL_BYTES)
        return -ENOSPC;
    int error = body ? set_body(k, e, type, body, body_n) : 0;
    if (error)
        return error;
    e->key = *key;
    e->used = ++k->uses;
    e->is_fresh = body && is_fresh;
    if (!e->is_fresh)
        doubt(k, e);
    return 0;
}

const struct known_entry *known_next_used(const struct known *k, const struct known_entry *after)
{
    const struct known_entry *found = NULL;
    for (const struct known_entry *e = k->entries; e < k->entries + KNOWN_ENTRIES; e++) {
        int is_behind = !after || e->used > after->used || (e->used == after->used && e > after);
        if (e->key.name[0] && is_behind && (!found || e->used < found->used))
            found = e;
    }
    return found;
}
