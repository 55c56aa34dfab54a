/*
 * exchange_state: what the files of an exchange share, and nobody else: exchange.c (its life and the request's body),
 * exchange_form.c (a body that is a form), exchange_generate.c (what POST /generate and /ollama/generate add), exchange_priority.c (who goes first), exchange_describe.c (how long it may take), exchange_status.c (what is told of who waits where), exchange_wait.c (until it may go to the
 * backend), exchange_key.c (which models its key may use), exchange_upstream.c (which backend), exchange_lists.c (what is read of models there), exchange_pull.c (which model, and whether
 * it is there), exchange_translate.c (its body, as backend and model can take it), exchange_load.c (its model), exchange_asleep.c (while
 * Ollama sleeps), exchange_fetch.c (the backend), exchange_optimize.c, exchange_plan.c, exchange_listen.c and exchange_hear.c (an optimised answer, which an inner exchange makes), exchange_cache.c (or which was kept), exchange_map.c (what it maps), exchange_lacks.c (what it does not have), exchange_limit.c and exchange_tokens.c (how
 * much its sender may have, and takes), exchange_tally.c (what an optimised one did), exchange_live.c (where one is), exchange_end.c (every end), exchange_why.c (the reason of an end), exchange_life.c (its memory), exchange_state.c (the state
 * and its counts).
 */
#ifndef PROXY_EXCHANGE_STATE_H
#define PROXY_EXCHANGE_STATE_H

#include "common/presets.h"
#include "proxy/access.h"
#include "proxy/admit.h"
#include "proxy/ask.h"
#include "proxy/check.h"
#include "proxy/env.h"
#include "proxy/exchange_sink.h"
#include "proxy/form.h"
#include "proxy/generation.h"
#include "proxy/inner.h"
#include "proxy/limits.h"
#include "proxy/observe/live.h"
#include "proxy/plan.h"
#include "proxy/relay.h"
#include "proxy/store/store.h"
#include "proxy/upstreams.h"

enum exchange_state {
    EXCHANGE_BODY,
    EXCHANGE_CHOOSE,
    EXCHANGE_MAP,
    EXCHANGE_GATE,
    EXCHANGE_PULL,
    EXCHANGE_SHOW,
    EXCHANGE_LOAD,
    EXCHANGE_QUEUE,
    EXCHANGE_PAUSE,
    EXCHANGE_LISTEN,
    EXCHANGE_FETCH,
    EXCHANGE_RELAY,
    EXCHANGE_CHECK,
    EXCHANGE_HUB,
    EXCHANGE_LOOK, /* it is told what goes on here, or is to be */
    EXCHANGE_WHY,
    EXCHANGE_END,
    EXCHANGE_STATE_COUNT
};

struct exchange_engine;
struct exchange_fleet;
struct exchange_hub;
struct exchange_look;
struct series;
struct member;

/* What a request does with its model. */
enum exchange_model {
    MODEL_NONE,    /* nothing that is known here */
    MODEL_NEEDED,  /* needs it loaded */
    MODEL_LEFT,    /* … but the backend itself has to see to that */
    MODEL_UNLOADS, /* only unloads it */
    MODEL_OTHERS,  /* whatever it likes, with any of them */
};

/* How an exchange ends that waits for the reason. */
struct exchange_why {
    enum { EXCHANGE_WHY_FAIL, EXCHANGE_WHY_BREAK, EXCHANGE_WHY_TELL } how;
    enum access_end ended; /* of BREAK */
    int status;            /* of TELL */
    int is_gone;           /* its connection broke: Ollama itself is gone, it seems */
};

/* Where an exchange goes on. */
struct exchange_way {
    void (*prepare)(struct exchange *x); /* its body is whole, and it is known who answers: the body becomes what that backend wants */
    void (*leave_map)(struct exchange *x); /* it ends: see exchange_leave_map() */
    void (*begin)(struct exchange *x); /* to the backend, when the wait is over */
    void (*refused)(struct exchange *x, const char *why); /* its model could not be asked for: no connection */
    void (*lost)(struct exchange *x, const char *why);    /* … no answer */
    void (*again)(struct exchange *x); /* from the gate on */
    void (*again_soon)(struct exchange *x); /* … in a moment */
};

