/* supervisor/instances/gpus: devices that are there, and variables that hide some of them. */
#include "supervisor/instances/gpus.h"

#include "tests/unit/scratch.h"

#include <ftw.h>

static struct scratch scratch;

static int setup(void **state)
{
    (void)state;
    scratch_init(&scratch);
    return 0;
}

static int drop(const char *path, const struct stat *what, int kind, struct FTW *where)
{
    (void)what;
    (void)kind;
    (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(scratch.dir, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void make(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", scratch.dir, path);
    for (char *slash = strchr(whole + strlen(scratch.dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_int_equal(sys_mkdir(whole, 0700), 0);
        *slash = '/';
    }
    int fd = sys_open(whole, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(sys_write_all(fd, text, strlen(text)), 0);
    sys_close(fd);
}

static unsigned count(char *variable)
{
    char *environment[] = {variable, NULL};
    return gpus_count(scratch.dir, environment);
}

static void test_a_machine_without_any_has_none(void **state)
{
    (void)state;
    static char variable[] = "CUDA_VISIBLE_DEVICES=0,1";
    assert_int_equal(count(NULL), 0);
    make("dev/nvidiactl", "");
    make("dev/nvidia-uvm", "");
    make("dev/nvidia", "");
    make("dev/dri/renderD128", "");
    assert_int_equal(count(NULL), 0);
    assert_int_equal(count(variable), 0);
}

static void test_nvidias_are_devices_that_may_be_hidden(void **state)
{
    (void)state;
    static struct {
        char variable[64];
        unsigned n;
    } cases[] = {
        {"HOME=/", 3},
        {"CUDA_VISIBLE_DEVICES=", 0},
        {"CUDA_VISIBLE_DEVICES=-1", 0},
        {"CUDA_VISIBLE_DEVICES=NoDevFiles", 0},
        {"CUDA_VISIBLE_DEVICES=1", 1},
        {"CUDA_VISIBLE_DEVICES=2,0", 2},
        {"CUDA_VISIBLE_DEVICES=2, 0", 2},
        {"CUDA_VISIBLE_DEVICES=0,-1,1", 1},
        {"CUDA_VISIBLE_DEVICES=0,1,2,3,4", 3},
        {"CUDA_VISIBLE_DEVICES=GPU-8932f937,MIG-4711", 2},
        {"HIP_VISIBLE_DEVICES=0", 3},
    };
    make("dev/nvidia0", "");
    make("dev/nvidia1", "");
    make("dev/nvidia10", "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (count(cases[i].variable) != cases[i].n)
            fail_msg("%s: %u", cases[i].variable, count(cases[i].variable));
}

static void test_amds_are_nodes_that_are_no_processor(void **state)
{
    (void)state;
    static char all[] = "HOME=/", one[] = "ROCR_VISIBLE_DEVICES=1", other[] = "HIP_VISIBLE_DEVICES=0", cuda[] = "CUDA_VISIBLE_DEVICES=0";
    make("sys/class/kfd/kfd/topology/nodes/0/gpu_id", "0\n");
    make("sys/class/kfd/kfd/topology/nodes/1/gpu_id", "50124\n");
    make("sys/class/kfd/kfd/topology/nodes/2/gpu_id", "50125\n");
    make("sys/class/kfd/kfd/topology/nodes/3/name", "\n");
    assert_int_equal(count(all), 2);
    assert_int_equal(count(one), 1);
    assert_int_equal(count(other), 1);
    assert_int_equal(count(cuda), 2);
}

static void test_there_is_a_bound(void **state)
{
    (void)state;
    for (int i = 0; i < GPUS_MAX + 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "dev/nvidia%d", i);
        make(name, "");
    }
    assert_int_equal(count(NULL), GPUS_MAX);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_machine_without_any_has_none),
        CASE(test_nvidias_are_devices_that_may_be_hidden),
        CASE(test_amds_are_nodes_that_are_no_processor),
        CASE(test_there_is_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
