/* A supervisor's status: what is known of it has its bounds, and each sample of /metrics that is made of it is one line. */
#include "proxy/metrics.h"

#include <stdlib.h>
#include <string.h>

static void check(const struct supervisor_facts *f)
{
    if (f->programs_n > CONTRACT_PROGRAMS || (f->memory_used_bytes < 0 && f->memory_used_bytes != -1) || (f->cold_ms[0] < 0 && f->cold_ms[0] != -1))
        abort();
    for (size_t i = 0; i < f->programs_n; i++)
        if (!f->programs[i].name[0] || !memchr(f->programs[i].name, '\0', sizeof f->programs[i].name) || f->programs[i].state >= CONTRACT_STATE_COUNT)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct contract_page page;
    struct supervisor_facts facts;
    struct buf out;
    if (supervisor_facts_read(&facts, (const char *)data, size) < 0)
        return 0;
    check(&facts);
    buf_init(&out, 0);
    if (metrics_write(&out, &(struct metrics_input){.page = &page, .supervisor = &facts}) < 0)
        abort();
    const char *at = buf_data(&out), *end = at + buf_size(&out);
    for (const char *line_end; at < end; at = line_end + 1) {
        line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end || (memcmp(at, "# ", 2) != 0 && memcmp(at, "sidecar_", 8) != 0))
            abort();
    }
    buf_fini(&out);
    return 0;
}
