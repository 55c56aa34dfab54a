/*
 * See phases.h. What a proxy says of times is believed within the bounds of what we know ourselves. The clock is read anew:
 * a turn of the loop that starts programs takes milliseconds.
 */
#include "supervisor/phases.h"

#include "common/log.h"
#include "supervisor/diary.h"

static void tell(struct supervisor *s, struct boot *boot)
{
    char text[BOOT_TEXT_BYTES];
    if (!boot || boot->is_told)
        return;
    boot->is_told = 1;
    diary_boot(s, boot);
    boots_text(boot, text);
    log_event(LOG_INFO, "booted", "cause=%s%s", boot->cause, text);
}

void phases_init(struct supervisor *s, int64_t began_ms)
{
    boots_init(&s->boots, began_ms > 0 ? began_ms : sys_monotonic_ms());
}

static const char *cause_of(const struct supervisor *s, const struct program *p)
{
    if (state_sleep(s) == CONTRACT_WAKING)
        return "wake";
    if (p->state == CONTRACT_STOPPING)
        return p->after == PROGRAM_AFTER_FAILURE ? "hung" : "restart";
    return p->state == CONTRACT_BACKOFF ? "crash" : "start";
}

void phases_follow(struct supervisor *s, const struct child *c)
{
    const struct program *p = &c->program;
    if (!state_is_ollama(c))
        return;
    int is_for_good = s->is_stopping || p->is_over || (p->state == CONTRACT_STOPPING && p->after == PROGRAM_AFTER_DOWN);
    if (boots_follow(&s->boots, p->state, cause_of(s, p), is_for_good, sys_monotonic_ms()))
        tell(s, boots_get(&s->boots, 1));
}

void phases_look(struct supervisor *s)
{
    struct boot *boot = boots_get(&s->boots, 0);
    uint32_t phase = atomic_load(&s->board.page->phase);
    const struct child *ollama = state_child(s, "ollama");
    int is_ours = s->conf->is_backend_ours && ollama->program.is_wanted;
    int64_t now_ms = sys_monotonic_ms();
    if (s->is_stopping || (is_ours && boot->after_ms[BOOT_API] == BOOT_NOT_YET))
        return;
    if (phase == CONTRACT_PHASE_NONE || phase == CONTRACT_PHASE_DONE)
        (void)!boots_note(&s->boots, BOOT_MODELS, now_ms);
    struct board_marks marks;
    board_marks(&s->board, boot->began_ms, now_ms, &marks);
    if (marks.loaded_at_ms > 0)
        (void)!boots_note(&s->boots, BOOT_LOAD, marks.loaded_at_ms);
    if (marks.first_token_at_ms > 0 && boots_note(&s->boots, BOOT_FIRST_TOKEN, marks.first_token_at_ms))
        tell(s, boot);
    int is_used = boot->after_ms[BOOT_LOAD] != BOOT_NOT_YET || boot->after_ms[BOOT_FIRST_TOKEN] != BOOT_NOT_YET;
    atomic_store(&s->board.page->used_pid, !is_used ? 0 : is_ours ? (int32_t)ollama->program.pid : -1);
}
