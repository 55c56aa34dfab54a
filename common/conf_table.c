/*
 * The table of parameters as data, and the one way by which text becomes a value in a struct conf.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONF_IN_FORCE 0
#define CONF_PLANNED 1
#define BOUNDS_DURATION(low, high) .min = low, .max = high
#define WORDS_DURATION(low) ""
#define BOUNDS_SIZE(low, high) .min = low, .max = high
#define WORDS_SIZE(low) ""
#define BOUNDS_BYTES(low, high) .min = low, .max = high
#define WORDS_BYTES(low) ""
#define BOUNDS_INTEGER(low, high) .min = low, .max = high
#define WORDS_INTEGER(low) ""
#define BOUNDS_BOOL(low, high) .min = low, .max = high
#define WORDS_BOOL(low) ""
#define BOUNDS_TEXT(low, high) .min = low, .max = high
#define WORDS_TEXT(low) ""
#define BOUNDS_LIST(low, high) .min = low, .max = high
#define WORDS_LIST(low) ""
#define BOUNDS_COMMAND(low, high) .min = low, .max = high
#define WORDS_COMMAND(low) ""
#define BOUNDS_SIGNAL(low, high) .min = low, .max = high
#define WORDS_SIGNAL(low) ""
#define BOUNDS_WORD(words, high) .max = high
#define WORDS_WORD(words) words
#define FIELD_DURATION(key) key##_ms
#define FIELD_SIZE(key) key##_bytes
#define FIELD_BYTES(key) key
#define FIELD_INTEGER(key) key
#define FIELD_BOOL(key) key
#define FIELD_TEXT(key) key
#define FIELD_LIST(key) key
#define FIELD_COMMAND(key) key
#define FIELD_SIGNAL(key) key
#define FIELD_WORD(key) key

/* The texts of all rows, one behind another: each row knows where its own begin. */
#define TEXTS(kind_, key_, def_, min_) #key_ "\0" def_ "\0" WORDS_##kind_(min_)
static const struct texts {
#define SECTION(section, named, help_)
#define PARAM(section_, kind_, key_, def_, min_, max_, state_, help_) char section_##_##key_[sizeof(TEXTS(kind_, key_, def_, min_))];
#define END_SECTION
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION
} texts = {
#define SECTION(section, named, help_)
#define PARAM(section_, kind_, key_, def_, min_, max_, state_, help_) TEXTS(kind_, key_, def_, min_),
#define END_SECTION
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION
};

enum section_index {
#define SECTION(section, named, help_) SECTION_##section,
#define PARAM(section_, kind_, key_, def_, min_, max_, state_, help_)
#define END_SECTION
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION
};

