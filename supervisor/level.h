/*
 * level: how bad a program itself calls a line that it wrote.
 */
#ifndef SUPERVISOR_LEVEL_H
#define SUPERVISOR_LEVEL_H

#include "common/log.h"

/* LOG_ERROR or LOG_WARNING where the line's own form says so, else LOG_DEBUG: a program's ordinary lines are of no interest
 * at the default level. Forms: level= of Go's slog and of logrus, klog, JSON lines, Python's logging, vLLM's, a leading
 * word or [word]; and what runtimes write when they give up. A word in the middle of a message says nothing. */
enum log_level level_of_line(const char *line);

#endif
