/*
 * broken: a proxy says that Ollama runs, and is of no use as it is: a model that was on the GPU is not any more.
 */
#ifndef SUPERVISOR_BROKEN_H
#define SUPERVISOR_BROKEN_H

#include "supervisor/state.h"

/* CONTRACT_BROKEN from this child: Ollama is restarted, unless it was for the same reason a short while ago, and the page, the log
 * and `status` say why. */
void broken_heard(struct supervisor *s, const struct child *c, const struct contract_message *m);

#endif
