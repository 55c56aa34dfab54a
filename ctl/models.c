/*
 * See models.h. GET /sidecar/models, POST /sidecar/models/load and unload of the proxy. The reply is read leniently: what is
 * missing or of another type shows as "-".
 */
#include "ctl/models.h"

#include "common/human.h"
#include "common/pull_progress.h"
#include "ctl/ask.h"
#include "ctl/call.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <stdio.h>
#include <string.h>

enum { STATE_COLUMN = 1, CELL_BYTES = 512, LINE_COLUMNS = 120, NAME_COLUMNS = 48 };

static void add_bytes(struct table *t, const cJSON *model, const char *key)
{
    char cell[HUMAN_BYTES];
    human_bytes(cell, ask_number(model, key));
    table_add(t, cell);
}

/* What else there is to say: how far a pull is, why it failed, until when it stays. */
static void add_note(struct table *t, const cJSON *model)
{
    char cell[CELL_BYTES];
    const char *until = ask_text(model, "expires_at");
    int64_t completed = ask_number(model, "completed"), total = ask_number(model, "total");
    if (completed >= 0 && total > 0)
        snprintf(cell, sizeof cell, "%d %%", progress_percent_of((uint64_t)completed, (uint64_t)total));
    else if (*until && !*ask_text(model, "reason"))
        snprintf(cell, sizeof cell, "until %.19s", until);
    else
        snprintf(cell, sizeof cell, "%s", ask_text(model, "reason"));
    table_add(t, cell);
}

int models_describe(const cJSON *answer, int has_colours, struct buf *out)
{
    static const char *const heads[] = {"MODEL", "STATE", "SIZE", "IN MEMORY", "WHERE", "NOTE"};
    const cJSON *item;
    char free_room[HUMAN_BYTES];
    struct table t;
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(answer, "models");
    int64_t free_bytes = ask_number(answer, "free_bytes");
    table_init(&t, heads, sizeof heads / sizeof *heads);
    t.most[0] = NAME_COLUMNS;
    t.width_n = LINE_COLUMNS;
    cJSON_ArrayForEach(item, models)
    {
        table_add(&t, ask_text(item, "name"));
        table_add(&t, ask_text(item, "state"));
        add_bytes(&t, item, "size_bytes");
        add_bytes(&t, item, "memory_bytes");
        table_add(&t, ask_text(item, "where"));
        add_note(&t, item);
    }
    int error = cJSON_GetArraySize(models) > 0 ? table_write(&t, has_colours ? STATE_COLUMN : TABLE_NO_COLUMN, out)
                                               : buf_text(out, "no model is known of: sidecarctl pull MODEL brings one; while Ollama does not answer sidecarctl why tells the reason\n");
    table_fini(&t);
    human_bytes(free_room, free_bytes);
    return error || free_bytes < 0 ? error : buf_printf(out, "%s are free on the disk\n", free_room);
}

int models_run(const struct ctl *ctl)
{
    return call_show(ctl, "/sidecar/models", models_describe);
}

int models_body(const char *name, const char *more, struct buf *out)
{
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, name, strlen(name));
    error = error ? error : buf_printf(out, "%s}", more);
    return error ? error : buf_append(out, "", 1);
}

static int change(const struct ctl *ctl, const char *path, const char *done)
{
    struct buf body;
    char name[CELL_BYTES], took[HUMAN_BYTES];
    cJSON *answer = NULL;
    int code = CTL_NOBODY;
    buf_init(&body, 0);
    if (models_body(ctl->argument, "", &body) == 0) {
        const struct door_request request = {.method = "POST", .path = path, .body = buf_data(&body), .is_patient = 1};
        code = call_ask(ctl, &request, 1, &answer);
    }
    if (code == CTL_OK && !ctl->is_json) {
        int64_t load_ms = ask_number(answer, "load_ms");
        plain_clean_to(name, sizeof name, ctl->argument);
        human_time(took, load_ms);
        printf(load_ms > 0 ? "%s is %s, after %s\n" : "%s is %s\n", name, done, took);
    }
    buf_fini(&body);
    cJSON_Delete(answer);
    return code;
}

int models_load(const struct ctl *ctl)
{
    return change(ctl, "/sidecar/models/load", "loaded");
}

int models_unload(const struct ctl *ctl)
{
    return change(ctl, "/sidecar/models/unload", "unloaded");
}
