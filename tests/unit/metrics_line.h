/*
 * metrics_line: what is written in Prometheus' words has a line.
 */
#ifndef TESTS_UNIT_METRICS_LINE_H
#define TESTS_UNIT_METRICS_LINE_H

#include <stdio.h>
#include <string.h>

static inline void assert_line(const char *text, const char *line)
{
    char all[256];
    assert_true((size_t)snprintf(all, sizeof all, "\n%s\n", line) < sizeof all);
    if (!strstr(text, all))
        fail_msg("no line %s in\n%s", line, text);
}

#endif
