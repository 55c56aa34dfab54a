/* common/folders: what is made above a file, and what is said where that can't be. */
#include "common/folders.h"
#include "tests/unit/scratch.h"

#include <errno.h>

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

static int makes_above(const char *name)
{
    char path[SCRATCH_PATH_BYTES];
    return folders_make_above(scratch_path(&s, name, path));
}

static int is_folder(const char *name)
{
    char path[SCRATCH_PATH_BYTES];
    struct stat st;
    return stat(scratch_path(&s, name, path), &st) == 0 && S_ISDIR(st.st_mode);
}

static void test_all_above_are_made_and_not_the_last(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    assert_int_equal(makes_above("a/b//c"), 0);
    assert_true(is_folder("a/b"));
    assert_false(is_folder("a/b/c"));
    assert_int_equal(makes_above("a/b/c"), 0);
    assert_int_equal(makes_above("a/b/c/"), 0);
    assert_true(is_folder("a/b/c"));
    assert_int_equal(rmdir(scratch_path(&s, "a/b/c", path)), 0);
    assert_int_equal(rmdir(scratch_path(&s, "a/b", path)), 0);
    assert_int_equal(rmdir(scratch_path(&s, "a", path)), 0);
}

static void test_where_none_is_above_nothing_is_made(void **state)
{
    (void)state;
    assert_int_equal(folders_make_above(""), 0);
    assert_int_equal(folders_make_above("/"), 0);
    assert_int_equal(folders_make_above("/file"), 0);
    assert_int_equal(folders_make_above("file"), 0);
}

/* A file on the way is -EEXIST to mkdir(2), what is below it -ENOTDIR; below a link that leads nowhere all is -ENOENT. */
static void test_what_stands_in_the_way_is_told(void **state)
{
    (void)state;
    char link[SCRATCH_PATH_BYTES];
    scratch_text(&s, "file", "x");
    assert_int_equal(makes_above("file/c"), -EEXIST);
    assert_int_equal(makes_above("file/b/c"), -ENOTDIR);
    assert_int_equal(symlink("nowhere", scratch_path(&s, "link", link)), 0);
    assert_int_equal(makes_above("link/a/b/c"), -EEXIST);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(folders_make_above("/proc/no-such-folder/c"), -ENOENT);
}

static void test_a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char path[2 * SCRATCH_PATH_BYTES + 4096];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    path[0] = path[8] = '/';
    assert_int_equal(folders_make_above(path), -ENAMETOOLONG);
    struct stat st;
    path[8] = '\0';
    assert_int_equal(stat(path, &st), -1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_all_above_are_made_and_not_the_last),
        CASE(test_where_none_is_above_nothing_is_made),
        CASE(test_what_stands_in_the_way_is_told),
        CASE(test_a_path_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
