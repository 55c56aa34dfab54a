/* See stall_look.h. */
#include "supervisor/stall_look.h"

#include "supervisor/errand.h"
#include "supervisor/gpu.h"
#include "supervisor/usage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_LIMIT_MS = 2000, FAULT_BYTES = 64 * 1024, TEXT_BYTES = 512 };

static int64_t number_of(const char *text, const char *key)
{
    int64_t number;
    const char *at = strstr(text, key);
    return at && sscanf(at + strlen(key), "%" SCNd64, &number) == 1 && number > 0 && number < INT64_MAX / 8 ? number : 0;
}

int64_t stall_look_read_bytes(const char *text)
{
    return number_of(text, "rchar:") + number_of(text, "\nread_bytes:");
}

static int64_t read_bytes_of(pid_t pid)
{
    char path[32], text[TEXT_BYTES];
    snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
    return sys_read_text(path, text, sizeof text) > 0 ? stall_look_read_bytes(text) : 0;
}

/* A fault that went to the disk counts as reading: not every file system counts what it reads for a mapping. */
void stall_look_sample(pid_t main, struct stall_sample *out)
{
    struct usage usage;
    int left_n = GPU_FDS_MAX;
    *out = (struct stall_sample){.is_known = usage_read(&usage) == 0};
    if (!out->is_known)
        return;
    struct usage_sum sum = usage_of(&usage, main);
    out->is_known = sum.processes_n > 0;
    out->cpu_ms = sum.cpu_ms;
    out->read_bytes = sum.faults_n * FAULT_BYTES;
    for (size_t i = 0; i < usage.processes_n; i++) {
        if (!usage_is_of(&usage, &usage.processes[i], main))
            continue;
        out->read_bytes += read_bytes_of(usage.processes[i].pid);
        out->gpu_ms += gpu_time_ms(usage.processes[i].pid, &left_n);
    }
    out->gpu_percent = gpu_busy_percent();
    usage_fini(&usage);
}

static void settle(struct stall_look *l, const struct stall_sample *sample)
{
    stall_look_stop(l);
    l->told(l->context, sample);
}

static void too_late(void *context, int64_t now_ms)
{
    static const struct stall_sample unknown = {.is_known = 0};
    (void)now_ms;
    settle(context, &unknown);
}

static void sample_ready(void *context, short revents)
{
    struct stall_look *l = context;
    struct stall_sample sample;
    (void)revents;
    ssize_t n = sys_read(l->fd, &sample, sizeof sample); /* below PIPE_BUF: whole, or not at all */
    if (n == -EAGAIN)
        return;
    if (n == (ssize_t)sizeof sample)
        settle(l, &sample);
    else
        too_late(l, 0);
}

/* In a process of its own. */
static void look(pid_t main) __attribute__((noreturn));
static void look(pid_t main)
{
    struct stall_sample sample;
    stall_look_sample(main, &sample);
    (void)!sys_write(ERRAND_FD, &sample, sizeof sample);
    sys_exit_now(0);
}

void stall_look_init(struct stall_look *l, struct loop *loop, void (*told)(void *context, const struct stall_sample *sample), void *context)
{
    *l = (struct stall_look){.loop = loop, .fd = -1, .told = told, .context = context};
    timer_init(&l->timer, too_late, l);
}

void stall_look_start(struct stall_look *l, pid_t main)
{
    stall_look_stop(l);
    loop_arm(l->loop, &l->timer, loop_now_ms(l->loop) + LOOK_LIMIT_MS); /* it also tells that nobody could look */
    if (errand_ask(l->loop, LOOK_LIMIT_MS / 1000, sample_ready, l, &l->fd) == 0)
        look(main);
}

void stall_look_stop(struct stall_look *l)
{
    if (!l->loop)
        return;
    loop_disarm(l->loop, &l->timer);
    if (l->fd < 0)
        return;
    loop_remove(l->loop, l->fd);
    sys_close(l->fd);
    l->fd = -1;
}
