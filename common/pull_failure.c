/*
 * Ollama tells of a failed pull by one line {"error": TEXT}, and TEXT is whatever Go's network and file layers said.
 * This file reads those texts (v0.9.5 and later: server/images.go, server/download.go) and sorts them by what a
 * person has to do. Order matters: the table is searched from the top, and the narrow texts stand before the broad
 * ones ("connect: permission denied" is the network's, "open …: permission denied" the disk's).
 *
 * Invariant: every kind has a word and a sentence (a test asserts it); an unknown text is FAILURE_OTHER and retried.
 */
#include "common/pull_failure.h"

#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    char part[26]; /* in lower case */
    enum failure kind;
} parts[] = {
    {"no space left on device", FAILURE_DISK_FULL},
    {"not enough space", FAILURE_DISK_FULL},
    {"disk quota exceeded", FAILURE_DISK_FULL},
    {"no such host", FAILURE_NETWORK},
    {"connection refused", FAILURE_NETWORK},
    {"network is unreachable", FAILURE_NETWORK},
    {"network is down", FAILURE_NETWORK},
    {"no route to host", FAILURE_NETWORK},
    {"i/o timeout", FAILURE_NETWORK},
    {"connection timed out", FAILURE_NETWORK},
    {"tls handshake timeout", FAILURE_NETWORK},
    {"deadline exceeded", FAILURE_NETWORK},
    {"client.timeout exceeded", FAILURE_NETWORK},
    {"server misbehaving", FAILURE_NETWORK},
    {"name resolution", FAILURE_NETWORK},
    {"connection reset", FAILURE_BROKEN_OFF},
    {"broken pipe", FAILURE_BROKEN_OFF},
    {"unexpected eof", FAILURE_BROKEN_OFF},
    {"proxyconnect", FAILURE_NETWORK},
    {"x509:", FAILURE_NETWORK},
    {"tls:", FAILURE_NETWORK},
    {"dial tcp", FAILURE_NETWORK},
    {"part stalled", FAILURE_BROKEN_OFF},
    {"digest mismatch", FAILURE_CORRUPT},
    {"newer version of ollama", FAILURE_OLD_OLLAMA},
    {"invalid model name", FAILURE_BAD_NAME},
    {"insecure protocol", FAILURE_BAD_NAME},
    {"manifest unknown", FAILURE_UNKNOWN_MODEL},
    {"file does not exist", FAILURE_UNKNOWN_MODEL},
    {"too many requests", FAILURE_REGISTRY_BUSY},
    {"unauthorized", FAILURE_UNAUTHORISED},
    {"access denied", FAILURE_UNAUTHORISED},
    {"forbidden", FAILURE_UNAUTHORISED},
    {"read-only file system", FAILURE_STORE},
    {"permission denied", FAILURE_STORE},
    {"operation not permitted", FAILURE_STORE},
    {"input/output error", FAILURE_STORE},
};

static const struct {
    const char *word;
    int is_final;
    const char *sentence;
} kinds[FAILURE_COUNT] = {
    [FAILURE_NONE] = {"none", 0, "nothing failed"},
    [FAILURE_DISK_FULL] = {"disk_full", 1,
                           "the disk is full: free some space where Ollama keeps its models, then try again"},
    [FAILURE_STORE] = {"store", 1, "Ollama can't write its models: check the owner and the mount of OLLAMA_MODELS"},
    [FAILURE_UNKNOWN_MODEL] = {"unknown_model", 1,
                               "the registry has no such model: check its name and tag"},
    [FAILURE_BAD_NAME] = {"bad_name", 1, "Ollama does not take this name: correct it"},
    [FAILURE_OLD_OLLAMA] = {"old_ollama", 1, "this model needs a newer Ollama: update it"},
    [FAILURE_UNAUTHORISED] = {"unauthorised", 1,
                              "access was refused: the model is private, or its name is wrong; "
                              "the registry has to know Ollama's key"},
    [FAILURE_REFUSED] = {"refused", 1, "the registry refused the request"},
    [FAILURE_NETWORK] = {"network", 0, "the registry can't be reached: check network, name server and proxy settings"},
    [FAILURE_BROKEN_OFF] = {"broken_off", 0,
                            "the download broke off: what is there is kept, the next try goes on from it"},
    [FAILURE_REGISTRY_BUSY] = {"registry_busy", 0, "the registry is busy or in trouble: try again later"},
    [FAILURE_CORRUPT] = {"corrupt", 0, "what was downloaded is damaged, Ollama has to fetch it again"},
    [FAILURE_STALLED] = {"stalled", 0, "no byte came for too long: check the network"},
    [FAILURE_GARBAGE] = {"garbage", 0,
                         "the answer makes no sense: is what answers at the backend's address really Ollama?"},
    [FAILURE_CUT] = {"cut", 0, "Ollama ended the pull without success and without an error"},
    [FAILURE_GONE] = {"ollama_gone", 0, "the connection to Ollama was lost"},
    [FAILURE_UNLISTED] = {"unlisted", 1, "Ollama says success, but the model is not listed"},
    [FAILURE_NO_ANSWER] = {"no_answer", 1, "Ollama does not answer: is it running?"},
    [FAILURE_STOPPED] = {"stopped", 1, "the preloader was stopped before this model was there"},
    [FAILURE_OTHER] = {"other", 0, "the pull failed"},
};

/* The first HTTP status in "pull model manifest: 503: …" or "unexpected status code 502"; 0 where there is none. */
static long status_in(const char *text)
{
    static const char code[] = "status code ";
    const char *named = strstr(text, code);
    if (named)
        return strtol(named + sizeof code - 1, NULL, 10);
    for (const char *at = text; *at; at++) {
        if ((at == text || at[-1] == ' ') && strspn(at, "0123456789") == 3 && (at[3] == ':' || at[3] == '\0'))
            return strtol(at, NULL, 10);
    }
    return 0;
}

static enum failure by_status(long status)
{
    if (status == 401 || status == 403)
        return FAILURE_UNAUTHORISED;
    if (status == 404)
        return FAILURE_UNKNOWN_MODEL;
    if (status == 412)
        return FAILURE_OLD_OLLAMA;
    if (status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599))
        return FAILURE_REGISTRY_BUSY;
    return status >= 400 && status <= 499 ? FAILURE_REFUSED : FAILURE_OTHER;
}

enum failure failure_classify(const char *text, long http_status)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcasestr(text, parts[i].part))
            return parts[i].kind;
    long status = status_in(text);
    if (status > 0)
        return by_status(status);
    return http_status >= 500 ? FAILURE_OTHER : by_status(http_status); /* its own 500 says nothing of the registry */
}

const char *failure_word(enum failure kind)
{
    return kinds[kind].word;
}

int failure_is_final(enum failure kind)
{
    return kinds[kind].is_final;
}

void failure_reason(char *out, size_t out_n, enum failure kind, const char *detail)
{
    size_t n = (size_t)snprintf(out, out_n, "%s", kinds[kind].sentence);
    if (!*detail || n + sizeof " ()" >= out_n)
        return;
    memcpy(out + n, " (", 2);
    text_clean(out + n + 2, out_n - n - 3, detail, strlen(detail)); /* cut at a whole character, with room for the bracket */
    memcpy(out + strlen(out), ")", 2);
}