struct exchange {
    struct env *env;
    const struct message *request;
    const struct exchange_sink *sink;
    enum exchange_state state;
    struct admission admission;
    struct deliver deliver;
    struct answer answer;
    struct buf body; /* held */
    struct budget_share body_share; /* in what all of them hold */
    struct form *form;         /* owned; becomes the body while it comes; NULL: the body is held as it comes */
    uint64_t upload_bytes;     /* of the form, so far */
    int is_json_doubted;       /* the body may be no JSON: its first character says */
    struct gate_ticket ticket;
    struct member *member;     /* whose it is, of a fleet; used; NULL: it has none (yet), or there is no fleet */
    struct exchange_fleet *fleet; /* owned: exchange_fleet.h; NULL: it has nothing to do with one */
    struct exchange_hub *hub;  /* owned: serve/exchange_hub.h; NULL: it is not about the hub's cache */
    struct exchange_look *look; /* owned: exchange_observe.h; NULL: it does not ask what goes on here */
    struct queue_ticket place; /* in line, or in a slot, which it keeps over every try until its end */
    unsigned char priority;    /* which of those in line goes first: proxy/priority.h */
    uint64_t payer;            /* for whom it counts there; 0: for nobody */
    const struct upstream *upstream; /* who answers, chosen when its body is read; NULL: the Ollama of env->backend */
    struct exchange_engine *engine; /* owned: exchange_engine.h; NULL: no engine serves its model */
    struct upstreams_ticket lists; /* waits for lists of models, as nobody is known to have its own */
    void (*chosen)(struct exchange *x); /* … and goes on there */
    const char *target;        /* what the backend is asked for, a literal; NULL: what the client asked for */
    struct ask ask;            /* what its body says as the backend gets it, once it was read */
    struct buf asked_body;     /* … as the client sent it, where it may have to be translated otherwise for its model; else nothing */
    struct capabilities_ticket capable; /* waits to know what its model is able to */
    struct load_ticket load;   /* waits for its model to be loaded; has its wish */
    struct load *answered_by;  /* counted there while it is with the backend; NULL: not */
    struct limits_who limited; /* whose limits it counts for; all zero: none is in force, or its tokens are taken */
    enum exchange_model model; /* what it means for its model */
    unsigned preset_options;   /* what its model is loaded with by the preset's word alone: bits, 1 << enum load_option */
    const struct preset *preset; /* whose models it may use; NULL: the client has named its model */
    int is_model_used;         /* exchange_use_model has put one of them into its body */
    int is_model_gone;         /* the backend says so */
    int is_missed_once;        /* … and it has looked again for that */
    struct pulls_ticket pull;  /* waits for one that is pulled */
    struct store_ask kept;     /* waits for an answer that may be kept in Redis */
    void (*look_again)(struct exchange *x);
    struct relay relay;
    struct asked asked;        /* among those who wait for a byte of the backend's */
    enum access_end ended;
    int told_status;           /* of an error that was told as an answer; 0: none was */
    const char *code;          /* of an error of our own, a literal; or NULL */
    const struct exchange_way *way; /* borrowed */
    void (*go_on)(struct exchange *x); /* when its model is there */
    struct timer timer;        /* hold, pause, heartbeat: whichever is next */
    int64_t began_ms;          /* its head had come */
    struct live live;          /* among those that are under way */
    char *error;               /* owned: what its client was told of an error, cut; NULL: nothing */
    int64_t since_ms;          /* its times are counted up to there */
    int64_t entered_ms;        /* it has its state since */
    int64_t wait_ms;           /* how long it has waited for Ollama and its model, or paused between tries */
    int64_t load_ms;           /* … for its model to be loaded */
    int64_t queue_ms;          /* … and for a slot */
    int64_t hold_until_ms;     /* 0: without limit */
    int64_t pause_until_ms;    /* of EXCHANGE_PAUSE and EXCHANGE_WHY */
    int64_t asked_at_ms;       /* it, or the load that it waits for, went to the backend then; monotonic */
    int32_t asked_pid;         /* … of this Ollama */
    int64_t why_until_ms;      /* of EXCHANGE_WHY, as why and why_text */
    struct exchange_why why;
    struct buf why_text;
    int64_t beat_at_ms;        /* the next heartbeat; 0: none */
    int64_t refused_since_ms;  /* 0: connections are not refused */
    unsigned tries_n;          /* so often it went to a backend */
    unsigned retries_n;
    unsigned lost_loads_n;     /* Ollama died so often while it loaded the model */
    int64_t sent_bytes;        /* of its body, as the backend gets it */
    int backend_status;        /* of the answer that has begun; 0: none */
    int is_with_backend;       /* between exchange_is_answered() and exchange_was_answered() */
    int is_sent_once;          /* its body is larger than retry_body, and gone when it is sent */
    int is_fresh_needed;       /* a kept connection has failed us */
    int is_counted;            /* in in_flight_n */
    int is_held;               /* in held_n */
    int is_body_complete;
    enum contract_sleep asleep; /* Ollama's, where it was answered without it */
    struct plan *plan;         /* owned: what the optimizer makes of its request; NULL: nothing */
    struct map *map;           /* owned: the parts of its conversation, of a plan that maps them, and what became of each; NULL: nothing is mapped, or not yet */
    struct map_run *map_run;   /* owned: they are asked for; NULL: they are not */
    int64_t end_by_ms;         /* its strategy's time limit; 0: none */
    struct check *check;       /* owned; NULL where the backend answers */
    struct generation *generation; /* it listens to that one's answer, or has; shared; NULL: it asks by itself */
    struct share_reader reader; /* … as this */
    int is_optimised;          /* … as the optimizer has its request; not counted yet (exchange_tally) */
    int is_joiner;             /* … which was under way when it came */
    const char *cached;        /* whether it was known: "hit", "miss"; NULL: it is none of the cache's */
    int64_t list_since_ms;     /* the list of models that tells whether it still holds is to be from then, or later; 0: not yet said */
    struct inner *inner;       /* owned; it has no client, and this instead; NULL: it has one */
    struct exchange *next_spare; /* env->spare; what is kept has nothing else */
    struct ending ending;        /* of the answer; large, and the last: it is not zeroed */
};

