/* See serve_state.h. How long a load took, and by which engine, is noted beside the model, for whoever asks before it is loaded again. */
#include "proxy/serve/serve_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTE_MS = 60000 };

static void drop(struct serve_note *note)
{
    struct serve_note **at = &note->s->notes;
    while (*at != note)
        at = &(*at)->next;
    *at = note->next;
    hub_job_leave(&note->job);
    free(note);
}

static void on_line(void *context, const char *json, size_t json_n)
{
    (void)context;
    (void)json;
    (void)json_n;
}

static void on_end(void *context, const struct hub_job_error *error)
{
    struct serve_note *note = context;
    struct serve *s = note->s;
    if (error)
        log_event(LOG_WARNING, "hub_note_failed", "reason=\"%s\"", error->text);
    drop(note);
    serve_changed(s);
}

static int write_request(struct buf *out, const struct serve *s, const struct engines_model *model)
{
    const char *engine = s->engines.rules.names[model->engine];
    int error = buf_text(out, "{\"do\":\"note\",\"model\":");
    error = error ? error : buf_json_string(out, model->name, strlen(model->name));
    error = error ? error : buf_printf(out, ",\"load_duration_ns\":%lld,\"quantized\":%s,\"backend\":", (long long)model->load_ms * 1000000,
                                       model->is_quantized ? "true" : "false");
    error = error ? error : buf_json_string(out, engine, strlen(engine));
    return error ? error : buf_text(out, "}");
}

void serve_note_load(void *context, const struct engines_model *model)
{
    struct serve *s = context;
    struct serve_note *note = calloc(1, sizeof *note);
    struct buf request;
    if (!note)
        return; /* it is known as long as we are */
    buf_init(&request, HUB_JOB_REQUEST_BYTES);
    note->s = s;
    note->next = s->notes;
    s->notes = note;
    hub_job_init(&note->job, s->env->loop, on_line, on_end, note);
    int error = write_request(&request, s, model);
    error = error ? error : hub_job_start(&note->job, s->env->channel_fd, buf_data(&request), buf_size(&request), NOTE_MS);
    buf_fini(&request);
    if (!error)
        return;
    log_event(LOG_WARNING, "hub_note_failed", "reason=\"%s\"", strerror(-error));
    drop(note);
}

void serve_notes_free(struct serve *s)
{
    while (s->notes)
        drop(s->notes);
}
