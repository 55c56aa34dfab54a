/*
 * boots: how long each start of Ollama took, phase by phase. Pure: times are the caller's, of the monotonic clock.
 *
 * A boot begins with our own start, and anew when an Ollama that was ready is lost, or is started again. It goes on through
 * every try that fails, until the next one begins.
 */
#ifndef SUPERVISOR_BOOTS_H
#define SUPERVISOR_BOOTS_H

#include "common/buf.h"
#include "common/contract.h"

enum boot_phase {
    BOOT_EXEC,        /* Ollama's process, the one that became ready */
    BOOT_API,         /* it answers GET /api/tags */
    BOOT_MODELS,      /* the preload list has ended */
    BOOT_LOAD,        /* the first model is in memory */
    BOOT_FIRST_TOKEN, /* the first byte of an answer that needed a model */
    BOOT_PHASE_COUNT
};

enum { BOOTS_KEPT = 8, BOOT_NOT_YET = -1 };

struct boot {
    const char *cause;  /* a word, a literal: start, crash, hung, restart, wake */
    int64_t began_ms;
    int64_t after_ms[BOOT_PHASE_COUNT]; /* since it began, or BOOT_NOT_YET */
    int is_told;        /* for the caller: it was logged */
    int is_kept;        /* … and added to what is kept */
};

struct boots {
    struct boot kept[BOOTS_KEPT]; /* a ring: the last is number begun_n - 1 */
    unsigned begun_n;
    enum contract_state was;
};

/* The first one began then. */
void boots_init(struct boots *b, int64_t began_ms);

/* Number 0 is the last one, 1 that before it; NULL where it is not kept. */
struct boot *boots_get(struct boots *b, unsigned age);

/* Ollama is in this state now. is_for_good: it stops, or stopped, and nobody will start it by himself. 1 where another boot has
 * begun with it. */
int boots_follow(struct boots *b, enum contract_state state, const char *cause, int is_for_good, int64_t now_ms);

/* The last boot has come so far, at that time. A phase counts once, and none that took place before the boot, or
 * before its API answered where that is known. 1 where it is news. */
int boots_note(struct boots *b, enum boot_phase phase, int64_t at_ms);

/* The phase's word, as in `exec_ms`. */
const char *boots_phase_name(enum boot_phase phase);

/* ` exec_ms=4 api_ms=180`, what is known; "" where nothing is. */
enum { BOOT_TEXT_BYTES = 200 };
void boots_text(const struct boot *boot, char out[BOOT_TEXT_BYTES]);

/* A JSON array of those that are kept, the oldest first; what is not known is null. 0 or -ENOMEM. */
int boots_write(const struct boots *b, int64_t now_ms, struct buf *out) WARN_UNUSED;

#endif