#define EXCHANGE_SHUTTING_DOWN "the server is shutting down"

/* exchange_life.c. One that is new, and does nothing yet; request and sink are borrowed for its life. 0 or -ENOMEM. */
int exchange_make(struct exchange **out, struct env *env, const struct message *request, const struct exchange_sink *sink) WARN_UNUSED;
/* exchange.c: the first step of exchange_way. */
void exchange_prepare(struct exchange *x);

/* The one place where a state changes: it is logged. */
void exchange_enter(struct exchange *x, enum exchange_state state);
/* Brings wait_ms and queue_ms up to now, and the lines of the answer's head that tell them. */
void exchange_count_time(struct exchange *x);
/* … and by which backend it was answered. */
void exchange_tell_times(struct exchange *x);
/* The lines that a head of ours would have beside its type: `more` (or NULL), and those that are known. Borrowed from *room, which is to be freed. */
const char *exchange_lines(const struct deliver *d, const char *more, struct buf *room);
/* It waits for something else than the backend's answer. */
int exchange_is_waiting(const struct exchange *x);
/* Arms the timer for what is due next. */
void exchange_arm(struct exchange *x);
int exchange_is_streamed(const struct exchange *x);  /* its body goes to the backend as it comes */
int exchange_is_cors_ours(const struct exchange *x); /* a web page asks: CORS is answered here, and the backend knows nothing of it */

/* The held body: more of it (0, -EFBIG beyond max_body, -ENOBUFS beyond max_held_bodies, -ENOMEM), and its end. */
int exchange_hold(struct exchange *x, const char *bytes, size_t bytes_n) WARN_UNUSED;
void exchange_drop_body(struct exchange *x);
void exchange_drop_form(struct exchange *x); /* … what has read it */

/* exchange_form.c. The head of POST /generate has come: what its body is. Nothing on another path. 0, or -1: the exchange has ended. */
int exchange_begin_upload(struct exchange *x) WARN_UNUSED;
/* More of a body, as exchange_hold(); 0 also where the exchange has ended with it. */
int exchange_take_body(struct exchange *x, const char *bytes, size_t bytes_n) WARN_UNUSED;
/* That was all: the body is whole. 0, or -1: the exchange has ended. */
int exchange_end_upload(struct exchange *x) WARN_UNUSED;

