/* See download.h. */
#include "preload/hub/download.h"

#include "common/folders.h"
#include "preload/hub/pick.h"

#include <errno.h>
#include <stdio.h>

enum { SLOTS_MAX = 16 };

struct download {
    struct hub *hub;
    const struct place *place;
    const struct tree *tree;
    struct blob slots[SLOTS_MAX];
    size_t slots_n, next; /* next: of the tree's files */
    size_t told;          /* the slot whose progress was said last */
};

/* 1 where a file before it has the same bytes: they are one blob. */
static int is_repeated(const struct tree *tree, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (tree->files[i].is_wanted && strcmp(tree->files[i].etag, tree->files[at].etag) == 0)
            return 1;
    return 0;
}

uint64_t download_missing(const struct place *place, const struct tree *tree)
{
    uint64_t missing_n = 0;
    for (size_t i = 0; i < tree->files_n; i++)
        if (tree->files[i].is_wanted && !is_repeated(tree, i))
            missing_n += blob_missing(place, &tree->files[i]);
    return missing_n;
}

/* The next file whose blob is not there, or NULL. */
static const struct tree_file *next_file(struct download *d)
{
    while (d->next < d->tree->files_n) {
        size_t at = d->next++;
        const struct tree_file *file = &d->tree->files[at];
        if (file->is_wanted && !is_repeated(d->tree, at) && blob_missing(d->place, file) > 0)
            return file;
    }
    return NULL;
}

static void tell(struct download *d, struct blob *b)
{
    char digest[TREE_HASH_BYTES + 8];
    snprintf(digest, sizeof digest, "%s:%s", b->file->is_lfs ? "sha256" : "sha1", b->file->etag);
    say_progress(&d->hub->say, b->file->path, digest, b->file->bytes_n, b->have_n, d->hub->now_ms);
    b->told_n = b->have_n;
}

/* Of those that have moved, each in its turn. */
static void tell_next(struct download *d)
{
    for (size_t i = 1; i <= d->slots_n && say_is_due(&d->hub->say, d->hub->now_ms); i++) {
        struct blob *b = &d->slots[(d->told + i) % d->slots_n];
        if (b->state != BLOB_EMPTY && b->have_n != b->told_n) {
            d->told = (d->told + i) % d->slots_n;
            tell(d, b);
            return;
        }
    }
}

/* A slot that is free gets a file, one that has ended says so. Sets *is_busy where something is left to do. 0 or -1. */
static int turn_slot(struct download *d, struct blob *b, int *is_busy)
{
    blob_turn(b);
    while (b->state == BLOB_DONE || b->state == BLOB_EMPTY) {
        if (b->state == BLOB_DONE) {
            b->have_n = b->file->bytes_n;
            tell(d, b);
        }
        const struct tree_file *file = next_file(d);
        b->state = BLOB_EMPTY;
        if (!file)
            return 0;
        blob_begin(b, file, d->tree->revision);
    }
    *is_busy = 1;
    return b->state == BLOB_FAILED ? -1 : 0;
}

static int run(struct download *d)
{
    for (;;) {
        int64_t wait_ms = SAY_TURN_MS;
        int is_busy = 0;
        for (size_t i = 0; i < d->slots_n; i++)
            if (turn_slot(d, &d->slots[i], &is_busy) < 0)
                return -1;
        if (!is_busy)
            return 0;
        for (size_t i = 0; i < d->slots_n; i++)
            if (blob_wait_ms(&d->slots[i]) < wait_ms)
                wait_ms = blob_wait_ms(&d->slots[i]);
        if (hub_turn(d->hub, wait_ms) < 0)
            return -1;
        tell_next(d);
    }
}

int download_blobs(struct hub *h, const struct place *place, const struct tree *tree)
{
    struct download d = {.hub = h, .place = place, .tree = tree};
    d.slots_n = h->settings.downloads_n < SLOTS_MAX ? (size_t)h->settings.downloads_n : SLOTS_MAX;
    for (size_t i = 0; i < d.slots_n; i++)
        blob_init(&d.slots[i], h, place);
    int error = run(&d);
    for (size_t i = 0; i < d.slots_n; i++)
        blob_fini(&d.slots[i]);
    return error;
}

/* `../` for each folder between the link and the model's, and the blob. */
static int target_of(char out[PLACE_BYTES], const struct tree_file *file)
{
    size_t n = 0;
    out[0] = '\0';
    for (const char *slash = file->path; slash; slash = strchr(slash + 1, '/'))
        n += (size_t)snprintf(out + n, PLACE_BYTES - n, "../");
    n += (size_t)snprintf(out + n, PLACE_BYTES - n, "../blobs/%s", file->etag);
    return n < PLACE_BYTES ? 0 : -ENAMETOOLONG;
}

static int link_file(struct hub *h, const struct place *place, const struct tree *tree, const struct tree_file *file)
{
    char path[PLACE_BYTES], target[PLACE_BYTES], there[PLACE_BYTES];
    int error = place_path(place, path, "snapshots/%s/%s", tree->revision, file->path);
    error = error ? error : target_of(target, file);
    if (error)
        return trouble_system(&h->trouble, error, "linking", file->path);
    if (sys_readlink(path, there, sizeof there) >= 0 && strcmp(there, target) == 0)
        return 0;
    error = folders_make_above(path);
    (void)!sys_unlink(path); /* a link to another blob, or one that leads nowhere */
    error = error ? error : sys_symlink(target, path);
    return error ? trouble_system(&h->trouble, error, "linking", path) : 0;
}

int download_link(struct hub *h, const struct place *place, const struct tree *tree)
{
    int error = 0;
    for (int is_weights = 0; is_weights <= 1; is_weights++)
        for (size_t i = 0; i < tree->files_n && !error; i++)
            if (tree->files[i].is_wanted && pick_is_weights(tree->files[i].path) == is_weights)
                error = link_file(h, place, tree, &tree->files[i]);
    return error;
}
