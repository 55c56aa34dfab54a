/*
 * contract: all that the supervisor and its built-in children know of each other. docs/contract.md explains it.
 *
 *   LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES   listening sockets, from descriptor 3 on (sd_listen_fds(3))
 *   NOTIFY_SOCKET                            sd_notify(3): READY=1, STATUS=…, STOPPING=1, WATCHDOG=1, EXTEND_TIMEOUT_USEC=…
 *   WATCHDOG_USEC, WATCHDOG_PID              how often WATCHDOG=1 is to come (sd_watchdog_enabled(3))
 *   SIDECAR_CHANNEL_FD                       one end of a SOCK_SEQPACKET pair: struct contract_message each way
 *   SIDECAR_CONFIG_FD                        supervisor.ini as the supervisor accepted it, sealed: what was edited since, and
 *                                            not reloaded, is nobody's yet; then what its %(ENV_NAME)s stood for
 *   SIDECAR_KEPT_FD                          a SOCK_SEQPACKET pair by which an old proxy passes clients' connections to the next:
 *                                            the end to take from, and the next descriptor, the end to give to
 *   SIDECAR_LEAVING_FDS                      FIRST:COUNT of sockets that are no longer in [proxy] listen: who waits there is served
 *   SIDECAR_OLLAMA                           where our `ollama serve` binds, HOST:PORT
 *   SIDECAR_OLLAMA_PARALLEL                  its OLLAMA_NUM_PARALLEL, 0 where it chooses by itself; for the proxy
 *   SIDECAR_OLLAMA_KEEP_ALIVE                its OLLAMA_KEEP_ALIVE in milliseconds, -1 for ever; for the proxy
 *   SIDECAR_OLLAMA_MEMORY                    CONTEXT:CACHE:FLASH:GPU, what it takes memory by; for the proxy
 *   SIDECAR_PAGE_FD, SIDECAR_PAGE_LINE       the shared page, and the writer's own line of it
 *
 * The page is written without locks; whoever reads it trusts nothing: not its texts, not its numbers.
 */
#ifndef COMMON_CONTRACT_H
#define COMMON_CONTRACT_H

#include "common/sys.h"

#include <stdatomic.h>

enum {
    CONTRACT_VERSION = 4,
    CONTRACT_NAME_BYTES = 200,
    CONTRACT_REASON_BYTES = 240,
    CONTRACT_LINES = 16,    /* writers at once: proxies of several generations, the preloader */
    CONTRACT_PROGRAMS = 32,
    CONTRACT_MODELS = 64,   /* rows of the preload list; what is beyond is counted only */
    CONTRACT_INSTANCES = 9, /* engines that run: [models] max_cache_models at the most, and one more */
    CONTRACT_DETAIL_BYTES = 320,
    CONTRACT_ENGINE_BYTES = 72, /* NAME of [engine:NAME] */
};

#define CONTRACT_ENV_CHANNEL "SIDECAR_CHANNEL_FD"
#define CONTRACT_ENV_PAGE "SIDECAR_PAGE_FD"
#define CONTRACT_ENV_LINE "SIDECAR_PAGE_LINE"
#define CONTRACT_ENV_CONFIG "SIDECAR_CONFIG_FD"
#define CONTRACT_ENV_LEAVING "SIDECAR_LEAVING_FDS"
#define CONTRACT_ENV_KEPT "SIDECAR_KEPT_FD"
#define CONTRACT_ENV_OLLAMA "SIDECAR_OLLAMA"
#define CONTRACT_ENV_PARALLEL "SIDECAR_OLLAMA_PARALLEL"
#define CONTRACT_ENV_KEEP_ALIVE "SIDECAR_OLLAMA_KEEP_ALIVE"
#define CONTRACT_ENV_MEMORY "SIDECAR_OLLAMA_MEMORY"

/* What a program is in; the supervisor's table of states uses the same words. */
enum contract_state {
    CONTRACT_DOWN,
    CONTRACT_STARTING,
    CONTRACT_READY,
    CONTRACT_BACKOFF,
    CONTRACT_STOPPING,
    CONTRACT_DONE, /* a one-shot program that did its work */
    CONTRACT_FAILED,
    CONTRACT_STATE_COUNT
};

/* How far the preload list is. */
enum contract_phase {
    CONTRACT_PHASE_NONE,    /* there is no preloader: nothing to wait for */
    CONTRACT_PHASE_WAITING, /* the rows are not written yet */
    CONTRACT_PHASE_LISTED,  /* every model of the list has a row */
    CONTRACT_PHASE_DONE     /* each row has ended, or the preloader gave up */
};

