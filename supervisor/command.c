/* See command.h. A refusal says what was wrong and what there is. */
#include "supervisor/command.h"

#include "supervisor/reload.h"
#include "supervisor/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int refuse(struct buf *reply, const char *format, ...) PRINTF_LIKE(2, 3);
static int refuse(struct buf *reply, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int error = buf_text(reply, "{\"ok\":false,\"error\":");
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
    return *name ? refuse(reply, "there is no program \"%.64s\"; there are %s", name, names)
                 : refuse(reply, "which program? there are %s", names);
}

static int act(struct supervisor *s, const char *name, enum program_event event, struct buf *reply)
{
    struct child *c = state_child(s, name);
    if (!c)
        return refuse_name(s, name, reply);
    if (s->is_stopping)
        return refuse(reply, "everything is being stopped");
    if (c->is_retired)
        return refuse(reply, "\"%.64s\" is gone from the configuration, and is being stopped", name);
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

/* The lines follow the answer: see control.h, CONTROL_TAIL. */
static int command_tail(struct supervisor *s, const char *argument, struct buf *reply)
{
    struct tail t;
    long lines_n;
    char why[TAIL_WHY_BYTES], name[CONTROL_LINE_BYTES];
    size_t name_n;
    if (tail_parse(&t, argument, &lines_n, why) < 0)
        return refuse(reply, "tail: %s", why);
    for (const char *at = t.names, *asked; (asked = tail_name(&at, &name_n));) {
        snprintf(name, sizeof name, "%.*s", (int)name_n, asked);
        const struct child *c = state_child(s, name);
        if (!c)
            return refuse_name(s, name, reply);
        if (c->launch.has_contract)
            return refuse(reply, "%s writes its own lines to the log of ollama-supervisor, and nothing else", name);
    }
    if (t.is_following && s->control.followers_n >= CONTROL_FOLLOWERS_MAX)
        return refuse(reply, "%d clients follow already; end one of them", (int)CONTROL_FOLLOWERS_MAX);
    int error = buf_text(reply, "{\"ok\":true}");
    return error ? error : CONTROL_TAIL;
}

static const struct {
    const char *verb;
    int (*answer)(struct supervisor *s, const char *argument, struct buf *reply);
} verbs[] = {
    {"status", command_status},   {"start", command_start}, {"stop", command_stop},
    {"restart", command_restart}, {"reload", command_reload}, {"dump", command_dump},
    {"tail", command_tail},
};

int command_answer(void *context, const char *line, struct buf *reply)
{
    size_t verb_n = strcspn(line, " ");
    const char *argument = line + verb_n + strspn(line + verb_n, " ");
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strlen(verbs[i].verb) == verb_n && memcmp(verbs[i].verb, line, verb_n) == 0)
            return verbs[i].answer(context, argument, reply);
    return refuse(reply, "unknown command \"%.64s\"; there are status, start, stop, restart, reload, dump, tail", line);
}
