/* See job.h. */
#include "preload/hub/job.h"

#include "preload/hub/cached.h"
#include "preload/hub/names.h"
#include "preload/hub/note.h"
#include "preload/hub/nvml.h"
#include "preload/hub/remove.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { EXIT_SYSTEM = 111 };

static const char *const kinds[] = {[JOB_LIST] = "list", [JOB_PULL] = "pull", [JOB_REMOVE] = "remove", [JOB_NOTE] = "note", [JOB_GPUS] = "gpus"};

/* A text, or what stands for none. */
static const char *text_of(const cJSON *json, const char *name, const char *otherwise)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!value || cJSON_IsNull(value))
        return otherwise;
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

static int read_kind(struct job *job, const cJSON *json, struct trouble *t)
{
    const char *word = text_of(json, "do", "");
    for (size_t i = 0; word && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(word, kinds[i]) == 0) {
            job->kind = (enum job_kind)i;
            return 0;
        }
    }
    return trouble_set(t, TROUBLE_BAD_NAME, "a hub's job is one JSON object, whose do is list, pull, remove, note or gpus");
}

static int read_names(struct job *job, const cJSON *json, struct trouble *t)
{
    char why[PARSE_WHY_BYTES];
    const char *model = text_of(json, "model", ""), *ref = text_of(json, "revision", "main");
    if (!model || parse_hub_name(model, why) < 0)
        return trouble_set(t, TROUBLE_BAD_NAME, "model: %s", model ? why : "it is no text");
    if (!ref || parse_hub_revision(ref, why) < 0)
        return trouble_set(t, TROUBLE_BAD_NAME, "revision: %s", ref ? why : "it is no text");
    snprintf(job->model, sizeof job->model, "%s", model);
    snprintf(job->ref, sizeof job->ref, "%s", ref);
    return 0;
}

static int read_note(struct job *job, const cJSON *json, struct trouble *t)
{
    const cJSON *load_ns = cJSON_GetObjectItemCaseSensitive(json, "load_duration_ns"), *quantized = cJSON_GetObjectItemCaseSensitive(json, "quantized");
    const char *backend = text_of(json, "backend", "");
    if (!backend || (load_ns && !cJSON_IsNumber(load_ns)) || (quantized && !cJSON_IsBool(quantized)))
        return trouble_set(t, TROUBLE_BAD_NAME, "a note has load_duration_ns, a number, backend, a text, and quantized, true or false");
    job->load_ns = load_ns && load_ns->valuedouble >= 0 && load_ns->valuedouble < 9e15 ? (int64_t)load_ns->valuedouble : -1;
    job->is_quantized = quantized ? cJSON_IsTrue(quantized) : -1;
    snprintf(job->backend, sizeof job->backend, "%s", backend);
    return 0;
}

int job_read(struct job *job, const char *json, struct trouble *t)
{
    cJSON *root = cJSON_Parse(json);
    *job = (struct job){.load_ns = -1, .is_quantized = -1};
    int error = read_kind(job, root, t);
    const char *quantize = text_of(root, "quantize", "auto");
    if (!error && job->kind != JOB_LIST && job->kind != JOB_GPUS)
        error = read_names(job, root, t);
    if (!error && (!quantize || pick_quantize_of(quantize, &job->quantize) < 0))
        error = trouble_set(t, TROUBLE_BAD_NAME, "quantize is one of auto, q4, fp32, fp16 and no, not '%.40s'", quantize ? quantize : "a value that is no text");
    if (!error && job->kind == JOB_NOTE)
        error = read_note(job, root, t);
    cJSON_Delete(root);
    return error;
}

static int write_note(struct hub *h, const struct job *job)
{
    struct place place;
    struct sys_entry entry;
    struct note note;
    if (place_init(&place, h->settings.cache, job->model, &h->trouble) < 0)
        return -1;
    if (sys_look(place.folder, &entry) < 0 || !entry.is_folder)
        return trouble_set(&h->trouble, TROUBLE_NOT_FOUND, "the model %s is not in the cache %s", job->model, place.cache);
    note_read(&note, &place);
    note.load_ns = job->load_ns >= 0 ? job->load_ns : note.load_ns;
    note.is_quantized = job->is_quantized >= 0 ? job->is_quantized : note.is_quantized;
    if (*job->backend)
        snprintf(note.backend, sizeof note.backend, "%s", job->backend);
    int error = note_write(&note, &place);
    if (error)
        return trouble_system(&h->trouble, error, "writing in", place.folder);
    say_status(&h->say, "success");
    return 0;
}

