/* See tree.h. */
#include "preload/hub/tree.h"

#include "preload/hub/names.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES_FIRST = 64 };

void tree_init(struct tree *tree)
{
    *tree = (struct tree){.files = NULL};
}

void tree_fini(struct tree *tree)
{
    for (size_t i = 0; i < tree->files_n; i++)
        free(tree->files[i].path);
    free(tree->files);
    tree_init(tree);
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

int tree_take_info(struct tree *tree, const char *json, struct trouble *t)
{
    cJSON *info = cJSON_Parse(json);
    const char *revision = text_of(info, "sha"), *library = text_of(info, "library_name"), *task = text_of(info, "pipeline_tag");
    int is_good = names_is_revision(revision);
    if (is_good)
        memcpy(tree->revision, revision, sizeof tree->revision);
    snprintf(tree->kind, sizeof tree->kind, "%s%s%s", task, *task && *library ? ", " : "", library);
    cJSON_Delete(info);
    return is_good ? 0 : trouble_set(t, TROUBLE_NETWORK, "what answers does not speak a hub's API: it names no revision; is HF_ENDPOINT right?");
}

/* 0, -EINVAL for a number that is none of bytes. */
static int bytes_of(const cJSON *object, const char *name, uint64_t *out)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(number) || !(number->valuedouble >= 0) || number->valuedouble > (double)TREE_BYTES_MAX)
        return -EINVAL;
    *out = (uint64_t)number->valuedouble;
    return 0;
}

/* An LFS hash may stand with its kind before it. */
static const char *lfs_hash_of(const cJSON *lfs)
{
    const char *text = text_of(lfs, "oid");
    return strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;
}

static int read_row(const cJSON *row, struct tree_file *file)
{
    const cJSON *lfs = cJSON_GetObjectItemCaseSensitive(row, "lfs");
    file->is_lfs = cJSON_IsObject(lfs);
    const char *hash = file->is_lfs ? lfs_hash_of(lfs) : text_of(row, "oid");
    if (!names_is_hex(hash, file->is_lfs ? 64 : 40) || bytes_of(file->is_lfs ? lfs : row, "size", &file->bytes_n) < 0)
        return -EINVAL;
    snprintf(file->etag, sizeof file->etag, "%s", hash);
    return 0;
}

static int append(struct tree *tree, const struct tree_file *file)
{
    if (tree->files_n == tree->room_n) {
        size_t room_n = tree->room_n ? tree->room_n * 2 : FILES_FIRST;
        struct tree_file *files = realloc(tree->files, room_n * sizeof *files);
        if (!files)
            return -ENOMEM;
        tree->files = files;
        tree->room_n = room_n;
    }
    tree->files[tree->files_n] = *file;
    tree->files[tree->files_n].path = strdup(file->path);
    if (!tree->files[tree->files_n].path)
        return -ENOMEM;
    tree->files_n++;
    return 0;
}

static int take_row(struct tree *tree, const cJSON *row, struct trouble *t)
{
    char why[PARSE_WHY_BYTES];
    struct tree_file file = {.path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "path"))};
    const char *type = text_of(row, "type");
    if (strcmp(type, "directory") == 0)
        return 0;
    if (strcmp(type, "file") != 0 || !file.path || read_row(row, &file) < 0)
        return trouble_set(t, TROUBLE_BAD_FILE, "the hub lists something that is no file with a size and a hash: '%.100s'; nothing was pulled", file.path ? file.path : type);
    if (names_check_path(file.path, why) < 0)
        return trouble_set(t, TROUBLE_BAD_FILE, "the hub lists the file '%.200s', which is not to be trusted: %s; nothing was pulled", file.path, why);
    if (tree->files_n >= TREE_FILES_MAX)
        return trouble_set(t, TROUBLE_BAD_FILE, "the repository has more than %d files; nothing was pulled", TREE_FILES_MAX);
    tree->bytes_n += file.bytes_n;
    if (tree->bytes_n > TREE_BYTES_MAX)
        return trouble_set(t, TROUBLE_BAD_FILE, "the hub lists files of more bytes than any disk has; nothing was pulled");
    return append(tree, &file) < 0 ? trouble_system(t, -ENOMEM, "reading", "the list of files") : 0;
}

int tree_take_page(struct tree *tree, const char *json, struct trouble *t)
{
    if (strstr(json, "\\u0000")) /* a name would end there for us, and go on for others */
        return trouble_set(t, TROUBLE_BAD_FILE, "the hub lists a file with a NUL in its name; nothing was pulled");
    cJSON *page = cJSON_Parse(json);
    const cJSON *row;
    int error = cJSON_IsArray(page) ? 0 : trouble_set(t, TROUBLE_NETWORK, "what answers does not speak a hub's API: its list of files is none; is HF_ENDPOINT right?");
    cJSON_ArrayForEach(row, page)
    {
        if (!error)
            error = take_row(tree, row, t);
    }
    cJSON_Delete(page);
    return error;
}

/* What is in a folder comes next to it: a slash is before all other characters. */
static int compare(const void *a, const void *b)
{
    const unsigned char *left = (const unsigned char *)((const struct tree_file *)a)->path, *right = (const unsigned char *)((const struct tree_file *)b)->path;
    for (; *left && *left == *right; left++)
        right++;
    int l = *left == '/' ? 1 : *left ? *left + 1 : 0, r = *right == '/' ? 1 : *right ? *right + 1 : 0;
    return l - r;
}

int tree_end(struct tree *tree, struct trouble *t)
{
    if (tree->files_n > 0)
        qsort(tree->files, tree->files_n, sizeof *tree->files, compare);
    for (size_t i = 1; i < tree->files_n; i++) {
        const char *one = tree->files[i - 1].path, *next = tree->files[i].path;
        size_t n = strlen(one);
        if (strncmp(one, next, n) == 0 && (next[n] == '\0' || next[n] == '/'))
            return trouble_set(t, TROUBLE_BAD_FILE, "the hub lists '%.200s' %s; nothing was pulled", one, next[n] ? "as a file and as a folder" : "twice");
    }
    return 0;
}

const struct tree_file *tree_find(const struct tree *tree, const char *path)
{
    const struct tree_file wanted = {.path = (char *)(uintptr_t)path};
    return tree->files_n > 0 ? bsearch(&wanted, tree->files, tree->files_n, sizeof *tree->files, compare) : NULL;
}
