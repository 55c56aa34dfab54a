/*
 * taken: a listener's port is somebody else's: is it one that we could stand in front of?
 */
#ifndef SUPERVISOR_TAKEN_H
#define SUPERVISOR_TAKEN_H

#include "common/loop.h"
#include "common/parse.h"

/* What to do about it, for the end of the message ("" where nothing is known): the holder is asked, for a second at most,
 * whether it answers as Ollama does, or as another of our own. At boot only: it runs the loop. */
const char *taken_advice(struct loop *loop, const struct address *a);

#endif
