/*
 * program_world: one program with fake processes and a fake clock, and what its table asked for.
 */
#ifndef TESTS_UNIT_PROGRAM_WORLD_H
#define TESTS_UNIT_PROGRAM_WORLD_H

#include "supervisor/program.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIGNALS_MAX = 64 };

/* What the table asked for. */
static struct world {
    struct conf_program conf;
    char *words[2];
    struct program program;
    pid_t next_pid;   /* what spawn returns, or -errno */
    unsigned spawns_n;
    int signals[SIGNALS_MAX];
    unsigned signals_n;
    int hand_over_error;
    unsigned hand_overs_n;
    int64_t deadline_ms; /* -1: none */
    enum contract_state from;
    char cause[64];
    unsigned changes_n;
    int64_t now_ms;
} w;

static inline pid_t fake_spawn(struct program *p)
{
    assert_ptr_equal(p, &w.program);
    w.spawns_n++;
    return w.next_pid < 0 ? w.next_pid : w.next_pid++;
}

static inline void fake_signal(struct program *p, int signal_number)
{
    assert_true(p->pid > 0);
    assert_true(w.signals_n < SIGNALS_MAX);
    w.signals[w.signals_n++] = signal_number;
}

static inline int fake_hand_over(struct program *p)
{
    (void)p;
    w.hand_overs_n++;
    return w.hand_over_error;
}

static inline void fake_deadline(struct program *p, int64_t at_ms)
{
    (void)p;
    w.deadline_ms = at_ms;
}

static inline void fake_changed(struct program *p, enum contract_state from, const char *cause)
{
    (void)p;
    w.from = from;
    w.changes_n++;
    snprintf(w.cause, sizeof w.cause, "%s", cause);
}

static inline uint32_t fake_random(struct program *p)
{
    (void)p;
    return 0;
}

static const struct program_ops ops = {fake_spawn,    fake_signal,  fake_hand_over,
                                       fake_deadline, fake_changed, fake_random};

static char word_notify[] = "notify", word_name[] = "thing", word_command[] = "thingd";
static char word_exit[] __attribute__((unused)) = "exit";
static char word_none[] __attribute__((unused)) = "none", word_proxy[] __attribute__((unused)) = "proxy";
static char word_preload[] __attribute__((unused)) = "preload", word_ollama[] __attribute__((unused)) = "ollama";

static inline int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    w.words[0] = word_command;
    w.conf = (struct conf_program){.name = word_name, .ready = word_notify, .autostart = 1, .restart = CONF_RESTART_ALWAYS,
                                   .start_timeout_ms = 60000, .stop_signal = SIGTERM, .stop_timeout_ms = 5000,
                                   .backoff_min_ms = 500, .backoff_max_ms = 30000, .max_restarts = 3,
                                   .restart_window_ms = 300000};
    w.conf.command = (struct list){w.words, 1};
    w.next_pid = 100;
    w.deadline_ms = -1;
    w.now_ms = 1000;
    struct backoff backoff;
    if (program_backoff(&backoff, &w.conf) < 0)
        return -1;
    program_init(&w.program, &w.conf, &backoff, &ops, NULL);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    program_fini(&w.program);
    return 0;
}

static inline void event(enum program_event e)
{
    program_event(&w.program, e, w.now_ms);
}

static inline void in(enum contract_state state)
{
    if (w.program.state != state)
        fail_msg("in %s, not in %s (cause %s)", contract_state_name(w.program.state), contract_state_name(state), w.cause);
    assert_int_equal(w.program.pid > 0, state == CONTRACT_STARTING || state == CONTRACT_READY || state == CONTRACT_STOPPING);
    assert_int_equal(program_is_alive(&w.program) != 0, w.program.pid > 0);
}

static inline int code(int exit_code)
{
    return exit_code << 8;
}

static inline void exits(int status)
{
    program_exited(&w.program, status, "", w.now_ms);
}

/* The deadline has come. */
static inline void wait_for_deadline(void)
{
    assert_true(w.deadline_ms >= w.now_ms);
    w.now_ms = w.deadline_ms;
    event(PROGRAM_TIMER);
}

static inline void up(void)
{
    event(PROGRAM_START);
    event(PROGRAM_BECAME_READY);
    in(CONTRACT_READY);
}

/* Brings a fresh program into a state. */
static inline void reach(enum contract_state s)
{
    teardown(NULL);
    assert_int_equal(setup(NULL), 0);
    switch (s) {
    case CONTRACT_STARTING:
        event(PROGRAM_START);
        break;
    case CONTRACT_READY:
        up();
        break;
    case CONTRACT_BACKOFF:
        up();
        exits(code(1));
        exits(code(1));
        break;
    case CONTRACT_STOPPING:
        up();
        event(PROGRAM_STOP);
        break;
    case CONTRACT_DONE:
        w.conf.restart = CONF_RESTART_ON_FAILURE;
        up();
        exits(code(0));
        break;
    case CONTRACT_FAILED:
        w.conf.restart = CONF_RESTART_NEVER;
        up();
        exits(code(1));
        break;
    case CONTRACT_DOWN:
    case CONTRACT_STATE_COUNT:
        break;
    }
    in(s);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#endif
