/* See note.h. */
#include "preload/hub/note.h"

#include "common/state_file.h"
#include "preload/hub/names.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VERSION = 1 };

static void take_text(const cJSON *json, const char *name, char *out, size_t out_n)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    snprintf(out, out_n, "%s", text ? text : "");
}

static int64_t take_number(const cJSON *json, const char *name)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsNumber(number) && number->valuedouble >= 0 && number->valuedouble < 9e18 ? (int64_t)number->valuedouble : -1;
}

static int take_bool(const cJSON *json, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, name);
    return cJSON_IsBool(value) ? cJSON_IsTrue(value) : -1;
}

void note_read(struct note *note, const struct place *place)
{
    char *text = NULL;
    size_t text_n = 0;
    *note = (struct note){.load_ns = -1, .size_bytes = -1, .is_preferred_quantized = -1, .is_quantized = -1};
    if (state_file_read(place->folder, NOTE_FILE, NOTE_LIMIT_BYTES, &text, &text_n) < 0)
        return;
    cJSON *json = cJSON_Parse(text);
    take_text(json, "revision", note->revision, sizeof note->revision);
    take_text(json, "pulled_at", note->pulled_at, sizeof note->pulled_at);
    take_text(json, "description", note->description, sizeof note->description);
    take_text(json, "backend", note->backend, sizeof note->backend);
    note->load_ns = take_number(json, "load_duration_ns");
    note->size_bytes = take_number(json, "size_bytes");
    note->is_preferred_quantized = take_bool(json, "preferred_quantized");
    note->is_quantized = take_bool(json, "quantized");
    if (!names_is_revision(note->revision))
        note->revision[0] = '\0';
    cJSON_Delete(json);
    free(text);
}

/* Names and texts; "" is left out. */
static void add_text(cJSON *json, const char *name, const char *text)
{
    if (*text)
        cJSON_AddStringToObject(json, name, text);
}

static void add_bool(cJSON *json, const char *name, int value)
{
    if (value >= 0)
        cJSON_AddBoolToObject(json, name, value);
}

static void add_number(cJSON *json, const char *name, int64_t number)
{
    if (number >= 0)
        cJSON_AddNumberToObject(json, name, (double)number);
}

int note_write(const struct note *note, const struct place *place)
{
    char path[PLACE_BYTES];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "version", VERSION);
    cJSON_AddStringToObject(json, "model", place->model);
    add_text(json, "revision", note->revision);
    if (*note->revision && place_path(place, path, "snapshots/%s", note->revision) == 0)
        add_text(json, "local_path", path);
    add_number(json, "size_bytes", note->size_bytes);
    add_bool(json, "preferred_quantized", note->is_preferred_quantized);
    add_text(json, "description", note->description);
    add_text(json, "pulled_at", note->pulled_at);
    add_number(json, "load_duration_ns", note->load_ns);
    add_text(json, "backend", note->backend);
    add_bool(json, "quantized", note->is_quantized);
    char *text = cJSON_Print(json);
    int error = text ? state_file_write(place->folder, NOTE_FILE, text, strlen(text)) : -ENOMEM;
    cJSON_free(text);
    cJSON_Delete(json);
    return error;
}

void note_time(char out[32], int64_t realtime_ms)
{
    time_t seconds = (time_t)(realtime_ms / 1000);
    struct tm parts;
    if (!gmtime_r(&seconds, &parts) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        out[0] = '\0';
}
