/* See naming.h. A manifest is JSON in which the digest stands as it is: looking for the text is enough. */
#include "supervisor/naming.h"

#include "common/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, DEPTH = 4, PART_BYTES = 256, NEEDLE_BYTES = 80 };

struct search {
    char path[PATH_BYTES];
    char parts[DEPTH][PART_BYTES]; /* host, namespace, name, tag: names of folders, the last one of a file */
    int depth;
    char needle[NEEDLE_BYTES];
    unsigned files_n;
    char *name; /* the best so far; "" */
    size_t name_n;
};

static void take_name(struct search *s)
{
    char found[DEPTH * PART_BYTES];
    int is_default_host = strcmp(s->parts[0], "registry.ollama.ai") == 0;
    int is_default_namespace = is_default_host && strcmp(s->parts[1], "library") == 0;
    snprintf(found, sizeof found, "%s%s%s%s%s:%s", is_default_host ? "" : s->parts[0], is_default_host ? "" : "/",
             is_default_namespace ? "" : s->parts[1], is_default_namespace ? "" : "/", s->parts[2], s->parts[3]);
    size_t found_n = strlen(found), best_n = strlen(s->name);
    if (found_n < s->name_n && (best_n == 0 || found_n < best_n || (found_n == best_n && strcmp(found, s->name) < 0)))
        snprintf(s->name, s->name_n, "%s", found);
}

static int look_into(struct search *s)
{
    char *text = NULL;
    size_t text_n = 0;
    if (++s->files_n > NAMING_FILES_MAX)
        return 1;
    if (sys_read_file(s->path, NAMING_FILE_BYTES, &text, &text_n) < 0)
        return 0;
    if (memmem(text, text_n, s->needle, strlen(s->needle)))
        take_name(s);
    free(text);
    return 0;
}

/* What may stand in a name of Ollama's (types/model/name.go, isValidPart), and nothing else reaches our log. */
static int is_part(const char *entry)
{
    size_t n = strspn(entry, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:");
    return entry[0] != '.' && n > 0 && n < PART_BYTES && entry[n] == '\0';
}

/* One level down; its end is given back. Other than 0: enough. */
static int visit(void *context, const char *entry)
{
    struct search *s = context;
    size_t path_n = strlen(s->path);
    if (!is_part(entry) || path_n + strlen(entry) + 2 > sizeof s->path)
        return 0;
    snprintf(s->path + path_n, sizeof s->path - path_n, "/%s", entry);
    snprintf(s->parts[s->depth], PART_BYTES, "%s", entry);
    s->depth++;
    int is_enough = s->depth == DEPTH ? look_into(s) : sys_each_entry(s->path, visit, s) > 0;
    s->depth--;
    s->path[path_n] = '\0';
    return is_enough;
}

int naming_find(const char *folder, const char *digest, char *name, size_t name_n)
{
    struct search s = {.name = name, .name_n = name_n};
    name[0] = '\0';
    int n = snprintf(s.path, sizeof s.path, "%s/manifests", folder);
    if (n < 0 || n >= (int)sizeof s.path)
        return 0;
    snprintf(s.needle, sizeof s.needle, "\"sha256:%.64s\"", digest);
    (void)!sys_each_entry(s.path, visit, &s);
    return name[0] != '\0';
}
