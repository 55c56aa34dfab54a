/* See command.h. A refusal says what was wrong and what there is; its code, if it has one, is for programs (docs/contract.md). */
#include "supervisor/command.h"

#include "supervisor/reload.h"
#include "supervisor/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct buf *reply, const char *code, const char *format, ...) PRINTF_LIKE(3, 4);
static int refuse(struct buf *reply, const char *code, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int error = buf_text(reply, "{\"ok\":false");
    if (!error && code)
        error = buf_printf(reply, ",\"code\":\"%s\"", code);
    error = error ? error : buf_text(reply, ",\"error\":");
    error = error ? error : buf_json_string(reply, text, strlen(text));
    return error ? error : buf_text(reply, "}");
}

static int command_status(struct supervisor *s, const char *argument, struct buf *reply)
{
    (void)argument;
    return status_write(s, reply);
}

static int command_dump(struct supervisor *s, const char *argument, struct buf *reply)
{
    struct buf text;
    (void)argument;
    buf_init(&text, 0);
    int error = conf_dump(s->conf, &text);
    error = error ? error : buf_text(reply, "{\"ok\":true,\"text\":");
    error = error ? error : buf_json_string(reply, buf_data(&text), buf_size(&text));
    error = error ? error : buf_text(reply, "}");
    buf_fini(&text);
    return error;
}

/* The mistakes as a JSON array of lines. */
static int write_mistakes(const struct diag *d, struct buf *reply)
{
    const char *at = buf_data(&d->text), *end = at + buf_size(&d->text);
    int error = buf_text(reply, "[");
    for (int i = 0; at < end && !error; i++) {
        size_t n = (size_t)((const char *)memchr(at, '\n', (size_t)(end - at)) - at);
        error = i ? buf_text(reply, ",") : 0;
        error = error ? error : buf_json_string(reply, at, n);
        at += n + 1;
    }
    return error ? error : buf_text(reply, "]");
}

static int command_reload(struct supervisor *s, const char *argument, struct buf *reply)
{
    struct diag d;
    (void)argument;
    diag_init(&d);
    int failed = reload_configuration(s, &d);
    const char *why = failed == -EINVAL || failed == -EBUSY ? "the configuration has mistakes" : strerror(-failed);
    int error = failed ? buf_printf(reply, "{\"ok\":false,\"error\":\"%s; nothing has changed\"", why)
                       : buf_text(reply, "{\"ok\":true");
    error = error ? error : buf_text(reply, ",\"mistakes\":");
    error = error ? error : write_mistakes(&d, reply);
    error = error ? error : buf_text(reply, "}");
    diag_fini(&d);
    return error;
}

static int refuse_name(struct supervisor *s, const char *name, struct buf *reply)
{
    char names[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < s->children_n && n < sizeof names - 1; i++)
        if (!s->children[i].is_retired)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", s->children[i].program.conf->name);
    return *name ? refuse(reply, "unknown_program", "there is no program \"%.64s\"; there are %s", name, names)
                 : refuse(reply, NULL, "which program? there are %s", names);
}

static int act(struct supervisor *s, const char *name, enum program_event event, struct buf *reply)
{
    struct child *c = state_child(s, name);
    if (!c)
        return refuse_name(s, name, reply);
    if (s->is_stopping)
        return refuse(reply, NULL, "everything is being stopped");
    if (c->is_retired)
        return refuse(reply, NULL, "\"%.64s\" is gone from the configuration, and is being stopped", name);
    c->program.is_wanted = event != PROGRAM_STOP;
    if (event != PROGRAM_STOP && c->program.state == CONTRACT_DOWN)
        state_want(s, name); /* it starts when what it depends on is ready */
    else
        program_event(&c->program, event, loop_now_ms(&s->loop));
    return buf_printf(reply, "{\"ok\":true,\"program\":\"%s\",\"state\":\"%s\"}", name,
                      contract_state_name(c->program.state));
}

static int command_start(struct supervisor *s, const char *argument, struct buf *reply)
{
    return act(s, argument, PROGRAM_START, reply);
}

static int command_stop(struct supervisor *s, const char *argument, struct buf *reply)
{
    return act(s, argument, PROGRAM_STOP, reply);
}

static int command_restart(struct supervisor *s, const char *argument, struct buf *reply)
{
    return act(s, argument, PROGRAM_RESTART, reply);
}

/* A program, or an engine by ENGINE:ORG/NAME; NULL. */
static const struct child *find(struct supervisor *s, const char *name)
{
    const struct child *c = state_child(s, name);
    for (size_t i = 0; !c && i < CONTRACT_INSTANCES; i++) {
        const struct child *engine = state_engine_at(s, i);
        c = engine && strcmp(engine->program.conf->name, name) == 0 ? engine : NULL;
    }
    return c;
}

/* The lines follow the answer: see control.h, CONTROL_TAIL. */
static int command_tail(struct supervisor *s, const char *argument, struct buf *reply)
{
    struct tail t;
    long lines_n;
    char why[TAIL_WHY_BYTES], name[CONTROL_LINE_BYTES];
    size_t name_n;
    if (tail_parse(&t, argument, &lines_n, why) < 0)
        return refuse(reply, NULL, "tail: %s", why);
    for (const char *at = t.names, *asked; (asked = tail_name(&at, &name_n));) {
        snprintf(name, sizeof name, "%.*s", (int)name_n, asked);
        const struct child *c = find(s, name);
        if (!c)
            return refuse_name(s, name, reply);
        if (c->launch.has_contract)
            return refuse(reply, "no_lines", "%s writes its own lines to the log of ollama-supervisor, and nothing else", name);
    }
    if (t.is_following && s->control.followers_n >= CONTROL_FOLLOWERS_MAX)
        return refuse(reply, "busy", "%d clients follow already; end one of them", (int)CONTROL_FOLLOWERS_MAX);
    int error = buf_text(reply, "{\"ok\":true}");
    return error ? error : CONTROL_TAIL;
}

static const struct {
    const char *verb;
    int (*answer)(struct supervisor *s, const char *argument, struct buf *reply);
    int is_for_proxies;
} verbs[] = {
    {"status", command_status, 1},   {"start", command_start, 0}, {"stop", command_stop, 0},
    {"restart", command_restart, 0}, {"reload", command_reload, 0}, {"dump", command_dump, 0},
    {"tail", command_tail, 1},
};

int command_answer(void *context, enum control_who who, const char *line, struct buf *reply)
{
    size_t verb_n = strcspn(line, " ");
    const char *argument = line + verb_n + strspn(line + verb_n, " ");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strlen(verbs[i].verb) == verb_n && memcmp(verbs[i].verb, line, verb_n) == 0)
            return who == CONTROL_PROXY && !verbs[i].is_for_proxies ? refuse(reply, NULL, "a proxy may not say %s: status and tail", verbs[i].verb)
                                                                    : verbs[i].answer(context, argument, reply);
    return refuse(reply, NULL, "unknown command \"%.64s\"; there are status, start, stop, restart, reload, dump, tail", line);
}