/* What the shared page counts; each tells a change only. Held: for Ollama or a model, not for a slot. */
void exchange_count_activity(struct exchange *x, int is_under_way);
void exchange_count_held(struct exchange *x, int is_held);

/* It, or the load that it waits for, goes to the Ollama that the gate has seen last: what goes wrong from now on may be the reason
 * of its end. */
void exchange_note_asked(struct exchange *x);

/* What is known of models: it goes to the backend; and what came of that (harmless where it did not). */
void exchange_is_answered(struct exchange *x);
void exchange_was_answered(struct exchange *x, enum load_answer how);
/* … the backend's connection has failed: it may be another one by now. */
void exchange_lost_backend(struct exchange *x);

/* exchange_wait.c */
void exchange_wait_init(struct exchange *x, const struct exchange_way *way);
/* Waits for a model that is pulled, or for what the backend says of its models: look_again comes. */
void exchange_wait_for_models(struct exchange *x, void (*look_again)(struct exchange *x));
/* Its client waits from now on: for what, and with which heartbeats. */
void exchange_expect_answer(struct exchange *x);
/* Goes now, or as soon as it may. */
void exchange_pass_gate(struct exchange *x);
/* … once more, in a moment. */
void exchange_try_again_soon(struct exchange *x);

/* Gives back its slot, or its place in line. */
void exchange_leave_queue(struct exchange *x);

/* exchange_upstream.c. Its body is whole: who is to answer (x->upstream). 1: it goes on; 0: chosen comes, or it has ended. */
int exchange_choose(struct exchange *x, void (*chosen)(struct exchange *x)) WARN_UNUSED;

/* exchange_lists.c. For Ollama's clients, where there are upstreams: all models, as /api/tags has them; */
void exchange_answer_tags(struct exchange *x);
void exchange_answer_models(struct exchange *x); /* … of /v1 */
/* the model that /api/show is asked for, into x->ask (0, or -1: none can be read), and what is shown of one of an upstream's; */
int exchange_read_shown(struct exchange *x);
void exchange_answer_show(struct exchange *x, const struct upstream *upstream);
int exchange_show_shelved(struct exchange *x); /* … or of one of the hub's cache: 1, or 0: it is none */
/* … names that are ours, beside Ollama's models in lists of /v1; NULL: none; */
const struct translate_models *exchange_own_models(const struct exchange *x);
/* what needs no Ollama where there is none, as it was never started, or has failed: 1 where it was answered. */
int exchange_answer_for_ollama(struct exchange *x);

/* exchange_priority.c. Its body is whole, and it is known who answers: its priority and payer, as far as they are of any use, and its body
 * without the member. 0, or -1: the exchange has ended. */
int exchange_read_priority(struct exchange *x) WARN_UNUSED;

/* exchange_gather.c. All that /health and /metrics are told from; *fleet is borrowed by *facts. */
void exchange_gather(const struct env *env, struct check_facts *facts, struct fleet_facts *fleet);

/* exchange_status.c. GET /status; POST /sidecar/backends/NAME/drain, /undrain. It ends. */
void exchange_answer_status(struct exchange *x);

/* exchange_ui.c. GET /ui, /ui/NAME. It ends. */
void exchange_answer_ui(struct exchange *x);

/* exchange_describe.c. What it is to the fleet, by its body as the backend gets it: all members of *out but `backend`. */
struct fleet_ask;
void exchange_describe(struct exchange *x, struct fleet_ask *out);

/* exchange_generate.c. A body of POST /generate becomes one of Ollama's, with x->preset, and so does one of POST /ollama/generate; nothing where it
 * is another path's. 0, or -1: the exchange has ended. */
int exchange_generate(struct exchange *x) WARN_UNUSED;

/* exchange_asleep.c. 1 where it has ended, answered from what is known of an Ollama that sleeps, or wakes; the gate was refreshed. */
int exchange_answer_asleep(struct exchange *x);
/* The backend has answered what only reads: it may be asked for again while it sleeps. */
void exchange_note_read(struct exchange *x);

