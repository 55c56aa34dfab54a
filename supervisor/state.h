/*
 * state: what the files that decide (supervisor, sleep, stop, reload, command) share: the children, the listeners, the page.
 * The rooms below (probe, output, channel, notify, control, child, …) know nothing of it; they call back.
 */
#ifndef SUPERVISOR_STATE_H
#define SUPERVISOR_STATE_H

#include "common/gap.h"
#include "supervisor/boots.h"
#include "supervisor/child.h"
#include "supervisor/control.h"
#include "supervisor/doors.h"
#include "supervisor/falling.h"
#include "supervisor/keeper.h"
#include "supervisor/machine.h"
#include "supervisor/models_folder.h"
#include "supervisor/notify.h"
#include "supervisor/outer.h"
#include "supervisor/slept.h"
#include "supervisor/stall_look.h"
#include "supervisor/trouble.h"

/* hang.c */
struct hang {
    struct stall stall;
    struct stall_look look;
    struct timer timer;  /* the next look, or until when the proxies have time */
    int is_watching;
    int is_asked;        /* the proxies were asked to end what waits */
    unsigned answers_n;
};

struct supervisor {
    struct loop loop;
    struct conf *conf;
    struct child children[CONF_PROGRAMS_MAX];
    size_t children_n;
    unsigned start_order[CONF_PROGRAMS_MAX]; /* beside children: the order of the first starts; 0 never */
    unsigned starts_n;
    struct draining_table draining;
    struct board board;
    struct notify notify;
    struct control control;
    struct memory memory;
    struct ring ring; /* what programs wrote last */
    struct launch_site launch_site;
    struct child_site child_site;
    struct doors doors;
    struct deferred evaluation; /* who may start now, or stop next: looked at once a turn */
    struct timer reap_timer;    /* the kernel would not tell who is dead: asked again */
    int64_t started_at_ms;
    struct boots boots; /* phases.c */
    struct models_folder models_folder;
    struct instances *instances; /* engines with a model each; NULL: none were ever to be started */
    size_t models_n;  /* on the preload list */
    int is_announced; /* "ready" was logged */
    /* standing.c */
    struct outer outer;
    struct timer standing_timer;
    uint64_t standing_mark;  /* of what had moved when more time was asked for */
    int64_t extend_after_ms;
    /* strays.c */
    struct timer strays_timer; /* when they are killed */
    int strays_kills_n;
    /* resume.c */
    struct gap gap;
    int clock_fd;         /* readable when the calendar was set; -1: none */
    int64_t resumed_at_ms;
    struct trouble trouble; /* reasons.c */
    struct hang hang;
    /* sleep.c */
    struct timer idle_timer;
    struct falling falling;
    enum conf_idle_action sleep_action; /* what we fall asleep for: the time of a refusal may end meanwhile */
    uint32_t sleep_question; /* the number of the last one to the proxies */
    unsigned sleep_answers_n; /* that are still to come */
    /* diary.c */
    struct slept slept;
    struct keeper keeper;
    int64_t diary_mark_ms, diary_boottime_ms; /* of the last change in slept; the loop's time, and CLOCK_BOOTTIME */
    unsigned diary_boot_n;                    /* the last boot whose Ollama became ready */
    /* doze.c */
    int64_t sleep_since_ms; /* since when the page says of Ollama's sleep what it says */
    /* suspend.c */
    struct {
        enum { SUSPEND_OFF, SUSPEND_ASKED, SUSPEND_GRANTED } state;
        int64_t refused_until_ms;
        struct timer timer; /* of what was granted */
        struct machine machine;
    } suspend;
    int64_t broken_at_ms; /* broken.c: when Ollama was restarted last; 0: never */
    /* stop.c */
    int is_stopping, is_hurried, exit_code;
    int64_t stop_by_ms;
    struct timer stuck_timer; /* when the one that was asked last should be gone */
    struct timer sweep_timer; /* when what is left below us is killed */
    int is_sweeping;          /* it was asked to stop */
    int sweep_kills_n;
    /* The last, as most of their memory is never touched: */
    char own_dir[4096];
    char start_dir[4096]; /* where we were started; our own place is / */
    struct child_room child_rooms[CONF_PROGRAMS_MAX]; /* beside children */
};

/* The child of this name, or NULL. */
struct child *state_child(struct supervisor *s, const char *name);
/* The child of the nth engine's place, from 0 to CONTRACT_INSTANCES - 1; NULL where it never had a process. */
struct child *state_engine_at(const struct supervisor *s, size_t n);
/* Each program's, then each engine's that ever had a process: the next one from *at on, 0 for the first; NULL behind the last. */
const struct child *state_next_child(const struct supervisor *s, size_t *at);
/* The child whose main process this is, a program's or an engine's; NULL. */
struct child *state_main_of(struct supervisor *s, pid_t pid);
/* Whether this child is Ollama. */
int state_is_ollama(const struct child *c);
/* Whether Ollama was stopped because nobody needed it. */
enum contract_sleep state_sleep(const struct supervisor *s);
/* To every child that has a channel. */
void state_tell_all(struct supervisor *s, enum contract_kind kind);
/* To every proxy that serves; how many there are. */
unsigned state_tell_proxies(struct supervisor *s, enum contract_kind kind, uint32_t value);
/* Something changed: at the end of the turn it is looked at who may start, or stop next. */
void state_evaluate_soon(struct supervisor *s);
/* The program, and with it what that needs, is to be up: what is declared, and nothing else. */
void state_want(struct supervisor *s, const char *name);
/* What the state of this child, where it is the proxy, means for listeners that are leaving. */
void state_follow_doors(struct supervisor *s, const struct child *c);
/* It is Ollama, and a listener that is leaving still has its port. */
int state_is_port_held(const struct supervisor *s, const struct child *c);
/* Says so where Ollama does not bind where OLLAMA_HOST says; before: what was told of already, or NULL. */
void state_tell_moved(const struct conf *conf, const struct conf *before);
/* How many models the preload list of this configuration has. 0 or -ENOMEM. */
int state_read_models(const struct conf *conf, size_t *models_n) WARN_UNUSED;
/* So many there are now; says on the page whether they are waited for. */
void state_count_models(struct supervisor *s, size_t models_n);

#endif
