/*
 * [proxy] containers: a JSON array of backends. The members of an entry are the rows of [backend:NAME], with its name, and where url is
 * not given, host and port:
 *
 *     [{"name": "gpu1", "host": "10.0.0.7", "port": 11434, "weight": 4, "slots": 2, "models": ["llama3.2:1b"]},
 *      {"name": "gpu2", "url": "https://ollama.example.com/gpu2", "key": "…"}]
 *
 * Each becomes one of c->backends, an Ollama unless it says otherwise, and its rows are checked as those of a section are. A file that
 * people write: all of its mistakes are told, so that reading goes on behind each.
 */
#include "common/conf_internal.h"

#include "common/json_mistakes.h"
#include "common/json_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEMBER_NAME, MEMBER_HOST, MEMBER_PORT, MEMBER_URL /* the first row of [backend:NAME]; the others follow */, MEMBERS_MAX = 16, OLLAMA_PORT = 11434, LABEL_BYTES = CONF_NAME_N + 24 };

struct reader {
    struct json_mistakes m;
    struct conf *c;
    const struct conf_section *section;
    struct diag *d;
    const char *names[MEMBERS_MAX + 1]; /* of members, NULL-terminated */
    size_t names_n;
    int is_full; /* that there are too many was told */
};

/* One of them. */
struct entry {
    const char *at;
    char label[LABEL_BYTES]; /* for people: its number, and its name where it has one */
    struct json_member members[MEMBERS_MAX]; /* value.at NULL: it is not there */
    struct conf_head *head;  /* NULL: none could be made */
};

#define TELL(r, at, ...) json_mistakes_tell(&(r)->m, DIAG_ERROR, at, __VA_ARGS__)

static const struct json_value *value_of(const struct entry *e, size_t member)
{
    return &e->members[member].value;
}

/* A string's content. *out NULL: there is none, or none that is good, and that was told. 0 or -ENOMEM. */
static int take_string(struct reader *r, const struct entry *e, size_t member, char **out)
{
    const struct json_value *v = value_of(e, member);
    *out = NULL;
    if (!v->at)
        return 0;
    if (v->kind != JSON_STRING) {
        TELL(r, v->at, "%s: %s must be a string, and is %s", e->label, r->names[member], json_kind_name(v->kind));
        return 0;
    }
    char *text = conf_text(r->c, v->at, v->n); /* decoded, it does not become longer */
    if (!text)
        return -ENOMEM;
    ssize_t n = json_decode(json_read_text(v), text, v->n);
    if (n == 0 && member == MEMBER_URL)
        TELL(r, v->at, "%s: the url is empty: write http://HOST:PORT or https://HOST", e->label);
    else if (n >= 0 && strlen(text) == (size_t)n)
        *out = text;
    else if (n >= 0)
        TELL(r, v->at, "%s: %s has a NUL byte", e->label, r->names[member]);
    return 0;
}

static void take_member(struct reader *r, struct entry *e, const struct json_member *m)
{
    char name[64];
    size_t i = 0;
    if (json_decode(m->name, name, sizeof name) < 0)
        snprintf(name, sizeof name, "…");
    while (i < r->names_n && strcmp(name, r->names[i]) != 0)
        i++;
    if (i == r->names_n) {
        const char *nearest = diag_nearest(name, r->names);
        TELL(r, m->at, "%s: unknown member \"%s\"; %s%s%s", e->label, name,
             nearest ? "did you mean " : "there are name, host, port, url, api, key, key_file, weight, slots and models", nearest ? nearest : "", nearest ? "?" : "");
    } else if (value_of(e, i)->at) {
        TELL(r, m->at, "%s: %s stands twice, first in line %d", e->label, name, json_mistakes_line(&r->m, e->members[i].at));
    } else {
        e->members[i] = *m;
    }
}

static void take_members(struct reader *r, struct entry *e, const struct json_value *object)
{
    struct json_walk w = {object->at + 1, object->at + object->n};
    struct json_member m = {.is_last = 0};
    for (int is_first = 1; !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0)
        take_member(r, e, &m);
}

/* Where another one has this name: its section, or its entry; a line of which file is in *file. */
static int line_of(const struct reader *r, const struct conf_head *other, const char **file)
{
    const struct conf_origin *o = conf_origin(other, r->section, "url");
    *file = o->kind == CONF_FROM_CONTAINERS ? "" : " of the ini file";
    return o->kind == CONF_FROM_CONTAINERS ? o->line : other->line;
}

