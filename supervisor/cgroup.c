/*
 * See cgroup.h. A system may have both versions mounted, with memory in either (Fly's machines have v1, and v2 without memory
 * below /sys/fs/cgroup/unified): so it is not asked which one there is, but in which of them our group has files on memory.
 */
#include "supervisor/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES = 16 * 1024, LISTS_MAX_BYTES = 4 * 1024 * 1024, LEVELS_MAX = 64 };

/* The file in hand. Not on the stack: all of a large frame is touched when it is entered, and stays PID 1's memory. */
static char the_text[FILE_BYTES];

static const int64_t beyond = (int64_t)1 << 60; /* v1 writes "none" as the largest number of pages */

static const struct {
    const char *name, *limit, *used, *peak, *kills, *cached, *shared; /* the last two: fields of memory.stat */
} files[] = {
    [CGROUP_MACHINE] = {"machine", NULL, NULL, NULL, "vmstat", NULL, NULL},
    [CGROUP_V1] = {"cgroup1", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control", "total_cache", "total_shmem"},
    [CGROUP_V2] = {"cgroup2", "memory.max", "memory.current", "memory.peak", "memory.events", "file", "shmem"},
};

const char *cgroup_source_name(enum cgroup_source source)
{
    return files[source].name;
}

/* ---- foreign text ---- */

static int64_t number_until(const char *text, const char *ends)
{
    uint64_t n = 0; /* which 19 digits fit into */
    size_t digits_n = strspn(text, "0123456789");
    if (digits_n == 0 || digits_n > 19 || !strchr(ends, text[digits_n]))
        return CGROUP_NONE;
    for (size_t i = 0; i < digits_n; i++)
        n = n * 10 + (uint64_t)(text[i] - '0');
    return n < (uint64_t)beyond ? (int64_t)n : CGROUP_NONE;
}

int64_t cgroup_number(const char *text)
{
    size_t line_n = strcspn(text, "\n");
    return text[line_n] && text[line_n + 1] ? CGROUP_NONE : number_until(text, "\n");
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : NULL;
}

int64_t cgroup_field(const char *text, const char *name)
{
    size_t name_n = strlen(name);
    for (const char *line = text; line && *line; line = next_line(line))
        if (strncmp(line, name, name_n) == 0 && line[name_n] == ' ')
            return number_until(line + name_n + 1, " \n");
    return CGROUP_NONE;
}

/* Whether `word` is one of the words between commas. */
static int has_word(const char *list, size_t list_n, const char *word)
{
    size_t word_n = strlen(word);
    for (const char *at = list, *end = list + list_n; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t n = (size_t)((comma ? comma : end) - at);
        if (n == word_n && memcmp(at, word, n) == 0)
            return 1;
        at += n + 1;
    }
    return 0;
}

static int copy(char out[CGROUP_PATH_BYTES], const char *text, size_t text_n)
{
    if (text_n >= CGROUP_PATH_BYTES)
        return -ENAMETOOLONG;
    memcpy(out, text, text_n);
    out[text_n] = '\0';
    return 0;
}

int cgroup_own_path(const char *text, enum cgroup_source source, char out[CGROUP_PATH_BYTES])
{
    for (const char *line = text; line && *line; line = next_line(line)) {
        size_t line_n = strcspn(line, "\n");
        const char *controllers = memchr(line, ':', line_n);
        const char *path = controllers ? memchr(controllers + 1, ':', line_n - (size_t)(controllers + 1 - line)) : NULL;
        if (!path || path[1] != '/')
            continue;
        size_t controllers_n = (size_t)(path - controllers - 1);
        if (source == CGROUP_V2 ? controllers_n == 0 : has_word(controllers + 1, controllers_n, "memory"))
            return copy(out, path + 1, line_n - (size_t)(path + 1 - line));
    }
    return -ENOENT;
}

/* The next word of a line; *at moves behind it. */
static size_t word(const char **at, const char *end, const char **start)
{
    while (*at < end && **at == ' ')
        ++*at;
    *start = *at;
    while (*at < end && **at != ' ')
        ++*at;
    return (size_t)(*at - *start);
}

/* A path of mountinfo: blanks and the like are written as \040. proc(5) */
static int copy_path(char out[CGROUP_PATH_BYTES], const char *text, size_t text_n)
{
    size_t n = 0;
    for (size_t i = 0; i < text_n; i++) {
        int is_octal = text[i] == '\\' && text_n - i > 3 && strspn(text + i + 1, "01234567") >= 3;
        if (n + 1 >= CGROUP_PATH_BYTES)
            return -ENAMETOOLONG;
        out[n++] = is_octal ? (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0') : text[i];
        i += is_octal ? 3 : 0;
    }
    out[n] = '\0';
    return 0;
}

struct mount {
    char root[CGROUP_PATH_BYTES], point[CGROUP_PATH_BYTES];
};

/* `36 35 98:0 ROOT POINT options… - TYPE SOURCE SUPER_OPTIONS`. 1 where it is this hierarchy, -ENAMETOOLONG where it would be. */
static int read_mount(const char *line, size_t line_n, enum cgroup_source source, struct mount *m)
{
    const char *at = line, *end = line + line_n, *skipped, *root, *point, *type, *options;
    for (int i = 0; i < 3; i++)
        (void)word(&at, end, &skipped);
    size_t root_n = word(&at, end, &root), point_n = word(&at, end, &point);
    for (;;) { /* optional fields, up to a dash */
        size_t n = word(&at, end, &skipped);
        if (n == 0)
            return 0;
        if (n == 1 && *skipped == '-')
            break;
    }
    size_t type_n = word(&at, end, &type);
    (void)word(&at, end, &skipped);
    size_t options_n = word(&at, end, &options);
    const char *wanted = source == CGROUP_V2 ? "cgroup2" : "cgroup";
    if (type_n != strlen(wanted) || memcmp(type, wanted, type_n) != 0 || *root != '/' || *point != '/' ||
        (source == CGROUP_V1 && !has_word(options, options_n, "memory")))
        return 0;
    return copy_path(m->root, root, root_n) < 0 || copy_path(m->point, point, point_n) < 0 ? -ENAMETOOLONG : 1;
}

/* The part of a group's path below a mount's root, "" for the root itself; NULL where it is not below. */
static const char *below(const char *own, const char *root)
{
    size_t root_n = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strstr(own, "/..") || strncmp(own, root, root_n) != 0 || (own[root_n] != '/' && own[root_n] != '\0'))
        return NULL;
    return strcmp(own + root_n, "/") == 0 ? "" : own + root_n;
}

int cgroup_folder(const char *mountinfo, enum cgroup_source source, const char *own, char top[CGROUP_PATH_BYTES],
                  char folder[CGROUP_PATH_BYTES])
{
    struct mount m;
    int error = -ENOENT;
    for (const char *line = mountinfo; line && *line; line = next_line(line)) {
        int is_it = read_mount(line, strcspn(line, "\n"), source, &m);
        const char *rest = is_it > 0 ? below(own, m.root) : NULL;
        if (rest) {
            memcpy(top, m.point, sizeof m.point);
            return snprintf(folder, CGROUP_PATH_BYTES, "%s%s", m.point, rest) < CGROUP_PATH_BYTES ? 0 : -ENAMETOOLONG;
        }
        if (is_it < 0 && error) {
            error = is_it;
        } else if (is_it > 0 && error) { /* unless there is one in which our group can be seen */
            memcpy(top, m.point, sizeof m.point);
            memcpy(folder, m.point, sizeof m.point);
            error = 0;
        }
    }
    return error;
}

/* ---- files ---- */

/* The file's start into the_text, terminated. The descriptor, which is the caller's, or -errno. */
static int open_text(const char *dir, const char *name)
{
    char path[CGROUP_PATH_BYTES];
    size_t n = 0;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    while (fd >= 0 && n < FILE_BYTES - 1) {
        ssize_t more_n = sys_read(fd, the_text + n, FILE_BYTES - 1 - n);
        if (more_n < 0) {
            sys_close(fd);
            return (int)more_n;
        }
        if (more_n == 0)
            break;
        n += (size_t)more_n;
    }
    the_text[n] = '\0';
    return fd;
}

/* `field` of a file with lines of names and numbers, or the only number of a file (NULL). */
static int64_t read_number(const char *dir, const char *name, const char *field)
{
    int fd = open_text(dir, name);
    sys_close(fd);
    return fd < 0 ? CGROUP_NONE : field ? cgroup_field(the_text, field) : cgroup_number(the_text);
}

static int is_there(const char *dir, const char *name)
{
    int fd = open_text(dir, name);
    sys_close(fd);
    return fd >= 0;
}

/* From a group to the one above it: 0 where that can't be seen. */
static int go_up(char dir[CGROUP_PATH_BYTES], const char *top)
{
    size_t top_n = strlen(top);
    char *slash = strrchr(dir, '/');
    if (strlen(dir) <= top_n || !slash || (size_t)(slash - dir) < top_n)
        return 0;
    *slash = '\0';
    return 1;
}

static void find_kills(struct cgroup *g)
{
    g->kills_source = g->source;
    memcpy(g->kills_dir, g->own, sizeof g->kills_dir);
    for (int i = 0; i < LEVELS_MAX && g->source == CGROUP_V2; i++) { /* what is told of a group holds for those below it */
        if (read_number(g->kills_dir, files[CGROUP_V2].kills, "oom_kill") != CGROUP_NONE)
            return;
        if (!go_up(g->kills_dir, g->top))
            break;
    }
    if (g->source == CGROUP_V1 && read_number(g->kills_dir, files[CGROUP_V1].kills, "oom_kill") != CGROUP_NONE)
        return;
    g->kills_source = CGROUP_MACHINE;
    snprintf(g->kills_dir, sizeof g->kills_dir, "%s", g->proc);
}

/* 1 where our group, or one above it, has files on memory in this hierarchy. */
static int find_in(struct cgroup *g, enum cgroup_source source, const char *groups, const char *mounts)
{
    char own[CGROUP_PATH_BYTES], dir[CGROUP_PATH_BYTES];
    if (cgroup_own_path(groups, source, own) < 0 || cgroup_folder(mounts, source, own, g->top, g->own) < 0)
        return 0;
    memcpy(dir, g->own, sizeof dir);
    for (int i = 0; i < LEVELS_MAX; i++) {
        if (is_there(dir, files[source].limit))
            return 1;
        if (!go_up(dir, g->top))
            return 0;
    }
    return 0;
}

/* A whole file into *out, which the caller frees. 0 or -errno. */
static int read_list(const char *dir, const char *name, char **out)
{
    char path[CGROUP_PATH_BYTES];
    size_t out_n;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    return sys_read_file(path, LISTS_MAX_BYTES, out, &out_n);
}

void cgroup_find(struct cgroup *g, const char *proc)
{
    char *groups = NULL, *mounts = NULL;
    memset(g, 0, sizeof *g);
    snprintf(g->proc, sizeof g->proc, "%s", proc);
    if (read_list(proc, "self/cgroup", &groups) == 0 && read_list(proc, "self/mountinfo", &mounts) == 0)
        g->source = find_in(g, CGROUP_V2, groups, mounts)   ? CGROUP_V2
                    : find_in(g, CGROUP_V1, groups, mounts) ? CGROUP_V1
                                                            : CGROUP_MACHINE;
    free(groups);
    free(mounts);
    find_kills(g);
}

int cgroup_kills_path(const struct cgroup *g, char path[CGROUP_PATH_BYTES])
{
    int n = snprintf(path, CGROUP_PATH_BYTES, "%s/%s", g->kills_dir, files[g->kills_source].kills);
    return n < CGROUP_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int cgroup_open_kills(const struct cgroup *g, int64_t *kills_n)
{
    int fd = open_text(g->kills_dir, files[g->kills_source].kills);
    *kills_n = fd < 0 ? CGROUP_NONE : cgroup_field(the_text, "oom_kill");
    if (fd >= 0 && *kills_n == CGROUP_NONE) {
        sys_close(fd);
        return -ENOENT;
    }
    return fd;
}

static void take_limit(struct cgroup_memory *m, enum cgroup_source source, const char *dir, int64_t limit_bytes)
{
    if (limit_bytes == CGROUP_NONE || (m->limit_bytes != CGROUP_NONE && limit_bytes >= m->limit_bytes))
        return;
    m->source = source;
    m->limit_bytes = limit_bytes;
    snprintf(m->path, sizeof m->path, "%s", dir);
}

/* /proc/meminfo counts in kB. */
static int64_t machine_bytes(const char *text, const char *name)
{
    char label[32];
    snprintf(label, sizeof label, "%s:", name);
    const char *at = text;
    for (; at && *at && strncmp(at, label, strlen(label)) != 0; at = next_line(at))
        ;
    if (!at || !*at)
        return CGROUP_NONE;
    at += strlen(label);
    int64_t kib = number_until(at + strspn(at, " "), " \n");
    return kib == CGROUP_NONE || kib >= beyond / 1024 ? CGROUP_NONE : kib * 1024;
}

static void read_machine(const struct cgroup *g, struct cgroup_memory *m)
{
    int fd = open_text(g->proc, "meminfo");
    sys_close(fd);
    if (fd < 0)
        return;
    int64_t total_bytes = machine_bytes(the_text, "MemTotal"), available_bytes = machine_bytes(the_text, "MemAvailable");
    m->limit_bytes = total_bytes;
    if (total_bytes != CGROUP_NONE && available_bytes != CGROUP_NONE && available_bytes <= total_bytes) {
        m->used_bytes = total_bytes - available_bytes;
        m->cache_bytes = 0;
    }
}

/* Pages of files but for those in memory alone (tmpfs), which the kernel counts among them and can't take back. */
static int64_t read_cache(const struct cgroup_memory *m)
{
    int64_t cached_bytes = read_number(m->path, "memory.stat", files[m->source].cached);
    int64_t shared_bytes = cgroup_field(the_text, files[m->source].shared);
    return cached_bytes == CGROUP_NONE || shared_bytes == CGROUP_NONE || shared_bytes > cached_bytes ? CGROUP_NONE : cached_bytes - shared_bytes;
}

void cgroup_read(const struct cgroup *g, struct cgroup_memory *m)
{
    char dir[CGROUP_PATH_BYTES];
    *m = (struct cgroup_memory){CGROUP_MACHINE, "", CGROUP_NONE, CGROUP_NONE, CGROUP_NONE, CGROUP_NONE};
    read_machine(g, m);
    if (g->source == CGROUP_MACHINE)
        return;
    memcpy(dir, g->own, sizeof dir);
    for (int i = 0; i < LEVELS_MAX; i++) {
        take_limit(m, g->source, dir, read_number(dir, files[g->source].limit, NULL));
        if (!go_up(dir, g->top))
            break;
    }
    if (g->source == CGROUP_V1) /* what groups above it say that can't be seen from here */
        take_limit(m, g->source, g->own, read_number(g->own, "memory.stat", "hierarchical_memory_limit"));
    if (m->source == CGROUP_MACHINE)
        return;
    m->used_bytes = read_number(m->path, files[m->source].used, NULL);
    m->peak_bytes = read_number(m->path, files[m->source].peak, NULL);
    m->cache_bytes = read_cache(m);
}
