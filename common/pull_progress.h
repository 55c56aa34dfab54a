/*
 * pull_progress: what the lines of one pull say: layers, bytes, rate, and how it ended.
 */
#ifndef COMMON_PULL_PROGRESS_H
#define COMMON_PULL_PROGRESS_H

#include "common/sys.h"

enum {
    PROGRESS_LAYERS = 64,
    PROGRESS_SAMPLES = 16,
    PROGRESS_SAMPLE_MS = 500,     /* the rate is that of the last 8 s */
    PROGRESS_WORTH_BYTES = 1 << 20, /* a try that brought this much was worth repeating */
    PROGRESS_VERIFY_BYTES_PER_MS = 4096, /* the slowest disk that a digest is computed on: 4 MB/s */
};

enum progress_stage { PROGRESS_MANIFEST, PROGRESS_LAYER, PROGRESS_VERIFY, PROGRESS_WRITE, PROGRESS_SUCCESS };

struct progress_layer {
    char digest[80];
    uint64_t completed, total;
    uint64_t best; /* the most that was ever there: a part that is fetched twice is not progress */
};

struct progress {
    /* kept over the tries of one model */
    struct progress_layer layers[PROGRESS_LAYERS];
    size_t layers_n;
    uint64_t completed, total; /* sums */
    uint64_t grown;            /* bytes that are new since progress_init */
    uint64_t moved;            /* the same with those that were fetched twice: what the rate is of */
    /* of the present try */
    enum progress_stage stage;
    uint64_t grown_before;
    int64_t alive_at_ms; /* the last sign of progress */
    struct {
        int64_t at_ms;
        uint64_t moved;
    } samples[PROGRESS_SAMPLES];
    size_t samples_n;
    unsigned long garbage_n; /* lines that are no object of Ollama's */
    char garbage[80];        /* the start of the first one, clean */
    char error[400];         /* Ollama's own words, clean; "" where there was no error */
};

/* For a new model. */
void progress_init(struct progress *p);
/* A new request for the same model starts. */
void progress_begin(struct progress *p, int64_t now_ms);
/* One line of the answer. */
void progress_line(struct progress *p, const char *line, size_t line_n, int64_t now_ms);

/* When the try is to be given up unless something comes: stall_ms after the last progress, later while a big model's
 * digest is verified, as nothing is said meanwhile. */
int64_t progress_stalls_at_ms(const struct progress *p, int64_t stall_ms);
/* 1 where this try got bytes worth the trouble. */
int progress_is_worth(const struct progress *p);

/* 0 to 100; -1 where it is not known. */
int progress_percent(const struct progress *p);
int progress_percent_of(uint64_t completed_bytes, uint64_t total_bytes); /* likewise */
/* Bytes a second over the last seconds, 0 where not known; and the time left in ms, -1 where not known. */
uint64_t progress_rate(const struct progress *p, int64_t now_ms);
int64_t progress_left_ms(const struct progress *p, int64_t now_ms);

#endif
