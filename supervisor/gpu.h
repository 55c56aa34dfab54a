/*
 * gpu: what of GPUs the kernel tells: the time that a process had of them (drm-usage-stats, Documentation/gpu/drm-usage-stats.rst),
 * and how busy they are (amdgpu: gpu_busy_percent). Drivers that tell neither, as NVIDIA's, keep the processor busy while they wait.
 */
#ifndef SUPERVISOR_GPU_H
#define SUPERVISOR_GPU_H

#include "common/sys.h"

enum { GPU_FDS_MAX = 512, GPU_CARDS_MAX = 8, GPU_TIME_MAX_MS = 1 << 30 };

/* The text of /proc/PID/fdinfo/FD: the time of all engines in milliseconds, 0 where there is none; at most GPU_TIME_MAX_MS. Pure. */
int64_t gpu_parse(const char *text);
/* Of all descriptors of a process; *left_n: how many may still be looked at. */
int64_t gpu_time_ms(pid_t pid, int *left_n);
/* The busiest GPU, in percent; 0 where nobody knows. It may wait for a driver that hangs. */
int gpu_busy_percent(void);

#endif
