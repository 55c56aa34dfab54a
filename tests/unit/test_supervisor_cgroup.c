/* supervisor/cgroup: the files of v2, v1, both and none, and what is no such file at all. */
#include "supervisor/cgroup.h"

#include "tests/unit/group_tree.h"

#include <errno.h>

static struct group_tree t;
static struct cgroup group;
static struct cgroup_memory is;

static int setup(void **state)
{
    (void)state;
    group_tree_init(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    group_tree_fini(&t);
    return 0;
}

static void find(void)
{
    cgroup_find(&group, t.proc);
    cgroup_read(&group, &is);
}

/* path: below the tree; NULL: of the machine. */
static void limit(enum cgroup_source source, int64_t bytes, const char *path)
{
    char full[CGROUP_PATH_BYTES];
    assert_int_equal(is.source, source);
    assert_int_equal(is.limit_bytes, bytes);
    assert_string_equal(is.path, path ? group_tree_path(&t, path, full) : "");
}

static void kills(enum cgroup_source source, int64_t n)
{
    int64_t got = 0;
    int fd = cgroup_open_kills(&group, &got);
    assert_int_equal(group.kills_source, source);
    if (n == CGROUP_NONE) {
        assert_true(fd < 0);
        return;
    }
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(got, n);
}

static void test_v2_in_a_container(void **state)
{
    (void)state;
    group_tree_mount(&t, "/", "v2", "cgroup2", "rw,nsdelegate");
    group_tree_groups(&t, "0::/\n");
    group_tree_file(&t, "v2/memory.max", "2147483648\n");
    group_tree_file(&t, "v2/memory.current", "1000000\n");
    group_tree_file(&t, "v2/memory.peak", "2000000\n");
    group_tree_file(&t, "v2/memory.stat", "anon 200000\nfile 700000\nkernel 100000\nshmem 50000\nfile_mapped 600000\n");
    group_tree_file(&t, "v2/memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n");
    find();
    limit(CGROUP_V2, 2147483648, "v2");
    assert_int_equal(is.used_bytes, 1000000);
    assert_int_equal(is.peak_bytes, 2000000);
    assert_int_equal(is.cache_bytes, 650000); /* what is in tmpfs stays */
    kills(CGROUP_V2, 2);
}

/* The group itself may have no limit, and no files on memory; what is above it counts. */
static void test_v2_nested(void **state)
{
    (void)state;
    group_tree_mount(&t, "/", "v2", "cgroup2", "rw");
    group_tree_groups(&t, "0::/a/b/c\n");
    group_tree_file(&t, "v2/a/memory.max", "4294967296\n");
    group_tree_file(&t, "v2/a/memory.current", "7\n");
    group_tree_file(&t, "v2/a/memory.events", "oom_kill 5\n");
    group_tree_file(&t, "v2/a/b/memory.max", "max\n");
    group_tree_file(&t, "v2/a/b/memory.events", "oom_kill 1\n");
    group_tree_file(&t, "v2/a/b/c/cgroup.procs", "1\n");
    find();
    limit(CGROUP_V2, 4294967296, "v2/a");
    assert_int_equal(is.used_bytes, 7);
    assert_int_equal(is.peak_bytes, CGROUP_NONE); /* before Linux 5.19 */
    assert_int_equal(is.cache_bytes, CGROUP_NONE);
    kills(CGROUP_V2, 1);
    group_tree_file(&t, "v2/a/b/memory.max", "1073741824\n"); /* it may change while we run */
    cgroup_read(&group, &is);
    limit(CGROUP_V2, 1073741824, "v2/a/b");
    group_tree_file(&t, "v2/a/b/memory.max", "1073741824000\n"); /* more than there is */
    group_tree_file(&t, "v2/a/memory.max", "max\n");
    cgroup_read(&group, &is);
    limit(CGROUP_MACHINE, 16000000LL * 1024, NULL);
}

static void test_v1(void **state)
{
    (void)state;
    group_tree_mount(&t, "/", "v1/cpu", "cgroup", "rw,cpu,cpuacct");
    group_tree_mount(&t, "/", "v1/memory", "cgroup", "rw,memory");
    group_tree_groups(&t, "7:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/a\n1:name=systemd:/x\n");
    group_tree_file(&t, "v1/memory/docker/a/memory.limit_in_bytes", "2147483648\n");
    group_tree_file(&t, "v1/memory/docker/a/memory.usage_in_bytes", "5\n");
    group_tree_file(&t, "v1/memory/docker/a/memory.max_usage_in_bytes", "6\n");
    group_tree_file(&t, "v1/memory/docker/a/memory.stat", "cache 1\nshmem 1\ntotal_cache 4\ntotal_shmem 1\n");
    group_tree_file(&t, "v1/memory/docker/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    group_tree_file(&t, "v1/memory/docker/memory.limit_in_bytes", "9223372036854771712\n");
    find();
    limit(CGROUP_V1, 2147483648, "v1/memory/docker/a");
    assert_int_equal(is.used_bytes, 5);
    assert_int_equal(is.peak_bytes, 6);
    assert_int_equal(is.cache_bytes, 3);
    kills(CGROUP_V1, 4);
    group_tree_file(&t, "v1/memory/docker/memory.limit_in_bytes", "1073741824\n");
    cgroup_read(&group, &is);
    limit(CGROUP_V1, 1073741824, "v1/memory/docker");
    group_tree_file(&t, "v1/memory/docker/a/memory.stat", "cache 1\nhierarchical_memory_limit 536870912\ntotal_cache 1\n");
    cgroup_read(&group, &is);
    limit(CGROUP_V1, 536870912, "v1/memory/docker/a"); /* by a group that can't be seen */
}

/* A container of v1 without a namespace of groups: our path is the host's, and only that folder is mounted. */
static void test_v1_in_a_container(void **state)
{
    (void)state;
    group_tree_mount(&t, "/docker/0123", "memory", "cgroup", "rw,memory");
    group_tree_groups(&t, "4:memory:/docker/0123\n");
    group_tree_file(&t, "memory/memory.limit_in_bytes", "1000000\n");
    group_tree_file(&t, "memory/sub/memory.limit_in_bytes", "900000\n");
    find();
    limit(CGROUP_V1, 1000000, "memory");
    group_tree_groups(&t, "4:memory:/docker/0123/sub\n");
    find();
    limit(CGROUP_V1, 900000, "memory/sub");
    group_tree_groups(&t, "4:memory:/docker/01234\n"); /* another one's */
    find();
    limit(CGROUP_V1, 1000000, "memory");
}

/* As on Fly's machines: v1, and v2 beside it without memory. */
static void test_hybrid(void **state)
{
    (void)state;
    group_tree_mount(&t, "/", "unified", "cgroup2", "rw");
    group_tree_mount(&t, "/", "memory", "cgroup", "rw,memory");
    group_tree_groups(&t, "4:memory:/\n0::/\n");
    group_tree_file(&t, "unified/cgroup.procs", "1\n");
    group_tree_file(&t, "memory/memory.limit_in_bytes", "9223372036854771712\n");
    group_tree_file(&t, "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 9\n");
    find();
    assert_int_equal(group.source, CGROUP_V1);
    limit(CGROUP_MACHINE, 16000000LL * 1024, NULL);
    assert_int_equal(is.used_bytes, 4000000LL * 1024);
    assert_int_equal(is.cache_bytes, 0);
    kills(CGROUP_V1, 9);
}

static void test_none(void **state)
{
    (void)state;
    group_tree_groups(&t, "");
    find();
    limit(CGROUP_MACHINE, 16000000LL * 1024, NULL);
    kills(CGROUP_MACHINE, 3);
    cgroup_find(&group, "/no/such/folder");
    cgroup_read(&group, &is);
    limit(CGROUP_MACHINE, CGROUP_NONE, NULL);
    kills(CGROUP_MACHINE, CGROUP_NONE);
}

/* Kernels before 4.13 do not count the kills of v1. */
static void test_v1_without_a_counter(void **state)
{
    (void)state;
    group_tree_mount(&t, "/", "memory", "cgroup", "rw,memory");
    group_tree_groups(&t, "4:memory:/\n");
    group_tree_file(&t, "memory/memory.limit_in_bytes", "1000000\n");
    group_tree_file(&t, "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n");
    find();
    limit(CGROUP_V1, 1000000, "memory");
    kills(CGROUP_MACHINE, 3);
}

static void test_garbage(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "max", "-1\n", "0x10\n", "12 34\n", "99999999999999999999999\n", "1\n2\n", " 7\n", "\xff\xfe\n", "1e9\n"};
    group_tree_mount(&t, "/", "v2", "cgroup2", "rw");
    group_tree_groups(&t, "0::/\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        group_tree_file(&t, "v2/memory.max", texts[i]);
        group_tree_file(&t, "v2/memory.events", texts[i]);
        find();
        limit(CGROUP_MACHINE, 16000000LL * 1024, NULL);
        kills(CGROUP_MACHINE, 3);
    }
    group_tree_file(&t, "proc/meminfo", "MemTotal: many kB\nMemAvailable: 1 kB\n");
    find();
    limit(CGROUP_MACHINE, CGROUP_NONE, NULL);
    assert_int_equal(is.used_bytes, CGROUP_NONE);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(cgroup_number("0"), 0);
    assert_int_equal(cgroup_number("1152921504606846975\n"), 1152921504606846975);
    assert_int_equal(cgroup_number("1152921504606846976\n"), CGROUP_NONE);
    assert_int_equal(cgroup_number("9223372036854771712\n"), CGROUP_NONE);
    assert_int_equal(cgroup_field("oom 1\noom_kill 7\n", "oom_kill"), 7);
    assert_int_equal(cgroup_field("oom_kill_disable 0\noom_kill 7", "oom_kill"), 7);
    assert_int_equal(cgroup_field("total_oom_kill 7\n", "oom_kill"), CGROUP_NONE);
    assert_int_equal(cgroup_field("oom_kill\n7\n", "oom_kill"), CGROUP_NONE);
    assert_int_equal(cgroup_field("oom_kill -7\n", "oom_kill"), CGROUP_NONE);
    assert_int_equal(cgroup_field("", "oom_kill"), CGROUP_NONE);
    assert_int_equal(cgroup_number("9888888888888884444\n"), CGROUP_NONE); /* its first 18 digits are none too many */
    assert_int_equal(cgroup_number("1152921504606846976\n"), CGROUP_NONE);
    assert_int_equal(cgroup_number("1152921504606846975\n"), 1152921504606846975);
}

static void test_own_path(void **state)
{
    (void)state;
    char path[CGROUP_PATH_BYTES], longer[3000] = "0::/";
    assert_int_equal(cgroup_own_path("1:memory:/a\n0::/b:c d\n", CGROUP_V2, path), 0);
    assert_string_equal(path, "/b:c d");
    assert_int_equal(cgroup_own_path("1:memory:/a\n0::/b\n", CGROUP_V1, path), 0);
    assert_string_equal(path, "/a");
    assert_int_equal(cgroup_own_path("3:cpu,memory,x:/a", CGROUP_V1, path), 0);
    assert_int_equal(cgroup_own_path("3:memory2,amemory:/a\n", CGROUP_V1, path), -ENOENT);
    assert_int_equal(cgroup_own_path("0:\n:::\n0::\n0::relative\n", CGROUP_V2, path), -ENOENT);
    memset(longer + 4, 'x', sizeof longer - 5);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(cgroup_own_path(longer, CGROUP_V2, path), -ENAMETOOLONG);
}

static void folder_is(const char *mountinfo, const char *own, const char *top, const char *folder)
{
    char got_top[CGROUP_PATH_BYTES], got[CGROUP_PATH_BYTES];
    assert_int_equal(cgroup_folder(mountinfo, CGROUP_V2, own, got_top, got), 0);
    assert_string_equal(got_top, top);
    assert_string_equal(got, folder);
}

static void test_folder(void **state)
{
    (void)state;
    char top[CGROUP_PATH_BYTES], folder[CGROUP_PATH_BYTES];
    folder_is("24 23 0:22 / /sys rw - sysfs sysfs rw\n41 31 0:38 / /c rw,relatime shared:1 master:2 - cgroup2 cgroup2 rw\n", "/a/b", "/c", "/c/a/b");
    folder_is("41 31 0:38 / /my\\040c rw - cgroup2 cgroup2 rw", "/", "/my c", "/my c");
    folder_is("41 31 0:38 /pod /x rw - cgroup2 c rw\n42 31 0:38 / /y rw - cgroup2 c rw\n", "/a", "/y", "/y/a"); /* not the first */
    folder_is("41 31 0:38 / /c rw - cgroup2 cgroup2 rw\n", "/../../host", "/c", "/c"); /* outside our namespace */
    static const char *const none[] = {"", "\n\n", "41 31 0:38 / /c rw - cgroup cgroup rw\n", "41 31 0:38 / /c rw cgroup2 cgroup2 rw\n",
                                       "41 31 0:38 / c rw - cgroup2 cgroup2 rw\n", "-", "41 31 0:38", "1 2 3 / /c - "};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(cgroup_folder(none[i], CGROUP_V2, "/", top, folder), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_v2_in_a_container, setup, teardown),
        cmocka_unit_test_setup_teardown(test_v2_nested, setup, teardown),
        cmocka_unit_test_setup_teardown(test_v1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_v1_in_a_container, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hybrid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_v1_without_a_counter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_own_path),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests_name("supervisor/cgroup", tests, NULL, NULL);
}
