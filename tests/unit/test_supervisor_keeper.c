/* supervisor/keeper: a file that a process of its own writes. */
#include "supervisor/keeper.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct scratch scratch;
static struct keeper k;

static int setup(void **state)
{
    (void)state;
    k = (struct keeper){.pid = 0};
    scratch_init(&scratch);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove(scratch.dir);
    return 0;
}

/* What became of the one that writes. */
static int reaped(void)
{
    int status = 0, error = 1;
    pid_t pid = waitpid(k.pid, &status, 0);
    assert_true(pid > 0);
    assert_int_equal(keeper_reaped(&k, pid + 1, status, &error), 0); /* somebody else */
    assert_int_equal(keeper_reaped(&k, pid, status, &error), 1);
    assert_int_equal(k.pid, 0);
    return error;
}

static void test_it_is_written_and_what_comes_meanwhile_is_told(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES], text[16] = "";
    assert_int_equal(keeper_write(&k, scratch.dir, "a.txt", "one\n", 4), 0);
    assert_int_equal(k.is_dirty, 0);
    assert_int_equal(keeper_write(&k, scratch.dir, "a.txt", "two\n", 4), -EBUSY);
    assert_int_equal(k.is_dirty, 1);
    assert_int_equal(reaped(), 0);
    assert_int_equal(keeper_write(&k, scratch.dir, "a.txt", "two\n", 4), 0);
    assert_int_equal(k.is_dirty, 0);
    assert_int_equal(reaped(), 0);
    FILE *file = fopen(scratch_path(&scratch, "a.txt", path), "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "two\n");
}

static void test_why_it_was_not_is_known(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    scratch_text(&scratch, "file", "x");
    assert_int_equal(keeper_write(&k, scratch_path(&scratch, "file", path), "a.txt", "one\n", 4), 0);
    assert_int_equal(reaped(), -EEXIST); /* a file where the folder should be */
    assert_int_equal(keeper_write(&k, "/proc/nobody", "a.txt", "one\n", 4), 0);
    assert_int_equal(reaped(), -ENOENT);
    assert_int_equal(keeper_write(&k, scratch.dir, "a.txt", "one\n", 4), 0);
    kill(k.pid, SIGKILL);
    int error = reaped();
    assert_true(error == -EINTR || error == 0); /* it may have been done by then */
}

/* As the one whose folder it is: root could be led elsewhere by a link there. */
static void test_it_is_written_as_another_user(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    struct stat st;
    if (geteuid() != 0)
        skip();
    k.is_another = 1;
    k.uid = k.gid = 12345;
    assert_int_equal(chmod(scratch.dir, 0755), 0);
    assert_int_equal(keeper_write(&k, scratch.dir, "a.txt", "one\n", 4), 0);
    assert_int_equal(reaped(), -EACCES);
    assert_int_equal(chown(scratch.dir, 12345, 12345), 0);
    assert_int_equal(keeper_write(&k, scratch.dir, "a.txt", "one\n", 4), 0);
    assert_int_equal(reaped(), 0);
    assert_int_equal(stat(scratch_path(&scratch, "a.txt", path), &st), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 12345);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_written_and_what_comes_meanwhile_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_why_it_was_not_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_is_written_as_another_user, setup, teardown),
    };
    return cmocka_run_group_tests_name("supervisor/keeper", tests, NULL, NULL);
}
