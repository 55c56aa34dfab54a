/*
 * NVIDIA's management library, libnvidia-ml.so.1, as far as the model server asks it, before GPUs that are played: the file NVML_PLAYED has a line for each,
 * `TOTAL USED NAME` in bytes; `hang` hangs as a driver does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, UNKNOWN = 999, GPUS_MAX = 8 };

static struct gpu {
    unsigned long long total, available, used;
    char name[64];
} gpus[GPUS_MAX];
static unsigned gpus_n;

int nvmlInit_v2(void)
{
    char line[128];
    FILE *file = fopen(getenv("NVML_PLAYED"), "r");
    while (file && gpus_n < GPUS_MAX && fgets(line, sizeof line, file)) {
        while (strcmp(line, "hang\n") == 0)
            pause();
        struct gpu *gpu = &gpus[gpus_n++];
        if (sscanf(line, "%llu %llu %63[^\n]", &gpu->total, &gpu->used, gpu->name) != 3)
            return UNKNOWN;
    }
    return file ? fclose(file) : UNKNOWN;
}

int nvmlShutdown(void)
{
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *n)
{
    *n = gpus_n;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    *device = &gpus[index];
    return OK;
}

int nvmlDeviceGetName(const struct gpu *gpu, char *name, unsigned name_n)
{
    snprintf(name, name_n, "%s", gpu->name);
    return OK;
}

int nvmlDeviceGetMemoryInfo(const struct gpu *gpu, unsigned long long memory[3])
{
    memory[0] = gpu->total;
    memory[1] = gpu->total - gpu->used;
    memory[2] = gpu->used;
    return OK;
}
