/* common/state_file: what is kept over a restart, and what else may be found in its place. */
#include "common/state_file.h"
#include "tests/unit/scratch.h"

#include <errno.h>

enum { LIMIT_BYTES = 100 };

static struct scratch s;

static int setup(void **state)
{
    (void)state;
    scratch_init(&s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(s.dir);
    return 0;
}

static int reads(const char *folder, const char *expected)
{
    char *text = NULL;
    size_t text_n = 0;
    int error = state_file_read(folder, "f", LIMIT_BYTES, &text, &text_n);
    if (error)
        return error;
    assert_int_equal(text_n, strlen(expected));
    assert_string_equal(text, expected);
    free(text);
    return 0;
}

static int writes(const char *folder, const char *text)
{
    return state_file_write(folder, "f", text, strlen(text));
}

static void test_what_was_written_is_read(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    struct stat st;
    assert_int_equal(reads(s.dir, ""), -ENOENT);
    assert_int_equal(writes(s.dir, "one"), 0);
    assert_int_equal(reads(s.dir, "one"), 0);
    assert_int_equal(writes(s.dir, "a second one"), 0);
    assert_int_equal(reads(s.dir, "a second one"), 0);
    assert_int_equal(stat(scratch_path(&s, "f", path), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(scratch_path(&s, "f.new", path), &st), -1);
}

static void test_folders_are_made(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES], upper[SCRATCH_PATH_BYTES];
    scratch_path(&s, "a/b", path);
    assert_int_equal(writes(path, "x"), 0);
    assert_int_equal(reads(path, "x"), 0);
    scratch_remove(path);
    scratch_remove(scratch_path(&s, "a", upper));
}

static void test_a_file_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[LIMIT_BYTES + 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    scratch_text(&s, "f", text);
    assert_int_equal(reads(s.dir, ""), -EFBIG);
    text[LIMIT_BYTES] = '\0';
    scratch_text(&s, "f", text);
    assert_int_equal(reads(s.dir, text), 0);
}

static void test_what_is_no_file_neither_waits_nor_leads_elsewhere(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES], other[SCRATCH_PATH_BYTES];
    assert_int_equal(mkfifo(scratch_path(&s, "f", path), 0600), 0);
    assert_int_equal(reads(s.dir, ""), 0);
    assert_int_equal(unlink(path), 0);
    scratch_text(&s, "other", "secret");
    assert_int_equal(symlink(scratch_path(&s, "other", other), path), 0);
    assert_int_equal(reads(s.dir, ""), -ELOOP);
    assert_int_equal(writes(s.dir, "mine"), 0);
    assert_int_equal(reads(s.dir, "mine"), 0);
    struct stat st;
    assert_int_equal(stat(other, &st), 0);
    assert_int_equal(st.st_size, 6);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(reads(s.dir, ""), -EISDIR);
    assert_int_equal(writes(s.dir, "x"), -EISDIR);
    assert_int_equal(rmdir(path), 0);
}

static void test_what_an_earlier_write_left_is_no_hindrance(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    scratch_text(&s, "f.new", "half");
    assert_int_equal(writes(s.dir, "whole"), 0);
    assert_int_equal(reads(s.dir, "whole"), 0);
    assert_int_equal(mkfifo(scratch_path(&s, "f.new", path), 0600), 0);
    assert_int_equal(writes(s.dir, "again"), 0);
    assert_int_equal(reads(s.dir, "again"), 0);
}

static void test_what_can_not_be_written_is_told(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    scratch_text(&s, "file", "x");
    assert_int_equal(writes(scratch_path(&s, "file/below", path), "x"), -ENOTDIR);
    assert_int_equal(writes(scratch_path(&s, "file", path), "x"), -EEXIST);
    assert_int_equal(writes("/proc/no-such-folder", "x"), -ENOENT);
    char *longest = malloc(2 * STATE_FILE_PATH_BYTES);
    assert_non_null(longest);
    memset(longest, 'x', 2 * STATE_FILE_PATH_BYTES);
    longest[0] = '/';
    longest[2 * STATE_FILE_PATH_BYTES - 1] = '\0';
    assert_int_equal(writes(longest, "x"), -ENAMETOOLONG);
    assert_int_equal(reads(longest, ""), -ENAMETOOLONG);
    free(longest);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_was_written_is_read),
        CASE(test_folders_are_made),
        CASE(test_a_file_that_is_too_long_is_refused),
        CASE(test_what_is_no_file_neither_waits_nor_leads_elsewhere),
        CASE(test_what_an_earlier_write_left_is_no_hindrance),
        CASE(test_what_can_not_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
