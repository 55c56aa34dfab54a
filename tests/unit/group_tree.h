/*
 * group_tree: files as a kernel has them below /proc and /sys/fs/cgroup, in a folder of the test's own. The machine has
 * 16,000,000 kB, 12,000,000 of them free, and three kills.
 */
#ifndef TESTS_UNIT_GROUP_TREE_H
#define TESTS_UNIT_GROUP_TREE_H

#include "tests/unit/scratch.h"

#include <ftw.h>

struct group_tree {
    struct scratch scratch;
    char proc[SCRATCH_PATH_BYTES];
    char mounts[4096];
};

static inline const char *group_tree_path(const struct group_tree *t, const char *path, char *out)
{
    snprintf(out, SCRATCH_PATH_BYTES, "%s/%s", t->scratch.dir, path);
    return out;
}

/* A file below the tree, with the folders to it. */
static inline void group_tree_file(const struct group_tree *t, const char *path, const char *text)
{
    char full[SCRATCH_PATH_BYTES];
    group_tree_path(t, path, full);
    for (char *slash = full + strlen(t->scratch.dir) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(full, 0755);
        *slash = '/';
    }
    scratch_text(&t->scratch, path, text);
}

/* One more line of mountinfo; point is below the tree. */
static inline void group_tree_mount(struct group_tree *t, const char *root, const char *point, const char *type, const char *options)
{
    size_t n = strlen(t->mounts);
    snprintf(t->mounts + n, sizeof t->mounts - n, "41 31 0:38 %s %s/%s rw,relatime - %s none %s\n", root, t->scratch.dir, point, type, options);
    group_tree_file(t, "proc/self/mountinfo", t->mounts);
}

static inline void group_tree_groups(const struct group_tree *t, const char *text)
{
    group_tree_file(t, "proc/self/cgroup", text);
}

static inline void group_tree_init(struct group_tree *t)
{
    memset(t, 0, sizeof *t);
    scratch_init(&t->scratch);
    snprintf(t->proc, sizeof t->proc, "%s/proc", t->scratch.dir);
    group_tree_file(t, "proc/meminfo", "MemTotal:       16000000 kB\nMemFree:         1 kB\nMemAvailable:   12000000 kB\n");
    group_tree_file(t, "proc/vmstat", "nr_free_pages 9\noom_kill 3\nswap_ra 0\n");
}

static inline int group_tree_remove(const char *path, const struct stat *st, int flag, struct FTW *where)
{
    (void)st;
    (void)flag;
    (void)where;
    return remove(path);
}

static inline void group_tree_fini(const struct group_tree *t)
{
    (void)nftw(t->scratch.dir, group_tree_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
