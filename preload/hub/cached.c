/* See cached.h. */
#include "preload/hub/cached.h"

#include "preload/hub/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES_LIMIT_BYTES = 32 * 1024 /* half of what the proxy takes for a line */ };

/* Looks for the newest one that is whole. */
struct newest {
    struct cached *m;
    const struct settings *settings;
    int64_t changed_ms; /* of the one that was found; -1: none */
};

static int try_revision(struct cached *m, const char *revision, const struct settings *settings)
{
    cached_fini(m);
    snprintf(m->revision, sizeof m->revision, "%s", revision);
    int error = look_at(&m->look, &m->place, revision, &m->note, settings);
    return error ? error : m->look.format == PICK_NONE ? -ENOENT : 0;
}

static int see_snapshot(void *context, const char *name)
{
    struct newest *n = context;
    char path[PLACE_BYTES];
    struct sys_entry entry;
    struct cached other = {.place = n->m->place, .note = n->m->note};
    if (!names_is_revision(name) || place_path(&n->m->place, path, "snapshots/%s", name) < 0 || sys_look(path, &entry) < 0 || entry.changed_ms <= n->changed_ms)
        return 0;
    int error = try_revision(&other, name, n->settings);
    if (error && n->changed_ms >= 0) {
        cached_fini(&other);
        return 0;
    }
    cached_fini(n->m);
    n->m->look = other.look;
    memcpy(n->m->revision, other.revision, sizeof other.revision);
    n->changed_ms = error ? -1 : entry.changed_ms;
    return 0;
}

int cached_find(struct cached *m, const char *cache, const char *model, const struct settings *settings)
{
    struct trouble trouble = {.code = TROUBLE_NONE};
    struct newest newest = {.m = m, .settings = settings, .changed_ms = -1};
    char revision[PLACE_REVISION_N + 1], path[PLACE_BYTES];
    *m = (struct cached){.revision = ""};
    if (place_init(&m->place, cache, model, &trouble) < 0)
        return -ENAMETOOLONG;
    note_read(&m->note, &m->place);
    if (*m->note.revision && try_revision(m, m->note.revision, settings) == 0)
        return 0;
    if (place_read_ref(&m->place, "main", revision) == 0 && try_revision(m, revision, settings) == 0)
        return 0;
    int error = place_path(&m->place, path, "snapshots");
    error = error ? error : sys_each_entry(path, see_snapshot, &newest);
    if (error || newest.changed_ms < 0) {
        char why[LOOK_TEXT_BYTES];
        memcpy(why, m->look.why, sizeof why);
        cached_fini(m);
        memcpy(m->look.why, why, sizeof why);
        return -ENOENT;
    }
    return 0;
}

void cached_fini(struct cached *m)
{
    look_fini(&m->look);
    m->look.file = NULL;
}

static int write_text(struct buf *out, const char *name, const char *text)
{
    int error = buf_printf(out, ",\"%s\":", name);
    if (error)
        return error;
    return *text ? buf_json_string(out, text, strlen(text)) : buf_text(out, "null");
}

static int write_number(struct buf *out, const char *name, int64_t number)
{
    return number < 0 ? buf_printf(out, ",\"%s\":null", name) : buf_printf(out, ",\"%s\":%lld", name, (long long)number);
}

/* The GGUF files that can be loaded, as far as a line has room. */
static int write_files(struct buf *out, const struct tree *tree)
{
    int error = buf_text(out, ",\"files\":["), n = 0;
    for (size_t i = 0; i < tree->files_n && !error && buf_size(out) < FILES_LIMIT_BYTES; i++) {
        const char *path = tree->files[i].path;
        if (!pick_is_gguf_first(path))
            continue;
        error = buf_text(out, n++ ? "," : "");
        error = error ? error : buf_json_string(out, path, strlen(path));
    }
    return error ? error : buf_text(out, "]");
}

