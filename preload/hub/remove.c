/*
 * See remove.h. The snapshots go first, by one rename(2): whatever ends us behind it, what is left is no model, and the next removal or pull finds it.
 */
#include "preload/hub/remove.h"

#include "preload/hub/place.h"

#include <errno.h>
#include <stdio.h>

enum { DEPTH_MAX = 16, TRIES_N = 5 };
#define GONE "snapshots.removed"

struct removal {
    const char *folder;
    uint64_t freed_bytes;
    int depth;
    int error; /* the first */
};

static void remove_tree(struct removal *r);

static int remove_entry(void *context, const char *name)
{
    struct removal *r = context;
    char path[PLACE_BYTES];
    struct sys_entry entry;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    int error = snprintf(path, sizeof path, "%s/%s", r->folder, name) < (int)sizeof path ? sys_look_at_link(path, &entry) : -ENAMETOOLONG;
    if (!error && entry.is_folder) {
        struct removal below = {.folder = path, .depth = r->depth + 1};
        remove_tree(&below);
        r->freed_bytes += below.freed_bytes;
        error = below.error;
    } else if (!error) {
        error = sys_unlink(path);
        r->freed_bytes += error || !entry.is_regular ? 0 : entry.bytes_n;
    }
    r->error = r->error ? r->error : error == -ENOENT ? 0 : error;
    return 0;
}

/* All that is in the folder, links themselves and not what they lead to, and the folder. */
static void remove_tree(struct removal *r)
{
    int error = r->depth > DEPTH_MAX ? -ELOOP : sys_each_entry(r->folder, remove_entry, r);
    error = error ? error : sys_rmdir(r->folder);
    r->error = r->error ? r->error : error == -ENOENT ? 0 : error;
}

static int remove_model(struct hub *h, const struct place *place, uint64_t *freed_bytes)
{
    char snapshots[PLACE_BYTES], gone[PLACE_BYTES];
    struct removal old = {.folder = gone}, all = {.folder = place->folder};
    int error = place_path(place, snapshots, "snapshots");
    error = error ? error : place_path(place, gone, GONE);
    if (!error) {
        remove_tree(&old); /* of a removal that came to no end */
        error = sys_rename(snapshots, gone);
    }
    if (error && error != -ENOENT)
        return trouble_system(&h->trouble, error, "removing", place->folder);
    for (int i = 0; i < TRIES_N && (i == 0 || all.error == -ENOTEMPTY); i++) { /* a note may be written there meanwhile */
        all.error = 0;
        remove_tree(&all);
    }
    if (all.error == -ENOTDIR) /* a link to where its owner has room */
        all.error = sys_unlink(place->folder);
    *freed_bytes = old.freed_bytes + all.freed_bytes;
    return all.error ? trouble_system(&h->trouble, all.error, "removing", place->folder) : 0;
}

int remove_run(struct hub *h, const char *model)
{
    struct place place;
    struct sys_entry entry;
    struct buf line;
    uint64_t freed_bytes = 0;
    if (place_init(&place, h->settings.cache, model, &h->trouble) < 0)
        return -1;
    if (sys_look(place.folder, &entry) < 0 || !entry.is_folder)
        return trouble_set(&h->trouble, TROUBLE_NOT_FOUND, "the model %s is not in the cache %s", model, place.cache);
    int lock_fd = place_lock(&place, PLACE_LOCK);
    if (lock_fd == -EWOULDBLOCK)
        return trouble_set(&h->trouble, TROUBLE_BUSY, "the model %s is being pulled: remove it when that has ended", model);
    if (lock_fd < 0 && lock_fd != -ENOLCK)
        return trouble_system(&h->trouble, lock_fd, "making a lock in", place.cache);
    int error = remove_model(h, &place, &freed_bytes);
    sys_close(lock_fd);
    if (error)
        return -1;
    buf_init(&line, 0);
    if (buf_printf(&line, "{\"status\":\"success\",\"freed_bytes\":%llu}\n", (unsigned long long)freed_bytes) == 0)
        say_text(&h->say, buf_data(&line), buf_size(&line));
    buf_fini(&line);
    return 0;
}
