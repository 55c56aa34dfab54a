/* See gpus.h. Nothing is asked of a driver, as one may hang. */
#include "supervisor/instances/gpus.h"

#include "common/conf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512, TEXT_BYTES = 64 };

struct count {
    const char *folder;
    unsigned n;
};

/* nvidia0 is a GPU; nvidiactl, nvidia-uvm and the like are none. */
static int see_nvidia(void *context, const char *name)
{
    struct count *c = context;
    const char *number = name + 6;
    c->n += strncmp(name, "nvidia", 6) == 0 && *number && strspn(number, "0123456789") == strlen(number);
    return c->n >= GPUS_MAX;
}

/* A node of the topology is a processor, whose gpu_id is 0, or a GPU. */
static int see_amd(void *context, const char *name)
{
    struct count *c = context;
    char path[PATH_BYTES], text[TEXT_BYTES];
    snprintf(path, sizeof path, "%s/%.16s/gpu_id", c->folder, name);
    c->n += isdigit((unsigned char)name[0]) && sys_read_text(path, text, sizeof text) > 0 && strtol(text, NULL, 10) > 0;
    return c->n >= GPUS_MAX;
}

static unsigned count_in(const char *root, const char *folder, int (*see)(void *context, const char *name))
{
    char path[PATH_BYTES];
    struct count c = {path, 0};
    snprintf(path, sizeof path, "%.400s%s", root, folder);
    (void)!sys_each_entry(path, see, &c); /* what is not there has none */
    return c.n;
}

/* How many a list such as "0,2" or "GPU-8932f937,GPU-…" names, up to the first that is none ("-1", "NoDevFiles"); found_n where nobody says.
 * CUDA C++ Programming Guide, "CUDA Environment Variables" */
static unsigned visible(char *const *environment, const char *name, unsigned found_n)
{
    const char *at = conf_variable(environment, name);
    unsigned n = 0;
    if (!at)
        return found_n;
    for (size_t word_n; *at && *at != ',' && *at != '-'; at += word_n + (at[word_n] == ',')) {
        at += strspn(at, " ");
        word_n = strcspn(at, ",");
        if (!isdigit((unsigned char)*at) && strncmp(at, "GPU-", 4) != 0 && strncmp(at, "MIG-", 4) != 0)
            break;
        n++;
    }
    return n < found_n ? n : found_n;
}

unsigned gpus_count(const char *root, char *const *environment)
{
    unsigned n = count_in(root, "/dev", see_nvidia);
    if (n > 0)
        return visible(environment, "CUDA_VISIBLE_DEVICES", n);
    n = count_in(root, "/sys/class/kfd/kfd/topology/nodes", see_amd);
    n = visible(environment, "ROCR_VISIBLE_DEVICES", n);
    return visible(environment, "HIP_VISIBLE_DEVICES", n);
}
