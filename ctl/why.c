/*
 * See why.h. First what is wrong now, by the supervisor and by the proxy, then what was: the last trouble, and the last errors. What both tell in other words is
 * told once. A proxy that does not answer is wrong, too; where the supervisor does not, stderr says so.
 */
#include "ctl/why.h"

#include "common/human.h"
#include "common/wrong.h"
#include "ctl/ask.h"
#include "ctl/call.h"
#include "ctl/plain.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 640, ERRORS_MAX = 5, SLOW_MS = 10000, SLOW_MAX = 3 };

#define OLLAMA_STOPPED "ollama was told to stop" /* supervisor/reasons.c */

/* The reason in a text that begins with a program's name: `ollama has failed: R` and `ollama does not answer yet: R` tell the same; any other text as it is. */
static const char *reason_of(const char *what)
{
    static const char *const marks[] = {" has failed: ", " has ended: ", " is starting: ", " does not answer yet: ", " is being woken: "};
    const char *at = what + strcspn(what, " ");
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (strncmp(at, marks[i], strlen(marks[i])) == 0 && at[strlen(marks[i])])
            return at + strlen(marks[i]);
    return what;
}

/* Texts that are told may go on. */
static int is_told(const cJSON *list, const char *what)
{
    const char *reason = reason_of(what);
    size_t name_n = strcspn(what, " ");
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *other = ask_text(item, "what");
        if (strncmp(other, what, strlen(what)) == 0 || (reason != what && strncmp(other, what, name_n + 1) == 0 && strncmp(reason_of(other), reason, strlen(reason)) == 0))
            return 1;
    }
    return 0;
}

/* The hint with the program's name in the place of NAME, where the text begins with one. */
static void write_hint(char out[TEXT_BYTES], const char *hint, const char *what)
{
    size_t used_n = 0, name_n = strcspn(what, " ");
    for (const char *at; used_n < TEXT_BYTES && reason_of(what) != what && (at = strstr(hint, "NAME")); hint = at + 4)
        used_n += (size_t)snprintf(out + used_n, TEXT_BYTES - used_n, "%.*s%.*s", (int)(at - hint), hint, (int)name_n, what);
    if (used_n < TEXT_BYTES)
        snprintf(out + used_n, TEXT_BYTES - used_n, "%s", hint);
}

/* What is told already is left out: NULL. hint: NULL: by the words of what. */
static cJSON *add(cJSON *list, int is_now, const char *from, const char *what, const char *hint)
{
    char text[TEXT_BYTES];
    if (!*what || is_told(list, what))
        return NULL;
    cJSON *item = cJSON_CreateObject();
    hint = hint && *hint ? hint : wrong_hint(what);
    cJSON_AddBoolToObject(item, "now", is_now);
    cJSON_AddStringToObject(item, "from", from);
    cJSON_AddStringToObject(item, "what", what);
    if (hint && strcmp(from, "engine") != 0) { /* whose texts begin with a model's name */
        write_hint(text, hint, what);
        hint = text;
    }
    if (hint)
        cJSON_AddStringToObject(item, "do", hint);
    else
        cJSON_AddNullToObject(item, "do");
    cJSON_AddItemToArray(list, item);
    return item;
}

static void add_program(const cJSON *program, const char *key, cJSON *list)
{
    char text[TEXT_BYTES], wait[HUMAN_BYTES];
    int64_t wait_ms = ask_number(program, "next_start_ms");
    if (!wrong_program(text, sizeof text, ask_text(program, key), ask_text(program, "state"), ask_text(program, "reason")))
        return;
    human_time(wait, wait_ms);
    size_t n = strlen(text);
    if (wait_ms >= 0)
        snprintf(text + n, sizeof text - n, "; it starts again in %s", wait);
    add(list, 1, strcmp(key, "name") == 0 ? "program" : "engine", text, NULL);
}

/* Stopped by its owner, and not as it is idle: whoever needs it wakes it. */
static int is_ollama_stopped(const cJSON *status)
{
    const cJSON *item;
    if (strcmp(ask_text(cJSON_GetObjectItemCaseSensitive(status, "trouble"), "text"), OLLAMA_STOPPED) != 0 ||
        strcmp(ask_text(cJSON_GetObjectItemCaseSensitive(status, "sleep"), "state"), "awake") != 0)
        return 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, "programs"))
    {
        if (strcmp(ask_text(item, "name"), "ollama") == 0 && strcmp(ask_text(item, "state"), "down") == 0)
            return 1;
    }
    return 0;
}

