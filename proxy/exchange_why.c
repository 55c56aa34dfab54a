/*
 * See exchange_state.h. An answer that broke with Ollama, or with its runner, ends with the reason that the supervisor knows: it
 * stands on the page. Our connection ends before the process is reaped, or the kernel's counter read: so the end is put off for
 * a moment, with nothing held but the client's connection.
 */
#include "proxy/exchange_state.h"

#include <stdio.h>

enum {
    LOOK_AGAIN_MS = 50,
    WAIT_MS = 700,  /* the supervisor looks at the kernel's counter within 250 ms of its first word of it */
    EARLIER_MS = 500, /* it may have died just before it was asked */
};

static const char nobody_knows[] = "its runner has ended, and nobody says why: it was killed, perhaps";

/* What Ollama says where it has lost a runner, rather than what the runner said. */
static int is_about_a_death(const char *text)
{
    static const char *const signs[] = {"EOF", "runner", "llama-server", "connection re", "broken pipe", "CUDA error", "ROCm error", "signal:"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strstr(text, signs[i]))
            return 1;
    return 0;
}

/* … and nothing of the reason. */
static int is_bare(const char *text)
{
    return strstr(text, "EOF") || strstr(text, "connection re") || strstr(text, "broken pipe");
}

static int has_supervisor(const struct exchange *x)
{
    return !x->upstream && x->env->page && x->env->gate.view.is_api_watched;
}

int exchange_adds_nothing(const char *text, const char *reason)
{
    const char *words = strstr(reason, "says: ");
    return !*reason || strstr(reason, text) || strstr(text, words ? words + strlen("says: ") : reason);
}

/* What is known by now, and whether that will do: where Ollama itself is gone, its log is heard before its exit code, and its own words
 * come before the kernel's. */
static int read_trouble(const struct exchange *x, const struct exchange_why *why, const char *text, char reason[CONTRACT_REASON_BYTES])
{
    const struct gate_view *view = &x->env->gate.view;
    gate_refresh(&x->env->gate);
    int is_noticed = view->ollama != CONTRACT_READY || view->ollama_pid != x->asked_pid;
    contract_trouble_read(&x->env->page->trouble, x->asked_at_ms - EARLIER_MS, reason);
    return !exchange_adds_nothing(text, reason) && (!why->is_gone || is_noticed);
}

static void end_now(struct exchange *x, const struct exchange_why *why, const char *text)
{
    switch (why->how) {
    case EXCHANGE_WHY_FAIL:
        exchange_fail(x, 502, "backend_error", text);
        return;
    case EXCHANGE_WHY_BREAK:
        exchange_break_off(x, why->ended, text);
        return;
    case EXCHANGE_WHY_TELL:
        exchange_tell(x, why->status, text);
        return;
    }
}

/* Never the same words twice. */
static void end_with(struct exchange *x, const struct exchange_why *why, const char *text, const char *reason)
{
    struct buf whole;
    buf_init(&whole, 0);
    if (exchange_adds_nothing(text, reason) || buf_printf(&whole, "%s; %s", text, reason) < 0 || buf_append(&whole, "", 1) < 0)
        end_now(x, why, text);
    else
        end_now(x, why, buf_data(&whole));
    buf_fini(&whole);
}

static void end_why(struct exchange *x, const struct exchange_why *why, const char *text)
{
    char reason[CONTRACT_REASON_BYTES] = "";
    int64_t now_ms = loop_now_ms(x->env->loop);
    if (!has_supervisor(x) || x->state == EXCHANGE_END || read_trouble(x, why, text, reason)) {
        end_with(x, why, text, reason);
        return;
    }
    buf_init(&x->why_text, 0);
    if (buf_append(&x->why_text, text, strlen(text) + 1) < 0) {
        buf_fini(&x->why_text);
        end_now(x, why, text);
        return;
    }
    if (x->env->channel_fd >= 0)
        (void)!contract_send(x->env->channel_fd, CONTRACT_LOST, 0, ""); /* a full channel: most often it knows by itself */
    x->why = *why;
    x->beat_at_ms = 0; /* it ends in a moment */
    x->why_until_ms = now_ms + WAIT_MS;
    x->pause_until_ms = now_ms + LOOK_AGAIN_MS;
    deliver_flush(&x->deliver); /* what is not written yet lies in the backend's connection, which goes to others now */
    exchange_let_go(x);
    exchange_enter(x, EXCHANGE_WHY);
    exchange_arm(x);
}

void exchange_look_why(struct exchange *x, int64_t now_ms)
{
    char reason[CONTRACT_REASON_BYTES];
    if (!read_trouble(x, &x->why, buf_data(&x->why_text), reason) && now_ms < x->why_until_ms) {
        x->pause_until_ms = now_ms + LOOK_AGAIN_MS;
        exchange_arm(x);
        return;
    }
    struct buf text = x->why_text;
    x->why_text = (struct buf){.limit_bytes = 0};
    int is_unknown = !*reason && x->why.how == EXCHANGE_WHY_TELL && is_bare(buf_data(&text));
    end_with(x, &x->why, buf_data(&text), is_unknown ? nobody_knows : reason);
    buf_fini(&text);
}

void exchange_fail_why(struct exchange *x, const char *text)
{
    end_why(x, &(struct exchange_why){.how = EXCHANGE_WHY_FAIL, .is_gone = 1}, text);
}

void exchange_break_off_why(struct exchange *x, enum access_end ended, const char *text)
{
    if (ended == ACCESS_BACKEND_ERROR && x->answer.state == ANSWER_PASS) { /* its own words are with the client already */
        exchange_break_off(x, ended, text);
        return;
    }
    end_why(x, &(struct exchange_why){.how = EXCHANGE_WHY_BREAK, .ended = ended, .is_gone = ended == ACCESS_BACKEND_BROKEN}, text);
}

/* What the client is to blame for is no death, whatever words stand in it: a model may be named after a runner. */
void exchange_tell_why(struct exchange *x, int status, const char *text)
{
    if (status / 100 != 4 && is_about_a_death(text))
        end_why(x, &(struct exchange_why){.how = EXCHANGE_WHY_TELL, .status = status}, text);
    else
        exchange_tell(x, status, text);
}
