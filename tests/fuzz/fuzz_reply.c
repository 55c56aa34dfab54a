/* What sidecarctl gets: from a supervisor that may be none, and from the public door. Whatever it is, nothing of it moves a
 * cursor. */
#include "ctl/ask.h"
#include "ctl/backends.h"
#include "ctl/bench.h"
#include "ctl/health.h"
#include "ctl/models.h"
#include "ctl/requests.h"
#include "ctl/status.h"
#include "ctl/tail.h"
#include "ctl/top.h"
#include "ctl/why.h"
#include "tests/fuzz/clean.h"

static void shown(struct buf *out)
{
    must_be_clean(buf_data(out), buf_size(out), 1);
    buf_fini(out);
    buf_init(out, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf reply, out;
    if (size < 1)
        return 0;
    const char *bytes = (const char *)data + 1;
    buf_init(&reply, 0);
    buf_init(&out, 0);
    if (health_describe(data[0] * 3L, bytes, size - 1, 0, &out) == 0)
        shown(&out);
    if (buf_append(&reply, bytes, size - 1) == 0) {
        cJSON *answer = ask_parse(&reply);
        if (answer && !cJSON_IsObject(answer))
            abort();
        if (answer && status_describe(answer, 0, &out) == 0)
            shown(&out);
        if (answer && backends_describe(answer, 0, &out) == 0)
            shown(&out);
        if (answer && requests_describe(answer, 0, &out) == 0)
            shown(&out);
        if (answer && models_describe(answer, 0, &out) == 0)
            shown(&out);
        if (answer && top_describe(answer, 0, &out) == 0)
            shown(&out);
        cJSON *reasons = cJSON_CreateArray();
        why_of_supervisor(answer, reasons);
        why_of_health(answer, reasons);
        why_of_requests(cJSON_GetObjectItemCaseSensitive(answer, "requests"), reasons);
        why_of_errors(cJSON_GetObjectItemCaseSensitive(answer, "errors"), reasons);
        if (why_describe(reasons, 0, &out) == 0)
            shown(&out);
        cJSON_Delete(reasons);
        if (answer && tail_describe(answer, 0, &out) == 0)
            shown(&out);
        cJSON_Delete(answer);
    }
    struct bench_round round = {-1, -1, -1, -1, -1, -1, -1};
    if (bench_take(&round, bytes, size - 1, 0, 1) < 0 && round.total_ms >= 0)
        abort();
    buf_fini(&reply);
    buf_fini(&out);
    return 0;
}
