/* preload/hub/gpus: what drivers tell of GPUs in files, of a machine that is played. */
#include "preload/hub/gpus.h"

#include "tests/unit/scratch.h"

#include <errno.h>

static char root[128];

static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s", root);
    for (const char *at = path; (at = strchr(at + 1, '/'));) {
        snprintf(whole, sizeof whole, "%s%.*s", root, (int)(at - path), path);
        (void)mkdir(whole, 0700);
    }
    snprintf(whole, sizeof whole, "%s%s", root, path);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_told_with(const struct gpu *nvidia, int nvidia_n, const char *wanted)
{
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(gpus_write(root, nvidia, nvidia_n, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), wanted);
    buf_fini(&out);
}

static void assert_told(const char *wanted)
{
    assert_told_with(NULL, -ENOENT, wanted);
}

static int begin(void **state)
{
    struct scratch s;
    (void)state;
    scratch_init(&s);
    snprintf(root, sizeof root, "%s", s.dir);
    return 0;
}

static int end(void **state)
{
    char command[160];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void test_a_machine_without_any(void **state)
{
    (void)state;
    assert_told("[]");
}

static void test_amd_tells_its_memory(void **state)
{
    (void)state;
    put("/sys/class/drm/card1/device/mem_info_vram_total", "17163091968\n");
    put("/sys/class/drm/card1/device/mem_info_vram_used", "1048576\n");
    put("/sys/class/drm/card1-DP-1/device/mem_info_vram_total", "17163091968\n");
    put("/sys/class/drm/renderD128/device/mem_info_vram_total", "17163091968\n");
    assert_told("[{\"name\":\"card1\",\"memory_bytes\":17163091968,\"used_bytes\":1048576}]");
}

static void test_nvidia_tells_its_name(void **state)
{
    (void)state;
    put("/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA L4\nIRQ: 33\n");
    put("/sys/class/drm/card0/device/vendor", "0x10de\n"); /* it has no such file */
    assert_told("[{\"name\":\"NVIDIA L4\",\"memory_bytes\":null,\"used_bytes\":null}]");
}

/* R1.7: GPU memory, where the driver tells. */
static void test_nvidias_library_tells_memory(void **state)
{
    static const struct gpu gpus[] = {{"NVIDIA L4", 24152899584, 1048576}, {"", -1, -1}};
    (void)state;
    put("/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA L4\n"); /* … which is not told twice */
    assert_told_with(gpus, 2, "[{\"name\":\"NVIDIA L4\",\"memory_bytes\":24152899584,\"used_bytes\":1048576},{\"name\":null,\"memory_bytes\":null,\"used_bytes\":null}]");
    assert_told_with(NULL, 0, "[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_machine_without_any, begin, end),
        cmocka_unit_test_setup_teardown(test_amd_tells_its_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_nvidia_tells_its_name, begin, end),
        cmocka_unit_test_setup_teardown(test_nvidias_library_tells_memory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
