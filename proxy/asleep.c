/* See asleep.h. */
#include "proxy/asleep.h"

#include "common/log.h"
#include "common/state_file.h"
#include "proxy/known_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void asleep_doubt(struct asleep *a)
{
    if (a->known && atomic_load_explicit(&a->page->sleep, memory_order_acquire) == CONTRACT_AWAKE)
        known_doubt_all(a->known);
}

/* Of one life of the supervisor, and of one way in which Ollama is started. */
static uint64_t token_of(const struct asleep *a)
{
    uint64_t token = a->page->token;
    return token ? token + atomic_load_explicit(&a->page->ollama_changes_n, memory_order_acquire) : 0;
}

static void follow_ollama(struct asleep *a)
{
    uint64_t of = token_of(a);
    if (of != a->of)
        known_doubt_all(a->known);
    a->of = of;
}

static void read_file(struct asleep *a)
{
    char *text = NULL;
    size_t text_n = 0;
    const char *folder = a->conf->supervisor.state_dir;
    a->of = token_of(a);
    int error = state_file_read(folder, KNOWN_FILE, KNOWN_FILE_BYTES, &text, &text_n);
    if (!error)
        error = known_file_read(a->known, a->of, text, text_n);
    if (error && error != -ENOENT)
        log_event(LOG_WARNING, "known_ignored", "path=\"%s/" KNOWN_FILE "\" error=\"%s\" hint=\"the next sleep replaces it\"", folder,
                  error == -EINVAL ? "it has no answers of Ollama's in it, or was changed" : strerror(-error));
    free(text);
    sys_trim_memory();
}

/* Where there is no memory every read wakes it. */
static void keep(struct asleep *a)
{
    a->known = malloc(sizeof *a->known);
    if (!a->known)
        return;
    known_init(a->known);
    known_ask_init(&a->ask, a->known, a->backend, a->tell);
    read_file(a);
    asleep_doubt(a);
}

void asleep_init(struct asleep *a, const struct conf *conf, const struct gate *gate, struct backend *backend, const struct tell *tell)
{
    *a = (struct asleep){.conf = conf, .page = gate->view.is_api_watched ? gate->page : NULL, .backend = backend, .tell = tell};
    if (conf->supervisor.idle_action == CONF_IDLE_STOP && a->page)
        keep(a);
}

void asleep_fini(struct asleep *a)
{
    if (!a->known)
        return;
    known_ask_fini(&a->ask);
    known_fini(a->known);
    free(a->known);
    a->known = NULL;
}

enum contract_sleep asleep_state(const struct asleep *a, const struct gate_view *view)
{
    if (!a->page || !view->is_api_watched || view->ollama == CONTRACT_FAILED)
        return CONTRACT_AWAKE;
    switch (atomic_load_explicit(&a->page->sleep, memory_order_acquire)) {
    case CONTRACT_ASLEEP:
        return CONTRACT_ASLEEP;
    case CONTRACT_WAKING:
        return view->ollama == CONTRACT_READY ? CONTRACT_AWAKE : CONTRACT_WAKING;
    default:
        return CONTRACT_AWAKE;
    }
}

const char *asleep_name(enum contract_sleep state)
{
    return state == CONTRACT_ASLEEP ? "asleep" : state == CONTRACT_WAKING ? "waking" : "awake";
}

void asleep_note(struct asleep *a, const struct known_key *key)
{
    if (a->known)
        known_note(a->known, key);
}

const struct known_entry *asleep_answer(struct asleep *a, const struct known_key *key)
{
    if (!a->known)
        return NULL;
    follow_ollama(a);
    return known_answer(a->known, key);
}

/* One that can't be written must not be read by the next proxy as what is known now. */
static void drop_file(const struct asleep *a)
{
    char path[STATE_FILE_PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/" KNOWN_FILE, a->conf->supervisor.state_dir) < (int)sizeof path)
        (void)!sys_unlink(path);
}

static void write_file(struct asleep *a)
{
    struct buf text;
    const char *folder = a->conf->supervisor.state_dir;
    buf_init(&text, KNOWN_FILE_BYTES);
    int error = known_file_write(a->known, a->of, &text);
    error = error ? error : state_file_write(folder, KNOWN_FILE, buf_data(&text), buf_size(&text));
    buf_fini(&text);
    if (error)
        drop_file(a);
    if (error && !a->is_failure_told)
        log_event(LOG_WARNING, "known_failed", "path=\"%s/" KNOWN_FILE "\" error=\"%s\" hint=\"what is known of a sleeping Ollama is lost with this proxy: let the proxy's user write there, or set state_dir\"",
                  folder, strerror(-error));
    a->is_failure_told = error != 0;
    a->known->is_changed = error != 0;
}

static void on_asked(void *context, int is_complete)
{
    struct asleep *a = context;
    if (a->known->is_changed)
        write_file(a);
    sys_trim_memory();
    a->fn(a->context, is_complete);
}

void asleep_prepare(struct asleep *a, int64_t limit_ms, known_ask_fn *fn, void *context)
{
    a->fn = fn;
    a->context = context;
    if (!a->known && a->page) /* a reload has changed idle_action */
        keep(a);
    if (a->known)
        follow_ollama(a);
    if (a->known)
        known_ask_start(&a->ask, limit_ms, on_asked, a);
    else
        fn(context, 1);
}