/* e->head, where its name is one, and new. 0 or -ENOMEM. */
static int make_head(struct reader *r, struct entry *e, size_t number)
{
    char *name = NULL;
    const char *at = value_of(e, MEMBER_NAME)->at, *file;
    int max, error = take_string(r, e, MEMBER_NAME, &name);
    if (!error && !at)
        TELL(r, e->at, "%s has no name: add \"name\": \"NAME\"", e->label);
    if (error || !name)
        return error;
    if (!conf_is_section_name(name)) {
        TELL(r, at, "%s: \"%.60s\" is no name: letters, digits, _ - and . (%d at the most)", e->label, name, CONF_NAME_N);
        return 0;
    }
    snprintf(e->label, sizeof e->label, "entry %zu, \"%s\"", number, name);
    const struct conf_head *other = conf_existing(r->c, r->section, name);
    if (other) {
        int line = line_of(r, other, &file);
        TELL(r, at, "%s: there is another backend of this name, in line %d%s", e->label, line, file);
    } else if (conf_is_full(r->c, r->section, &max)) {
        if (!r->is_full)
            TELL(r, e->at, "more than %d backends, those of the ini file included", max);
        r->is_full = 1;
    } else if (!(e->head = conf_instance(r->c, r->section, name))) {
        error = -ENOMEM;
    }
    for (size_t i = 0; e->head && i < r->section->params_n; i++) { /* what is not said is told where the entry stands */
        e->head->origins[i].kind = CONF_FROM_CONTAINERS;
        e->head->origins[i].line = json_mistakes_line(&r->m, e->at);
    }
    return error;
}

static int set_row(struct reader *r, struct entry *e, const struct conf_param *p, const char *at, const char *text)
{
    struct conf_origin origin = {.kind = CONF_FROM_CONTAINERS, .line = json_mistakes_line(&r->m, at)};
    int error = e->head ? conf_set(r->c, e->head, p, text, &origin, r->d) : 0;
    return error == -ENOMEM ? error : 0;
}

/* An array of strings as the list that an ini file would have. NULL: it is none, and that was told, or there is no memory. */
static int join(struct reader *r, const struct entry *e, size_t member, struct buf *out)
{
    struct json_items items;
    struct json_value item;
    int error = 0;
    json_items_init(&items, value_of(e, member));
    while (!error && json_items_next(&items, &item)) {
        char name[512];
        ssize_t n = item.kind == JSON_STRING ? json_decode(json_read_text(&item), name, sizeof name) : -EINVAL;
        if (n > 0 && strlen(name) == (size_t)n && !strchr(name, ','))
            error = buf_printf(out, "%s%s", buf_size(out) ? ", " : "", name);
        else
            TELL(r, item.at, "%s: each of %s is a string, such as \"llama3.2:1b\" or \"qwen3:*\"", e->label, r->names[member]);
    }
    return error ? error : buf_append(out, "", 1);
}

/* 0, also after a mistake; -ENOMEM. */
static int take_row(struct reader *r, struct entry *e, size_t member)
{
    const struct conf_param *p = &r->section->params[member - MEMBER_URL];
    const struct json_value *v = value_of(e, member);
    char *text = NULL, digits[64];
    struct buf list;
    if (!v->at)
        return 0;
    if (p->kind == CONF_LIST && v->kind == JSON_ARRAY) {
        buf_init(&list, 0);
        int error = join(r, e, member, &list);
        error = error ? error : set_row(r, e, p, v->at, buf_data(&list));
        buf_fini(&list);
        return error;
    }
    if (p->kind == CONF_LIST) {
        TELL(r, v->at, "%s: %s must be an array of strings, and is %s", e->label, r->names[member], json_kind_name(v->kind));
        return 0;
    }
    if (p->kind != CONF_INTEGER) {
        int error = take_string(r, e, member, &text);
        return error || !text ? error : set_row(r, e, p, v->at, text);
    }
    if (v->kind != JSON_NUMBER) {
        TELL(r, v->at, "%s: %s must be a number, and is %s", e->label, r->names[member], json_kind_name(v->kind));
        return 0;
    }
    snprintf(digits, sizeof digits, "%.*s", (int)(v->n < sizeof digits ? v->n : sizeof digits - 1), v->at);
    return set_row(r, e, p, v->at, digits);
}

/* 1 to 65535; 0 where it is none, and that was told. */
static int64_t port_of(struct reader *r, const struct entry *e)
{
    const struct json_value *v = value_of(e, MEMBER_PORT);
    int64_t port = v->kind == JSON_NUMBER ? (int64_t)json_read_count(v) : 0;
    if (!v->at)
        return OLLAMA_PORT;
    if (port >= 1 && port <= 65535)
        return port;
    TELL(r, v->at, "%s: port must be a number from 1 to 65535, without quotes", e->label);
    return 0;
}

