/* See gpu.h. */
#include "supervisor/gpu.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 4096, NS_A_MS = 1000000 };

int64_t gpu_parse(const char *text)
{
    static const char key[] = "drm-engine-";
    int64_t sum_ms = 0;
    while (*text) {
        size_t line_n = strcspn(text, "\n");
        const char *colon = memchr(text, ':', line_n);
        uint64_t ns;
        if (strncmp(text, key, sizeof key - 1) == 0 && colon && strncmp(text + sizeof key - 1, "capacity-", 9) != 0 &&
            sscanf(colon + 1, "%" SCNu64, &ns) == 1 && ns / NS_A_MS < GPU_TIME_MAX_MS)
            sum_ms += (int64_t)(ns / NS_A_MS);
        text += line_n + (text[line_n] == '\n');
    }
    return sum_ms < GPU_TIME_MAX_MS ? sum_ms : GPU_TIME_MAX_MS;
}

struct walk {
    char folder[32];
    int *left_n;
    int64_t sum_ms;
};

static int visit(void *context, const char *name)
{
    struct walk *w = context;
    char path[64], text[TEXT_BYTES];
    if (!isdigit((unsigned char)name[0]))
        return 0;
    if ((*w->left_n)-- <= 0)
        return 1;
    snprintf(path, sizeof path, "%s/%.10s", w->folder, name);
    if (sys_read_text(path, text, sizeof text) >= 0)
        w->sum_ms += gpu_parse(text);
    return 0;
}

int64_t gpu_time_ms(pid_t pid, int *left_n)
{
    struct walk w = {.left_n = left_n};
    snprintf(w.folder, sizeof w.folder, "/proc/%d/fdinfo", (int)pid);
    (void)!sys_each_entry(w.folder, visit, &w);
    return w.sum_ms;
}

int gpu_busy_percent(void)
{
    char path[64], text[TEXT_BYTES];
    int most = 0;
    for (int card = 0; card < GPU_CARDS_MAX; card++) {
        snprintf(path, sizeof path, "/sys/class/drm/card%d/device/gpu_busy_percent", card);
        long percent = sys_read_text(path, text, sizeof text) >= 0 ? strtol(text, NULL, 10) : 0;
        if (percent > most && percent <= 100)
            most = (int)percent;
    }
    return most;
}