enum contract_model_state {
    CONTRACT_MODEL_EMPTY,
    CONTRACT_MODEL_PENDING,
    CONTRACT_MODEL_PULLING,
    CONTRACT_MODEL_READY,
    CONTRACT_MODEL_FAILED
};

/* Whether Ollama was stopped because nobody needed it, [supervisor] idle_action = stop. */
enum contract_sleep {
    CONTRACT_AWAKE,
    CONTRACT_ASLEEP, /* its program is down, or on its way there */
    CONTRACT_WAKING, /* somebody needs it: it is being started */
};

/* Each writer owns its line; the supervisor zeroes it when the writer is reaped. */
struct contract_line {
    _Alignas(64) _Atomic int32_t pid;
    _Atomic uint32_t in_flight_n;     /* requests that need a model, or pulls */
    _Atomic int64_t last_active_ms;   /* monotonic; 0: never */
    _Atomic uint64_t progress_bytes;  /* from backends, ever growing */
    _Atomic uint32_t held_n;          /* requests that wait at the gate; not those that wait for a slot */
    _Atomic uint32_t asked_n;         /* requests that need a model, and loads, that are with Ollama now */
    _Atomic uint64_t requests_n;
    _Atomic int64_t loaded_at_ms;      /* monotonic, as those below: the first load since Ollama started; 0: none so far */
    _Atomic int64_t first_token_at_ms; /* the first byte of an answer that needed a model, since then */
    _Atomic uint32_t pulls_n;          /* models that are pulled because somebody asks for them; those that Ollama's death has interrupted, too */
    _Atomic uint32_t repaired_n;       /* tool calls that models wrote as text, and that clients got as calls */
};

struct contract_program {
    _Alignas(64) _Atomic uint32_t state; /* enum contract_state */
    _Atomic int32_t pid;
    _Atomic uint32_t restarts_n;
    char name[CONTRACT_NAME_BYTES]; /* those of built-in programs never change; a reload may give the place of another one away */
    _Atomic uint32_t sequence;      /* odd while reason is written */
    char reason[CONTRACT_REASON_BYTES];
};

struct contract_model {
    _Alignas(64) _Atomic uint32_t sequence; /* odd while the row is written (a seqlock) */
    _Atomic uint32_t state;                 /* enum contract_model_state */
    _Atomic uint64_t completed_bytes;
    _Atomic uint64_t total_bytes;
    char name[CONTRACT_NAME_BYTES];
    char reason[CONTRACT_REASON_BYTES];
};

/* What the proxy of a line has to do with an engine. */
enum contract_hold {
    CONTRACT_HOLD_USED = 1,    /* it answers for it: nobody stops it */
    CONTRACT_HOLD_WANTED = 2,  /* requests wait for it */
    CONTRACT_HOLD_DRAINED = 4, /* its place is for another model: nobody gives it a new request */
    CONTRACT_HOLD_BITS = 4,
};

/* An engine that serves one model, or did: a row of the supervisor's. Its place is used again when it is DOWN or FAILED. */
struct contract_instance {
    _Alignas(64) _Atomic uint32_t sequence; /* odd while the row is written (a seqlock) */
    _Atomic uint32_t state;                 /* enum contract_state; DOWN: nobody is there, FAILED: it ended by itself, or never came up */
    _Atomic uint32_t number;                /* another one with each start; 0: the row was never used */
    _Atomic uint32_t port;                  /* on 127.0.0.1 */
    _Atomic uint32_t is_quantized;
    _Atomic uint32_t was_ready;             /* … before it failed */
    _Atomic int32_t pid;
    _Atomic int64_t started_at_ms, ready_at_ms; /* monotonic; 0: not yet */
    _Atomic uint64_t holds;                     /* four bits of each line, its writer's: enum contract_hold */
    char model[CONTRACT_NAME_BYTES];            /* ORG/NAME */
    char reason[CONTRACT_REASON_BYTES];         /* why it has failed, in words */
    char engine[CONTRACT_ENGINE_BYTES];         /* its name: a place means another one after a reload */
};

/* What went wrong last with Ollama, or with a process that it runs: an answer that breaks about then broke of it. */
struct contract_trouble {
    _Alignas(64) _Atomic uint32_t sequence; /* odd while it is written */
    _Atomic int64_t at_ms;                  /* monotonic; 0: never */
    char text[CONTRACT_REASON_BYTES];
};

