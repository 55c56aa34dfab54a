/* See pin.h. Where nothing is to be changed, the body is not even read. */
#include "proxy/pin.h"

#include "proxy/ask.h"
#include "proxy/json_scan.h"
#include "proxy/splice_body.h"

#include <stdlib.h>
#include <string.h>

enum { MODEL_BYTES = 256 };

/* The values become edits, which borrow them. */
static size_t add_edits(struct json_edit *edits, const struct conf_pin_value *values, size_t values_n)
{
    for (size_t i = 0; i < values_n; i++)
        edits[i] = (struct json_edit){values[i].is_option, values[i].name, values[i].json, JSON_SET};
    return values_n;
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
    return splice_body(body, &all);
}

static void overlay(const struct conf_pin_value *value, struct load_wish *wish)
{
    if (!value->is_option) {
        (void)!keep_alive_read(value->json, strlen(value->json), &wish->keep_alive_ms);
        return;
    }
    for (int i = 0; i < LOAD_OPTION_COUNT; i++) {
        if (strcmp(value->name, load_option_name((enum load_option)i)) != 0)
            continue;
        int64_t number = i == LOAD_USE_MMAP ? strcmp(value->json, "true") == 0 : strtoll(value->json, NULL, 10);
        load_options_set(&wish->options, (enum load_option)i, number);
        wish->terms.fixed |= 1u << i;
    }
}

void pin_wish(const struct conf *conf, int is_supervised, const char *model, struct load_wish *wish)
{
    struct conf_pin_value values[CONF_PIN_VALUES_MAX];
    const struct conf_pin *pin = conf->pins_n > 0 ? conf_pin(conf, model) : NULL;
    size_t values_n = pin ? conf_pin_values(pin, values) : 0;
    for (size_t i = 0; i < values_n; i++)
        overlay(&values[i], wish);
    if (is_mapping_pinned(conf, is_supervised) && (!pin || pin->use_mmap[0] == '\0'))
        load_options_set(&wish->options, LOAD_USE_MMAP, 1);
}