/* What stands in its path for the `*` of its route, decoded. 0, or -EINVAL where it can't be. */
int exchange_read_path(const struct exchange *x, char *out, size_t out_n) WARN_UNUSED;

/* exchange_key.c. Whether its key may use the models that it names: of a body as it came, or, is_generated, of what POST /generate made of
 * one, and of its preset. 0, or -1: the exchange has ended. */
int exchange_check_key(struct exchange *x, int is_generated) WARN_UNUSED;
/* The models that its key may use and see; NULL: all. */
const struct list *exchange_key_models(const struct exchange *x);
/* The same, where it asks for a list of them; else NULL. */
const struct list *exchange_shown_models(const struct exchange *x);
/* What its client's heartbeats are. */
enum conf_heartbeat exchange_heartbeat(const struct exchange *x);

/* exchange_pull.c. Which of the models that it may use is there. */
enum exchange_found {
    FOUND_MODEL,   /* it goes on: its body has that model */
    FOUND_PULL,    /* it waits for one that is pulled, or for what the backend says of them: look_again comes */
    FOUND_AT_GATE, /* the gate waits for one of them, which is the one that it has now */
    FOUND_NONE,    /* it has ended */
};
void exchange_pull_init(struct exchange *x, void (*look_again)(struct exchange *x));
enum exchange_found exchange_find_installed(struct exchange *x) WARN_UNUSED;
/* The backend says that its model is not there: 1 where it is to look again, as it may be pulled; 0: it goes on, or has ended. */
int exchange_miss_model(struct exchange *x) WARN_UNUSED;

/* exchange_translate.c. Its body as the backend's API has it, and with what is pinned. 0, or the exchange has ended. */
int exchange_translate(struct exchange *x) WARN_UNUSED;
/* What its body says. */
void exchange_read_body(struct exchange *x);
/* Its body is one that its model can take: 1. 0: it waits to know what that is able to, and go_on comes; -1: it has ended. Who needs
 * nothing that not every model has waits for nothing. */
int exchange_suit_model(struct exchange *x) WARN_UNUSED;

/* Its plan says what is to be sent by now: its body, as it was translated, becomes that, with what is pinned. 0, or the exchange has ended. */
int exchange_apply_plan(struct exchange *x) WARN_UNUSED;

/* exchange_model_load.c. POST /sidecar/models/load and unload. Its model is there: 1 where that was all, as it is not Ollama's, and it has ended. */
int exchange_answer_load(struct exchange *x);
/* It is to be unloaded: 1 where that is not for the one Ollama to answer: it has ended, or will when others have answered. */
int exchange_answer_unload(struct exchange *x);

/* exchange_load.c. go_on: called when a load that it waited for has ended. */
void exchange_load_init(struct exchange *x, void (*go_on)(struct exchange *x));
/* Its body is what the backend will get: what that means for its model. */
void exchange_find_wish(struct exchange *x);
/* Puts this model into its body, with what [pin:MODEL] says of it; its wish is that of this model then. 0, or it has ended. */
int exchange_use_model(struct exchange *x, const char *model) WARN_UNUSED;
/* Whether its model is there; must_fit: as it needs it, and its body is changed for that. GO; WAIT, and go_on comes, or it ends;
 * FULL; LATER; RESTS, and it has ended. */
enum load_verdict exchange_look_for_model(struct exchange *x, int must_fit);

/* exchange_fetch.c: asks the backend. */
extern const struct exchange_way exchange_way;
extern const struct relay_ops exchange_relay_ops;
void exchange_stalled(void *context, const char *why); /* for asked.h */

/* exchange_lacks.c. The backend's error is that it does not have the path: 1, and the exchange has ended, with 501. */
int exchange_lacks_path(struct exchange *x);

