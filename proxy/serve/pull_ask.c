/* See pull_ask.h. */
#include "proxy/serve/pull_ask.h"

#include "common/json_read.h"
#include "common/parse.h"
#include "proxy/mistakes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MODEL, QUANTIZE, INIT, STREAM, REVISION, NAMES_N };
static const char *const names[NAMES_N] = {"model", "quantize", "init", "stream", "revision"};

int pull_ask_name(const char *text, char out[CONTRACT_NAME_BYTES], char *why)
{
    static const char latest[] = ":latest";
    size_t n = strlen(text), latest_n = sizeof latest - 1;
    if (n > latest_n && strcmp(text + n - latest_n, latest) == 0)
        n -= latest_n;
    if (n >= CONTRACT_NAME_BYTES) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s…\" is no model's name: it is too long", text);
        return -EINVAL;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return parse_hub_name(out, why);
}

static void read_model(struct pull_ask *a, const struct json_value *value, struct mistakes *m)
{
    char text[2 * CONTRACT_NAME_BYTES], why[PARSE_WHY_BYTES];
    if (value->kind == JSON_NULL) {
        mistakes_add(m, "model: missing; it must be the name of a model on the hub, ORG/NAME");
    } else if (value->kind != JSON_STRING) {
        mistakes_add(m, "model: must be a string, not %s", json_kind_name(value->kind));
    } else {
        ssize_t n = json_decode(json_read_text(value), text, sizeof text);
        if (n < 0 || strlen(text) != (size_t)n)
            mistakes_add(m, "model: no name of a model on the hub, ORG/NAME: it is too long, or has what no name has");
        else if (pull_ask_name(text, a->model, why) < 0)
            mistakes_add(m, "model: %s", why);
    }
}

static const char *read_quantize(const struct json_value *value, struct mistakes *m)
{
    static const char *const words[] = {"auto", "q4", "fp32", "fp16", "no"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (json_read_is(value, words[i]))
            return words[i];
    if (value->kind != JSON_NULL)
        mistakes_add(m, "quantize: must be \"auto\", \"q4\", \"fp32\", \"fp16\" or \"no\"");
    return "auto";
}

static int read_flag(const struct json_value *value, const char *name, struct mistakes *m)
{
    if (value->kind != JSON_NULL && value->kind != JSON_TRUE && value->kind != JSON_FALSE)
        mistakes_add(m, "%s: must be true or false, not %s", name, json_kind_name(value->kind));
    return value->kind == JSON_TRUE;
}

/* What it may be needs no escape anywhere. */
static void read_revision(const struct json_value *value, char out[PULL_ASK_REVISION_BYTES], struct mistakes *m)
{
    char why[PARSE_WHY_BYTES];
    snprintf(out, PULL_ASK_REVISION_BYTES, "main");
    if (value->kind == JSON_NULL)
        return;
    ssize_t n = value->kind == JSON_STRING ? json_decode(json_read_text(value), out, PULL_ASK_REVISION_BYTES) : -EINVAL;
    if (n < 0 || strlen(out) != (size_t)n)
        mistakes_add(m, "revision: must be a branch, a tag or a commit of the model, as \"main\"");
    else if (parse_hub_revision(out, why) < 0)
        mistakes_add(m, "revision: %s", why);
}

int pull_ask_read(struct pull_ask *a, const char *json, size_t json_n, char *why)
{
    struct json_walk w = {json, json + json_n};
    struct json_value v[NAMES_N];
    struct mistakes m;
    char revision[PULL_ASK_REVISION_BYTES];
    *a = (struct pull_ask){.init = 0};
    mistakes_init(&m, why, PULL_ASK_WHY_BYTES);
    int error = json_read_members(&w, names, NAMES_N, JSON_FOLDED, v);
    if (!error)
        json_space(&w);
    if (error || w.at != w.end) {
        mistakes_add(&m, "the body is no JSON object: what stands at byte %zu does not belong there, or is missing", (size_t)(w.at - json));
        return -EINVAL;
    }
    read_model(a, &v[MODEL], &m);
    const char *quantize = read_quantize(&v[QUANTIZE], &m);
    read_revision(&v[REVISION], revision, &m);
    a->init = read_flag(&v[INIT], "init", &m);
    a->is_stream = read_flag(&v[STREAM], "stream", &m);
    if (mistakes_end(&m) > 0)
        return -EINVAL;
    snprintf(a->request, sizeof a->request, "{\"do\":\"pull\",\"model\":\"%s\",\"quantize\":\"%s\",\"revision\":\"%s\"}", a->model, quantize, revision);
    return 0;
}