struct contract_page {
    uint32_t version;
    _Atomic uint32_t phase; /* enum contract_phase */
    _Atomic uint32_t models_n; /* length of the list, which may be above CONTRACT_MODELS */
    _Atomic uint32_t is_stopping;
    uint64_t token; /* random, for as long as the supervisor runs: all its proxies are one; 0: there is none */
    _Atomic int32_t used_pid; /* the Ollama that has loaded a model or answered since it started; 0: none; -1: one that is not ours */
    _Atomic uint32_t sleep;   /* enum contract_sleep */
    _Atomic uint64_t memory_limit_bytes; /* of the cgroup, or the machine's memory; 0: not known */
    _Atomic uint32_t ollama_changes_n; /* how often a reload has changed what Ollama is started with */
    struct contract_line lines[CONTRACT_LINES];
    struct contract_program programs[CONTRACT_PROGRAMS];
    struct contract_model models[CONTRACT_MODELS];
    struct contract_trouble trouble;
    struct contract_instance instances[CONTRACT_INSTANCES];
};

/* The channel. Fixed-size messages; one of another version, size or kind is refused. */
enum contract_kind {
    /* down, from the supervisor */
    CONTRACT_STATE_CHANGED = 1, /* look at the page */
    CONTRACT_MAY_I_SLEEP = 2,   /* is anything at all under way? answered by CONTRACT_SLEEP; value: enum contract_nap */
    CONTRACT_STALLED = 3,       /* no token, and Ollama takes no time: end what waits for one, unload their models; answered by
                                 * CONTRACT_UNLOADED */
    CONTRACT_RESUMED = 4,       /* there was a gap in our time, and perhaps in yours, which you need not have seen */
    /* up, from a child */
    CONTRACT_WANT = 16,  /* start the declared program `name` */
    CONTRACT_SLEEP = 17, /* value: 1 yes, 0 no, in the place of the nap that was asked for; above it the question's number */
    CONTRACT_CHANGED = 18, /* a row of mine changed: tell the others; value: 1 where requests are with Ollama and nothing comes of them */
    CONTRACT_UNLOADED = 19, /* value: 1 they are unloaded; 0 no: Ollama is to be restarted */
    CONTRACT_BROKEN = 20,   /* Ollama runs, and is to be restarted; value: enum contract_broken; name: the model */
    CONTRACT_LOST = 21,     /* an answer broke, and the page does not say why yet: look whether anything was killed */
    CONTRACT_ENGINE_START = 22, /* name: ORG/NAME; detail: "ENGINE REVISION LENGTH q4|full [FILE]", FILE within the snapshot. What comes of it is told
                                 * by an instance's row */
    CONTRACT_ENGINE_STOP = 23,  /* name: ORG/NAME */
    CONTRACT_HUB = 24,          /* with a descriptor: a stream socket's end, the standard input and output of an `ollama-preload --hub` */
    CONTRACT_ASK = 25,          /* with a descriptor: a stream socket's end, on which the control socket's `status` and `tail` are answered */
};

/* What is to end when the answer is yes. */
enum contract_nap {
    CONTRACT_NAP_EXIT = 1,    /* everything, us included */
    CONTRACT_NAP_SUSPEND = 2, /* nothing: the machine stops, and goes on later */
    CONTRACT_NAP_STOP = 3,    /* Ollama */
    CONTRACT_NAP_LAST = 4,    /* everything, and nobody new is let in any more: whose connection is only kept is to be let go first */
};
/* The value of CONTRACT_MAY_I_SLEEP has the nap in so many bits, and above them a number that the answer repeats. */
enum { CONTRACT_NAP_BITS = 8 };
#define CONTRACT_NAP_NUMBER_MAX (UINT32_MAX >> CONTRACT_NAP_BITS)
static inline uint32_t contract_nap_value(uint32_t number, uint32_t nap)
{
    return number << CONTRACT_NAP_BITS | nap;
}
static inline uint32_t contract_nap_number(uint32_t value)
{
    return value >> CONTRACT_NAP_BITS;
}
/* enum contract_nap of a question; 1 or 0 of an answer. */
static inline uint32_t contract_nap_of(uint32_t value)
{
    return value & ((1u << CONTRACT_NAP_BITS) - 1);
}

enum contract_broken {
    CONTRACT_BROKEN_GPU = 1, /* the model was on the GPU, and is not any more */
};

