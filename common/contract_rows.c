/*
 * See contract.h. The page's rows and texts, each with one writer: the supervisor, or the preloader. Readers never wait for one, and
 * trust nothing.
 */
#include "common/contract.h"

#include <string.h>

static void copy_text(char *out, size_t out_n, const char *text)
{
    size_t n = text ? strnlen(text, out_n - 1) : 0;
    memcpy(out, text ? text : "", n);
    memset(out + n, 0, out_n - n);
}

/* A seqlock with one writer. A writer that died in the middle left an odd number: the next one starts from there. */
static uint32_t write_begin(_Atomic uint32_t *sequence)
{
    uint32_t odd = atomic_load(sequence) | 1;
    atomic_store(sequence, odd);
    atomic_thread_fence(memory_order_release);
    return odd;
}

static void write_end(_Atomic uint32_t *sequence, uint32_t odd)
{
    atomic_store(sequence, odd + 1);
}

void contract_model_write(struct contract_model *row, enum contract_model_state state, const char *name,
                          const char *reason)
{
    uint32_t odd = write_begin(&row->sequence);
    copy_text(row->name, sizeof row->name, name);
    copy_text(row->reason, sizeof row->reason, reason);
    atomic_store(&row->state, (uint32_t)state);
    write_end(&row->sequence, odd);
}

enum { READ_TRIES = 100 }; /* a writer that died in the middle must not hold a reader */

void contract_model_read(const struct contract_model *row, struct contract_model_view *view)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load(&row->sequence);
        uint32_t state = atomic_load(&row->state);
        view->state = state <= CONTRACT_MODEL_FAILED ? (enum contract_model_state)state : CONTRACT_MODEL_EMPTY;
        view->completed_bytes = atomic_load(&row->completed_bytes);
        view->total_bytes = atomic_load(&row->total_bytes);
        memcpy(view->name, row->name, sizeof view->name);
        memcpy(view->reason, row->reason, sizeof view->reason);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load(&row->sequence) == before)
            break;
    }
    view->name[sizeof view->name - 1] = '\0';
    view->reason[sizeof view->reason - 1] = '\0';
}

void contract_program_reason(struct contract_program *p, const char *reason)
{
    uint32_t odd = write_begin(&p->sequence);
    copy_text(p->reason, sizeof p->reason, reason);
    write_end(&p->sequence, odd);
}

void contract_program_read_reason(const struct contract_program *p, char reason[CONTRACT_REASON_BYTES])
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load(&p->sequence);
        memcpy(reason, p->reason, CONTRACT_REASON_BYTES);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load(&p->sequence) == before)
            break;
    }
    reason[CONTRACT_REASON_BYTES - 1] = '\0';
}

void contract_trouble_write(struct contract_trouble *t, const char *text, int64_t at_ms)
{
    uint32_t odd = write_begin(&t->sequence);
    copy_text(t->text, sizeof t->text, text);
    atomic_store(&t->at_ms, at_ms);
    write_end(&t->sequence, odd);
}

void contract_trouble_read(const struct contract_trouble *t, int64_t since_ms, char text[CONTRACT_REASON_BYTES])
{
    int64_t at_ms = 0;
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load(&t->sequence);
        at_ms = atomic_load(&t->at_ms);
        memcpy(text, t->text, CONTRACT_REASON_BYTES);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load(&t->sequence) == before)
            break;
    }
    text[at_ms <= 0 || at_ms < since_ms ? 0 : CONTRACT_REASON_BYTES - 1] = '\0';
}

void contract_instance_write(struct contract_instance *row, const struct contract_instance_view *view)
{
    uint32_t odd = write_begin(&row->sequence);
    atomic_store(&row->number, view->number);
    atomic_store(&row->port, view->port);
    atomic_store(&row->is_quantized, (uint32_t)view->is_quantized);
    atomic_store(&row->was_ready, (uint32_t)view->was_ready);
    atomic_store(&row->pid, view->pid);
    atomic_store(&row->started_at_ms, view->started_at_ms);
    atomic_store(&row->ready_at_ms, view->ready_at_ms);
    copy_text(row->model, sizeof row->model, view->model);
    copy_text(row->reason, sizeof row->reason, view->reason);
    copy_text(row->engine, sizeof row->engine, view->engine);
    atomic_store(&row->state, (uint32_t)view->state);
    write_end(&row->sequence, odd);
}

void contract_instance_read(const struct contract_instance *row, struct contract_instance_view *view)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load(&row->sequence), state = atomic_load(&row->state);
        view->state = state < CONTRACT_STATE_COUNT ? (enum contract_state)state : CONTRACT_DOWN;
        view->number = atomic_load(&row->number);
        view->port = (uint16_t)atomic_load(&row->port);
        view->is_quantized = atomic_load(&row->is_quantized) != 0;
        view->was_ready = atomic_load(&row->was_ready) != 0;
        view->pid = atomic_load(&row->pid);
        view->started_at_ms = atomic_load(&row->started_at_ms);
        view->ready_at_ms = atomic_load(&row->ready_at_ms);
        view->holds = atomic_load(&row->holds);
        memcpy(view->model, row->model, sizeof view->model);
        memcpy(view->reason, row->reason, sizeof view->reason);
        memcpy(view->engine, row->engine, sizeof view->engine);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load(&row->sequence) == before)
            break;
    }
    view->engine[sizeof view->engine - 1] = '\0';
    view->model[sizeof view->model - 1] = '\0';
    view->reason[sizeof view->reason - 1] = '\0';
}

void contract_instance_hold(struct contract_instance *row, size_t line, unsigned holds)
{
    unsigned shift = (unsigned)line * CONTRACT_HOLD_BITS;
    uint64_t set = (uint64_t)holds << shift, unset = ((uint64_t)15 << shift) & ~set;
    atomic_fetch_or(&row->holds, set);
    atomic_fetch_and(&row->holds, ~unset);
}

unsigned contract_holds_beside(uint64_t holds, size_t line)
{
    unsigned all = 0;
    for (size_t i = 0; i < CONTRACT_LINES; i++)
        all |= i == line ? 0 : (unsigned)(holds >> (i * CONTRACT_HOLD_BITS)) & 15;
    return all;
}

const struct contract_program *contract_find_program(const struct contract_page *page, const char *name)
{
    for (size_t i = 0; i < CONTRACT_PROGRAMS; i++)
        if (strncmp(page->programs[i].name, name, sizeof page->programs[i].name) == 0)
            return &page->programs[i];
    return NULL;
}
