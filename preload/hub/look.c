/*
 * See look.h. Whole is what has all its parts: each link leads to a file, the index of the weights names none that is missing, `-of-N` has N, and no blob of
 * a download that broke off is left behind which is nowhere else: the hub's own clients link each file as it comes. Where our note says that a revision is
 * whole, that last one may be a later one's.
 */
#include "preload/hub/look.h"

#include "preload/hub/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 8 };

/* A folder on the way through a snapshot. */
struct walk {
    struct look *look;
    const char *top;
    const char *below; /* "" or FOLDER/ */
    int depth;
};

static int walk(struct look *look, const char *top, const char *below, int depth);

static int incomplete(struct look *look, const char *what, const char *path)
{
    look->format = PICK_NONE;
    if (!look->why[0])
        snprintf(look->why, sizeof look->why, "%s: %.120s", what, path);
    return 0;
}

static int add_file(struct look *look, const char *path, uint64_t bytes_n)
{
    struct tree *tree = &look->tree;
    if (tree->files_n >= TREE_FILES_MAX)
        return -EFBIG;
    if (tree->files_n == tree->room_n) {
        size_t room_n = tree->room_n ? tree->room_n * 2 : 32;
        struct tree_file *files = realloc(tree->files, room_n * sizeof *files);
        if (!files)
            return -ENOMEM;
        tree->files = files;
        tree->room_n = room_n;
    }
    tree->files[tree->files_n] = (struct tree_file){.path = strdup(path), .bytes_n = bytes_n};
    look->bytes_n += bytes_n;
    return tree->files[tree->files_n++].path ? 0 : -ENOMEM;
}

static int see_entry(void *context, const char *name)
{
    struct walk *w = context;
    char path[NAMES_PATH_N + 1], full[PLACE_BYTES];
    struct sys_entry entry;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (snprintf(path, sizeof path, "%s%s", w->below, name) >= (int)sizeof path || snprintf(full, sizeof full, "%s/%s", w->top, path) >= (int)sizeof full)
        return 0; /* none of ours, and nobody's model */
    if (sys_look(full, &entry) < 0)
        return incomplete(w->look, "a link that leads nowhere", path);
    if (!entry.is_folder)
        return entry.is_regular ? add_file(w->look, path, entry.bytes_n) : 0;
    if (w->depth >= DEPTH_MAX || snprintf(path, sizeof path, "%s%s/", w->below, name) >= (int)sizeof path)
        return 0;
    return walk(w->look, w->top, path, w->depth + 1);
}

static int walk(struct look *look, const char *top, const char *below, int depth)
{
    char folder[PLACE_BYTES];
    struct walk w = {.look = look, .top = top, .below = below, .depth = depth};
    if (snprintf(folder, sizeof folder, "%s/%s", top, below) >= (int)sizeof folder)
        return -ENAMETOOLONG;
    return sys_each_entry(folder, see_entry, &w);
}

/* 1 where all parts of the file are there that its name speaks of. What is behind the first one asks for that alone, so that a model of very many is looked
 * at in time. */
static int has_all_parts(const struct tree *tree, const char *path)
{
    unsigned part, parts_n;
    char other[NAMES_PATH_N + 1];
    const char *number = pick_part(path, &part, &parts_n);
    for (unsigned i = 1; number && i <= (part == 1 ? parts_n : 1); i++)
        if (snprintf(other, sizeof other, "%.*s%05u%s", (int)(number - path), path, i, number + 5) >= (int)sizeof other || !tree_find(tree, other))
            return 0;
    return 1;
}

static int check_named(void *context, const char *name)
{
    struct look *look = context;
    if (!tree_find(&look->tree, name))
        incomplete(look, "a file of the weights is missing", name);
    return 0;
}

static int ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), ending_n = strlen(ending);
    return n > ending_n && strcmp(path + n - ending_n, ending) == 0;
}

/* Those of weights that count: an index of safetensors, where there are safetensors; else PyTorch's. */
static int check_indices(struct look *look, const char *top)
{
    int has_safetensors = 0, error = 0;
    for (size_t i = 0; i < look->tree.files_n; i++)
        has_safetensors |= ends_with(look->tree.files[i].path, ".safetensors");
    for (size_t i = 0; i < look->tree.files_n && !error && look->format != PICK_NONE; i++) {
        const char *path = look->tree.files[i].path;
        if (strchr(path, '/') || !ends_with(path, has_safetensors ? ".safetensors.index.json" : ".bin.index.json"))
            continue;
        error = facts_each_weights(top, path, check_named, look);
        if (error == -EINVAL)
            error = incomplete(look, "an index of weights that is none", path);
    }
    return error;
}

