/*
 * See pull.h. One step after the other: what the hub says of the revision; the model's lock; its files; those that are wanted; room on the disk; blobs;
 * links; the branch's revision; our note. Whatever ends us between two of them, the next pull finds what is there, and until the last link no model.
 */
#include "preload/hub/pull.h"

#include "common/folders.h"
#include "common/text.h"
#include "preload/hub/cached.h"
#include "preload/hub/download.h"
#include "preload/hub/names.h"

#include <errno.h>
#include <stdio.h>

enum { LOCK_TURN_MS = 1000, LOCK_TURNS_N = 5 /* so many until it is said again */, URL_BYTES = 2048 };

struct pulling {
    struct hub *hub;
    const struct pull_request *request;
    struct place place;
    struct tree tree;
    struct picked picked;
    int lock_fd; /* the model's; below 0: there is none */
};

/* 0, also where the file system has no locks; or -1. */
static int take_lock(struct pulling *p)
{
    struct hub *h = p->hub;
    for (unsigned turns_n = 0; (p->lock_fd = place_lock(&p->place, PLACE_LOCK)) == -EWOULDBLOCK; turns_n++) {
        if (turns_n % LOCK_TURNS_N == 0)
            say_status(&h->say, "waiting for another pull of the same model");
        if (hub_pause(h, LOCK_TURN_MS) < 0)
            return -1;
    }
    if (p->lock_fd < 0 && p->lock_fd != -ENOLCK)
        return trouble_system(&h->trouble, p->lock_fd, "making a lock in", p->place.cache);
    return 0;
}

static int ask_info(struct pulling *p)
{
    char url[URL_BYTES], ref[3 * PLACE_REF_BYTES], what[PLACE_NAME_BYTES + 32];
    struct hub *h = p->hub;
    struct buf text;
    if (names_escape(ref, sizeof ref, p->request->ref, 0) < 0 ||
        snprintf(url, sizeof url, "%s/api/models/%s/revision/%s", h->settings.endpoint, p->place.model, ref) >= (int)sizeof url)
        return trouble_system(&h->trouble, -ENAMETOOLONG, "asking for", p->place.model);
    snprintf(what, sizeof what, "the model %s", p->place.model);
    buf_init(&text, TREE_ANSWER_BYTES);
    int error = hub_get(h, url, what, &text, NULL);
    error = error ? error : tree_take_info(&p->tree, buf_data(&text), &h->trouble);
    buf_fini(&text);
    return error;
}

static int ask_tree(struct pulling *p)
{
    char url[FETCH_URL_BYTES], next[FETCH_URL_BYTES] = "", what[PLACE_NAME_BYTES + 64];
    struct hub *h = p->hub;
    struct fetch_head head;
    struct buf text;
    int error = 0, pages_n = 0;
    if (snprintf(url, sizeof url, "%s/api/models/%s/tree/%s?recursive=true&expand=false", h->settings.endpoint, p->place.model, p->tree.revision) >= (int)sizeof url)
        return trouble_system(&h->trouble, -ENAMETOOLONG, "asking for", p->place.model);
    snprintf(what, sizeof what, "the list of files of the model %s", p->place.model);
    buf_init(&text, TREE_ANSWER_BYTES);
    while (!error && *url) {
        if (pages_n++ >= TREE_PAGES_MAX)
            error = trouble_set(&h->trouble, TROUBLE_BAD_FILE, "the list of files of %s has no end; nothing was pulled", p->place.model);
        error = error ? error : hub_get(h, url, what, &text, &head);
        error = error ? error : tree_take_page(&p->tree, buf_data(&text), &h->trouble);
        if (!error && *head.next && (fetch_resolve(next, url, head.next) < 0 || !fetch_is_same_origin(next, h->settings.endpoint)))
            error = trouble_set(&h->trouble, TROUBLE_NETWORK, "the list of files of %s goes on at another host, where nobody is asked", p->place.model);
        snprintf(url, sizeof url, "%s", !error && *head.next ? next : "");
    }
    buf_fini(&text);
    return error ? error : tree_end(&p->tree, &h->trouble);
}

static int choose(struct pulling *p)
{
    size_t wanted_n = 0;
    pick(&p->tree, &p->hub->settings, p->request->quantize, &p->picked);
    for (size_t i = 0; i < p->tree.files_n; i++)
        wanted_n += (size_t)p->tree.files[i].is_wanted;
    if (wanted_n > 0 && p->picked.weights_bytes > 0)
        return 0;
    return trouble_set(&p->hub->trouble, TROUBLE_BAD_FILE, "%s has no weights that an engine of [models] engines reads, of %zu files: neither *.safetensors, nor pytorch_model*.bin, nor "
                       "*.gguf for an engine of that format; [models] allow and ignore leave out what they name", p->place.model, p->tree.files_n);
}

