/* See folder.h. Every step is made from an open descriptor, so that a link put there meanwhile leads nowhere. */
#include "supervisor/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { LINKS_MAX = 40, REST_BYTES = 4096, ENTRIES_MAX = 500, MAY_ENTER = 1, MAY_ALL = 7, MAY_USE = 6, MADE_MODE = 0755 };

/* On the way to a folder. */
struct walk {
    const struct conf_rights *r;
    struct folder *out;
    char rest[REST_BYTES]; /* of the path */
    unsigned links_n;
};

/* Whether the user has these rights, as bits of 0 to 7. path_resolution(7) */
static int may(const struct conf_rights *r, const struct sys_file *file, int bits)
{
    int is_in_group = file->gid == r->gid;
    for (size_t i = 0; i < r->groups_n && !is_in_group; i++)
        is_in_group = r->groups[i] == file->gid;
    int shift = file->uid == r->uid ? 6 : is_in_group ? 3 : 0;
    return !r->has_ids || r->uid == 0 || ((file->mode >> shift) & bits) == bits;
}

static void block(struct folder *f, int fd, const struct sys_file *file, int is_entry)
{
    char link[64];
    if (f->blocked[0])
        return; /* the first is enough */
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (sys_readlink(link, f->blocked, sizeof f->blocked) < 0)
        snprintf(f->blocked, sizeof f->blocked, "a folder");
    f->blocked_uid = file->uid;
    f->is_entry_blocked = is_entry;
}

/* The next name of the rest; 0 at its end. */
static int next_name(struct walk *w, char name[256], int *error)
{
    const char *start = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(start, "/");
    *error = n < 256 ? 0 : -ENAMETOOLONG;
    if (n == 0 || *error)
        return 0;
    memcpy(name, start, n);
    name[n] = '\0';
    memmove(w->rest, start + n, strlen(start + n) + 1);
    return 1;
}

/* Steps into a folder, which takes the place of the one where we are. */
static void enter(struct walk *w, int fd)
{
    sys_close(w->out->fd);
    w->out->fd = fd;
}

static int follow(struct walk *w, int link_fd, const struct sys_file *link)
{
    char target[REST_BYTES / 2], rest[REST_BYTES];
    int error = ++w->links_n > LINKS_MAX ? -ELOOP : sys_readlink_at(link_fd, target, sizeof target);
    if (error)
        return error;
    if (snprintf(rest, sizeof rest, "%s/%s", target, w->rest) >= (int)sizeof rest)
        return -ENAMETOOLONG;
    memcpy(w->rest, rest, strlen(rest) + 1);
    w->out->is_foreign |= link->uid != 0 && link->uid != sys_geteuid();
    if (target[0] != '/')
        return 0;
    int root_fd = sys_open("/", O_PATH | O_DIRECTORY, 0);
    if (root_fd >= 0)
        enter(w, root_fd);
    return root_fd < 0 ? root_fd : 0;
}

static int is_anything(void *context, const char *name);

/* Whether this may be the folder that was made a moment ago: ours, and empty. Who owns the one above it could have renamed
 * another one of root's to that name meanwhile. */
static int is_fresh(int fd)
{
    struct sys_file file;
    return sys_file(fd, &file) == 0 && file.uid == sys_geteuid() && sys_each_entry_at(fd, is_anything, NULL) == 0;
}

static int make(struct walk *w, const char *name)
{
    int error = sys_mkdir_at(w->out->fd, name, MADE_MODE);
    if (error && error != -EEXIST)
        return error;
    int fd = sys_open_at(w->out->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd < 0)
        return fd;
    enter(w, fd);
    if (error == -EEXIST || !is_fresh(fd)) /* somebody was quicker, or has put another folder in its place */
        return 0;
    w->out->is_made = 1;
    return w->r->has_ids ? sys_give_fd(fd, w->r->uid, w->r->gid) : 0;
}