/* When it came: as we noted it, else when its snapshot was written. */
static void time_of(const struct cached *m, char out[32])
{
    char path[PLACE_BYTES];
    struct sys_entry entry;
    out[0] = '\0';
    if (*m->note.pulled_at && strcmp(m->note.revision, m->revision) == 0)
        snprintf(out, 32, "%s", m->note.pulled_at);
    else if (place_path(&m->place, path, "snapshots/%s", m->revision) == 0 && sys_look(path, &entry) == 0)
        note_time(out, entry.changed_ms);
}

/* 4 bits are preferred: as was said at the pull, else by the rule. */
static int is_quantized(const struct cached *m, const struct settings *settings)
{
    return m->note.is_preferred_quantized >= 0 ? m->note.is_preferred_quantized
           : m->look.format == PICK_GGUF       ? pick_is_q4(m->look.file)
                                               : m->look.weights_bytes > (uint64_t)settings->q4_threshold_bytes;
}

int cached_write(const struct cached *m, const struct settings *settings, struct buf *out)
{
    const struct facts *facts = &m->look.facts;
    char path[PLACE_BYTES], time[32];
    time_of(m, time);
    int error = place_path(&m->place, path, "snapshots/%s", m->revision);
    error = error ? error : buf_text(out, "\"model\":");
    error = error ? error : buf_json_string(out, m->place.model, strlen(m->place.model));
    error = error ? error : write_text(out, "revision", m->revision);
    error = error ? error : write_text(out, "local_path", path);
    error = error ? error : write_number(out, "size_bytes", (int64_t)m->look.bytes_n);
    error = error ? error : write_text(out, "format", pick_format_name(m->look.format));
    error = error ? error : write_text(out, "file", m->look.file ? m->look.file : "");
    error = error ? error : write_files(out, &m->look.tree);
    error = error ? error : write_number(out, "context_length", facts->context_n);
    error = error ? error : buf_printf(out, ",\"has_chat_template\":%s", facts->has_chat_template ? "true" : "false");
    error = error ? error : write_text(out, "architecture", facts->architecture);
    error = error ? error : write_text(out, "description", *m->note.description ? m->note.description : facts->name);
    error = error ? error : buf_printf(out, ",\"preferred_quantized\":%s", is_quantized(m, settings) ? "true" : "false");
    error = error ? error : write_number(out, "load_duration_ns", m->note.load_ns);
    error = error ? error : write_text(out, "backend", m->note.backend);
    return error ? error : write_text(out, "pulled_at", time);
}

struct listing {
    struct hub *hub;
    size_t models_n;
};

static int see_model(void *context, const char *name)
{
    struct listing *l = context;
    char model[PLACE_NAME_BYTES];
    struct cached m;
    struct buf line;
    if (l->models_n >= CACHED_MODELS_MAX)
        return 1;
    if (place_model_of(name, model) < 0 || cached_find(&m, l->hub->settings.cache, model, &l->hub->settings) < 0)
        return 0;
    buf_init(&line, 0);
    int error = buf_text(&line, "{");
    error = error ? error : cached_write(&m, &l->hub->settings, &line);
    error = error ? error : buf_text(&line, "}\n");
    if (!error)
        say_text(&l->hub->say, buf_data(&line), buf_size(&line));
    buf_fini(&line);
    cached_fini(&m);
    l->models_n++;
    return 0;
}

int cached_list(struct hub *h)
{
    struct listing listing = {.hub = h};
    struct buf line;
    uint64_t free_bytes = 0;
    const char *cache = h->settings.cache;
    int error = sys_each_entry(cache, see_model, &listing);
    if (error < 0 && error != -ENOENT)
        return trouble_system(&h->trouble, error, "reading the cache", cache);
    int is_known = place_free_bytes(cache, &free_bytes) == 0;
    buf_init(&line, 0);
    error = buf_text(&line, "{\"done\":true");
    error = error ? error : write_text(&line, "cache", cache);
    error = error ? error : write_number(&line, "free_bytes", is_known ? (int64_t)free_bytes : -1);
    error = error ? error : buf_printf(&line, ",\"models_n\":%zu}\n", listing.models_n);
    if (!error)
        say_text(&h->say, buf_data(&line), buf_size(&line));
    buf_fini(&line);
    return error ? trouble_system(&h->trouble, error, "listing", cache) : 0;
}
