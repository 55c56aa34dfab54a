/* See diary.h. Awake time is the loop's, in which no gap counts; of a sleep slept.h tells which clock knows. */
#include "supervisor/diary.h"

#include "common/log.h"
#include "common/state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *folder_of(const struct supervisor *s)
{
    return s->conf->supervisor.state_dir;
}

static void tell_failure(struct supervisor *s, int error)
{
    if (error && !s->keeper.has_failed)
        log_event(LOG_WARNING, "diary_failed", "path=\"%s/" DIARY_FILE "\" error=\"%s\" hint=\"how long we sleep is forgotten with us: set [supervisor] state_dir to a folder that can be written\"",
                  folder_of(s), strerror(-error));
    s->keeper.has_failed = error != 0;
}

static void keep(struct supervisor *s)
{
    char text[SLEPT_BYTES];
    struct slept sum;
    if (s->conf->supervisor.idle_timeout_ms == 0)
        return;
    diary_sum(s, &sum);
    int error = keeper_write(&s->keeper, folder_of(s), DIARY_FILE, text, slept_write(&sum, text));
    if (error && error != -EBUSY)
        tell_failure(s, error);
}

static void mark(struct supervisor *s)
{
    s->diary_mark_ms = loop_now_ms(&s->loop);
    s->diary_boottime_ms = sys_boottime_ms();
}

void diary_init(struct supervisor *s)
{
    char *text = NULL;
    size_t text_n = 0;
    mark(s);
    int error = state_file_read(folder_of(s), DIARY_FILE, SLEPT_BYTES, &text, &text_n);
    if (!error)
        error = slept_read(&s->slept, text, text_n);
    free(text);
    if (error && error != -ENOENT && error != -ENOTDIR)
        log_event(LOG_WARNING, "diary_ignored", "path=\"%s/" DIARY_FILE "\" error=\"%s\" hint=\"it is begun anew\"", folder_of(s),
                  error == -EINVAL ? "it is not what we wrote" : strerror(-error));
    int was_asleep = s->slept.how == SLEPT_EXIT || s->slept.how == SLEPT_SUSPEND;
    if (was_asleep)
        slept_end(&s->slept, slept_duration_ms(SLEPT_EXIT, 0, sys_realtime_ms() - s->slept.since_realtime_ms),
                  s->conf->supervisor.idle_timeout_ms);
    s->slept.how = SLEPT_AWAKE; /* of another sleep nobody has told the end: somebody killed us */
    if (was_asleep)
        keep(s); /* its end is not to be counted twice */
}

static int is_cold(const struct boot *boot)
{
    return strcmp(boot->cause, "start") == 0 || strcmp(boot->cause, "wake") == 0;
}

static int add_boot(struct supervisor *s, struct boot *boot)
{
    if (!boot || boot->is_kept || !is_cold(boot))
        return 0;
    boot->is_kept = 1;
    slept_add_boot(&s->slept, boot);
    return 1;
}

/* Where nobody has asked for a token before it sleeps, its boot is over all the same. */
void diary_sleep_begins(struct supervisor *s, enum slept_how how)
{
    if (s->slept.how != SLEPT_AWAKE)
        return;
    slept_begin(&s->slept, how, loop_now_ms(&s->loop) - s->diary_mark_ms, sys_realtime_ms());
    mark(s);
    add_boot(s, boots_get(&s->boots, 0));
    keep(s);
}

void diary_sleep_ends(struct supervisor *s)
{
    if (s->slept.how == SLEPT_AWAKE)
        return;
    slept_end(&s->slept, slept_duration_ms(s->slept.how, sys_boottime_ms() - s->diary_boottime_ms, sys_realtime_ms() - s->slept.since_realtime_ms),
              s->conf->supervisor.idle_timeout_ms);
    mark(s);
    keep(s);
}

void diary_sleep_failed(struct supervisor *s)
{
    if (s->slept.how == SLEPT_AWAKE)
        return;
    s->slept.how = SLEPT_AWAKE; /* the time since the mark is awake time again */
    keep(s);
}

void diary_boot(struct supervisor *s, struct boot *boot)
{
    if (add_boot(s, boot))
        keep(s);
}

/* Once for each boot, and not for one that a crash, a hang or a restart has begun. */
void diary_follow(struct supervisor *s, const struct child *c)
{
    const struct boot *boot = boots_get(&s->boots, 0);
    if (!state_is_ollama(c) || c->program.state != CONTRACT_READY || s->diary_boot_n == s->boots.begun_n)
        return;
    s->diary_boot_n = s->boots.begun_n;
    if (!is_cold(boot))
        return;
    s->slept.cold_starts_n++;
    keep(s);
}

void diary_end(struct supervisor *s)
{
    if (s->slept.how == SLEPT_EXIT)
        return;
    diary_sum(s, &s->slept);
    s->slept.how = SLEPT_AWAKE;
    mark(s);
    add_boot(s, boots_get(&s->boots, 0));
    keep(s);
}

int diary_reaped(struct supervisor *s, pid_t pid, int status)
{
    int error;
    if (!keeper_reaped(&s->keeper, pid, status, &error))
        return 0;
    tell_failure(s, error);
    if (s->keeper.is_dirty)
        keep(s);
    return 1;
}

int64_t diary_timeout_ms(const struct supervisor *s)
{
    return slept_timeout_ms(&s->slept, s->conf->supervisor.idle_timeout_ms);
}

void diary_sum(const struct supervisor *s, struct slept *out)
{
    *out = s->slept;
    if (s->slept.how == SLEPT_AWAKE)
        out->awake_ms += loop_now_ms(&s->loop) - s->diary_mark_ms;
    else if (s->slept.how != SLEPT_EXIT)
        out->asleep_ms += sys_boottime_ms() - s->diary_boottime_ms;
}
