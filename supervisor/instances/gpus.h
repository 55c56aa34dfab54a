/*
 * gpus: how many GPUs engines may use: those whose devices are here (a container has only what it was given), as far as the variables that
 * their drivers' libraries go by let them be seen.
 */
#ifndef SUPERVISOR_INSTANCES_GPUS_H
#define SUPERVISOR_INSTANCES_GPUS_H

#include "common/sys.h"

enum { GPUS_MAX = 64 };

/* root: "" but for tests; environment: what engines are started with, NULL-terminated. NVIDIA's are /dev/nvidia0 and so on; where there is
 * none, AMD's, which the kernel's driver for computing lists in /sys/class/kfd/kfd/topology/nodes. CUDA_VISIBLE_DEVICES,
 * ROCR_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES: no more than they name. */
unsigned gpus_count(const char *root, char *const *environment);

#endif
