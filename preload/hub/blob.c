/*
 * See blob.h. A range is asked for without If-Range: what a file is, is said by its hash, and the server that has the bytes knows another ETag than the
 * hub. An answer whose range is another one, or is none, begins the file anew.
 *
 * Invariant: the file has have_n bytes, and the hash is theirs, whenever FETCHING.
 */
#include "preload/hub/blob.h"

#include "common/folders.h"
#include "preload/hub/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { RECALL_BYTES = 64 * 1024, RECALLS_N = 64 /* so many at a turn */, LOCK_TURN_MS = 1000, URL_BYTES = 3 * NAMES_PATH_N + 1024 };

static void hash_begin(struct blob *b)
{
    char head[32];
    sha256_init(&b->sha256);
    sha1_init(&b->sha1);
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)b->file->bytes_n);
    sha1_add(&b->sha1, head, (size_t)n + 1); /* with its NUL: that is how git hashes a file */
}

static void hash_add(struct blob *b, const void *bytes, size_t bytes_n)
{
    if (b->file->is_lfs)
        sha256_add(&b->sha256, bytes, bytes_n);
    else
        sha1_add(&b->sha1, bytes, bytes_n);
}

/* 1 where the bytes are those that the hub has named. */
static int hash_is_right(struct blob *b)
{
    unsigned char digest[SHA256_BYTES] = {0};
    char hex[SHA256_HEX_BYTES];
    if (b->file->is_lfs)
        sha256_end(&b->sha256, digest);
    else
        sha1_end(&b->sha1, digest);
    sha256_hex(digest, hex); /* of a SHA-1 the first digits are those that count */
    return strncmp(hex, b->file->etag, strlen(b->file->etag)) == 0;
}

static void release(struct blob *b)
{
    fetch_cancel(&b->fetch);
    sys_close(b->fd);
    sys_close(b->lock_fd);
    b->fd = b->lock_fd = -1;
}

static void fail(struct blob *b)
{
    release(b);
    b->state = BLOB_FAILED;
}

static void fail_system(struct blob *b, int error, const char *doing)
{
    char path[PLACE_BYTES];
    (void)!place_path(b->place, path, "blobs/%s.incomplete", b->file->etag);
    trouble_system(&b->hub->trouble, error, doing, path);
    fail(b);
}

/* From its first byte on. 0 or -errno. */
static int begin_anew(struct blob *b)
{
    b->have_n = b->resumed_n = b->begun_n = 0;
    hash_begin(b);
    return sys_truncate(b->fd, 0);
}

static void pause(struct blob *b, int64_t pause_ms)
{
    b->state = BLOB_PAUSING;
    b->due_at_ms = b->hub->now_ms + pause_ms;
}

static void finish(struct blob *b)
{
    char path[PLACE_BYTES], fresh[PLACE_BYTES];
    int error = place_path(b->place, path, "blobs/%s", b->file->etag);
    error = error ? error : place_path(b->place, fresh, "blobs/%s.incomplete", b->file->etag);
    error = error ? error : sys_sync(b->fd);
    error = error ? error : sys_rename(fresh, path);
    if (error) {
        fail_system(b, error, "writing");
        return;
    }
    release(b);
    b->state = BLOB_DONE;
}

/* All its bytes are there. Where some were an earlier try's, those may be to blame for a wrong hash: once more without them. */
static void verify(struct blob *b)
{
    uint64_t resumed_n = b->resumed_n;
    if (hash_is_right(b)) {
        finish(b);
        return;
    }
    int error = begin_anew(b);
    if (error) {
        fail_system(b, error, "writing");
    } else if (resumed_n > 0) {
        pause(b, 0);
    } else {
        trouble_set(&b->hub->trouble, TROUBLE_MISMATCH, "the bytes of %s of %s are not those that %s names (%s %s): nothing of it was kept; pull again, and if it stays so, look whether "
                    "something between here and the hub changes what it passes", b->file->path, b->place->model, b->hub->settings.endpoint, b->file->is_lfs ? "sha256" : "git",
                    b->file->etag);
        fail(b);
    }
}

