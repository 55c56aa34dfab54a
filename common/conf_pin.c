/*
 * [pin:MODEL]: whose sections they are, and what their texts are in JSON, as Ollama's API has it (api/types.go, Runner and
 * Duration, v0.9.5). Nothing of a text gets into a request that was not read here.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { KEEP_SECONDS_MAX = 1000000000 };

int conf_pin_name(const char *name, char *why)
{
    return strcmp(name, "*") == 0 ? 0 : parse_model_name(name, why);
}

const struct conf_pin *conf_pin(const struct conf *c, const char *model)
{
    const struct conf_pin *others = NULL;
    for (size_t i = 0; i < c->pins_n; i++) {
        const struct conf_pin *p = &c->pins[i];
        if (strcmp(p->name, "*") == 0)
            others = p;
        else if (model_name_equal(p->name, strlen(p->name), model, strlen(model)))
            return p;
    }
    return others;
}

/* A duration as Go reads it: 30m, 1.5h, 1h30m. Of its forms those that nobody misreads, and no other character: it becomes part
 * of a request. */
static int is_go_duration(const char *text)
{
    static const char digits[] = "0123456789", letters[] = "hmnsu";
    int64_t ns;
    for (const char *at = text + (*text == '-'); *at;) {
        size_t whole_n = strspn(at, digits);
        at += whole_n;
        size_t part_n = *at == '.' ? 1 + strspn(at + 1, digits) : 0;
        at += part_n;
        size_t unit_n = strspn(at, letters);
        at += unit_n;
        if (whole_n == 0 || whole_n > 6 || part_n == 1 || unit_n == 0)
            return 0;
    }
    return parse_go_duration_ns(text, strlen(text), &ns) == 0;
}

static int keep_alive_json(const char *text, char *out, char *why)
{
    int64_t seconds;
    if (parse_integer(text, -1, KEEP_SECONDS_MAX, &seconds, why) == 0) {
        snprintf(out, CONF_PIN_JSON_BYTES, "%lld", (long long)seconds);
        return 0;
    }
    if (is_go_duration(text) && strlen(text) + sizeof "\"\"" <= CONF_PIN_JSON_BYTES) {
        snprintf(out, CONF_PIN_JSON_BYTES, "\"%s\"", text);
        return 0;
    }
    snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is neither seconds nor a duration such as 30m or 1h30m; -1 means for ever", text);
    return -EINVAL;
}

/* Into out, or "" where the client decides. */
static int use_mmap_json(const char *text, char *out, char *why)
{
    int is_used = 0, is_clients = strcmp(text, "client") == 0;
    if (!is_clients && parse_bool(text, &is_used, why) < 0) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is neither yes, no nor client", text);
        return -EINVAL;
    }
    snprintf(out, CONF_PIN_JSON_BYTES, "%s", is_clients ? "" : is_used ? "true" : "false");
    return 0;
}

/* The JSON of a row, "" where it is not set. 0, or -EINVAL with the reason. */
static int row_json(const struct conf_pin *pin, const struct conf_param *p, char *out, char *why)
{
    const char *text = *(char *const *)((const char *)pin + p->offset);
    int64_t number;
    *out = '\0';
    if (*text == '\0')
        return 0;
    if (strcmp(conf_param_key(p), "keep_alive") == 0)
        return keep_alive_json(text, out, why);
    if (strcmp(conf_param_key(p), "use_mmap") == 0)
        return use_mmap_json(text, out, why);
    if (parse_integer(text, p->min, p->max, &number, why) < 0)
        return -EINVAL;
    snprintf(out, CONF_PIN_JSON_BYTES, "%lld", (long long)number);
    return 0;
}

size_t conf_pin_values(const struct conf_pin *pin, struct conf_pin_value out[CONF_PIN_VALUES_MAX])
{
    const struct conf_section *s = conf_find_section("pin");
    char why[PARSE_WHY_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < s->params_n && n < CONF_PIN_VALUES_MAX; i++) {
        const struct conf_param *p = &s->params[i];
        if (row_json(pin, p, out[n].json, why) < 0 || !out[n].json[0])
            continue;
        out[n].name = conf_param_key(p);
        out[n].is_option = strcmp(conf_param_key(p), "keep_alive") != 0;
        n++;
    }
    return n;
}

static void check_pin(const struct conf *c, const struct conf_pin *pin, struct diag *d)
{
    const struct conf_section *s = conf_find_section("pin");
    char json[CONF_PIN_JSON_BYTES], why[PARSE_WHY_BYTES];
    for (size_t i = 0; i < s->params_n; i++)
        if (row_json(pin, &s->params[i], json, why) < 0)
            conf_mistake(c, (const struct conf_head *)pin, "pin", conf_param_key(&s->params[i]), d, why);
    for (const struct conf_pin *other = c->pins; other < pin; other++)
        if (model_name_equal(other->name, strlen(other->name), pin->name, strlen(pin->name)))
            diag_add(d, DIAG_ERROR, c->file, pin->line, "[pin:%s] is the model of [pin:%s] in line %d", pin->name, other->name,
                     other->line);
}

void conf_check_pins(const struct conf *c, struct diag *d)
{
    for (size_t i = 0; i < c->pins_n; i++)
        check_pin(c, &c->pins[i], d);
}
