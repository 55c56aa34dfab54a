/*
 * torture: the supervisor as a whole in one process, with real children, while one call of it fails.
 *
 *   faults.c     the wrappers of all that can fail, and which call is the unlucky one
 *   scenarios.c  what is played: supervisor.ini, steps, expectations
 *   puppet.c     the puppeteer: plays the steps between the turns of the supervisor's loop
 *   torture.c    runs main(), and judges the end
 *   child.c      the programs that are supervised (a proxy and a preloader of few lines among them)
 *   proxy_faults.c, proxy, proxy_scenes.py   the proxy with the same wrappers: what fails is told by its environment, as it is asked from outside
 *   run          plans the calls to fail, runs them side by side, tells
 */
#ifndef TESTS_TORTURE_TORTURE_H
#define TESTS_TORTURE_TORTURE_H

#include "supervisor/state.h"

/* ---- faults.c ---- */

enum { FAULT_SHORT = 1001, FAULT_END }; /* beside the numbers of errno */

enum call_id {
#define CALL(type, name, params, args, ...) CALL_##name,
#define CALL_SHORT(type, name, params, args, short_args, ...) CALL_##name,
#define CALL_DONE(type, name, params, args, ...) CALL_##name,
#define CALL_OWN(type, name, ...) CALL_##name,
#define NEVER(name, why)
#include "tests/torture/calls.def"
#undef CALL
#undef CALL_SHORT
#undef CALL_DONE
#undef CALL_OWN
#undef NEVER
    CALL_COUNT
};

/* In memory that a run shares with its children (who make calls between fork and exec) and with whoever judges it. */
struct faults {
    _Atomic unsigned called_n[CALL_COUNT];
    _Atomic int was_hit;
    int target, number, fault; /* the call to fail: -1 none; from 1 on */
    size_t step_n;             /* the step that is under way */
    char verdict[512];         /* why the run failed; "" */
};
extern struct faults *faults;
extern int faults_are_on; /* off while the puppeteer works */
extern int faults_are_traced; /* says on stderr where the fault hits */
extern int faults_pid;    /* the run's own process: its children don't play */
extern long faults_live_n; /* allocations not yet freed */

const char *call_name(int id);
/* The call of this name, or -1. */
int call_find(const char *name);
/* The n-th fault that a call may have (0 beyond the last), and its name. */
int call_fault(int id, size_t n, char *name, size_t name_n);

/* Called before each poll of the supervisor's loop: how long it may wait. */
int puppet_turn(struct pollfd *fds, size_t fds_n, int timeout_ms);

/* main() has closed what was open by chance. */
void torture_fds_are_closed(void);

/* ---- scenarios.c ---- */

enum step_kind {
    STEP_NONE,
    STEP_STATE,    /* program a is in state n */
    STEP_RESTARTS, /* program a was restarted n times */
    STEP_SAY,      /* line a on the control socket is answered with b; said again until it is */
    STEP_SEND,     /* the bytes a are sent to the control socket; whatever comes back */
    STEP_INI,      /* the ini file becomes a */
    STEP_SIGNAL,   /* signal n for the supervisor, again until fn says 1 */
    STEP_KILL,     /* signal n for program a */
    STEP_LOG,      /* b is in the log, where no line may have been lost */
    STEP_CALL,     /* fn says 1 */
};

struct step {
    enum step_kind kind;
    const char *a, *b;
    int n;
    int (*fn)(void);
};

enum { STEPS_MAX = 24 };

struct scenario {
    const char *name;
    const char *ini;
    const char *words[2]; /* instead of an ini: a single command, child.c with these arguments */
    int exit_code;
    int may_boot;      /* it may go on, where what would end it could not be seen */
    int needs_root;    /* else it is left out */
    int ends_itself;   /* no signal is needed after the last step */
    int (*setup)(void); /* 0 */
    struct step steps[STEPS_MAX];
};

extern const struct scenario scenarios[];
extern const size_t scenarios_n;

/* ---- puppet.c ---- */

extern struct supervisor *puppet_supervisor; /* main()'s, told by torture.c */
extern const char *puppet_child;             /* the path of child.c's program */
extern char puppet_dir[64], puppet_log_path[96];
extern char puppet_address[32]; /* of this run alone, without a port */
enum { PUPPET_LISTEN_PORT = 10434, PUPPET_HTTP_PORT = 10435 }; /* below those of tests/e2e/ports.py, some of which are taken on all addresses */

/* Makes ready for a run. */
void puppet_begin(const struct scenario *s);
/* Opens its own descriptors; 0, or -1. */
int puppet_open(void) WARN_UNUSED;
void puppet_end(void);
int puppet_has_booted(void);
/* All steps are done. */
int puppet_has_played(void);
int64_t puppet_clock_ms(void);
/* The run has failed; the first reason is the one that counts. */
void puppet_fail(const char *format, ...) PRINTF_LIKE(1, 2);
const char *puppet_log(void);

/* 1 where the text is in the supervisor's log. */
int puppet_logged(const char *text);
/* How the puppet answers HTTP from now on; NULL: hangs up. */
void puppet_answer(const char *answer);
/* How many questions it has answered so. */
int puppet_asked_n(void);
/* Answers at this port instead. 0, or -1. */
int puppet_serve(int port);
/* A listening socket on address:port, or -1. */
int puppet_listen(int port);

#endif
