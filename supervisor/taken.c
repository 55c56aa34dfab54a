/* See taken.h. */
#include "supervisor/taken.h"

#include "supervisor/probe.h"

enum { ANSWER_WITHIN_MS = 500 };

static void told(void *context, int is_good)
{
    *(int *)context = is_good;
}

static int answers(struct loop *loop, const struct address *a, const char *path, const char *must_contain)
{
    struct probe probe;
    struct probe_room room;
    struct address there;
    int is_answered = 0;
    int64_t until_ms = loop_now_ms(loop) + ANSWER_WITHIN_MS;
    address_reachable(a, &there);
    probe_init(&probe, loop, &room, told, &is_answered);
    probe_start(&probe, &there, path, must_contain);
    while (!is_answered && loop_now_ms(loop) < until_ms)
        if (loop_turn(loop, until_ms - loop_now_ms(loop)) < 0)
            break;
    probe_stop(&probe);
    return is_answered;
}

const char *taken_advice(struct loop *loop, const struct address *a)
{
    if (answers(loop, a, "/live", "\"status\"")) /* a path that Ollama does not have */
        return "; it is an ollama-sidecar itself: stop it, or set [proxy] listen";
    if (answers(loop, a, "/api/version", "\"version\""))
        return "; it speaks Ollama's protocol: `make run ATTACH=1` runs in front of it, on 127.0.0.1:11436; "
               "as a service: docs/systemd.md";
    return "";
}
