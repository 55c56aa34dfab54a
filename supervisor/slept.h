/*
 * slept: how long we were awake and asleep, how often we were woken, and how soon: what of it is kept in state_dir, and the
 * cooldown that follows from it. Pure: clocks are the caller's.
 */
#ifndef SUPERVISOR_SLEPT_H
#define SUPERVISOR_SLEPT_H

#include "common/sys.h"
#include "supervisor/boots.h"

/* COOLDOWN_MOST: so often idle_timeout is doubled at the most, to the eightfold. */
enum { SLEPT_BYTES = 512, SLEPT_COOLDOWN_MOST = 3 };

enum slept_how { SLEPT_AWAKE, SLEPT_EXIT, SLEPT_STOP, SLEPT_SUSPEND, SLEPT_HOW_COUNT };

/* One phase of all cold starts. */
struct slept_part {
    int64_t n;  /* those that came so far */
    int64_t ms; /* from their beginnings, together */
};

struct slept {
    int64_t awake_ms, asleep_ms; /* altogether, without the time since the last change */
    int64_t cold_starts_n;       /* starts of Ollama, but for those after a crash and a restart */
    struct slept_part parts[BOOT_PHASE_COUNT]; /* of those whose boot is over, or was asked for its first token */
    int64_t wakes_n;
    int64_t since_realtime_ms;   /* when it fell asleep; where how is not SLEPT_AWAKE */
    enum slept_how how;          /* how it sleeps */
    unsigned cooldown;           /* how often idle_timeout is doubled now */
};

/* Reads what slept_write has written. 0; or -EINVAL and *out is all zero: it is something else. */
int slept_read(struct slept *out, const char *text, size_t text_n) WARN_UNUSED;
/* Writes lines NAME=VALUE; their length. */
size_t slept_write(const struct slept *s, char out[SLEPT_BYTES]);

/* How long it has slept, by what has passed of CLOCK_BOOTTIME and CLOCK_REALTIME; -1: nobody knows, as the calendar was set
 * meanwhile. Of an exit only the calendar tells; so it may of a suspend, as a machine that is restored from a snapshot finds the
 * other clocks where they were. */
int64_t slept_duration_ms(enum slept_how how, int64_t boottime_ms, int64_t realtime_ms);

/* It falls asleep. awake_ms: how long it was awake since the last change. */
void slept_begin(struct slept *s, enum slept_how how, int64_t awake_ms, int64_t realtime_ms);
/* It wakes, after so long (-1: nobody knows). Where that is less than idle_timeout the next one is doubled, after a longer sleep it is as it
 * was: who comes again and again a moment too late finds it awake. */
void slept_end(struct slept *s, int64_t asleep_ms, int64_t idle_timeout_ms);
/* This boot was a cold start: its phases are added to those of all. */
void slept_add_boot(struct slept *s, const struct boot *boot);
/* idle_timeout as it is now. */
int64_t slept_timeout_ms(const struct slept *s, int64_t idle_timeout_ms);

/* The word for it in files and answers. */
const char *slept_how_name(enum slept_how how);

#endif