static void ask(struct blob *b)
{
    char url[URL_BYTES], path[3 * NAMES_PATH_N + 1];
    int n = -1;
    if (names_escape(path, sizeof path, b->file->path, 1) == 0)
        n = snprintf(url, sizeof url, "%s/%s/resolve/%s/%s", b->hub->settings.endpoint, b->place->model, b->revision, path);
    b->begun_n = b->have_n;
    b->asked_at_ms = b->hub->now_ms;
    b->state = BLOB_FETCHING;
    if (n < 0 || n >= (int)sizeof url || fetch_start(&b->fetch, url, b->have_n) < 0)
        fail_system(b, -ENOMEM, "asking for");
}

static void go_on(struct blob *b)
{
    if (b->have_n == b->file->bytes_n)
        verify(b);
    else
        ask(b);
}

/* At the first piece of an answer: what range it is. 0 or -errno. */
static int check_range(struct blob *b, const struct fetch_head *head)
{
    if (head->is_encoded)
        return -EBADMSG;
    if (head->status == 200 && head->length >= 0 && (uint64_t)head->length != b->file->bytes_n)
        return -EMSGSIZE;
    if (head->linked_etag[0] && strcmp(head->linked_etag, b->file->etag) != 0)
        return -ESTALE;
    if (head->status == 206 && head->range_first == (int64_t)b->have_n && (head->range_total < 0 || head->range_total == (int64_t)b->file->bytes_n))
        return 0;
    if (head->status == 206)
        return -EPROTO;
    return b->have_n > 0 ? begin_anew(b) : 0;
}

static int take_bytes(void *context, const struct fetch_head *head, const char *bytes, size_t bytes_n)
{
    struct blob *b = context;
    int error = b->have_n == b->begun_n ? check_range(b, head) : 0;
    if (!error && bytes_n > b->file->bytes_n - b->have_n)
        error = -EFBIG;
    error = error ? error : sys_write_all(b->fd, bytes, bytes_n);
    if (error)
        return error;
    hash_add(b, bytes, bytes_n);
    b->have_n += bytes_n;
    b->hub->has_bytes = 1;
    return 0;
}

/* It came to less than the whole: again after a pause, or that was it. */
static void try_again(struct blob *b, const struct why *why)
{
    int64_t pause_ms = hub_pause_ms(b->hub, why, &b->retry, b->have_n > b->begun_n, b->hub->now_ms - b->asked_at_ms);
    b->resumed_n = b->have_n;
    if (pause_ms < 0) {
        if (b->hub->trouble.code == TROUBLE_NONE)
            b->hub->trouble = why->trouble;
        fail(b);
        return;
    }
    say_status(&b->hub->say, "trying again in %llds: %s", (long long)((pause_ms + 999) / 1000), why->trouble.text);
    pause(b, pause_ms);
}

/* What the pieces of an answer are refused for; NULL: for nothing that is the answer's. */
static const char *reason_of(int error)
{
    switch (-error) {
    case EFBIG:
        return "it is longer than the hub said";
    case EMSGSIZE:
        return "its answer has another length than the hub said; perhaps it is a page of a network that wants a login";
    case ESTALE:
        return "it has another hash than the list of files says";
    case EBADMSG:
        return "its answer is compressed";
    case EPROTO:
        return "its answer is another range";
    default:
        return NULL;
    }
}

/* What is there stays, unless it may be that which does not fit. */
static void on_refused(struct blob *b, int error)
{
    struct why why = {.is_final = 0};
    const char *reason = reason_of(error);
    if (!reason) {
        fail_system(b, error, "writing");
        return;
    }
    trouble_set(&why.trouble, TROUBLE_MISMATCH, "the file %s of %s at %s is not what was asked for: %s", b->file->path, b->place->model, b->hub->settings.endpoint, reason);
    error = error == -EFBIG || error == -EPROTO ? begin_anew(b) : 0;
    if (error)
        fail_system(b, error, "writing");
    else
        try_again(b, &why);
}

static void take_end(void *context, const struct fetch_head *head, const char *lost, int error)
{
    struct blob *b = context;
    struct why why;
    char what[NAMES_PATH_N + PLACE_NAME_BYTES + 32];
    snprintf(what, sizeof what, "the file %s of %s", b->file->path, b->place->model);
    if (error) {
        on_refused(b, error);
        return;
    }
    if (!lost && head->status == 416 && b->have_n > 0) { /* what is there is not the beginning of this file */
        on_refused(b, -EPROTO);
        return;
    }
    why_of(&why, head, lost, what, &b->hub->settings);
    if (why.trouble.code == TROUBLE_NONE && b->have_n < b->file->bytes_n)
        why_of(&why, head, "the connection ended before the file", what, &b->hub->settings);
    if (why.trouble.code == TROUBLE_NONE)
        verify(b);
    else
        try_again(b, &why);
}