/* The url that host and port make. 0 or -ENOMEM. */
static int take_place(struct reader *r, struct entry *e)
{
    const char *at = value_of(e, MEMBER_HOST)->at, *url_at = value_of(e, MEMBER_URL)->at;
    char *host, text[ADDRESS_TEXT_BYTES + 64], why[PARSE_WHY_BYTES];
    struct address address;
    int error = take_string(r, e, MEMBER_HOST, &host);
    if (!at && !url_at)
        TELL(r, e->at, "%s says nowhere where it is: add \"host\": \"HOST\", or \"url\": \"http://HOST:PORT\"", e->label);
    if (url_at && (at || value_of(e, MEMBER_PORT)->at))
        TELL(r, at ? at : value_of(e, MEMBER_PORT)->at, "%s: it has a url, too: write either that, or host and port", e->label);
    int64_t port = error || url_at ? 0 : port_of(r, e);
    if (error || !host || !port)
        return error;
    if (strstr(host, "://")) {
        TELL(r, at, "%s: the host is a URL: write it as \"url\"", e->label);
        return 0;
    }
    int is_bare_v6 = strchr(host, ':') != strrchr(host, ':') && *host != '[';
    snprintf(text, sizeof text, "http://%s%.250s%s:%d", is_bare_v6 ? "[" : "", host, is_bare_v6 ? "]" : "", (int)port);
    if (!*host || parse_address(text + strlen("http://"), &address, why) < 0) {
        TELL(r, at, "%s: host is a name or an address, without a port, which is a member of its own: \"port\": 11434", e->label);
        return 0;
    }
    return set_row(r, e, &r->section->params[0] /* url */, at, text);
}

/* 0, also after a mistake; -ENOMEM. */
static int take_entry(struct reader *r, size_t number, const struct json_value *v)
{
    struct entry e = {.at = v->at};
    snprintf(e.label, sizeof e.label, "entry %zu", number);
    if (v->kind != JSON_OBJECT) {
        TELL(r, v->at, "%s must be an object, such as {\"name\": \"gpu1\", \"host\": \"10.0.0.7\"}, and is %s", e.label, json_kind_name(v->kind));
        return 0;
    }
    take_members(r, &e, v);
    int error = make_head(r, &e, number);
    error = error ? error : set_row(r, &e, conf_find_param(r->section, "api"), v->at, "ollama");
    error = error ? error : take_place(r, &e);
    for (size_t i = MEMBER_URL; i < r->names_n && !error; i++)
        error = take_row(r, &e, i);
    return error;
}

static int take_entries(struct reader *r, const struct json_value *array)
{
    struct json_items items;
    struct json_value item;
    size_t items_n = 0;
    int error = 0;
    json_items_init(&items, array);
    while (!error && json_items_next(&items, &item))
        error = take_entry(r, ++items_n, &item);
    if (items_n == 0)
        TELL(r, array->at, "the array is empty: there is nobody to send a request to; without such backends leave [proxy] containers out");
    return error;
}

/* 0, also after mistakes; -ENOMEM. */
static int read_entries(struct reader *r)
{
    struct json_walk w = {r->m.text, r->m.end};
    struct json_value array;
    json_space(&w);
    if (w.at == w.end || *w.at != '[') {
        TELL(r, w.at, "%s: it is to be an array of backends: [{\"name\": \"gpu1\", \"host\": \"10.0.0.7\"}, …]", w.at == w.end ? "the file is empty" : "the file begins with something else");
        return 0;
    }
    if (json_value(&w, &array) < 0) {
        json_mistakes_stopped(&r->m, w.at);
        return 0;
    }
    json_space(&w);
    if (w.at < w.end)
        TELL(r, w.at, "something stands behind the closing bracket: leave it out");
    return take_entries(r, &array);
}

static int read_text(struct conf *c, struct diag *d)
{
    struct reader r = {.c = c, .d = d, .section = conf_find_section("backend"), .names = {"name", "host", "port"}, .names_n = MEMBER_URL};
    for (size_t i = 0; i < r.section->params_n; i++)
        r.names[r.names_n++] = conf_param_key(&r.section->params[i]);
    json_mistakes_init(&r.m, c->containers_text, c->containers_text_n, c->proxy.containers, d);
    return json_mistakes_look(&r.m) == 0 ? read_entries(&r) : 0;
}

int conf_read_containers(struct conf *c, struct diag *d)
{
    int error = 0;
    if (!*c->proxy.containers || strcmp(c->proxy.containers, "none") == 0 || c->reader == CONF_READER_ASKER)
        return 0;
    char *path = conf_path(c, c->proxy.containers);
    if (!path)
        return -ENOMEM;
    const struct conf_json_file file = {.path = path, .key = "containers", .most_bytes = CONF_CONTAINERS_BYTES};
    if (c->reader != CONF_READER_CHILD) /* else it was handed to us */
        error = conf_read_json_file(c, &file, &c->containers_text, &c->containers_text_n, d);
    if (!error && c->containers_text)
        error = conf_set_path(c, "containers", &c->proxy.containers, path);
    if (!error && c->containers_text)
        error = read_text(c, d);
    free(path);
    return error;
}

int conf_is_of_containers(const struct conf_backend *b)
{
    return conf_origin((const struct conf_head *)b, conf_find_section("backend"), "url")->kind == CONF_FROM_CONTAINERS;
}