/* What is missing, and a twentieth: a full disk harms all that is on it. */
static int check_space(struct pulling *p)
{
    char path[PLACE_BYTES], needed[TEXT_NUMBER_BYTES], left[TEXT_NUMBER_BYTES];
    struct hub *h = p->hub;
    uint64_t missing_n = download_missing(&p->place, &p->tree), free_n = 0;
    int error = place_path(&p->place, path, "blobs/");
    error = error ? error : folders_make_above(path);
    if (error)
        return trouble_system(&h->trouble, error, "making the folder", path);
    if (place_free_bytes(p->place.cache, &free_n) < 0 || missing_n + missing_n / 20 <= free_n)
        return 0;
    text_bytes(needed, missing_n + missing_n / 20);
    text_bytes(left, free_n);
    return trouble_set(&h->trouble, TROUBLE_NO_SPACE, "%s needs %s more, with a margin, and %s has %s left: make room there, or put HF_HUB_CACHE on another disk", p->place.model, needed,
                       p->place.cache, left);
}

/* What was asked for is there: the branch's revision, and our note of it. */
static int record(struct pulling *p)
{
    struct hub *h = p->hub;
    struct note note;
    int error = 0;
    note_read(&note, &p->place);
    if (strcmp(note.revision, p->tree.revision) != 0)
        note_time(note.pulled_at, sys_realtime_ms());
    snprintf(note.revision, sizeof note.revision, "%s", p->tree.revision);
    snprintf(note.description, sizeof note.description, "%s", p->tree.kind);
    note.is_preferred_quantized = p->picked.is_quantized;
    note.size_bytes = 0;
    for (size_t i = 0; i < p->tree.files_n; i++)
        note.size_bytes += p->tree.files[i].is_wanted ? (int64_t)p->tree.files[i].bytes_n : 0;
    if (strcmp(p->request->ref, p->tree.revision) != 0)
        error = place_write_ref(&p->place, p->request->ref, p->tree.revision);
    error = error ? error : note_write(&note, &p->place);
    return error ? trouble_system(&h->trouble, error, "writing in", p->place.folder) : 0;
}

/* The last line. */
static int succeed(struct pulling *p)
{
    struct hub *h = p->hub;
    struct cached m;
    struct buf line;
    if (cached_find(&m, p->place.cache, p->place.model, &h->settings) < 0)
        return trouble_set(&h->trouble, TROUBLE_BAD_FILE, "%s was pulled, and is no model that is whole: %s", p->place.model, m.look.why);
    buf_init(&line, 0);
    int error = buf_text(&line, "{\"status\":\"success\",");
    error = error ? error : cached_write(&m, &h->settings, &line);
    error = error ? error : buf_text(&line, "}\n");
    if (!error)
        say_text(&h->say, buf_data(&line), buf_size(&line));
    buf_fini(&line);
    cached_fini(&m);
    return error ? trouble_system(&h->trouble, error, "telling of", p->place.model) : 0;
}

/* 1 where the hub can't be asked, or the cache can't be written, and the cache has what is asked for all the same. */
static int is_there_anyway(struct pulling *p)
{
    struct hub *h = p->hub;
    struct cached m;
    char revision[PLACE_REVISION_N + 1] = "";
    enum trouble_code code = h->trouble.code;
    if (code != TROUBLE_READ_ONLY && (p->tree.revision[0] || (code != TROUBLE_NETWORK && code != TROUBLE_RATE_LIMITED)))
        return 0;
    if (p->tree.revision[0])
        snprintf(revision, sizeof revision, "%s", p->tree.revision);
    else if (names_is_revision(p->request->ref))
        snprintf(revision, sizeof revision, "%s", p->request->ref);
    else
        (void)!place_read_ref(&p->place, p->request->ref, revision);
    if (cached_find(&m, p->place.cache, p->place.model, &h->settings) < 0)
        return 0;
    int is_there = strcmp(m.revision, revision) == 0;
    cached_fini(&m);
    if (is_there)
        say_status(&h->say, "what the cache has of it is whole, and is taken: %s", h->trouble.text);
    return is_there;
}

static int bring(struct pulling *p)
{
    struct hub *h = p->hub;
    say_status(&h->say, "pulling manifest");
    int error = h->settings.is_offline ? trouble_set(&h->trouble, TROUBLE_NETWORK, "HF_HUB_OFFLINE=1 forbids to ask a hub for %s: unset it to pull", p->place.model) : 0;
    error = error ? error : ask_info(p);
    error = error ? error : take_lock(p);
    error = error ? error : ask_tree(p);
    error = error ? error : choose(p);
    error = error ? error : check_space(p);
    error = error ? error : download_blobs(h, &p->place, &p->tree);
    if (error)
        return error;
    say_status(&h->say, "verifying");
    error = download_link(h, &p->place, &p->tree);
    return error ? error : record(p);
}

int pull_run(struct hub *h, const struct pull_request *request)
{
    struct pulling p = {.hub = h, .request = request, .lock_fd = -1};
    tree_init(&p.tree);
    int error = place_init(&p.place, h->settings.cache, request->model, &h->trouble);
    if (!error) {
        error = bring(&p);
        if (error && is_there_anyway(&p)) {
            h->trouble = (struct trouble){.code = TROUBLE_NONE};
            error = 0;
        }
        error = error ? error : succeed(&p);
    }
    sys_close(p.lock_fd);
    tree_fini(&p.tree);
    return error;
}
