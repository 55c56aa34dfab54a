/* See advice.h. Only what the error's own words don't say; codes by docs/access-log.md. */
#include "proxy/observe/advice.h"

#include <stddef.h>
#include <string.h>

static const struct advice {
    const char *code, *what_to_do;
} all[] = {
    {"model_not_found", "pull the model, or let it be pulled for who asks for it: [proxy] pull_missing = yes"},
    {"context_length_exceeded", "send less, or give the model a larger context: num_ctx, or OLLAMA_CONTEXT_LENGTH"},
    {"queue_full", "more come than can be answered: more slots, another backend, or a longer line by [proxy] max_queue"},
    {"hold_timeout", "see what Ollama waits for in its log, or let requests wait longer: [proxy] hold_timeout"},
    {"bodies_full", "raise [proxy] max_held_bodies where there is memory for it"},
    {"body_too_large", "raise [proxy] max_body, or send less"},
    {"backend_error", "see whether it runs, and what its log says"},
    {"backend_failed", "see its last lines: sidecarctl tail ollama; then sidecarctl restart ollama"},
    {"invalid_api_key", "give the client one of the keys in [key:NAME]"},
    {"missing_api_key", "give the client one of the keys in [key:NAME]"},
    {"rate_limit_exceeded", "raise requests_per_minute or tokens_per_minute, of its key or of [proxy]"},
    {"too_many_connections", "raise [proxy] max_clients_per_address where many share an address"},
};

const char *advice_for(const char *code)
{
    for (size_t i = 0; code && i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].code, code) == 0)
            return all[i].what_to_do;
    return NULL;
}
