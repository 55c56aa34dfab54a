/*
 * scratch: a folder for the files of one test, removed with all that is in it (one level deep).
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SCRATCH_PATH_BYTES = 400 };

struct scratch {
    char dir[128]; /* absolute, without symbolic links */
};

static inline void scratch_init(struct scratch *s)
{
    char made[96], resolved[4096];
    const char *top = getenv("TMPDIR");
    snprintf(made, sizeof made, "%.60s/sidecar-XXXXXX", top && *top ? top : "/tmp");
    assert_non_null(mkdtemp(made));
    assert_non_null(realpath(made, resolved));
    assert_true(strlen(resolved) < sizeof s->dir);
    memcpy(s->dir, resolved, strlen(resolved) + 1);
}

static inline const char *scratch_path(const struct scratch *s, const char *name, char out[SCRATCH_PATH_BYTES])
{
    snprintf(out, SCRATCH_PATH_BYTES, "%s/%s", s->dir, name);
    return out;
}

static inline void scratch_write(const struct scratch *s, const char *name, const void *bytes, size_t bytes_n)
{
    char path[SCRATCH_PATH_BYTES];
    FILE *f = fopen(scratch_path(s, name, path), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, bytes_n, f), bytes_n);
    assert_int_equal(fclose(f), 0);
}

static inline void scratch_text(const struct scratch *s, const char *name, const char *text)
{
    scratch_write(s, name, text, strlen(text));
}

static inline void scratch_remove(const char *dir)
{
    char path[SCRATCH_PATH_BYTES + 256];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%.300s/%s", dir, e->d_name);
        if (unlink(path) < 0)
            (void)rmdir(path);
    }
    if (d)
        closedir(d);
    (void)rmdir(dir);
}

static inline void scratch_fini(const struct scratch *s)
{
    scratch_remove(s->dir);
}

#endif
