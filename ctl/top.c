/*
 * See top.h. GET /sidecar/status of the proxy, each second, until it is interrupted. A terminal is written to as it is: from its first place on, each line up to
 * its end, and without breaking lines that are too long; so there is nothing to be put back when it ends.
 */
#include "ctl/top.h"

#include "common/human.h"
#include "ctl/ask.h"
#include "ctl/call.h"
#include "ctl/plain.h"
#include "ctl/requests.h"
#include "ctl/status.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEP_MS = 1000, CHART_COLUMNS = 48, PICTURES_MAX = 1000000 };

/* "sidecar 0.1.0, up 3h02m, ok, ready, at 2026-01-01T12:30:05Z" */
static int write_head(const cJSON *status, int has_colours, struct buf *out)
{
    const cJSON *health = cJSON_GetObjectItemCaseSensitive(status, "health");
    const char *state = ask_text(health, "status"), *colour = has_colours ? plain_colour(state) : "";
    char up[HUMAN_BYTES];
    human_duration(up, ask_number(status, "uptime_s"));
    int error = buf_text(out, "sidecar ");
    error = error ? error : plain_text(out, ask_text(status, "version"));
    error = error ? error : buf_printf(out, ", up %s, %s", up, colour);
    error = error ? error : plain_text(out, *state ? state : "-");
    error = error ? error : buf_printf(out, "%s, ", *colour ? PLAIN_COLOUR_END : "");
    error = error ? error : plain_text(out, ask_text(health, "state"));
    error = error ? error : buf_text(out, ", at ");
    error = error ? error : plain_text(out, ask_text(status, "at"));
    return error ? error : buf_text(out, "\n");
}

static double value_of(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 1e12 ? item->valuedouble : -1;
}

/* "tokens a second  ▁▂▅█  42.0 at most": the last values of a series; scale: what one of them is divided by. */
static int write_chart(const cJSON *series, const char *key, const char *words, double scale, struct buf *out)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(series, key);
    int n = cJSON_GetArraySize(values), first = n > CHART_COLUMNS ? n - CHART_COLUMNS : 0, at = 0;
    double most = 0;
    const cJSON *item;
    if (n == 0)
        return 0;
    cJSON_ArrayForEach(item, values)
    {
        most = at++ >= first && value_of(item) > most ? value_of(item) : most;
    }
    int error = buf_printf(out, "%-20s ", words);
    at = 0;
    cJSON_ArrayForEach(item, values)
    {
        double value = value_of(item);
        if (at++ >= first && !error)
            error = buf_text(out, value < 0 ? " " : blocks[most > 0 ? (size_t)(value / most * 7) : 0]);
    }
    return error ? error : buf_printf(out, " at most %.1f\n", most / scale);
}

static int write_charts(const cJSON *series, struct buf *out)
{
    int64_t step_s = ask_number(series, "step_s");
    int error = write_chart(series, "tokens", "tokens a second", step_s > 0 ? (double)step_s : 1, out);
    return error ? error : write_chart(series, "first_token_ms", "first token, s", 1000, out);
}

/* "loaded: a, b" and "pulling: c 42 %" are what models do; others need no place here. */
static int write_models(const cJSON *models, struct buf *out)
{
    const cJSON *item;
    const char *separator = "models: ";
    int error = 0;
    cJSON_ArrayForEach(item, models)
    {
        const char *state = ask_text(item, "state");
        if (error || !*state || strcmp(state, "on disk") == 0 || strcmp(state, "listed") == 0)
            continue;
        error = buf_text(out, separator);
        error = error ? error : plain_text(out, ask_text(item, "name"));
        error = error ? error : buf_text(out, " ");
        error = error ? error : plain_text(out, state);
        separator = ", ";
    }
    return error || *separator == 'm' ? error : buf_text(out, "\n");
}

int top_describe(const cJSON *status, int has_colours, struct buf *out)
{
    const cJSON *supervisor = cJSON_GetObjectItemCaseSensitive(status, "supervisor");
    int error = write_head(status, has_colours, out);
    error = error ? error : write_charts(cJSON_GetObjectItemCaseSensitive(status, "series"), out);
    error = error ? error : write_models(cJSON_GetObjectItemCaseSensitive(status, "models"), out);
    error = error ? error : buf_text(out, "\n");
    error = error ? error : requests_describe_live(cJSON_GetObjectItemCaseSensitive(status, "requests"), has_colours, out);
    if (error || !cJSON_IsObject(supervisor))
        return error;
    error = buf_text(out, "\n");
    return error ? error : status_describe(supervisor, has_colours, out);
}

int top_draw(const struct buf *picture, int rows_n, struct buf *out)
{
    const char *at = buf_data(picture), *end = at + buf_size(picture);
    int error = buf_text(out, "\033[H\033[?7l");
    for (int row = 0; at < end && !error && (rows_n <= 0 || row + 1 < rows_n); row++) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((line_end ? line_end : end) - at);
        error = buf_append(out, at, n);
        error = error ? error : buf_text(out, "\033[K\n");
        at += n + 1;
    }
    return error ? error : buf_text(out, "\033[?7h\033[J");
}

static int show(const struct ctl *ctl, const cJSON *status, int is_first)
{
    struct buf picture, drawn;
    int has_terminal = sys_isatty(STDOUT_FILENO);
    buf_init(&picture, 0);
    buf_init(&drawn, 0);
    int error = is_first ? 0 : buf_text(&picture, has_terminal ? "" : "\n");
    error = error ? error : top_describe(status, ctl->has_colours, &picture);
    if (has_terminal)
        error = error ? error : top_draw(&picture, sys_terminal_rows(STDOUT_FILENO), &drawn);
    int code = call_print(has_terminal ? &drawn : &picture, error);
    buf_fini(has_terminal ? &picture : &drawn);
    return fflush(stdout) == 0 ? code : CTL_NOBODY;
}

int top_run(const struct ctl *ctl)
{
    const struct door_request request = {.method = "GET", .path = "/sidecar/status"};
    int64_t pictures_n = 0, limit_n = 0;
    int code = call_number(ctl, "pictures", PICTURES_MAX, &limit_n);
    while (code == CTL_OK) {
        cJSON *status;
        code = call_ask(ctl, &request, 1, &status);
        if (code == CTL_OK && ctl->is_json)
            fflush(stdout);
        else if (code == CTL_OK)
            code = show(ctl, status, pictures_n == 0);
        cJSON_Delete(status);
        if (++pictures_n == limit_n || (code == CTL_OK && sys_poll(NULL, 0, STEP_MS) < 0))
            break;
    }
    return code;
}