static int write_gpus(struct hub *h)
{
    struct gpu nvidia[GPUS_TOLD_MAX];
    struct buf line;
    buf_init(&line, 0);
    int error = buf_text(&line, "{\"done\":true,\"gpus\":");
    error = error ? error : gpus_write("", nvidia, nvml_read(nvidia, GPUS_TOLD_MAX), &line);
    error = error ? error : buf_text(&line, "}\n");
    if (!error)
        say_text(&h->say, buf_data(&line), buf_size(&line));
    buf_fini(&line);
    return error ? trouble_system(&h->trouble, error, "reading", "what drivers tell of GPUs") : 0;
}

/* The request's line; the end of the input ends it too. 0, or -1 with the trouble. */
static int take_request(struct buf *text, struct trouble *t)
{
    int64_t until_ms = sys_monotonic_ms() + JOB_REQUEST_MS;
    for (;;) {
        char bytes[4096];
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
        int64_t left_ms = until_ms - sys_monotonic_ms();
        if (left_ms <= 0 || sys_poll(&fd, 1, (int)left_ms) <= 0)
            return trouble_set(t, TROUBLE_BAD_NAME, "no request came on standard input: one JSON object and a newline are to come");
        ssize_t n = sys_read(STDIN_FILENO, bytes, sizeof bytes);
        if (n == -EAGAIN)
            continue;
        const char *end = n > 0 ? memchr(bytes, '\n', (size_t)n) : NULL;
        if (n > 0 && buf_append(text, bytes, end ? (size_t)(end - bytes) : (size_t)n) < 0)
            return trouble_set(t, TROUBLE_BAD_NAME, "the request is longer than %d bytes", JOB_REQUEST_BYTES);
        if (n <= 0 || end)
            return buf_append(text, "", 1) < 0 ? trouble_set(t, TROUBLE_BAD_NAME, "the request is longer than %d bytes", JOB_REQUEST_BYTES) : 0;
    }
}

static int do_job(struct hub *h, const struct job *job)
{
    switch (job->kind) {
    case JOB_LIST:
        return cached_list(h);
    case JOB_PULL:
        return pull_run(h, &(struct pull_request){.model = job->model, .ref = job->ref, .quantize = job->quantize});
    case JOB_REMOVE:
        return remove_run(h, job->model);
    case JOB_NOTE:
        return write_note(h, job);
    case JOB_GPUS:
        break;
    }
    return -1;
}

/* Reads, and does. 0, or -1 with the job's trouble. */
static int run(struct hub *h, const struct conf *conf)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct buf text;
    struct job job;
    buf_init(&text, JOB_REQUEST_BYTES);
    int error = take_request(&text, &h->trouble);
    error = error ? error : job_read(&job, buf_data(&text), &h->trouble);
    buf_fini(&text);
    if (!error && job.kind == JOB_GPUS) /* of the hub it needs nothing; and where a driver hangs a signal ends it */
        return write_gpus(h);
    error = error ? error : settings_init(&h->settings, conf, &h->trouble);
    if (error)
        return error;
    h->signal_fd = sys_signalfd(signals, sizeof signals / sizeof *signals);
    if (h->signal_fd < 0)
        return trouble_system(&h->trouble, h->signal_fd, "making", "a descriptor of signals");
    if (curl_global_init(CURL_GLOBAL_SSL) != CURLE_OK || fetcher_init(&h->fetcher, &h->settings) < 0)
        return trouble_system(&h->trouble, -ENOMEM, "starting", "libcurl");
    error = do_job(h, &job);
    fetcher_fini(&h->fetcher);
    curl_global_cleanup();
    return error;
}

int job_main(const struct conf *conf)
{
    struct hub h = {.signal_fd = -1, .now_ms = sys_monotonic_ms()};
    struct buf line;
    int error = 0;
    h.begun_ms = h.now_ms;
    say_init(&h.say, STDOUT_FILENO);
    if (run(&h, conf) < 0) {
        buf_init(&line, 0);
        error = trouble_write(&h.trouble, &line);
        if (!error)
            say_text(&h.say, buf_data(&line), buf_size(&line));
        buf_fini(&line);
    }
    sys_close(h.signal_fd);
    return error ? EXIT_SYSTEM : 0;
}