struct contract_message {
    uint16_t version;
    uint16_t kind;
    uint32_t value;
    char name[CONTRACT_NAME_BYTES];
    char detail[CONTRACT_DETAIL_BYTES];
};

/* What a child was born with; descriptors are -1 and page is NULL where it runs alone. */
struct contract {
    int channel_fd;
    struct contract_page *page;
    struct contract_line *line;
    int listen_fds_n; /* descriptors 3 to 3 + n - 1 */
    int leaving_fds_first, leaving_fds_n; /* listening sockets to be closed when nobody waits there any more */
    int kept_fds[2];  /* connections on which nothing is under way: to take from [0] and to give to [1]; owned */
    char *notify_path; /* owned */
    int64_t watchdog_ms; /* WATCHDOG=1 is to come at least so often; 0: nobody waits for it */
};

/* Child's side: reads the variables, checks that each descriptor is what it should be, makes all of them close-on-exec
 * and removes the variables. 0, or -errno with *c empty: then the child runs alone. */
int contract_adopt(struct contract *c);
void contract_release(struct contract *c);
/* sd_notify(3): one datagram of NAME=value lines. 0, also where nobody listens. */
int contract_notify(const struct contract *c, const char *state);

/* 0, or -errno (-EAGAIN: full, try later; -EPIPE: the other end is gone). */
int contract_send(int channel_fd, enum contract_kind kind, uint32_t value, const char *name) WARN_UNUSED;
int contract_send_detail(int channel_fd, enum contract_kind kind, uint32_t value, const char *name, const char *detail) WARN_UNUSED;
/* With a descriptor, which stays the caller's: the other end gets a copy. */
int contract_send_fd(int channel_fd, enum contract_kind kind, int fd) WARN_UNUSED;
/* 1 with one message, 0 when none waits, -EPROTO for one that is refused, -EPIPE when the other end is gone. A descriptor that came with
 * it is closed. */
int contract_receive(int channel_fd, struct contract_message *m) WARN_UNUSED;
/* The same; *fd: the descriptor that came with it, close-on-exec and the caller's, or -1. */
int contract_receive_fd(int channel_fd, struct contract_message *m, int *fd) WARN_UNUSED;

/* Rows and texts under their seqlock. Reading copies, bounds and terminates. */
void contract_model_write(struct contract_model *row, enum contract_model_state state, const char *name,
                          const char *reason);
struct contract_model_view {
    enum contract_model_state state;
    uint64_t completed_bytes, total_bytes;
    char name[CONTRACT_NAME_BYTES];
    char reason[CONTRACT_REASON_BYTES];
};
void contract_model_read(const struct contract_model *row, struct contract_model_view *view);
void contract_program_reason(struct contract_program *p, const char *reason);
void contract_program_read_reason(const struct contract_program *p, char reason[CONTRACT_REASON_BYTES]);
/* at_ms: monotonic. */
void contract_trouble_write(struct contract_trouble *t, const char *text, int64_t at_ms);
/* Its text, "" where there has been none since since_ms (monotonic). */
void contract_trouble_read(const struct contract_trouble *t, int64_t since_ms, char text[CONTRACT_REASON_BYTES]);
struct contract_instance_view {
    enum contract_state state;
    uint32_t number;
    uint16_t port;
    int is_quantized, was_ready;
    int32_t pid;
    int64_t started_at_ms, ready_at_ms;
    uint64_t holds; /* is not written: contract_instance_hold() does that */
    char model[CONTRACT_NAME_BYTES];
    char reason[CONTRACT_REASON_BYTES];
    char engine[CONTRACT_ENGINE_BYTES];
};
void contract_instance_write(struct contract_instance *row, const struct contract_instance_view *view);
void contract_instance_read(const struct contract_instance *row, struct contract_instance_view *view);
/* What the proxy of this line has to do with it, from now on: enum contract_hold, or'ed. */
void contract_instance_hold(struct contract_instance *row, size_t line, unsigned holds);
/* What all lines but this one have to do with it, or'ed; CONTRACT_LINES: all. */
unsigned contract_holds_beside(uint64_t holds, size_t line);
/* The supervisor's row of this program, or NULL. */
const struct contract_program *contract_find_program(const struct contract_page *page, const char *name);

/* How often supervisor and proxy look whether Ollama is hung, in ms, where stall_timeout is limit_ms. */
int64_t contract_stall_interval_ms(int64_t limit_ms);

/* Its word in logs and JSON; "unknown" for what is none. */
const char *contract_state_name(enum contract_state state);

#endif
