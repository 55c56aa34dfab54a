/*
 * One question, and then lines until the other side has no more: the first says whether it is a refusal, each other one is a
 * line of a program, or says how many were lost. As the supervisor may stay silent for days, only the first one is waited
 * for with a limit.
 */
#include "ctl/tail.h"

#include "ctl/ask.h"
#include "ctl/change.h"
#include "ctl/plain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { READ_BYTES = 16 * 1024, LINE_LIMIT_BYTES = 1 << 20, QUESTION_BYTES = 510 };

int tail_question(const struct ctl *ctl, struct buf *out)
{
    int error = buf_printf(out, "tail%s%s%s", ctl->is_following ? " -f" : "", ctl->number ? " -n " : "", ctl->number ? ctl->number : "");
    if (ctl->number && (!*ctl->number || strspn(ctl->number, "0123456789") != strlen(ctl->number) || strlen(ctl->number) > 6)) {
        fputs("sidecarctl: -n takes a number of lines, at most 999999\n", stderr);
        return CTL_USAGE;
    }
    for (const char *const *name = ctl->names; name && *name && !error; name++) {
        if (!change_is_name(*name) || **name == '-') {
            fputs("sidecarctl: a program's name is one word\n", stderr);
            return CTL_USAGE;
        }
        error = buf_printf(out, " %s", *name);
    }
    if (error || buf_size(out) > QUESTION_BYTES) {
        fputs("sidecarctl: too many names at once\n", stderr);
        return CTL_USAGE;
    }
    return buf_append(out, "", 1) ? CTL_NOBODY : CTL_OK;
}

static const char *colour_of(const char *level)
{
    return strcmp(level, "error") == 0 ? "\033[31m" : strcmp(level, "warning") == 0 ? "\033[33m" : "";
}

int tail_describe(const cJSON *record, int has_colours, struct buf *out)
{
    const cJSON *dropped = cJSON_GetObjectItemCaseSensitive(record, "dropped");
    if (cJSON_IsNumber(dropped))
        return buf_printf(out, "%s(%.0f lines were lost: they came faster than they were read)%s\n", has_colours ? "\033[2m" : "",
                          dropped->valuedouble, has_colours ? PLAIN_COLOUR_END : "");
    const cJSON *line = cJSON_GetObjectItemCaseSensitive(record, "line");
    const char *name = ask_text(record, "name"), *colour = has_colours ? colour_of(ask_text(record, "level")) : "";
    if (!cJSON_IsString(line))
        return -EPROTO;
    int error = buf_text(out, has_colours ? "\033[36m" : "");
    error = error ? error : plain_text(out, name);
    error = error ? error : buf_printf(out, "%s | %s", has_colours ? PLAIN_COLOUR_END : "", colour);
    error = error ? error : plain_text(out, line->valuestring);
    return error ? error : buf_printf(out, "%s\n", *colour ? PLAIN_COLOUR_END : "");
}

/* One line of the answer, without its end. *is_first: nothing was said yet. Returns the exit code. */
static int take_line(const struct ctl *ctl, const char *text, size_t text_n, int *is_first)
{
    cJSON *object = cJSON_ParseWithLength(text, text_n);
    struct buf out;
    int code = CTL_OK;
    buf_init(&out, 0);
    if (!cJSON_IsObject(object)) {
        fprintf(stderr, "sidecarctl: what answers at %s is not ollama-supervisor\n", ctl->socket_path);
        code = CTL_NOBODY;
    } else if (*is_first) {
        code = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "ok")) ? CTL_OK : CTL_REFUSED;
        if (code != CTL_OK && ctl->is_json)
            printf("%.*s\n", (int)text_n, text);
        else if (code != CTL_OK)
            ask_print_refusal(object);
    } else if (ctl->is_json) {
        printf("%.*s\n", (int)text_n, text);
    } else if (tail_describe(object, ctl->has_colours, &out) == 0) {
        fwrite(buf_data(&out), 1, buf_size(&out), stdout);
    }
    *is_first = 0;
    buf_fini(&out);
    cJSON_Delete(object);
    return code;
}

/* All whole lines of the buffer. */
static int take_lines(const struct ctl *ctl, struct buf *input, int *is_first)
{
    const char *end;
    int code = CTL_OK;
    while (code == CTL_OK && (end = memchr(buf_data(input), '\n', buf_size(input)))) {
        size_t n = (size_t)(end - buf_data(input));
        code = n ? take_line(ctl, buf_data(input), n, is_first) : CTL_OK;
        buf_consume(input, n + 1);
    }
    if (fflush(stdout) != 0 && code == CTL_OK)
        code = CTL_NOBODY;
    return code;
}

/* 0 when there is something to read, or the end; -errno. */
static int wait_for_more(int fd, int limit_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = sys_poll(&p, 1, limit_ms);
    return n > 0 || n == -EINTR ? 0 : n == 0 ? -ETIMEDOUT : n;
}

static int follow(const struct ctl *ctl, int fd)
{
    struct buf input;
    char bytes[READ_BYTES];
    int code = CTL_OK, is_first = 1, error = 0;
    buf_init(&input, LINE_LIMIT_BYTES);
    while (code == CTL_OK && !error) {
        error = wait_for_more(fd, is_first || !ctl->is_following ? ASK_SILENCE_MS : -1);
        ssize_t n = error ? error : sys_recv(fd, bytes, sizeof bytes, 0);
        if (error || n == -EAGAIN)
            continue;
        if (n <= 0) { /* the supervisor has ended, or said all */
            error = is_first ? (n < 0 ? (int)n : -EPROTO) : 0;
            break;
        }
        error = buf_append(&input, bytes, (size_t)n);
        code = error ? code : take_lines(ctl, &input, &is_first);
    }
    buf_fini(&input);
    if (error)
        ask_explain(ctl->socket_path, error);
    return error ? CTL_NOBODY : code;
}

int tail_run(const struct ctl *ctl)
{
    struct buf question;
    int fd = -1;
    buf_init(&question, 0);
    int code = tail_question(ctl, &question);
    if (code == CTL_OK) {
        int error = ask_open(ctl->socket_path, buf_data(&question), &fd);
        if (error)
            ask_explain(ctl->socket_path, error);
        code = error ? CTL_NOBODY : follow(ctl, fd);
    }
    sys_close(fd);
    buf_fini(&question);
    return code;
}