/* The one to load, of those that are whole. */
static void find_gguf(struct look *look, const struct note *note)
{
    enum pick_quantize quantize = note->is_preferred_quantized == 0 ? PICK_NO : PICK_AUTO;
    unsigned best = 0;
    for (size_t i = 0; i < look->tree.files_n; i++) {
        const char *path = look->tree.files[i].path;
        if (!pick_is_gguf_first(path) || !has_all_parts(&look->tree, path))
            continue;
        unsigned rank = pick_rank(path, quantize);
        if (!look->file || rank < best) {
            look->file = path;
            best = rank;
        }
    }
    if (!look->file)
        incomplete(look, "a part of the GGUF file is missing", "no file has all its parts");
}

/* An .incomplete whose blob is nowhere: a download that broke off. */
static int see_blob(void *context, const char *name)
{
    const struct place *place = context;
    char path[PLACE_BYTES];
    struct sys_entry entry;
    size_t n = strlen(name);
    if (n < sizeof ".incomplete" || strcmp(name + n - (sizeof ".incomplete" - 1), ".incomplete") != 0)
        return 0;
    size_t etag_n = strcspn(name, "."); /* ETAG.incomplete, and ETAG.NUMBER.incomplete of newer clients */
    return place_path(place, path, "blobs/%.*s", (int)etag_n, name) == 0 && sys_look(path, &entry) < 0;
}

static int is_broken_off(const struct place *place)
{
    char path[PLACE_BYTES];
    return place_path(place, path, "blobs") == 0 && sys_each_entry(path, see_blob, (void *)(uintptr_t)place) == 1;
}

static void check_weights(struct look *look)
{
    int has_config = tree_find(&look->tree, "config.json") || tree_find(&look->tree, "params.json");
    if (!has_config)
        incomplete(look, "there is no", "config.json");
    for (size_t i = 0; i < look->tree.files_n; i++)
        if (pick_is_safetensors(look->tree.files[i].path) && !has_all_parts(&look->tree, look->tree.files[i].path))
            incomplete(look, "a part of the weights is missing", look->tree.files[i].path);
}

/* What its files are, whatever patterns and engines say of those of a hub. */
static enum pick_format format_of(const struct tree *tree, const struct settings *settings, uint64_t *weights_bytes)
{
    static const struct list none;
    struct settings all = *settings;
    struct picked picked;
    struct tree copy = *tree;
    all.allow = all.ignore = &none;
    if (all.formats_n == 1) /* what no engine of ours reads is known all the same */
        all.formats[all.formats_n++] = all.formats[0] == CONF_FORMAT_GGUF ? CONF_FORMAT_SAFETENSORS : CONF_FORMAT_GGUF;
    pick(&copy, &all, PICK_AUTO, &picked);
    *weights_bytes = picked.weights_bytes;
    return picked.format;
}

int look_at(struct look *look, const struct place *place, const char *revision, const struct note *note, const struct settings *settings)
{
    char top[PLACE_BYTES];
    struct trouble trouble = {.code = TROUBLE_NONE};
    *look = (struct look){.format = PICK_NONE};
    int error = place_path(place, top, "snapshots/%s", revision);
    error = error ? error : walk(look, top, "", 0);
    if (error || look->why[0] || tree_end(&look->tree, &trouble) < 0)
        return error;
    look->format = format_of(&look->tree, settings, &look->weights_bytes);
    if (look->format == PICK_NONE)
        return incomplete(look, "there are no weights in", revision);
    if (look->format == PICK_GGUF)
        find_gguf(look, note);
    else if (look->format == PICK_SAFETENSORS)
        check_weights(look);
    error = look->format == PICK_SAFETENSORS ? check_indices(look, top) : 0;
    if (!error && strcmp(revision, note->revision) != 0 && is_broken_off(place))
        error = incomplete(look, "a download has broken off", "pull it again");
    if (!error && look->format != PICK_NONE)
        facts_read(&look->facts, top, look->file);
    return error;
}

void look_fini(struct look *look)
{
    tree_fini(&look->tree);
}
