/*
 * program: the life of one supervised program, as a table of states and events.
 *
 *     DOWN -> STARTING -> READY -> STOPPING -> DOWN
 *                 \         \-> BACKOFF -> STARTING …   (it died)
 *                  \-> DONE (a task that ended well)   FAILED (given up)
 *
 * It knows neither processes nor the loop: what is to be done is asked of struct program_ops.
 */
#ifndef SUPERVISOR_PROGRAM_H
#define SUPERVISOR_PROGRAM_H

#include "common/conf.h"
#include "common/contract.h"
#include "supervisor/backoff.h"

enum program_event {
    PROGRAM_START,   /* somebody wants it up */
    PROGRAM_STOP,    /* somebody wants it down */
    PROGRAM_RESTART, /* stop, then start, without counting it as a crash */
    PROGRAM_BECAME_READY,
    PROGRAM_HUNG,    /* it runs, and does not answer */
    PROGRAM_EXITED,
    PROGRAM_TIMER,
    PROGRAM_EVENT_COUNT
};

struct program;

struct program_ops {
    /* Starts the process: its pid, or -errno. */
    pid_t (*spawn)(struct program *p);
    /* Signals the process group. */
    void (*signal)(struct program *p, int signal_number);
    /* Leaves the running process to itself to finish its work, and asks it to; 0, or -errno where that can't be. */
    int (*hand_over)(struct program *p);
    /* (Re-)arms the program's one deadline; -1 disarms. */
    void (*deadline)(struct program *p, int64_t at_ms);
    /* The state has changed. */
    void (*changed)(struct program *p, enum contract_state from, const char *cause);
    uint32_t (*random)(struct program *p);
};

/* What to do when the process that is being stopped is gone. */
enum program_after { PROGRAM_AFTER_DOWN, PROGRAM_AFTER_RESTART, PROGRAM_AFTER_FAILURE };

struct program {
    const struct conf_program *conf; /* borrowed; replaced on reload */
    const struct program_ops *ops;
    void *context; /* for ops */
    enum contract_state state;
    enum program_after after;
    pid_t pid; /* 0: no process */
    int64_t state_since_ms, spawned_at_ms;
    int64_t deadline_ms;                /* what ops->deadline was last told; -1: none */
    int64_t stop_soft_ms, stop_hard_ms; /* ask again; kill */
    int stop_stage;
    unsigned restarts_n;
    unsigned shortages_n; /* starts in a row that failed for want of descriptors, processes or memory */
    int is_built_in;                    /* one of our own: its exit codes mean what we say */
    int is_handed_over;                 /* on restart its process goes on until it has finished */
    int is_task;                        /* does one thing and exits: done when it exits with 0 */
    int is_over;                        /* everything stops: it is not started again */
    int is_wanted;                      /* should be up when what it depends on is */
    int last_status;                    /* as of waitpid(2) */
    int has_exited;
    char reason[CONTRACT_REASON_BYTES]; /* why it is not up; "" */
    struct backoff_rule rule;
    struct backoff backoff;
};

/* The memory that a program needs by this configuration, had before anything changes. 0 or -ENOMEM. */
int program_backoff(struct backoff *out, const struct conf_program *conf) WARN_UNUSED;
/* conf and ops are borrowed; backoff is from program_backoff and taken. */
void program_init(struct program *p, const struct conf_program *conf, struct backoff *take_backoff,
                  const struct program_ops *ops, void *context);
/* Another condition for being ready holds from now on (is_task included): who still starts is judged by it, from the beginning. */
void program_ready_changed(struct program *p, int64_t now_ms);
void program_fini(struct program *p);
/* The same program by another configuration; state, process and past exits stay (the exits only where their limit does). */
void program_reconfigure(struct program *p, const struct conf_program *conf, struct backoff *take_backoff);

/* Feeds one event. */
void program_event(struct program *p, enum program_event event, int64_t now_ms);
/* It does not answer, and this is how that was seen. */
void program_hung(struct program *p, const char *why, int64_t now_ms);
/* It asks for more time to start or to stop: at least more_ms from now (EXTEND_TIMEOUT_USEC= of sd_notify(3)). The budget of
 * a stop of everything is not its to extend. */
void program_extend(struct program *p, int64_t more_ms, int64_t now_ms);
/* The process is gone, with its status as of waitpid(2); last_line: the last it said, or "". */
void program_exited(struct program *p, int status, const char *last_line, int64_t now_ms);
/* Stops with these deadlines instead of stop_timeout: ask again at soft_ms, kill at hard_ms. */
void program_stop_by(struct program *p, int64_t soft_ms, int64_t hard_ms, int64_t now_ms);
/* Everything stops: what runs may go on until it is asked, what dies or waits stays down. */
void program_end(struct program *p, int64_t now_ms);
/* Says in words how the last process ended ("" when none has): "exit code 3", "killed by signal 9 (Killed)". */
void program_last_exit(const struct program *p, char *out, size_t out_n);
/* The same as a number: its exit code, or 128 and the signal's number, as a shell has it; -1: none has ended. */
int program_last_code(const struct program *p);
/* 1 while there is a process. */
int program_is_alive(const struct program *p);

/* For the tests and the drawing in docs: the name of what happens in a cell of the table, never NULL. */
const char *program_cell_name(enum contract_state state, enum program_event event);
const char *program_event_name(enum program_event event);

#endif
