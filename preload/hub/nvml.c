/* See nvml.h. The symbols, those of version 2 where there are two, and the structure are those of every driver since 2013. */
#include "preload/hub/nvml.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NVML_SUCCESS = 0 };

struct nvml_memory { /* nvmlMemory_t */
    unsigned long long total, available, used;
};

static struct {
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *n);
    int (*handle)(unsigned index, void **device);
    int (*name)(void *device, char *name, unsigned name_n);
    int (*memory)(void *device, struct nvml_memory *memory);
} nvml;

/* How a pointer to a function comes out of dlsym(3). */
static int find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static int load(void)
{
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return -ENOENT;
    int is_whole = find(library, "nvmlInit_v2", &nvml.init) && find(library, "nvmlShutdown", &nvml.shutdown) &&
                   find(library, "nvmlDeviceGetCount_v2", &nvml.count) && find(library, "nvmlDeviceGetHandleByIndex_v2", &nvml.handle) &&
                   find(library, "nvmlDeviceGetName", &nvml.name) && find(library, "nvmlDeviceGetMemoryInfo", &nvml.memory);
    return is_whole ? 0 : -EIO;
}

/* One that is lost, or whose memory we may not see, tells what it tells. */
static struct gpu read_gpu(unsigned index)
{
    struct gpu gpu = {.memory_bytes = -1, .used_bytes = -1};
    struct nvml_memory memory;
    void *device;
    if (nvml.handle(index, &device) != NVML_SUCCESS)
        return gpu;
    if (nvml.name(device, gpu.name, sizeof gpu.name) != NVML_SUCCESS)
        gpu.name[0] = '\0';
    gpu.name[sizeof gpu.name - 1] = '\0';
    if (nvml.memory(device, &memory) == NVML_SUCCESS) {
        gpu.memory_bytes = (int64_t)memory.total;
        gpu.used_bytes = (int64_t)memory.used;
    }
    return gpu;
}

int nvml_read(struct gpu *gpus, size_t gpus_n)
{
    unsigned n = 0;
    int error = load();
    if (error)
        return error;
    if (nvml.init() != NVML_SUCCESS)
        return -EIO;
    if (nvml.count(&n) != NVML_SUCCESS)
        n = 0;
    n = n < gpus_n ? n : (unsigned)gpus_n;
    for (unsigned i = 0; i < n; i++)
        gpus[i] = read_gpu(i);
    nvml.shutdown();
    return (int)n;
}