/* Behind the lock: another process may have brought it meanwhile. */
static void open_file(struct blob *b)
{
    char path[PLACE_BYTES];
    size_t bytes_n = 0;
    if (blob_missing(b->place, b->file) == 0) {
        release(b);
        b->state = BLOB_DONE;
        return;
    }
    int error = place_path(b->place, path, "blobs/%s.incomplete", b->file->etag);
    error = error ? error : folders_make_above(path);
    b->fd = error ? error : sys_open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, 0644);
    error = b->fd < 0 ? b->fd : sys_file_size(b->fd, &bytes_n);
    b->have_n = 0;
    hash_begin(b);
    if (!error && bytes_n > b->file->bytes_n)
        error = sys_truncate(b->fd, 0);
    else
        b->resumed_n = bytes_n;
    if (error)
        fail_system(b, error, "writing");
    else
        b->state = BLOB_RECALLING;
}

static void take_lock(struct blob *b)
{
    b->lock_fd = place_lock(b->place, b->file->etag);
    if (b->lock_fd == -EWOULDBLOCK) {
        b->state = BLOB_LOCKED;
        b->due_at_ms = b->hub->now_ms + LOCK_TURN_MS;
    } else if (b->lock_fd < 0 && b->lock_fd != -ENOLCK) {
        trouble_system(&b->hub->trouble, b->lock_fd, "making a lock in", b->place->cache);
        fail(b);
    } else {
        open_file(b);
    }
}

/* A part of what is there, so that other files go on meanwhile. */
static void recall(struct blob *b)
{
    char bytes[RECALL_BYTES];
    for (int i = 0; i < RECALLS_N && b->have_n < b->resumed_n; i++) {
        ssize_t n = sys_read_at(b->fd, bytes, sizeof bytes, b->have_n);
        if (n <= 0) {
            fail_system(b, n < 0 ? (int)n : -EIO, "reading");
            return;
        }
        hash_add(b, bytes, (size_t)n);
        b->have_n += (uint64_t)n;
    }
    if (b->have_n >= b->resumed_n)
        go_on(b);
}

void blob_init(struct blob *b, struct hub *h, const struct place *place)
{
    *b = (struct blob){.hub = h, .place = place, .fd = -1, .lock_fd = -1};
    fetch_init(&b->fetch, &h->fetcher, take_bytes, take_end, b);
}

void blob_fini(struct blob *b)
{
    release(b);
    fetch_fini(&b->fetch);
}

void blob_begin(struct blob *b, const struct tree_file *file, const char *revision)
{
    b->file = file;
    snprintf(b->revision, sizeof b->revision, "%s", revision);
    b->have_n = b->resumed_n = b->told_n = b->begun_n = 0;
    b->retry = (struct retry){0};
    take_lock(b);
}

void blob_turn(struct blob *b)
{
    int is_due = b->hub->now_ms >= b->due_at_ms;
    if (b->state == BLOB_LOCKED && is_due)
        take_lock(b);
    else if (b->state == BLOB_PAUSING && is_due)
        go_on(b);
    if (b->state == BLOB_RECALLING)
        recall(b);
}

int64_t blob_wait_ms(const struct blob *b)
{
    if (b->state == BLOB_RECALLING)
        return 0;
    if (b->state != BLOB_LOCKED && b->state != BLOB_PAUSING)
        return HUB_TURN_MS;
    return b->due_at_ms - b->hub->now_ms < HUB_TURN_MS ? b->due_at_ms - b->hub->now_ms : HUB_TURN_MS;
}

uint64_t blob_missing(const struct place *place, const struct tree_file *file)
{
    char path[PLACE_BYTES];
    struct sys_entry entry;
    if (place_path(place, path, "blobs/%s", file->etag) == 0 && sys_look(path, &entry) == 0 && entry.is_regular && entry.bytes_n == file->bytes_n)
        return 0;
    if (place_path(place, path, "blobs/%s.incomplete", file->etag) == 0 && sys_look(path, &entry) == 0 && entry.is_regular && entry.bytes_n < file->bytes_n)
        return file->bytes_n - entry.bytes_n;
    return file->bytes_n ? file->bytes_n : 1; /* an empty file is to be made all the same */
}
