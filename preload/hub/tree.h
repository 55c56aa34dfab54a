/*
 * tree: what a hub says of a repository: its revision, and its files. Pure. Nothing is taken that names.h refuses.
 */
#ifndef PRELOAD_HUB_TREE_H
#define PRELOAD_HUB_TREE_H

#include "preload/hub/trouble.h"

enum { TREE_FILES_MAX = 20000, TREE_PAGES_MAX = 200, TREE_ANSWER_BYTES = 16 * 1024 * 1024, TREE_HASH_BYTES = 65, TREE_KIND_BYTES = 120 };
#define TREE_BYTES_MAX (UINT64_C(1) << 53) /* a double is exact up to there */

struct tree_file {
    char *path; /* owned */
    uint64_t bytes_n;
    char etag[TREE_HASH_BYTES]; /* what its blob is called: SHA-256 of the bytes where is_lfs, else git's hash of them, a SHA-1 */
    int is_lfs;
    int is_wanted; /* pick.h */
};

struct tree {
    char revision[41];
    char kind[TREE_KIND_BYTES]; /* such as text-generation; "" */
    struct tree_file *files;    /* by path */
    size_t files_n, room_n;
    uint64_t bytes_n;           /* of all of them, as a hub says: TREE_BYTES_MAX at the most */
};

void tree_init(struct tree *tree);
void tree_fini(struct tree *tree);

/* The answer of /api/models/ORG/NAME/revision/REF. 0, or -1 with the trouble. */
int tree_take_info(struct tree *tree, const char *json, struct trouble *t) WARN_UNUSED;
/* One page of /api/models/ORG/NAME/tree/REVISION?recursive=true. The same. */
int tree_take_page(struct tree *tree, const char *json, struct trouble *t) WARN_UNUSED;
/* Behind the last page: sorts, and refuses what has a path twice, or a file where a folder is. The same. */
int tree_end(struct tree *tree, struct trouble *t) WARN_UNUSED;
/* The file of this path, or NULL; call it behind tree_end. */
const struct tree_file *tree_find(const struct tree *tree, const char *path);

#endif
