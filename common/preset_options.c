/*
 * See preset_options.h. The kinds are those of api/types.go (Options and Runner, v0.9.5): what is of another kind is refused by Ollama,
 * but only when the first request comes.
 */
#include "common/preset_options.h"

#include "common/json_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 64 };

enum option_kind { OPTION_ANY, OPTION_NUMBER, OPTION_BOOLEAN, OPTION_TEXTS };

/* ANY: of other versions, known so that nobody is warned of them. */
static const struct known_option {
    char name[20]; /* no pointer, which takes more */
    enum option_kind kind;
} known_options[] = {
    {"num_ctx", OPTION_NUMBER},          {"num_batch", OPTION_NUMBER},     {"num_gpu", OPTION_NUMBER},
    {"main_gpu", OPTION_NUMBER},         {"num_thread", OPTION_NUMBER},    {"use_mmap", OPTION_BOOLEAN},
    {"num_keep", OPTION_NUMBER},         {"seed", OPTION_NUMBER},          {"num_predict", OPTION_NUMBER},
    {"top_k", OPTION_NUMBER},            {"top_p", OPTION_NUMBER},         {"min_p", OPTION_NUMBER},
    {"typical_p", OPTION_NUMBER},        {"repeat_last_n", OPTION_NUMBER}, {"temperature", OPTION_NUMBER},
    {"repeat_penalty", OPTION_NUMBER},   {"presence_penalty", OPTION_NUMBER}, {"frequency_penalty", OPTION_NUMBER},
    {"stop", OPTION_TEXTS},              {"batch_size", OPTION_NUMBER},    {"mirostat", OPTION_ANY},
    {"mirostat_tau", OPTION_ANY},        {"mirostat_eta", OPTION_ANY},     {"penalize_newline", OPTION_ANY},
    {"tfs_z", OPTION_ANY},               {"numa", OPTION_ANY},             {"low_vram", OPTION_ANY},
    {"f16_kv", OPTION_ANY},              {"logits_all", OPTION_ANY},       {"vocab_only", OPTION_ANY},
    {"use_mlock", OPTION_ANY},
};
enum { KNOWN_N = sizeof known_options / sizeof *known_options };

struct reader {
    struct json_mistakes *m;
    const char *preset;
    struct preset_option *options;
    size_t options_n;
    int lines[PRESET_OPTIONS_MAX];      /* where each stands */
    int is_renamed[PRESET_OPTIONS_MAX]; /* it stands there as batch_size */
    int is_full;                        /* that there are too many was told */
};

static int is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return n > 0 && name[n] == '\0';
}

static const struct known_option *find_known(const char *name)
{
    for (size_t i = 0; i < KNOWN_N; i++)
        if (strcmp(known_options[i].name, name) == 0)
            return &known_options[i];
    return NULL;
}

static const char *find_nearest(const char *name)
{
    const char *names[KNOWN_N + 1] = {NULL};
    for (size_t i = 0; i < KNOWN_N; i++)
        names[i] = known_options[i].name;
    return diag_nearest(name, names);
}

static void warn_of_name(struct reader *r, const char *at, const char *name)
{
    const char *nearest = find_nearest(name);
    if (nearest)
        json_mistakes_tell(r->m, DIAG_WARNING, at, "preset \"%s\": Ollama may not know the option %s; did you mean %s?", r->preset, name, nearest);
}

static int is_scalar(enum json_kind kind)
{
    return kind == JSON_STRING || kind == JSON_NUMBER || kind == JSON_TRUE || kind == JSON_FALSE;
}

/* Whether it is an array of nothing but strings, or scalars. */
static int is_row_of(const struct json_value *array, int are_texts)
{
    struct json_items items;
    struct json_value item;
    int is_good = array->kind == JSON_ARRAY;
    json_items_init(&items, array);
    while (json_items_next(&items, &item))
        is_good &= are_texts ? item.kind == JSON_STRING : is_scalar(item.kind);
    return is_good;
}

/* What the value should be, in words; NULL where it is that. */
static const char *expected(const struct known_option *known, const struct json_value *v)
{
    switch (known ? known->kind : OPTION_ANY) {
    case OPTION_NUMBER:
        return v->kind == JSON_NUMBER ? NULL : "a number, without quotes";
    case OPTION_BOOLEAN:
        return v->kind == JSON_TRUE || v->kind == JSON_FALSE ? NULL : "true or false, without quotes";
    case OPTION_TEXTS:
        return is_row_of(v, 1) ? NULL : "a list of strings, such as [\"\\n\"]";
    case OPTION_ANY:
        break;
    }
    return is_scalar(v->kind) || is_row_of(v, 0) ? NULL : "a string, a number, true, false, or a list of these";
}