/* One step: into a folder, along a link, or into what is made. */
static int step(struct walk *w, const char *name)
{
    struct sys_file file;
    int fd = sys_open_at(w->out->fd, name, O_PATH | O_NOFOLLOW);
    if (fd == -ENOENT && w->out->is_foreign) { /* left to the user, who may do so where we are now, or not */
        w->rest[0] = '\0';
        return 0;
    }
    if (fd == -ENOENT)
        return make(w, name);
    int error = fd < 0 ? fd : sys_file(fd, &file);
    if (!error && file.is_link) {
        error = follow(w, fd, &file);
    } else if (!error && file.is_folder) {
        enter(w, fd);
        return 0;
    } else if (!error) {
        error = -ENOTDIR;
    }
    sys_close(fd);
    return error;
}

static int is_anything(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "lost+found") != 0;
}

/* An empty folder that is root's, as a fresh volume's, becomes the user's. */
static int give_empty(const struct walk *w)
{
    struct sys_file file;
    int error = sys_file(w->out->fd, &file);
    if (error || w->out->is_foreign || !w->r->has_ids || file.uid != sys_geteuid() || may(w->r, &file, MAY_ALL) ||
        sys_each_entry_at(w->out->fd, is_anything, NULL) != 0)
        return error;
    int fd = sys_open_at(w->out->fd, ".", O_RDONLY | O_DIRECTORY); /* the descriptor of a path can't be given */
    error = fd < 0 ? fd : sys_give_fd(fd, w->r->uid, w->r->gid);
    sys_close(fd);
    w->out->is_made |= !error;
    return error;
}

int folder_open(struct folder *out, const char *path, const struct conf_rights *r)
{
    struct walk w = {.r = r, .out = out};
    struct sys_file file;
    char name[256];
    int error = snprintf(w.rest, sizeof w.rest, "%s", path) < (int)sizeof w.rest ? 0 : -ENAMETOOLONG;
    *out = (struct folder){.fd = sys_open("/", O_PATH | O_DIRECTORY, 0)};
    if (out->fd < 0)
        error = out->fd;
    while (!error && next_name(&w, name, &error)) {
        if (sys_file(out->fd, &file) == 0 && !may(r, &file, MAY_ENTER))
            block(out, out->fd, &file, 0);
        error = step(&w, name);
    }
    if (!error)
        error = give_empty(&w);
    if (error)
        folder_close(out);
    return error;
}

/* Looking around, with what is left of the depth and of the entries. */
struct look {
    struct folder *f;
    const struct conf_rights *r;
    int folder_fd, depth;
    int *left_n;
};

static int look_at(void *context, const char *name);

static void look_into(struct folder *f, const struct conf_rights *r, int fd, int depth, int *left_n)
{
    struct look look = {f, r, fd, depth, left_n};
    int ended = sys_each_entry_at(fd, look_at, &look);
    (void)ended; /* a folder that can't be read has been judged by its own rights */
}

/* `history` is what somebody typed into `ollama run`, as root by `docker exec`; the server has no use for it. */
static int is_of_no_matter(const char *name)
{
    return strcmp(name, "lost+found") == 0 || strcmp(name, "history") == 0;
}

static int look_at(void *context, const char *name)
{
    struct look *k = context;
    struct sys_file file;
    if (--*k->left_n < 0)
        return 1;
    int fd = is_of_no_matter(name) ? -1 : sys_open_at(k->folder_fd, name, O_PATH | O_NOFOLLOW);
    if (fd < 0 || sys_file(fd, &file) < 0 || file.is_link || (file.is_folder && k->depth == 0)) {
        sys_close(fd);
        return 0;
    }
    if (!may(k->r, &file, file.is_folder ? MAY_ALL : MAY_USE))
        block(k->f, fd, &file, 1);
    else if (file.is_folder)
        look_into(k->f, k->r, fd, k->depth - 1, k->left_n);
    sys_close(fd);
    return k->f->blocked[0] != '\0';
}

void folder_judge(struct folder *f, const struct conf_rights *r, int depth)
{
    struct sys_file file;
    int left_n = ENTRIES_MAX;
    if (f->fd < 0 || !r->has_ids || sys_file(f->fd, &file) < 0)
        return;
    if (!may(r, &file, MAY_ALL))
        block(f, f->fd, &file, 1);
    if (!f->blocked[0])
        look_into(f, r, f->fd, depth, &left_n);
}

void folder_close(struct folder *f)
{
    sys_close(f->fd);
    f->fd = -1;
}