void why_of_supervisor(const cJSON *status, cJSON *list)
{
    const cJSON *item, *trouble = cJSON_GetObjectItemCaseSensitive(status, "trouble");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, "programs"))
    {
        add_program(item, "name", list);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, "instances"))
    {
        add_program(item, "model", list);
    }
    int is_stopped = is_ollama_stopped(status);
    cJSON *told = add(list, is_stopped, "ollama", ask_text(trouble, "text"),
                      is_stopped ? "sidecarctl start ollama starts it, or the first request that needs it" : NULL);
    if (told)
        cJSON_AddNumberToObject(told, "ago_s", (double)ask_number(trouble, "ago_s"));
}

void why_of_health(const cJSON *health, cJSON *list)
{
    const cJSON *item, *models = cJSON_GetObjectItemCaseSensitive(health, "models");
    char text[TEXT_BYTES];
    int is_stopped = 0;
    cJSON_ArrayForEach(item, list)
    {
        is_stopped |= cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "now")) && strcmp(ask_text(item, "what"), OLLAMA_STOPPED) == 0;
    }
    if (!is_stopped) /* else that is why it does not answer */
        add(list, 1, "health", ask_text(health, "error"), NULL);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(models, "failed"))
    {
        wrong_model(text, sizeof text, ask_text(item, "name"), ask_text(item, "reason"));
        add(list, 1, "preload", text, NULL);
    }
}

void why_of_requests(const cJSON *requests, cJSON *list)
{
    static const struct {
        const char *phase, *words, *hint;
    } waits[] = {
        {"held", "waits for Ollama", "sidecarctl status and sidecarctl tail ollama tell what that does"},
        {"pulling", "waits for its model, which is being pulled", "sidecarctl models tells how far that is"},
        {"loading", "waits for its model, which is being loaded", "a smaller model; OLLAMA_KEEP_ALIVE=-1 keeps it loaded, [preload] load = last has it loaded at the start"},
        {"queued", "stands in line", "more slots (OLLAMA_NUM_PARALLEL), another backend, or a smaller model"},
        {"waiting", "has got no token yet", "its prompt is read: a shorter one, or a smaller num_ctx"},
    };
    const cJSON *item;
    char text[TEXT_BYTES], time[HUMAN_BYTES];
    int told_n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(requests, "live"))
    {
        int64_t for_ms = ask_number(item, "phase_ms");
        for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
            if (for_ms < SLOW_MS || told_n >= SLOW_MAX || strcmp(ask_text(item, "phase"), waits[i].phase) != 0)
                continue;
            human_time(time, for_ms);
            snprintf(text, sizeof text, "a request for %.200s %s, for %s so far", ask_text(item, "model"), waits[i].words, time);
            cJSON *told = add(list, 1, "request", text, waits[i].hint);
            if (told)
                cJSON_AddStringToObject(told, "id", ask_text(item, "id"));
            told_n++;
        }
    }
}

void why_of_errors(const cJSON *errors, cJSON *list)
{
    const cJSON *item;
    int told_n = 0;
    cJSON_ArrayForEach(item, errors)
    {
        cJSON *told = told_n < ERRORS_MAX ? add(list, 0, ask_text(item, "from"), ask_text(item, "what"), ask_text(item, "do")) : NULL;
        if (!told)
            continue;
        told_n++;
        cJSON_AddStringToObject(told, "at", ask_text(item, "at"));
        cJSON_AddStringToObject(told, "id", ask_text(item, "id"));
    }
}

static int write_item(const cJSON *item, int has_colours, struct buf *out)
{
    char ago[HUMAN_BYTES];
    const char *what = ask_text(item, "what"), *hint = ask_text(item, "do"), *at = ask_text(item, "at"), *id = ask_text(item, "id");
    int64_t ago_s = ask_number(item, "ago_s");
    human_duration(ago, ago_s);
    int error = ago_s >= 0 ? buf_printf(out, "%s ago: ", ago) : 0;
    error = error || !*at ? error : plain_text(out, at);
    error = error || !*at ? error : buf_text(out, ": ");
    error = error ? error : buf_text(out, has_colours ? "\033[31m" : "");
    error = error ? error : plain_text(out, what);
    error = error ? error : buf_text(out, has_colours ? PLAIN_COLOUR_END : "");
    error = error || !*id ? error : buf_text(out, " (request ");
    error = error || !*id ? error : plain_text(out, id);
    error = error || !*id ? error : buf_text(out, ")");
    error = error || !*hint ? error : buf_text(out, "\n  what to do: ");
    error = error || !*hint ? error : plain_text(out, hint);
    return error ? error : buf_text(out, "\n");
}

