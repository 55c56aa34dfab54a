/*
 * gpus: which GPUs this machine has, and their memory, as far as drivers tell: amdgpu in files (mem_info_vram_total, mem_info_vram_used), NVIDIA's by its
 * library (nvml.h), and where that is not there their names in files (/proc/driver/nvidia/gpus/ADDRESS/information). A driver that hangs keeps whoever asks:
 * so a job does, and not the proxy.
 */
#ifndef PRELOAD_HUB_GPUS_H
#define PRELOAD_HUB_GPUS_H

#include "common/buf.h"

enum { GPU_NAME_BYTES = 96, GPUS_TOLD_MAX = 64 };

struct gpu {
    char name[GPU_NAME_BYTES];
    int64_t memory_bytes, used_bytes; /* -1: not known */
};

/* Appends `[{"name":…,"memory_bytes":…,"used_bytes":…}]`, null for what is not told. root: "", or a folder that stands for the machine's. nvidia, nvidia_n:
 * what NVIDIA's library has told; less than 0: it is not there. 0 or -errno. */
int gpus_write(const char *root, const struct gpu *nvidia, int nvidia_n, struct buf *out) WARN_UNUSED;

#endif