/* The value in one line: what may stand between the items of a list is left out. */
static char *copy_value(const struct json_value *v)
{
    char *copy = malloc(v->n + 1), *out = copy;
    const char *end = v->at + v->n;
    for (const char *at = v->at; copy && at < end;) {
        const char *next = *at == '"' ? json_string_end(at, end) : at + 1;
        int is_space = strchr(" \t\r\n", *at) != NULL;
        memcpy(out, at, is_space ? 0 : (size_t)(next - at));
        out += is_space ? 0 : next - at;
        at = next;
    }
    if (copy)
        *out = '\0';
    return copy;
}

/* 0, also where there are too many, which is told once; -ENOMEM. */
static int add(struct reader *r, const char *name, int is_renamed, const struct json_member *m)
{
    if (r->options_n == PRESET_OPTIONS_MAX) {
        if (!r->is_full)
            json_mistakes_tell(r->m, DIAG_ERROR, m->at, "preset \"%s\": more than %d options", r->preset, PRESET_OPTIONS_MAX);
        r->is_full = 1;
        return 0;
    }
    struct preset_option option = {strdup(name), copy_value(&m->value)};
    struct preset_option *more = realloc(r->options, (r->options_n + 1) * sizeof *more);
    if (more)
        r->options = more;
    if (!more || !option.name || !option.value) {
        free(option.name);
        free(option.value);
        return -ENOMEM;
    }
    r->lines[r->options_n] = json_mistakes_line(r->m, m->at);
    r->is_renamed[r->options_n] = is_renamed;
    r->options[r->options_n++] = option;
    return 0;
}

/* Tells that the option is there already, by whatever name. */
static int is_told_twice(struct reader *r, const char *written, const char *name, const char *at)
{
    for (size_t i = 0; i < r->options_n; i++) {
        if (strcmp(r->options[i].name, name) != 0)
            continue;
        const char *other = r->is_renamed[i] ? "batch_size" : name;
        if (strcmp(other, written) == 0)
            json_mistakes_tell(r->m, DIAG_ERROR, at, "preset \"%s\": the option %s stands twice, first in line %d", r->preset, written, r->lines[i]);
        else
            json_mistakes_tell(r->m, DIAG_ERROR, at, "preset \"%s\": %s is the %s of line %d under another name: leave one of them out", r->preset,
                               written, other, r->lines[i]);
        return 1;
    }
    return 0;
}

/* 0, also after a mistake; -ENOMEM. */
static int take(struct reader *r, const struct json_member *m)
{
    char name[NAME_BYTES];
    ssize_t name_n = json_decode(m->name, name, sizeof name);
    if (name_n == -EINVAL)
        return 0; /* its escape was told */
    if (name_n < 0 || strlen(name) != (size_t)name_n || !is_name(name)) {
        json_mistakes_tell(r->m, DIAG_ERROR, m->at, "preset \"%s\": this is no option's name: letters, digits and _ (%d at the most)", r->preset,
                           NAME_BYTES - 1);
        return 0;
    }
    const struct known_option *known = find_known(name);
    if (!known)
        warn_of_name(r, m->at, name);
    int is_renamed = strcmp(name, "batch_size") == 0;
    const char *ollamas = is_renamed ? "num_batch" : name;
    int error = is_told_twice(r, name, ollamas, m->at) ? 0 : add(r, ollamas, is_renamed, m);
    const char *wanted = expected(known, &m->value);
    if (wanted)
        json_mistakes_tell(r->m, DIAG_ERROR, m->value.at, "preset \"%s\": the option %s must be %s", r->preset, name, wanted);
    return error;
}

int preset_options_read(struct json_mistakes *m, const char *preset, const struct json_value *object, struct preset_option **options,
                        size_t *options_n)
{
    struct reader r = {.m = m, .preset = preset};
    struct json_walk w = {object->at + 1, object->at + object->n};
    struct json_member member = {.is_last = 0};
    int error = 0, got = object->kind == JSON_OBJECT;
    if (!got)
        json_mistakes_tell(m, DIAG_ERROR, object->at, "preset \"%s\": options must be an object, such as {\"num_ctx\": 2048}", preset);
    for (int is_first = 1; got == 1 && !member.is_last && !error; is_first = 0) {
        got = json_member(&w, is_first, &member);
        if (got == 1)
            error = take(&r, &member);
    }
    *options = r.options;
    *options_n = r.options_n;
    return error;
}

int preset_option_check(const char *name, const struct json_value *value, const char **nearest, char *why)
{
    const struct known_option *known = find_known(name);
    const char *wanted = is_name(name) ? expected(known, value) : NULL;
    *nearest = known ? NULL : find_nearest(name);
    if (!is_name(name))
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no option's name: letters, digits and _", name);
    else if (wanted)
        snprintf(why, PARSE_WHY_BYTES, "the option %.60s must be %s", name, wanted);
    return !is_name(name) || wanted ? -EINVAL : 0;
}

void preset_options_fini(struct preset_option *options, size_t options_n)
{
    for (size_t i = 0; i < options_n; i++) {
        free(options[i].name);
        free(options[i].value);
    }
    free(options);
}
