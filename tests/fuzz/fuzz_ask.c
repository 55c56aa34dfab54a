/* A request's body: its model is the one that json_scan finds, and what is read of its options is the same when they are
 * written down and read again. */
#include "proxy/ask.h"
#include "proxy/json_scan.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_model(const struct ask *a, int error, const char *json, size_t json_n)
{
    char model[CONTRACT_NAME_BYTES];
    ssize_t n = json_scan_string(json, json_n, "model", model, sizeof model);
    if ((error == -EINVAL) != (n == -EINVAL))
        abort();
    if (n >= 0 ? strcmp(model, a->model) != 0 : a->model[0] != '\0')
        abort();
}

static void check_options(const struct ask *a)
{
    static const struct load_terms fixed = {LOAD_ALL_OPTIONS, 0};
    struct load_options ride;
    unsigned dropped;
    struct ask again;
    struct buf text;
    buf_init(&text, 0);
    if (buf_text(&text, "{\"options\":") < 0 || load_options_write(&a->options, &text) < 0 || buf_text(&text, "}") < 0)
        abort();
    if (ask_read(&again, buf_data(&text), buf_size(&text)) < 0 || again.is_odd || !load_options_equal(&again.options, &a->options))
        abort();
    if (!load_options_fit(&again.options, &fixed, &a->options, &ride, &dropped) || ride.set || dropped)
        abort();
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ask a;
    int error = ask_read(&a, (const char *)data, size);
    if (error && error != -EINVAL)
        abort();
    check_model(&a, error, (const char *)data, size);
    if (a.options.set & ~(unsigned)LOAD_ALL_OPTIONS || a.keep_alive_ms < ASK_KEEP_UNSAID)
        abort();
    for (size_t i = 0; i < LOAD_OPTION_COUNT; i++)
        if (!(a.options.set >> i & 1) && a.options.values[i] != 0)
            abort();
    check_options(&a);
    return 0;
}
