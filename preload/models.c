/*
 * The rows of the preload list. What others may know of them stands on the shared page (contract.h): the proxy's gate
 * lets a request go as soon as its model's row is READY or FAILED, so every row must come to one of these, whatever
 * happens to us. Told are changes only; progress at most four times a second, as each message wakes somebody.
 *
 * Invariant: the page shows a row's state before the supervisor is told of it. Where we run alone there is no page,
 * and all of this comes down to the array.
 */
#include "preload/models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct contract_page *page_of(const struct models *m)
{
    return m->contract->page;
}

static struct contract_model *row_of(const struct models *m, const struct model *model)
{
    size_t i = (size_t)(model - m->items);
    return page_of(m) && i < CONTRACT_MODELS ? &page_of(m)->models[i] : NULL;
}

static void touch(struct models *m, int64_t now_ms)
{
    if (m->contract->line)
        atomic_store(&m->contract->line->last_active_ms, now_ms);
}

static void set_phase(struct models *m, enum contract_phase phase)
{
    if (page_of(m))
        atomic_store(&page_of(m)->phase, (uint32_t)phase);
    m->is_untold = 1;
}

/* `m` is `m:latest` to Ollama, and so it is called here. NULL: no memory. */
static char *full_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    char *full = NULL;
    if (strchr(slash ? slash : name, ':'))
        return strdup(name);
    return asprintf(&full, "%s:latest", name) < 0 ? NULL : full;
}

/* Fills the array. 0 or -ENOMEM. */
static int copy_list(struct models *m, const struct list *list)
{
    m->items = calloc(list->items_n ? list->items_n : 1, sizeof *m->items);
    if (!m->items)
        return -ENOMEM;
    for (; m->items_n < list->items_n; m->items_n++) {
        struct model *model = &m->items[m->items_n];
        model->state = CONTRACT_MODEL_PENDING;
        model->name = full_name(list->items[m->items_n]);
        if (!model->name)
            return -ENOMEM;
    }
    return 0;
}

int models_init(struct models *m, const struct list *list, struct contract *contract, int64_t now_ms)
{
    *m = (struct models){.contract = contract};
    m->told_at_ms = now_ms - MODELS_TELL_MS;
    m->status_at_ms = now_ms - MODELS_STATUS_MS;
    if (copy_list(m, list) < 0) {
        models_fini(m);
        set_phase(m, CONTRACT_PHASE_DONE);
        models_tell(m, now_ms);
        return -ENOMEM;
    }
    for (size_t i = 0; i < m->items_n; i++) {
        struct contract_model *row = row_of(m, &m->items[i]);
        if (!row)
            continue;
        atomic_store(&row->completed_bytes, 0);
        atomic_store(&row->total_bytes, 0);
        contract_model_write(row, CONTRACT_MODEL_PENDING, m->items[i].name, "");
    }
    if (page_of(m)) {
        for (size_t i = m->items_n; i < CONTRACT_MODELS; i++) /* of a longer list before this one */
            contract_model_write(&page_of(m)->models[i], CONTRACT_MODEL_EMPTY, "", "");
        atomic_store(&page_of(m)->models_n, (uint32_t)m->items_n);
    }
    set_phase(m, CONTRACT_PHASE_LISTED);
    models_tell(m, now_ms);
    return 0;
}

void models_fini(struct models *m)
{
    for (size_t i = 0; i < m->items_n; i++) {
        free(m->items[i].name);
        free(m->items[i].reason);
    }
    free(m->items);
    m->items = NULL;
    m->items_n = 0;
}

struct model *models_next(struct models *m)
{
    for (size_t i = 0; i < m->items_n; i++)
        if (m->items[i].state == CONTRACT_MODEL_PENDING || m->items[i].state == CONTRACT_MODEL_PULLING)
            return &m->items[i];
    return NULL;
}

size_t models_count(const struct models *m, enum contract_model_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < m->items_n; i++)
        n += m->items[i].state == state;
    return n;
}

