/*
 * nvml: NVIDIA's GPUs as its management library tells of them, which comes with the driver and is what nvidia-smi asks: names and memory. It is loaded
 * when it is wanted; NVML API Reference, https://docs.nvidia.com/deploy/nvml-api/
 */
#ifndef PRELOAD_HUB_NVML_H
#define PRELOAD_HUB_NVML_H

#include "preload/hub/gpus.h"

/* How many there are, at most gpus_n; -ENOENT where there is no such library, -EIO where it does not work. */
int nvml_read(struct gpu *gpus, size_t gpus_n) WARN_UNUSED;

#endif
