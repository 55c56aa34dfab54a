/*
 * See first_load.h. It is a load like others, that somebody asks for who wants no answer. What is on disk is read anew for
 * each start of Ollama, as another proxy may have written it.
 */
#include "proxy/first_load.h"

#include "common/log.h"
#include "common/state_file.h"
#include "proxy/pin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_last(const struct first_load *f)
{
    return strcmp(f->conf->preload.load, "last") == 0;
}

static int is_wanted(const struct first_load *f)
{
    const char *load = f->conf->preload.load;
    return *load && strcmp(load, "none") != 0;
}

/* To those who wait it is told why; here, that nothing is loaded. That a load has failed is in the log already. */
static void on_end(void *context, const struct load_result *result)
{
    struct first_load *f = context;
    f->has_failed = result->end != LOAD_ENDED_WELL;
    if (result->end == LOAD_ENDED_FAILED || result->end == LOAD_ENDED_LOST)
        log_event(LOG_WARNING, "first_load_given_up", "load=\"%s\" hint=\"until a model has been loaded for somebody, none is before that\"", f->conf->preload.load);
    if (result->end == LOAD_ENDED_UNTOLD)
        log_event(LOG_WARNING, "first_load_refused", "load=\"%s\" model=%s hint=\"is it there? `ollama list` shows what is; [preload] models pulls it\"",
                  f->conf->preload.load, f->wanted.model);
}

void first_load_init(struct first_load *f, const struct conf *conf, struct gate *gate, struct loader *loader)
{
    *f = (struct first_load){.conf = conf, .gate = gate, .loader = loader};
    f->ticket = (struct load_ticket){.is_accepted = 1, .fn = on_end, .context = f};
}

void first_load_fini(struct first_load *f)
{
    if (f->loader)
        loads_leave(&f->loader->loads, &f->ticket);
}

static void read_last(struct first_load *f)
{
    char *text = NULL;
    size_t text_n = 0;
    const char *folder = f->conf->supervisor.state_dir;
    f->last = (struct last_load){.keep_alive_ms = ASK_KEEP_UNSAID};
    int error = state_file_read(folder, LAST_LOAD_FILE, LAST_LOAD_BYTES, &text, &text_n);
    if (!error)
        error = last_load_read(&f->last, text, text_n);
    if (error && error != -ENOENT)
        log_event(LOG_WARNING, "last_load_ignored", "path=\"%s/" LAST_LOAD_FILE "\" error=\"%s\" hint=\"the next load replaces it\"", folder,
                  error == -EINVAL ? "it has no load in it" : strerror(-error));
    free(text);
}

/* What is to be loaded with this Ollama. */
static void find_wanted(struct first_load *f, int32_t pid)
{
    if (f->wanted_pid == pid)
        return;
    f->wanted_pid = pid;
    if (is_last(f)) {
        read_last(f);
        f->wanted = f->last;
        return;
    }
    f->wanted = (struct last_load){.keep_alive_ms = ASK_KEEP_UNSAID};
    snprintf(f->wanted.model, sizeof f->wanted.model, "%s", f->conf->preload.load);
}

static void begin(struct first_load *f)
{
    struct load_ride ride;
    const char *model = f->wanted.model;
    f->ticket.wish = (struct load_wish){.options = f->wanted.options, .keep_alive_ms = f->wanted.keep_alive_ms};
    pin_wish(f->conf, f->gate->view.is_supervised, model, &f->ticket.wish);
    log_event(LOG_INFO, "first_load", "model=%s", model);
    (void)loader_look(f->loader, &f->ticket, model, 1, &ride);
}

void first_load_look(struct first_load *f, int32_t pid, int is_used)
{
    if (!is_wanted(f) || f->has_failed || pid == 0 || pid == f->done_pid || f->gate->view.is_stopping)
        return;
    if (is_used || f->loader->loads.loading_n > 0) {
        f->done_pid = pid;
        return;
    }
    if (f->gate->waiting_n > 0) /* whatever they wait for, they are first: it is looked again when they are let go */
        return;
    find_wanted(f, pid);
    if (f->wanted.model[0] && gate_is_waiting(gate_decide(&f->gate->view, 1, f->wanted.model)))
        return; /* it is being pulled */
    f->done_pid = pid;
    if (f->wanted.model[0])
        begin(f);
}

/* A keep_alive that was to give the memory back at once is none to begin with. */
static struct last_load of_load(const struct load *load)
{
    struct last_load l = {.options = load->options, .keep_alive_ms = load->wish.keep_alive_ms};
    memcpy(l.model, load->model, sizeof l.model);
    if (l.keep_alive_ms < LOADS_KEEP_LEAST_MS)
        l.keep_alive_ms = ASK_KEEP_UNSAID;
    return l;
}

static void write_last(struct first_load *f)
{
    struct buf text;
    const char *folder = f->conf->supervisor.state_dir;
    buf_init(&text, LAST_LOAD_BYTES);
    int error = last_load_write(&f->last, &text);
    error = error ? error : state_file_write(folder, LAST_LOAD_FILE, buf_data(&text), buf_size(&text));
    buf_fini(&text);
    if (error && !f->is_failure_told)
        log_event(LOG_WARNING, "last_load_failed", "path=\"%s/" LAST_LOAD_FILE "\" error=\"%s\" hint=\"[preload] load = last remembers nothing: let the proxy's user write there, or set state_dir\"",
                  folder, strerror(-error));
    f->is_failure_told = error != 0;
}

void first_load_note(struct first_load *f, const struct load *load)
{
    struct last_load l = of_load(load);
    f->has_failed = 0;
    if (!is_last(f) || last_load_equal(&l, &f->last) || !last_load_is_good(&l)) /* what could not be read is not written */
        return;
    f->last = l;
    write_last(f);
}
