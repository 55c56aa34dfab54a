/*
 * metrics_write: a family of metrics as a table of rows, and its samples in Prometheus' words.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).
 */
#ifndef PROXY_OBSERVE_METRICS_WRITE_H
#define PROXY_OBSERVE_METRICS_WRITE_H

#include "common/buf.h"
#include "proxy/observe/histogram.h"

enum { METRICS_LABELS_MAX = 3 };

struct metric;
struct metrics_input; /* proxy/metrics.h: what is told of */

struct metrics_writer {
    struct buf *out;
    const struct metrics_input *in;
    const struct metric *metric;
    size_t name_n; /* … of whose words */
    int error; /* the first; nothing is written behind it */
};

/* A row: whoever adds a metric adds one. */
struct metric {
    const char *words; /* its name, its type, and behind these its help, without backslashes and line ends: one pointer, not three */
    void (*samples)(struct metrics_writer *w);
    int which; /* of several that are made alike; for samples */
};

struct metrics_family {
    const struct metric *rows;
    size_t rows_n;
    int (*is_told)(const struct metrics_input *in); /* NULL: always */
};

#define METRICS_FAMILY(rows, is_told) {(rows), sizeof (rows) / sizeof *(rows), (is_told)}

/* A label; its value is escaped. */
struct metrics_label {
    const char *name, *value;
};

/* One sample of the row that is being written. labels: NULL where labels_n is 0. Counts are exact up to 2^53. */
void metrics_sample(struct metrics_writer *w, const struct metrics_label *labels, size_t labels_n, double value);
/* … with no label, and with one. */
void metrics_plain(struct metrics_writer *w, double value);
void metrics_labelled(struct metrics_writer *w, const char *label, const char *value, double number);
/* A histogram's samples, in seconds; label: NULL for none. */
void metrics_histogram(struct metrics_writer *w, const char *label, const char *value, const struct histogram *h, const struct histogram_bounds *by);

/* All rows of a family that is told. */
void metrics_family_write(struct metrics_writer *w, const struct metrics_family *f);

#endif
