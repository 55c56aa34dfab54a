/*
 * conf_case: one configuration from one text and one environment, and what was told about it.
 */
#ifndef TESTS_UNIT_CONF_CASE_H
#define TESTS_UNIT_CONF_CASE_H

#include "common/conf.h"
#include "tests/unit/scratch.h"

struct conf_case {
    struct scratch scratch;
    char file[SCRATCH_PATH_BYTES];
    struct conf *conf; /* NULL after mistakes */
    struct diag diag;
    int error;
};

static inline void conf_case_begin(struct conf_case *k)
{
    memset(k, 0, sizeof *k);
    scratch_init(&k->scratch);
    scratch_path(&k->scratch, "supervisor.ini", k->file);
    diag_init(&k->diag);
}

static inline void conf_case_end(struct conf_case *k)
{
    conf_free(&k->conf);
    diag_fini(&k->diag);
    scratch_fini(&k->scratch);
}

/* Loads again: forgets what was there before. environment: NULL-terminated, or NULL for an empty one. */
static inline void conf_case_load_bytes(struct conf_case *k, const void *bytes, size_t bytes_n, char **environment)
{
    static char *empty[] = {NULL};
    conf_free(&k->conf);
    diag_fini(&k->diag);
    diag_init(&k->diag);
    scratch_write(&k->scratch, "supervisor.ini", bytes, bytes_n);
    k->error = conf_load_to_start(&k->conf, k->file, environment ? environment : empty, &k->diag);
    assert_true(k->error == 0 ? k->conf != NULL : k->conf == NULL);
    assert_true((k->error != 0) == (k->diag.errors_n > 0));
}

static inline void conf_case_load(struct conf_case *k, const char *text, char **environment)
{
    conf_case_load_bytes(k, text, strlen(text), environment);
}

/* 1 where a line of what was told starts with `where:LINE: level: ` (line 0: `where: level: `) and has the text in it. */
static inline int conf_case_has(const struct conf_case *k, const char *level, const char *where, int line,
                                const char *text)
{
    char place[SCRATCH_PATH_BYTES + 64];
    if (line > 0)
        snprintf(place, sizeof place, "%s:%d: %s: ", where, line, level);
    else
        snprintf(place, sizeof place, "%s: %s: ", where, level);
    const char *at = buf_data(&k->diag.text), *end = at + buf_size(&k->diag.text);
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)(line_end - at);
        if (n >= strlen(place) && memcmp(at, place, strlen(place)) == 0 && memmem(at, n, text, strlen(text)))
            return 1;
        at = line_end + 1;
    }
    return 0;
}

static inline void conf_case_show(const struct conf_case *k, const char *expected, int line)
{
    print_error("wanted \"%s\" in line %d; told was:\n%.*s", expected, line, (int)buf_size(&k->diag.text),
                buf_data(&k->diag.text));
}

/* A mistake in a line of the file. */
static inline void conf_case_told(const struct conf_case *k, int line, const char *text)
{
    int is_told = k->conf == NULL && conf_case_has(k, "error", k->file, line, text);
    if (!is_told)
        conf_case_show(k, text, line);
    assert_true(is_told);
}

/* A mistake, or a warning, about a variable of the environment (or another file). */
static inline void conf_case_told_of(const struct conf_case *k, const char *level, const char *where, const char *text)
{
    int is_told = conf_case_has(k, level, where, 0, text);
    if (!is_told)
        conf_case_show(k, text, 0);
    assert_true(is_told);
}

static inline void conf_case_good(const struct conf_case *k)
{
    if (k->error)
        conf_case_show(k, "no mistake", 0);
    assert_int_equal(k->error, 0);
}

#endif
