/* See board.h. What children wrote is bounded before it is used: a broken writer must not keep us awake in the future. */
#include "supervisor/board.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int board_init(struct board *b)
{
    void *at = NULL;
    *b = (struct board){.fd = sys_memfd("ollama-sidecar", sizeof(struct contract_page))};
    int error = b->fd < 0 ? b->fd : sys_map_shared(b->fd, sizeof(struct contract_page), &at);
    if (error < 0) {
        sys_close(b->fd);
        b->fd = -1;
        return error;
    }
    b->page = at;
    b->page->version = CONTRACT_VERSION;
    sys_random(&b->page->token, sizeof b->page->token);
    return 0;
}

void board_fini(struct board *b)
{
    sys_unmap(b->page, sizeof *b->page);
    sys_close(b->fd);
    *b = (struct board){.fd = -1};
}

enum { LINE_TAKEN = -1 }; /* in pid, until the writer puts its own there */

static void clear(struct contract_line *line, int32_t pid)
{
    atomic_store(&line->in_flight_n, 0);
    atomic_store(&line->last_active_ms, 0);
    atomic_store(&line->progress_bytes, 0);
    atomic_store(&line->held_n, 0);
    atomic_store(&line->asked_n, 0);
    atomic_store(&line->requests_n, 0);
    atomic_store(&line->loaded_at_ms, 0);
    atomic_store(&line->first_token_at_ms, 0);
    atomic_store(&line->pulls_n, 0);
    atomic_store(&line->pid, pid);
}

void board_forget_models(struct board *b)
{
    for (size_t i = 0; i < CONTRACT_MODELS; i++)
        contract_model_write(&b->page->models[i], CONTRACT_MODEL_EMPTY, "", "");
    atomic_store(&b->page->models_n, 0);
}

void board_tell_limit(struct board *b, int64_t bytes)
{
    atomic_store(&b->page->memory_limit_bytes, bytes > 0 ? (uint64_t)bytes : 0);
}

void board_name_program(struct board *b, size_t index, const char *name)
{
    struct contract_program *row = &b->page->programs[index];
    atomic_store(&row->state, CONTRACT_DOWN);
    atomic_store(&row->pid, 0);
    atomic_store(&row->restarts_n, 0);
    contract_program_reason(row, "");
    snprintf(row->name, sizeof row->name, "%s", name);
}

int board_take_line(struct board *b)
{
    for (int i = 0; i < CONTRACT_LINES; i++) {
        if (atomic_load(&b->page->lines[i].pid) == 0) {
            clear(&b->page->lines[i], LINE_TAKEN);
            return i;
        }
    }
    return -1;
}

static int64_t bounded(int64_t at_ms, int64_t now_ms)
{
    return at_ms > now_ms ? now_ms : at_ms;
}

void board_free_line(struct board *b, int line, int64_t now_ms)
{
    if (line < 0)
        return;
    int64_t at_ms = bounded(atomic_load(&b->page->lines[line].last_active_ms), now_ms);
    if (atomic_load(&b->page->lines[line].in_flight_n) > 0)
        at_ms = now_ms; /* it was at work when it died */
    if (at_ms > b->last_active_ms)
        b->last_active_ms = at_ms;
    b->progress_bytes += atomic_load(&b->page->lines[line].progress_bytes);
    clear(&b->page->lines[line], 0);
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++)
        contract_instance_hold(&b->page->instances[i], (size_t)line, 0);
}

void board_activity(const struct board *b, int64_t now_ms, struct board_activity *out)
{
    *out = (struct board_activity){.last_active_ms = b->last_active_ms};
    for (int i = 0; i < CONTRACT_LINES; i++) {
        const struct contract_line *line = &b->page->lines[i];
        out->in_flight_n += atomic_load(&line->in_flight_n);
        out->held_n += atomic_load(&line->held_n);
        out->asked_n += atomic_load(&line->asked_n);
        int64_t at_ms = bounded(atomic_load(&line->last_active_ms), now_ms);
        if (at_ms > out->last_active_ms)
            out->last_active_ms = at_ms;
    }
}

int board_is_pulling(const struct board *b)
{
    uint32_t phase = atomic_load(&b->page->phase), pulls_n = 0;
    for (int i = 0; i < CONTRACT_LINES; i++)
        pulls_n |= atomic_load(&b->page->lines[i].pulls_n);
    return (phase != CONTRACT_PHASE_NONE && phase != CONTRACT_PHASE_DONE) || pulls_n > 0;
}

/* *first_ms becomes at_ms where that is earlier (0: there is none yet) and within since_ms and now_ms. */
static void take_earlier(int64_t *first_ms, int64_t at_ms, int64_t since_ms, int64_t now_ms)
{
    if (at_ms > 0 && at_ms >= since_ms && at_ms <= now_ms && (*first_ms == 0 || at_ms < *first_ms))
        *first_ms = at_ms;
}

void board_marks(const struct board *b, int64_t since_ms, int64_t now_ms, struct board_marks *out)
{
    *out = (struct board_marks){0};
    for (int i = 0; i < CONTRACT_LINES; i++) {
        const struct contract_line *line = &b->page->lines[i];
        take_earlier(&out->loaded_at_ms, atomic_load(&line->loaded_at_ms), since_ms, now_ms);
        take_earlier(&out->first_token_at_ms, atomic_load(&line->first_token_at_ms), since_ms, now_ms);
    }
}

uint64_t board_progress(const struct board *b)
{
    uint64_t bytes = b->progress_bytes;
    for (int i = 0; i < CONTRACT_LINES; i++)
        bytes += atomic_load(&b->page->lines[i].progress_bytes);
    return bytes;
}
