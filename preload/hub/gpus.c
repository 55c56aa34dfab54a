/* See gpus.h. */
#include "preload/hub/gpus.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512, TEXT_BYTES = 2048 };

struct written {
    const char *root;
    struct buf *out;
    size_t n;
    int error;
};

static void write_gpu(struct written *w, const struct gpu *gpu)
{
    const int64_t numbers[] = {gpu->memory_bytes, gpu->used_bytes};
    static const char *const members[] = {",\"memory_bytes\":", ",\"used_bytes\":"};
    w->error = w->error ? w->error : buf_text(w->out, w->n++ ? ",{\"name\":" : "{\"name\":");
    w->error = w->error ? w->error : *gpu->name ? buf_json_string(w->out, gpu->name, strlen(gpu->name)) : buf_text(w->out, "null");
    for (int i = 0; i < 2 && !w->error; i++) {
        w->error = buf_text(w->out, members[i]);
        w->error = w->error ? w->error : numbers[i] < 0 ? buf_text(w->out, "null") : buf_number(w->out, (uint64_t)numbers[i]);
    }
    w->error = w->error ? w->error : buf_text(w->out, "}");
}

static int64_t read_number(const struct written *w, const char *folder, const char *card, const char *file)
{
    char path[PATH_BYTES], text[64];
    snprintf(path, sizeof path, "%s%s/%s/device/%s", w->root, folder, card, file);
    return sys_read_text(path, text, sizeof text) > 0 && isdigit((unsigned char)text[0]) ? (int64_t)strtoll(text, NULL, 10) : -1;
}

/* card0, and not card0-DP-1, which is what is plugged into it. */
static int visit_card(void *context, const char *name)
{
    struct written *w = context;
    size_t digits_n = strspn(name + (strncmp(name, "card", 4) == 0 ? 4 : 0), "0123456789");
    if (strncmp(name, "card", 4) != 0 || digits_n == 0 || name[4 + digits_n])
        return 0;
    struct gpu gpu = {.memory_bytes = read_number(w, "/sys/class/drm", name, "mem_info_vram_total"),
                      .used_bytes = read_number(w, "/sys/class/drm", name, "mem_info_vram_used")};
    snprintf(gpu.name, sizeof gpu.name, "%s", name);
    if (gpu.memory_bytes > 0)
        write_gpu(w, &gpu);
    return w->error;
}

/* The file has `Model: \t\t NAME`. */
static int visit_nvidia(void *context, const char *name)
{
    struct written *w = context;
    struct gpu gpu = {.memory_bytes = -1, .used_bytes = -1};
    char path[PATH_BYTES], text[TEXT_BYTES];
    if (name[0] == '.')
        return 0;
    snprintf(path, sizeof path, "%s/proc/driver/nvidia/gpus/%s/information", w->root, name);
    const char *model = sys_read_text(path, text, sizeof text) > 0 ? strstr(text, "Model:") : NULL;
    if (model) {
        model += strlen("Model:") + strspn(model + strlen("Model:"), " \t");
        snprintf(gpu.name, sizeof gpu.name, "%.*s", (int)strcspn(model, "\n"), model);
    }
    write_gpu(w, &gpu);
    return w->error;
}

int gpus_write(const char *root, const struct gpu *nvidia, int nvidia_n, struct buf *out)
{
    struct written w = {.root = root, .out = out};
    char path[PATH_BYTES];
    w.error = buf_text(out, "[");
    for (int i = 0; i < nvidia_n; i++)
        write_gpu(&w, &nvidia[i]);
    snprintf(path, sizeof path, "%s/proc/driver/nvidia/gpus", root);
    if (nvidia_n < 0)
        (void)!sys_each_entry(path, visit_nvidia, &w); /* without that driver there is no such folder */
    snprintf(path, sizeof path, "%s/sys/class/drm", root);
    (void)!sys_each_entry(path, visit_card, &w);
    return w.error ? w.error : buf_text(out, "]");
}
