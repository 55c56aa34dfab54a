/*
 * drive: brings the machine of pull.h, the requests of http.h, signals and the supervisor together.
 */
#ifndef PRELOAD_DRIVE_H
#define PRELOAD_DRIVE_H

#include "common/conf.h"
#include "preload/models.h"

/* What came of it. */
struct drive_result {
    size_t failed_n;
    int stopped_by; /* the signal's number, or 0 */
};

/* Gets all the models into conf's backend, or into each Ollama of a fleet; returns when each row has its end or a signal came. names: those
 * of the rows. 0 or -errno. */
int drive_run(const struct conf *conf, const struct list *names, struct models *models, struct drive_result *result) WARN_UNUSED;

#endif