/* exchange_optimize.c. Whether its body, which is whole, is for the optimizer; then x->ask is what it says. 1 or 0; -1: the exchange has ended. */
int exchange_is_optimised(struct exchange *x) WARN_UNUSED;
/* What X-Sidecar-Strategy says, as far as there is room; NULL: nothing. And whether the model that it names is `auto`, the optimizer's own. */
enum { EXCHANGE_STRATEGY_BYTES = CONF_NAME_N + 2 }; /* a longer one is none */
const char *exchange_asked_strategy(const struct exchange *x, char room[EXCHANGE_STRATEGY_BYTES]);
int exchange_names_auto(const struct exchange *x);
/* exchange_plan.c. Its body is translated. It makes the answer to such a request: by which strategy, once. 1: it is to be translated once more
 * for that; 0, also where it has no plan; -1: the exchange has ended. */
int exchange_make_plan(struct exchange *x) WARN_UNUSED;
/* What its model has to do without, by the plan's word: bits of enum translate_need. */
unsigned exchange_plan_lacks(const struct exchange *x);
/* Its body becomes what the plan says; nothing where there is none, or parts of it are to be mapped first. 0, or -1: the exchange has ended. */
int exchange_write_plan(struct exchange *x) WARN_UNUSED;
/* What was to become of its body can't: -E2BIG, -EINVAL, with a text for the client; -ENOBUFS, -ENOMEM. -1, and it has ended. */
int exchange_fail_plan(struct exchange *x, int error, const char *why);
/* How many tokens items_n summaries of parts may have together. */
uint64_t exchange_summaries_room(const struct exchange *x, size_t items_n);
/* exchange_map.c. Its body is Ollama's, and its plan says PLAN_MAP: it waits in EXCHANGE_MAP until each part of the conversation has its summary, or
 * is left out; where there is nothing to map it does not wait. Then the plan says how it goes on: PLAN_REDUCE, or PLAN_DIRECT where there are no
 * summaries; and go_on comes, unless it has ended. */
void exchange_begin_map(struct exchange *x, void (*go_on)(struct exchange *x));
/* No part is asked for any more; what was made of them stays. Harmless where none is. */
void exchange_leave_map(struct exchange *x);
/* Its answer was whole: how many tokens the prompt had. */
void exchange_learn_tokens(const struct exchange *x);
/* The backend does not have the model that the strategy names: 1, and the exchange has ended, with 404. */
int exchange_miss_strategys_model(struct exchange *x);
/* The strategy's time is over: it ends. */
void exchange_fail_late(struct exchange *x);
/* exchange_listen.c. It is: the answer is made by another exchange, an inner one, and it listens to that, perhaps among others. */
void exchange_listen(struct exchange *x);
/* Its client takes more. */
void exchange_listen_on(struct exchange *x);
/* exchange_hear.c. What there is of the answer that it has not heard goes to its client, as far as that takes it; it may end with it. */
void exchange_hear(struct exchange *x);
/* Its own heartbeats, and errors that are told as answers, are to look as what is made does. */
void exchange_look_alike(struct exchange *x);
/* Memory is short. */
void exchange_fail_listening(struct exchange *x);
/* exchange_cache.c. Whether its body leaves nothing to chance: the same request again would have the same answer. */
int exchange_is_deterministic(const struct exchange *x);
/* Whether its answer may be kept, and may have been ([optimizer] cache, cache_requests, and the client's Cache-Control). */
int exchange_may_cache(const struct exchange *x);
/* Whether the answer of this key is known: 1, and *out is held; 0: it is to be made; -1: it is in line for the list
 * of models (x->pull), and is to look again then. */
int exchange_find_cached(struct exchange *x, const unsigned char key[CACHE_KEY_BYTES], struct cache_entry **out) WARN_UNUSED;
/* What is made may be kept; and it has come to its end. */
void exchange_begin_keeping(struct generation *g, const unsigned char key[CACHE_KEY_BYTES]);
void exchange_keep_answer(struct generation *g);
/* What is known of an answer that was kept; and whether this one was. */
void exchange_report_cache(const struct exchange *x, struct access_optimised *out);
/* exchange_state.c. Who asks the backend for it: itself, or the inner exchange that it listens to; NULL where nobody has to. */
struct exchange *exchange_maker(struct exchange *x);
int exchange_told_all(struct exchange *x); /* exchange_has_told_all() */
/* The model that answers, as far as it is known: its strategy's, else that of its body. */
const char *exchange_model(const struct exchange *x);
/* It hears no more of what it listens to; and it does not look at it any more either. Harmless where it does not listen. */
void exchange_stop_listening(struct exchange *x);
void exchange_leave_generation(struct exchange *x);
/* An inner exchange: what is done so far, for the heartbeats of those who wait; "": nothing to say. */
void exchange_tell_progress(const struct exchange *x, const char *text);

