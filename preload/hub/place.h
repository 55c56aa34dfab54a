/*
 * place: where a model is in the cache, in the layout of the hub's own clients:
 *
 *     CACHE/models--ORG--NAME/blobs/ETAG                     a file's bytes (models--NAME where it has no ORG)
 *                            /refs/main                      the revision of a branch or tag
 *                            /snapshots/REVISION/PATH        a link to its blob
 *                            /.ollama-sidecar.json           our note (note.h)
 *     CACHE/.locks/models--ORG--NAME/ETAG.lock
 */
#ifndef PRELOAD_HUB_PLACE_H
#define PRELOAD_HUB_PLACE_H

#include "preload/hub/trouble.h"

#define PLACE_LOCK ".ollama-sidecar" /* the lock of a model: who has it pulls it, or removes it */
enum { PLACE_BYTES = 4096, PLACE_NAME_BYTES = 200, PLACE_REVISION_N = 40, PLACE_REF_BYTES = 200 };

struct place {
    const char *cache;            /* borrowed */
    char model[PLACE_NAME_BYTES]; /* [ORG/]NAME */
    char folder[PLACE_BYTES / 2]; /* CACHE/models--ORG--NAME */
};

/* model: a name that parse_hub_name takes. 0; -1 where the path is too long. */
int place_init(struct place *p, const char *cache, const char *model, struct trouble *t) WARN_UNUSED;
/* The other way round: the name that a folder of the cache stands for. 0; -EINVAL where it is none of a model. */
int place_model_of(const char *folder_name, char model[PLACE_NAME_BYTES]) WARN_UNUSED;

/* A path below the model's folder, printf's way. 0, or -ENAMETOOLONG with an empty out. */
int place_path(const struct place *p, char out[PLACE_BYTES], const char *format, ...) PRINTF_LIKE(3, 4) WARN_UNUSED;
/* The path of a lock below .locks. The same. */
int place_lock_path(const struct place *p, char out[PLACE_BYTES], const char *name) WARN_UNUSED;

/* What may still be written where the cache is, or is to be. 0 or -errno. */
int place_free_bytes(const char *cache, uint64_t *bytes_n) WARN_UNUSED;

/* Opens the lock and tries to take it, as the hub's own clients do (flock(2)). A descriptor; -EWOULDBLOCK where another process has it; -ENOLCK where
 * the file system has no locks; or -errno. */
int place_lock(const struct place *p, const char *name) WARN_UNUSED;

/* The revision of a branch or tag that the cache knows: 0, or -ENOENT. */
int place_read_ref(const struct place *p, const char *ref, char revision[PLACE_REVISION_N + 1]) WARN_UNUSED;
/* Whole or not at all: whoever reads meanwhile has the old one. 0 or -errno. */
int place_write_ref(const struct place *p, const char *ref, const char *revision) WARN_UNUSED;

#endif
