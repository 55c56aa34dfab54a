/*
 * place: where the supervisor listens, by the same configuration that it reads itself.
 */
#ifndef CTL_PLACE_H
#define CTL_PLACE_H

#include "common/conf.h"

/* Loads what says where the socket is. Mistakes are told on stderr, and what else can be read of the file says it then, or the defaults. file: -c, or NULL. 0 or -errno. */
int place_load(struct conf **conf, const char *file) WARN_UNUSED;

/* The configuration's socket; the supervisor's second choice where only that can be seen. */
const char *place_socket(const struct conf *c);

#endif