/* exchange_tally.c. It ends: what became of it, for the optimizer's statistics; nothing where it is none of its. */
void exchange_tally(struct exchange *x, enum exchange_end end);
/* … without an end of its own: nobody waits for it any more; nothing where it has been counted. */
void exchange_tally_left(struct exchange *x);
/* Its request, or the backend's answer, is not what its API says. */
void exchange_tally_fault(const struct exchange *x);

/* exchange_live.c. Its answer is a stream: its first byte is that of a token. */
int exchange_streams(const struct exchange *x);
/* What is told of one that is under way, and of the last ten minutes, tokens of those included. */
void exchange_tell_live(struct exchange *x, struct live_facts *out);
void exchange_tell_series(struct env *env, struct series *out);
/* How many stand in line for a slot, and by priority. */
size_t exchange_count_line(const struct env *env, size_t n[LIVE_PRIORITIES]);

/* exchange_limit.c. Its head is admitted: whether its sender may have one more request. 0, or -1: the exchange has ended, with 429. */
int exchange_pass_limits(struct exchange *x) WARN_UNUSED;
/* exchange_tokens.c. It ends: what its answer took. Once, whatever is called later. */
void exchange_take_tokens(struct exchange *x);

/* exchange_end.c. Leaves every place where something could still come from. */
void exchange_let_go(struct exchange *x);
/* Each is the last thing that an exchange does. lines: more of the head, each with its end; or NULL. code: for machines, a literal; or NULL. */
void exchange_finish(struct exchange *x, enum exchange_end end);
void exchange_answer_options(struct exchange *x);
void exchange_fail_with(struct exchange *x, int status, const char *code, const char *text, const char *lines);
void exchange_fail(struct exchange *x, int status, const char *code, const char *text);
/* A body of /generate that is refused: 400, 413 (an image too large), 415 (no image). */
void exchange_fail_upload(struct exchange *x, int status, const char *why);
/* 503: no more bytes of bodies may be held. */
void exchange_fail_for_bodies(struct exchange *x);
/* Now and honestly: an error, or, where the answer has begun, an end that can be seen as one. Nothing where it has ended. */
void exchange_break_off(struct exchange *x, enum access_end ended, const char *text);
/* exchange_fallback.c. Whether its errors are told as answers; and this one: 1, and it may end; 0: it can't be, or is not to be. */
int exchange_may_fall_back(const struct exchange *x);
int exchange_fall_back(struct exchange *x, int status, const char *code, const char *text) WARN_UNUSED;
/* The backend's own words for what went wrong, with its status, as the client's API writes errors. */
void exchange_tell(struct exchange *x, int status, const char *text);
/* exchange_why.c. As exchange_fail with 502, exchange_break_off and exchange_tell, with the reason that the supervisor knows of what
 * has happened since it asked: now, or in a moment. text: borrowed for the call. */
void exchange_fail_why(struct exchange *x, const char *text);
void exchange_break_off_why(struct exchange *x, enum access_end ended, const char *text);
void exchange_tell_why(struct exchange *x, int status, const char *text);
/* Whether a reason says no more than the text does: Ollama may say itself what its log says. */
int exchange_adds_nothing(const char *text, const char *reason);
/* The timer of EXCHANGE_WHY. */
void exchange_look_why(struct exchange *x, int64_t now_ms);
/* 200 with an object of JSON, and the end; error: as what was to write it says, 500. */
void exchange_answer_json(struct exchange *x, int error, const struct buf *json);
/* With Retry-After, in seconds; 0: without. */
void exchange_fail_until(struct exchange *x, int status, const char *code, const char *text, int64_t retry_s);
/* 503 with Retry-After. */
void exchange_fail_for_now(struct exchange *x, const char *code, const char *text);
/* … as no more may wait. estimate_ms: when those in line will have been served; 0: nobody knows. */
void exchange_fail_full(struct exchange *x, int64_t estimate_ms);

#endif
