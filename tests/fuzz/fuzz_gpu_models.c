/* Answers to GET /api/ps, one behind the other with gaps between them: what is known is bounded and is on a GPU, and what is lost was
 * known. The first byte of each line: whether there is a gap before it. */
#include "proxy/gpu_models.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct gpu_models *m)
{
    if (m->known_n > GPU_MODELS)
        abort();
    for (size_t i = 0; i < m->known_n; i++)
        if (m->known[i].vram_bytes == 0 || m->known[i].name[0] == '\0' || !memchr(m->known[i].name, '\0', sizeof m->known[i].name))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gpu_models m = {.known_n = 0};
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        struct gpu_model lost = {.vram_bytes = 0};
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t line_n = (size_t)((line_end ? line_end : end) - at);
        size_t known_n = m.known_n;
        if (line_n > 0 && *at == '+')
            gpu_models_gap(&m);
        int got = line_n > 0 ? gpu_models_see(&m, at + 1, line_n - 1, &lost) : 0;
        if (got < 0 && (got != -EINVAL || m.known_n != known_n))
            abort();
        if (got == 1 && (lost.vram_bytes == 0 || !lost.is_older || m.known_n != 0))
            abort();
        check(&m);
        at += line_n + 1;
    }
    return 0;
}
