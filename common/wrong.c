/* See wrong.h. Words of reasons as docs/troubleshooting.md has them, the particular ones first. */
#include "common/wrong.h"

#include <stdio.h>
#include <string.h>

static const struct hint {
    const char *words, *what_to_do;
} all[] = {
    {"in use by", "stop who has the port, or take another one: [proxy] listen, OLLAMA_HOST"},
    {"can't be started: No such file", "install it, or say where it is: PATH, or command of its [program:NAME]"},
    {"ermission denied", "give the files to the user that it runs as (chown), or run it as their owner"},
    {"disk is full", "free some space where the models are kept, then pull again"},
    {"No space left", "free some space where the models are kept, then pull again"},
    {"no such model", "check its name and tag: sidecarctl models lists those that are here"},
    {"registry can't be reached", "check network, name server and proxy settings (HTTPS_PROXY) of Ollama"},
    {"onnection refused", "see whether it runs, and whether its url is right"},
    {"memory", "a smaller or more quantised model, OLLAMA_CONTEXT_LENGTH=2048, fewer models at once, or more memory"},
    {"signal 9", "somebody killed it: mostly the kernel, for want of memory (sidecarctl status has the limit)"},
    {"does not answer yet", "it is being started: sidecarctl status tells how far it is, sidecarctl tail ollama what it says"},
    {"does not answer", "see its last lines: sidecarctl tail; it is restarted by itself where it hangs"},
    {"could not be loaded", "see why in Ollama's own lines (sidecarctl tail ollama); sidecarctl restart ollama tries it at once"},
    {"restarts within", "see its last lines (sidecarctl tail NAME), mend it, then sidecarctl start NAME"},
    {"was told to", "nothing, where its owner did; else sidecarctl start ollama"},
    {"exit code", "see its last lines: sidecarctl tail NAME"},
};

const char *wrong_hint(const char *text)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strstr(text, all[i].words))
            return all[i].what_to_do;
    return NULL;
}

int wrong_program(char *out, size_t out_n, const char *name, const char *state, const char *reason)
{
    int is_failed = strcmp(state, "failed") == 0, is_waiting = strcmp(state, "backoff") == 0;
    if (!is_failed && !is_waiting && !(strcmp(state, "starting") == 0 && *reason))
        return 0;
    snprintf(out, out_n, "%.200s %s: %.300s", name, is_failed ? "has failed" : is_waiting ? "has ended" : "is starting", *reason ? reason : "no reason is known");
    return 1;
}

void wrong_model(char *out, size_t out_n, const char *name, const char *reason)
{
    snprintf(out, out_n, "the model %.200s is not there: %.300s", name, reason);
}
