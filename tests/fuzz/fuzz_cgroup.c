/* What the kernel, or a container's own idea of one, has in /proc and /sys/fs/cgroup. The first byte says which version. */
#include "supervisor/cgroup.h"

#include <stdlib.h>
#include <string.h>

static void check_number(int64_t n)
{
    if (n != CGROUP_NONE && (n < 0 || n >= (int64_t)1 << 60))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char own[CGROUP_PATH_BYTES], top[CGROUP_PATH_BYTES], folder[CGROUP_PATH_BYTES];
    if (size == 0)
        return 0;
    enum cgroup_source source = data[0] & 1 ? CGROUP_V2 : CGROUP_V1;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    check_number(cgroup_number(text));
    check_number(cgroup_field(text, "oom_kill"));
    if (cgroup_own_path(text, source, own) < 0)
        memcpy(own, "/a/b", sizeof "/a/b");
    else if (own[0] != '/')
        abort();
    if (cgroup_folder(text, source, own, top, folder) == 0 && (strncmp(folder, top, strlen(top)) != 0 || strlen(folder) >= sizeof folder))
        abort();
    free(text);
    return 0;
}
