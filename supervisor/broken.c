/* See broken.h. The child is not trusted: what it says is bounded in time, and cleaned. */
#include "supervisor/broken.h"

#include "common/log.h"
#include "supervisor/clean.h"

#include <stdio.h>
#include <string.h>

enum { AGAIN_MS = 10 * 60 * 1000 }; /* a GPU that is gone for good is not brought back by one restart after the other */

void broken_heard(struct supervisor *s, const struct child *c, const struct contract_message *m)
{
    int64_t now_ms = loop_now_ms(&s->loop);
    struct child *ollama = state_child(s, "ollama");
    char why[CONTRACT_REASON_BYTES], model[sizeof m->name + 1];
    if (!c->launch.has_listeners || m->value != CONTRACT_BROKEN_GPU || s->is_stopping || ollama->program.state != CONTRACT_READY)
        return;
    snprintf(model, sizeof model, "%.*s", (int)sizeof m->name, m->name);
    clean_line(model, strlen(model), 0);
    if (s->broken_at_ms && now_ms - s->broken_at_ms < AGAIN_MS) {
        log_event(LOG_WARNING, "gpu_not_restored", "model=\"%s\" hint=\"Ollama was restarted for that less than 10 minutes ago, and is left as it is\"", model);
        return;
    }
    s->broken_at_ms = now_ms;
    snprintf(why, sizeof why, "model %.160s fell from the GPU to the CPU when we did not run for a while", model);
    program_hung(&ollama->program, why, now_ms);
}
