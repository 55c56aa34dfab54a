/*
 * live: does a program that is ready still answer? By a URL that is asked now and then, by WATCHDOG=1 of sd_notify(3), or
 * both. It runs from READY to the end of READY, and each run counts anew.
 */
#ifndef SUPERVISOR_LIVE_H
#define SUPERVISOR_LIVE_H

#include "common/conf.h"
#include "supervisor/probe.h"

struct live_ops {
    /* Something that grows while the program works; the same number twice says nothing. */
    uint64_t (*progress)(void *context);
    /* It does not answer. live has ended by then. */
    void (*hung)(void *context, const char *why);
};

struct live {
    struct loop *loop;
    const struct live_ops *ops;
    void *context;
    const struct conf_program *conf; /* borrowed, from live_begin on */
    struct probe *probe; /* borrowed: the one that has asked for readiness before */
    struct timer watchdog;
    uint64_t progress_seen;
    int64_t misses_n;
};

/* While it runs, the probe is its own, and whoever made the probe passes on what it tells: live_told. */
void live_init(struct live *l, struct loop *loop, struct probe *probe, const struct live_ops *ops, void *context);
/* The probe has told whether the program answered. */
void live_told(struct live *l, int is_good);
/* The program is ready: `live` is asked from now on, and `watchdog` runs. */
void live_begin(struct live *l, const struct conf_program *conf);
/* The same program by another configuration: what has not changed goes on. Harmless where it has not begun. */
void live_reconfigure(struct live *l, const struct conf_program *conf);
/* Ends, and stops the probe; harmless where it has not begun. */
void live_end(struct live *l);
/* WATCHDOG=1 came. */
void live_ping(struct live *l);
/* We, and perhaps the program, did not run for a while: what was missed in that time says nothing. */
void live_resumed(struct live *l);

/* What a probe must find in an answer to path; NULL: nothing but the status. */
const char *live_text_for(const char *path);

#endif
