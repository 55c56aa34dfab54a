/*
 * GET /health (or /ready) of the proxy (door.h), as one line. The verdict is the HTTP status alone; the body is only told, and it may be anything.
 */
#include "ctl/health.h"

#include "ctl/ask.h"
#include "ctl/door.h"
#include "ctl/plain.h"

#include <stdio.h>
#include <string.h>

static int write_clean(struct buf *out, const char *prefix, const char *text)
{
    int error = buf_text(out, prefix);
    return error ? error : plain_text(out, text);
}

/* `; waiting for a, b` */
static int write_texts(const cJSON *list, const char *head, struct buf *out)
{
    const cJSON *item;
    int error = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || error)
            continue;
        error = write_clean(out, head, item->valuestring);
        head = ", ";
    }
    return error;
}

/* `; pulling a 42 %, b` */
static int write_pulling(const cJSON *list, struct buf *out)
{
    const char *head = "; pulling ";
    const cJSON *item;
    int error = 0;
    cJSON_ArrayForEach(item, list)
    {
        double completed = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "completed"));
        double total = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "total"));
        const char *name = ask_text(item, "name");
        if (!*name || error)
            continue;
        error = write_clean(out, head, name);
        if (!error && completed >= 0 && total >= 1 && completed <= total)
            error = buf_printf(out, " %d %%", (int)(100 * completed / total));
        head = ", ";
    }
    return error;
}

/* `; failed: a (why), b` */
static int write_failed(const cJSON *list, struct buf *out)
{
    const char *head = "; failed: ";
    const cJSON *item;
    int error = 0;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = ask_text(item, "name"), *reason = ask_text(item, "reason");
        if (!*name || error)
            continue;
        error = write_clean(out, head, name);
        error = error || !*reason ? error : write_clean(out, " (", reason);
        error = error || !*reason ? error : buf_text(out, ")");
        head = ", ";
    }
    return error;
}

/* `; 3 in line`: requests that wait for a slot */
static int write_queued(const cJSON *requests, struct buf *out)
{
    double queued_n = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(requests, "queued"));
    return queued_n >= 1 && queued_n <= 1e9 ? buf_printf(out, "; %d in line", (int)queued_n) : 0;
}

static int write_object(long http_status, const cJSON *object, int has_colours, struct buf *out)
{
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(object, "models");
    const char *status = ask_text(object, "status"), *state = ask_text(object, "state");
    const char *error_text = ask_text(object, "error");
    const char *colour = has_colours ? plain_colour(status) : "";
    int error = buf_text(out, colour);
    error = error ? error : write_clean(out, "", *status ? status : http_status == 200 ? "ok" : "not ok");
    error = error || !*colour ? error : buf_text(out, PLAIN_COLOUR_END);
    error = error || !*state ? error : write_clean(out, ", ", state);
    error = error || *status ? error : buf_printf(out, " (HTTP %ld)", http_status);
    error = error ? error : write_texts(cJSON_GetObjectItemCaseSensitive(object, "waiting_for"), "; waiting for ", out);
    error = error ? error : write_queued(cJSON_GetObjectItemCaseSensitive(object, "requests"), out);
    error = error ? error : write_pulling(cJSON_GetObjectItemCaseSensitive(models, "pulling"), out);
    error = error ? error : write_failed(cJSON_GetObjectItemCaseSensitive(models, "failed"), out);
    error = error || !*error_text ? error : write_clean(out, "; ", error_text);
    return error ? error : buf_text(out, "\n");
}

int health_describe(long http_status, const char *body, size_t body_n, int has_colours, struct buf *out)
{
    cJSON *object = cJSON_ParseWithLength(body, body_n);
    int error;
    if (cJSON_IsObject(object)) {
        error = write_object(http_status, object, has_colours, out);
    } else {
        size_t shown_n = body_n < 200 ? body_n : 200;
        error = buf_printf(out, "%s (HTTP %ld%s", http_status == 200 ? "ok" : "not ok", http_status,
                           shown_n ? ": " : "");
        error = error ? error : plain_clean(out, body, shown_n, 0);
        error = error ? error : buf_text(out, ")\n");
    }
    cJSON_Delete(object);
    return error;
}

static int print_answer(const struct ctl *ctl, const struct door_answer *a)
{
    struct buf text;
    buf_init(&text, 0);
    int error = 0;
    if (ctl->is_json)
        error = buf_append(&text, buf_data(&a->body), buf_size(&a->body));
    else
        error = health_describe(a->status, buf_data(&a->body), buf_size(&a->body), ctl->has_colours, &text);
    if (!error && buf_size(&text) > 0) {
        fwrite(buf_data(&text), 1, buf_size(&text), stdout);
        if (buf_data(&text)[buf_size(&text) - 1] != '\n')
            putchar('\n');
    }
    buf_fini(&text);
    return a->status == 200 ? CTL_OK : CTL_REFUSED;
}

int health_run(const struct ctl *ctl)
{
    const struct door_request request = {.method = "GET", .path = ctl->is_ready_asked ? "/ready" : "/health"};
    struct door_answer a;
    int code = door_ask(ctl, &request, &a);
    if (code == CTL_OK)
        code = print_answer(ctl, &a);
    door_answer_fini(&a);
    return code;
}