#define SECTION(section, named, help_) static const struct conf_param section##_params[] = {
#define PARAM(section_, kind_, key_, def_, min_, max_, state_, help_)                                                     \
    {.section = SECTION_##section_, .texts_at = offsetof(struct texts, section_##_##key_), .kind = CONF_##kind_,            \
     .offset = offsetof(struct conf_##section_, FIELD_##kind_(key_)), .is_planned = CONF_##state_, BOUNDS_##kind_(min_, max_)},
#define END_SECTION \
    }               \
    ;
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION

const struct conf_section conf_sections[] = {
#define SECTION(section, named, help_) \
    {#section, named, section##_params, sizeof section##_params / sizeof *section##_params},
#define PARAM(section_, kind_, key_, def_, min_, max_, state_, help_)
#define END_SECTION
#include "common/conf_params.def"
#undef SECTION
#undef PARAM
#undef END_SECTION
};
const size_t conf_sections_n = sizeof conf_sections / sizeof *conf_sections;

const struct conf_section *conf_find_section(const char *name)
{
    for (size_t i = 0; i < conf_sections_n; i++)
        if (strcmp(conf_sections[i].name, name) == 0)
            return &conf_sections[i];
    return NULL;
}

static const char *behind(const char *text)
{
    return text + strlen(text) + 1;
}

const struct conf_section *conf_param_section(const struct conf_param *p)
{
    return &conf_sections[p->section];
}

const char *conf_param_key(const struct conf_param *p)
{
    return (const char *)&texts + p->texts_at;
}

const char *conf_param_default(const struct conf_param *p)
{
    return behind(conf_param_key(p));
}

const char *conf_param_words(const struct conf_param *p)
{
    return behind(conf_param_default(p));
}

const struct conf_param *conf_find_param(const struct conf_section *s, const char *key)
{
    for (size_t i = 0; i < s->params_n; i++)
        if (strcmp(conf_param_key(&s->params[i]), key) == 0)
            return &s->params[i];
    return NULL;
}

size_t conf_program_at(const struct conf *c, const struct conf_program *p)
{
    size_t at = 0;
    while (at < c->programs_n && &c->programs[at] != p)
        at++;
    return at;
}

const struct conf_program *conf_program(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->programs_n; i++)
        if (strcmp(c->programs[i].name, name) == 0)
            return &c->programs[i];
    return NULL;
}

struct conf_origin *conf_origin(const struct conf_head *at, const struct conf_section *s, const char *key)
{
    const struct conf_param *p = conf_find_param(s, key);
    return p ? &at->origins[p - s->params] : NULL;
}

/* The sections with a name: where those of a kind are in struct conf, and how many there may be. */
static const struct named {
    const char *section;
    size_t first_at, count_at, bytes;
    int max;
} named_sections[] = {
    {"program", offsetof(struct conf, programs), offsetof(struct conf, programs_n), sizeof(struct conf_program), CONF_PROGRAMS_MAX},
    {"pin", offsetof(struct conf, pins), offsetof(struct conf, pins_n), sizeof(struct conf_pin), CONF_PINS_MAX},
    {"key", offsetof(struct conf, keys), offsetof(struct conf, keys_n), sizeof(struct conf_key), CONF_KEYS_MAX},
    {"backend", offsetof(struct conf, backends), offsetof(struct conf, backends_n), sizeof(struct conf_backend), CONF_BACKENDS_MAX},
    {"strategy", offsetof(struct conf, strategies), offsetof(struct conf, strategies_n), sizeof(struct conf_strategy), CONF_STRATEGIES_MAX},
#ifdef WITH_MODELS
    {"engine", offsetof(struct conf, engines), offsetof(struct conf, engines_n), sizeof(struct conf_engine), CONF_ENGINES_MAX},
#endif
};

static const struct named *named_of(const struct conf_section *s)
{
    const struct named *n = named_sections;
    while (strcmp(n->section, s->name) != 0) /* each has a row: a unit test makes one of each */
        n++;
    return n;
}

static size_t *count_of(const struct conf *c, const struct named *n)
{
    return (size_t *)(uintptr_t)((const char *)c + n->count_at);
}

static struct conf_head *item_of(const struct conf *c, const struct named *n, size_t i)
{
    return (struct conf_head *)(uintptr_t)((const char *)c + n->first_at + i * n->bytes);
}

/* Those without: where the one of each is. */
static const struct {
    const char *section;
    size_t at;
} single_sections[] = {
    {"supervisor", offsetof(struct conf, supervisor)}, {"preload", offsetof(struct conf, preload)},     {"proxy", offsetof(struct conf, proxy)},
    {"models", offsetof(struct conf, models)},         {"optimizer", offsetof(struct conf, optimizer)}, {"balancer", offsetof(struct conf, balancer)},
    {"redis", offsetof(struct conf, redis)},
};

struct conf_head *conf_existing(const struct conf *c, const struct conf_section *s, const char *name)
{
    for (size_t i = 0; i < sizeof single_sections / sizeof *single_sections; i++)
        if (strcmp(single_sections[i].section, s->name) == 0)
            return (struct conf_head *)(uintptr_t)((const char *)c + single_sections[i].at);
    const struct named *n = named_of(s);
    for (size_t i = 0; i < *count_of(c, n); i++)
        if (strcmp(item_of(c, n, i)->name, name) == 0)
            return item_of(c, n, i);
    return NULL;
}

const struct conf_head *conf_nth_instance(const struct conf *c, const struct conf_section *s, size_t nth)
{
    if (!s->is_named)
        return nth == 0 ? conf_existing(c, s, NULL) : NULL;
    const struct named *n = named_of(s);
    return nth < *count_of(c, n) ? item_of(c, n, nth) : NULL;
}

static int set_defaults(struct conf *c, struct conf_head *at, const struct conf_section *s)
{
    struct conf_origin origin = {.kind = CONF_FROM_DEFAULT};
    struct diag d;
    int error = 0;
    at->origins = calloc(s->params_n, sizeof *at->origins);
    if (!at->origins)
        return -ENOMEM;
    diag_init(&d); /* a default that its own row refuses is our mistake; a unit test sets them all */
    for (size_t i = 0; i < s->params_n && !error; i++)
        error = conf_set(c, at, &s->params[i], conf_param_default(&s->params[i]), &origin, &d);
    diag_fini(&d);
    return error;
}

int conf_is_full(const struct conf *c, const struct conf_section *s, int *max)
{
    const struct named *n = s->is_named ? named_of(s) : NULL;
    *max = n ? n->max : 0;
    return n && *count_of(c, n) == (size_t)n->max;
}

/* One more of a named section, of which it is not full. */
static struct conf_head *add_instance(struct conf *c, const struct conf_section *s)
{
    const struct named *n = named_of(s);
    size_t i = (*count_of(c, n))++;
    struct conf_head *at = item_of(c, n, i);
    memset(at, 0, n->bytes);
    if (strcmp(s->name, "program") == 0) {
        c->rights[i] = (struct conf_rights){0};
        c->program_env_files[i] = (struct conf_variables){0};
    }
    return at;
}

struct conf_head *conf_instance(struct conf *c, const struct conf_section *s, const char *name)
{
    struct conf_head *at = conf_existing(c, s, name);
    int max;
    if (!at && conf_is_full(c, s, &max))
        return NULL;
    if (!at)
        at = add_instance(c, s);
    if (!at->name && name && !(at->name = conf_text(c, name, strlen(name))))
        return NULL;
    return at->origins || set_defaults(c, at, s) == 0 ? at : NULL;
}

/* Parses into the field; lists are replaced only when the new text is good. */
static int set_value(struct conf *c, void *field, const struct conf_param *p, const char *text, char *why)
{
    struct list list = {0};
    int error = 0;
    switch ((enum conf_kind)p->kind) {
    case CONF_DURATION:
        return parse_duration_ms(text, p->min, p->max, field, why);
    case CONF_SIZE:
        return parse_size_bytes(text, p->min, p->max, field, why);
    case CONF_INTEGER:
        return parse_integer(text, p->min, p->max, field, why);
    case CONF_BOOL:
        return parse_bool(text, field, why);
    case CONF_WORD:
        return parse_word(text, conf_param_words(p), field, why);
    case CONF_SIGNAL:
        return parse_signal(text, field, why);
    case CONF_TEXT:
        *(char **)field = conf_text(c, text, strlen(text));
        return *(char **)field ? 0 : -ENOMEM;
    case CONF_LIST:
        error = parse_list(text, ",", &list);
        break;
    case CONF_COMMAND:
        error = parse_command(text, &list, why);
        break;
    }
    if (error) {
        list_fini(&list);
        return error;
    }
    list_fini(field);
    *(struct list *)field = list;
    return 0;
}

/* Where people find it: a file, or a variable. */
static const char *place_of(const struct conf *c, const struct conf_origin *o)
{
    if (o->kind == CONF_FROM_ENVIRONMENT)
        return o->variable;
    return o->kind == CONF_FROM_CONTAINERS ? c->proxy.containers : c->file ? c->file : "built-in";
}

int conf_set(struct conf *c, struct conf_head *at, const struct conf_param *p, const char *text,
             const struct conf_origin *origin, struct diag *d)
{
    const struct conf_section *s = conf_param_section(p);
    const char *where = place_of(c, origin);
    char why[PARSE_WHY_BYTES] = "";
    int error = set_value(c, (char *)at + p->offset, p, text, why);
    if (error == -EINVAL)
        diag_add(d, DIAG_ERROR, where, origin->line, "[%s%s%s] %s: %s", s->name, at->name ? ":" : "",
                 at->name ? at->name : "", conf_param_key(p), why);
    if (error)
        return error;
    struct conf_origin *o = &at->origins[p - s->params];
    *o = *origin;
    o->text = origin->kind == CONF_FROM_DEFAULT ? text : conf_text(c, text, strlen(text)); /* a default is the table's */
    if (p->is_planned && (origin->kind == CONF_FROM_FILE || origin->kind == CONF_FROM_ENVIRONMENT))
        diag_add(d, DIAG_WARNING, where, origin->line, "[%s] %s has no effect in this version", s->name, conf_param_key(p));
    return o->text ? 0 : -ENOMEM;
}

static void tell(const struct conf *c, const struct conf_head *at, const char *section, const char *key, struct diag *d,
                 enum diag_level level, const char *what)
{
    const struct conf_origin *o = conf_origin(at, conf_find_section(section), key);
    int has_line = o->kind == CONF_FROM_FILE || o->kind == CONF_FROM_ENVIRONMENT || o->kind == CONF_FROM_CONTAINERS;
    diag_add(d, level, place_of(c, o), has_line ? o->line : at->line, "[%s%s%s] %s: %s", section, at->name ? ":" : "", at->name ? at->name : "", key, what);
}

void conf_mistake(const struct conf *c, const struct conf_head *at, const char *section, const char *key, struct diag *d,
                  const char *what)
{
    tell(c, at, section, key, d, DIAG_ERROR, what);
}

void conf_warning(const struct conf *c, const struct conf_head *at, const char *section, const char *key, struct diag *d,
                  const char *what)
{
    tell(c, at, section, key, d, DIAG_WARNING, what);
}

int conf_set_built_in(struct conf *c, const char *section, const char *name, const char *key, const char *text, struct diag *d)
{
    const struct conf_section *s = conf_find_section(section);
    struct conf_head *at = conf_instance(c, s, name);
    struct conf_origin origin = {.kind = CONF_FROM_BUILT_IN};
    if (!at)
        return -ENOMEM;
    const struct conf_origin *before = conf_origin(at, s, key);
    if (before->kind == CONF_FROM_FILE)
        return 0;
    int error = conf_set(c, at, conf_find_param(s, key), text, &origin, d);
    return error == -ENOMEM ? error : 0;
}

int conf_set_built_ins(struct conf *c, const char *section, const char *const (*rows)[3], size_t rows_n, struct diag *d)
{
    int error = 0;
    for (size_t i = 0; i < rows_n && !error; i++)
        error = conf_set_built_in(c, section, rows[i][0], rows[i][1], rows[i][2], d);
    return error;
}

void conf_fini_instance(struct conf_head *at, const struct conf_section *s)
{
    for (size_t i = 0; i < s->params_n; i++)
        if (s->params[i].kind == CONF_LIST || s->params[i].kind == CONF_COMMAND)
            list_fini((struct list *)((char *)at + s->params[i].offset));
    free(at->origins);
    at->origins = NULL;
}
