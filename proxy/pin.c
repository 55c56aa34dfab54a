/* See pin.h. Where nothing is to be changed, the body is not even read. */
#include "proxy/pin.h"

#include "proxy/json_scan.h"
#include "proxy/json_splice.h"

#include <errno.h>

enum { MODEL_BYTES = 256 };

/* The values become edits, which borrow them. */
static size_t add_edits(struct json_edit *edits, const struct conf_pin_value *values, size_t values_n)
{
    for (size_t i = 0; i < values_n; i++)
        edits[i] = (struct json_edit){values[i].is_option, values[i].name, values[i].json, JSON_SET};
    return values_n;
}

/* The body with the changes, in place. 0 or -ENOMEM. */
static int apply(const struct json_splice *s, struct buf *body)
{
    size_t before_n = buf_size(body), after_n = json_splice_size(s, before_n);
    char *end;
    if (body->limit_bytes > 0 && after_n > before_n)
        body->limit_bytes += after_n - before_n; /* it is the client's limit, who is done */
    if (buf_reserve(body, after_n > before_n ? after_n - before_n : 0, &end) < 0)
        return -ENOMEM;
    json_splice_apply(s, end - before_n, before_n);
    if (after_n > before_n)
        buf_commit(body, after_n - before_n);
    else
        buf_truncate(body, after_n);
    return 0;
}

/* Whether models are to be mapped where nothing else is said: an Ollama that we run. A runner that reads its model into
 * memory instead is one that the kernel kills. */
static int is_mapping_pinned(const struct conf *conf, int is_supervised)
{
    return is_supervised && conf->is_backend_ours && conf_program(conf, "ollama")->autostart;
}

int pin_body(const struct conf *conf, int is_supervised, const struct route *route, int is_translated,
             struct buf *body)
{
    struct conf_pin_value values[CONF_PIN_VALUES_MAX];
    struct json_edit edits[CONF_PIN_VALUES_MAX + 1];
    struct json_edits all = {.inner = "options", .items = edits};
    struct json_splice splice;
    char model[MODEL_BYTES];
    const struct conf_pin *pin = NULL;
    int is_mapped = is_mapping_pinned(conf, is_supervised);
    int is_native = route->dialect == DIALECT_OLLAMA && route->needs_model;
    if ((!is_native && !is_translated) || (conf->pins_n == 0 && !is_mapped))
        return 0;
    if (conf->pins_n > 0 && json_scan_string(buf_data(body), buf_size(body), "model", model, sizeof model) >= 0)
        pin = conf_pin(conf, model);
    if (pin)
        all.items_n = add_edits(edits, values, conf_pin_values(pin, values));
    if (is_mapped && (!pin || pin->use_mmap[0] == '\0'))
        edits[all.items_n++] = (struct json_edit){1, "use_mmap", "true", JSON_SET};
    if (all.items_n == 0)
        return 0;
    int error = json_splice_find(&splice, buf_data(body), buf_size(body), &all);
    if (error == -EINVAL) /* the backend says what is wrong with it */
        return 0;
    return error || splice.changes_n == 0 ? error : apply(&splice, body);
}