/* Those of now, or of before; *told_n counts them. */
static int write_items(const cJSON *list, int is_now, const char *head, int has_colours, struct buf *out, int *told_n)
{
    const cJSON *item;
    int error = 0;
    *told_n = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (error || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "now")) != is_now)
            continue;
        error = (*told_n)++ ? 0 : buf_text(out, head);
        error = error ? error : write_item(item, has_colours, out);
    }
    return error;
}

int why_describe(const cJSON *list, int has_colours, struct buf *out)
{
    int told_n;
    int error = write_items(list, 1, "", has_colours, out, &told_n);
    error = error ? error : write_items(list, 0, told_n ? "\nbefore that:\n" : "nothing is wrong now; what went wrong last:\n", has_colours, out, &told_n);
    return error || cJSON_GetArraySize(list) > 0 ? error : buf_text(out, "nothing is wrong that is known of; sidecarctl requests and sidecarctl tail tell what goes on\n");
}

/* The object of a path of the proxy's, of whatever status; NULL where there is none. The caller deletes it. That it does not answer is on the list. */
static int ask_proxy(const struct ctl *ctl, const char *path, cJSON *list, long *status, cJSON **object)
{
    const struct door_request request = {.method = "GET", .path = path, .is_quiet = 1};
    struct door_answer a;
    int code = door_ask(ctl, &request, &a);
    *status = a.status;
    *object = code == CTL_OK ? cJSON_ParseWithLength(buf_data(&a.body), buf_size(&a.body)) : NULL;
    if (*a.why)
        add(list, 1, "proxy", a.why, strstr(a.why, "has no answer") ? "sidecarctl restart proxy has a new one take over; where it hangs that comes by itself, after a minute" : NULL);
    door_answer_fini(&a);
    return *a.why ? CTL_OK : code;
}

static int collect(const struct ctl *ctl, cJSON *list)
{
    struct buf reply;
    long health_status, http_status = 0;
    cJSON *status, *told = NULL, *health;
    buf_init(&reply, ASK_REPLY_LIMIT_BYTES);
    if (ask_raw(ctl->socket_path, "status", &reply) == 0) {
        status = ask_parse(&reply);
        why_of_supervisor(status, list);
        cJSON_Delete(status);
    }
    buf_fini(&reply);
    int code = ask_proxy(ctl, "/health", list, &health_status, &health);
    if (code == CTL_OK && health_status)
        code = ask_proxy(ctl, "/sidecar/status", list, &http_status, &told);
    why_of_health(health, list);
    if (http_status == 401 || http_status == 403)
        add(list, 1, "proxy", call_error(told), "give sidecarctl a key with the right observe in SIDECAR_KEY");
    why_of_requests(cJSON_GetObjectItemCaseSensitive(told, "requests"), list);
    why_of_errors(cJSON_GetObjectItemCaseSensitive(told, "errors"), list);
    cJSON_Delete(health);
    cJSON_Delete(told);
    return code;
}

int why_run(const struct ctl *ctl)
{
    cJSON *list = cJSON_CreateArray();
    struct buf text;
    int code = collect(ctl, list);
    if (code == CTL_NOBODY)
        fputs("sidecarctl: where it has ended, the end of its log says why (journalctl -u ollama-sidecar, docker logs NAME); ollama-supervisor --check finds mistakes in "
              "supervisor.ini\n", stderr);
    if (code == CTL_OK) {
        char *json = ctl->is_json ? cJSON_PrintUnformatted(list) : NULL;
        buf_init(&text, 0);
        int error = !ctl->is_json ? why_describe(list, ctl->has_colours, &text) : json ? buf_printf(&text, "{\"reasons\":%s}\n", json) : -1;
        code = call_print(&text, error);
        cJSON_free(json);
    }
    cJSON_Delete(list);
    return code;
}