void models_set(struct models *m, struct model *model, enum contract_model_state state, const char *reason,
                int64_t now_ms)
{
    struct contract_model *row = row_of(m, model);
    model->state = state;
    free(model->reason);
    model->reason = *reason ? strdup(reason) : NULL;
    if (row)
        contract_model_write(row, state, model->name, reason);
    if (m->contract->line)
        atomic_store(&m->contract->line->in_flight_n, (uint32_t)models_count(m, CONTRACT_MODEL_PULLING));
    touch(m, now_ms);
    m->is_untold = 1;
    m->told_at_ms = now_ms - MODELS_TELL_MS; /* a change of state is told at once */
    m->status_at_ms = now_ms - MODELS_STATUS_MS;
    models_tell(m, now_ms);
}

static void status_progress(struct models *m, const struct model *model, uint64_t completed, uint64_t total,
                            int64_t now_ms)
{
    char text[CONTRACT_NAME_BYTES + 64];
    if (now_ms - m->status_at_ms < MODELS_STATUS_MS)
        return;
    m->status_at_ms = now_ms;
    if (total > 0)
        snprintf(text, sizeof text, "pulling %s, %d %%", model->name, (int)(100.0 * (double)completed / (double)total));
    else
        snprintf(text, sizeof text, "pulling %s", model->name);
    models_status(m, text);
}

void models_progress(struct models *m, struct model *model, uint64_t completed, uint64_t total, uint64_t grown,
                     int64_t now_ms)
{
    struct contract_model *row = row_of(m, model);
    if (row) {
        atomic_store(&row->completed_bytes, completed);
        atomic_store(&row->total_bytes, total);
    }
    if (grown > 0) {
        if (m->contract->line)
            atomic_fetch_add(&m->contract->line->progress_bytes, grown);
        touch(m, now_ms);
    }
    m->is_untold = 1;
    status_progress(m, model, completed, total, now_ms);
    models_tell(m, now_ms);
}

int models_stop(struct models *m, int64_t now_ms)
{
    const struct contract_page *page = page_of(m);
    int is_all_stopping = page && atomic_load(&page->is_stopping);
    char reason[CONTRACT_REASON_BYTES];
    if (page && atomic_load(&page->phase) != CONTRACT_PHASE_LISTED)
        return 1;
    failure_reason(reason, sizeof reason, FAILURE_STOPPED, "");
    for (struct model *model; !is_all_stopping && page && (model = models_next(m));) {
        model->failure = FAILURE_STOPPED;
        models_set(m, model, CONTRACT_MODEL_FAILED, reason, now_ms);
    }
    return 0;
}

void models_status(struct models *m, const char *text)
{
    char message[CONTRACT_NAME_BYTES + CONTRACT_REASON_BYTES];
    snprintf(message, sizeof message, "STATUS=%s", text);
    (void)contract_notify(m->contract, message); /* nobody may be listening, and it is only a word */
}

void models_end(struct models *m, int64_t now_ms)
{
    char text[80];
    snprintf(text, sizeof text, "%zu of %zu models are there", models_count(m, CONTRACT_MODEL_READY), m->items_n);
    if (m->contract->line)
        atomic_store(&m->contract->line->in_flight_n, 0);
    set_phase(m, CONTRACT_PHASE_DONE);
    m->told_at_ms = now_ms - MODELS_TELL_MS;
    models_tell(m, now_ms);
    models_status(m, text);
}

int64_t models_tell(struct models *m, int64_t now_ms)
{
    if (!m->is_untold || m->contract->channel_fd < 0)
        return -1;
    if (now_ms - m->told_at_ms < MODELS_TELL_MS)
        return m->told_at_ms + MODELS_TELL_MS;
    m->told_at_ms = now_ms;
    int error = contract_send(m->contract->channel_fd, CONTRACT_CHANGED, 0, NULL);
    m->is_untold = error == -EAGAIN; /* full: the one who reads it will look at the page anyway, but later */
    return m->is_untold ? now_ms + MODELS_TELL_MS : -1;
}
