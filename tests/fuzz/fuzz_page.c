/* The shared page as the proxy reads it, full of lies: two bytes say where in it the rest of the input stands. What is told of
 * it is bounded, and JSON. */
#include "proxy/gate.h"
#include "proxy/health.h"
#include "common/json_walk.h"

#include <stdlib.h>
#include <string.h>

static void check_view(const struct gate_view *v)
{
    if (v->missing_n > CONTRACT_MODELS || strnlen(v->reason, sizeof v->reason) == sizeof v->reason)
        abort();
    for (size_t i = 0; i < v->missing_n; i++)
        if (strnlen(v->missing[i], sizeof v->missing[i]) == sizeof v->missing[i])
            abort();
    for (int needs_model = 0; needs_model < 2; needs_model++)
        (void)gate_decide(v, needs_model, v->missing_n ? v->missing[0] : "m");
    (void)gate_asks_model(v);
}

static void check_health(const struct contract_page *page)
{
    char reason[CONTRACT_REASON_BYTES];
    struct health_input in = {.page = page, .api = health_api_of_page(page, reason), .api_reason = reason};
    struct json_value value;
    struct buf out;
    int status = 0;
    buf_init(&out, 0);
    if (strnlen(reason, sizeof reason) == sizeof reason)
        abort();
    if (health_write(&out, &in, &status) < 0 || (status != 200 && status != 503))
        abort();
    struct json_walk w = {buf_data(&out), buf_data(&out) + buf_size(&out)};
    if (json_value(&w, &value) < 0 || value.kind != JSON_OBJECT)
        abort();
    json_space(&w);
    if (w.at != w.end)
        abort();
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct contract_page page;
    static struct gate_view view;
    if (size < 3)
        return 0;
    size_t at = ((size_t)data[0] << 8 | data[1]) * 8 % sizeof page;
    size_t n = size - 2 < sizeof page - at ? size - 2 : sizeof page - at;
    memcpy((char *)&page + at, data + 2, n);
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        gate_look(&view, &page, is_ours);
        check_view(&view);
    }
    check_health(&page);
    char text[CONTRACT_REASON_BYTES];
    contract_trouble_read(&page.trouble, 0, text);
    if (strnlen(text, sizeof text) == sizeof text)
        abort();
    memset((char *)&page + at, 0, n);
    return 0;
}
