/*
 * note: what is recorded of a model beside its snapshots, in .ollama-sidecar.json: how it was pulled, how long its last load took, and by whom. The file is
 * written whole or not at all; one that is broken is as good as none.
 */
#ifndef PRELOAD_HUB_NOTE_H
#define PRELOAD_HUB_NOTE_H

#include "preload/hub/place.h"

#define NOTE_FILE ".ollama-sidecar.json"
enum { NOTE_TEXT_BYTES = 200, NOTE_LIMIT_BYTES = 64 * 1024 };

struct note {
    char revision[PLACE_REVISION_N + 1]; /* that was pulled last, and is whole; "": none was */
    char pulled_at[32];                  /* RFC 3339 */
    char description[NOTE_TEXT_BYTES];
    char backend[64];                    /* the engine that loaded it last; "" */
    int64_t load_ns;                     /* of that; -1: never */
    int64_t size_bytes;
    int is_preferred_quantized;          /* 1, 0; -1: nobody has said */
    int is_quantized;                    /* as it was loaded last; -1: never */
};

/* What is there; else an empty one. */
void note_read(struct note *note, const struct place *place);
/* 0 or -errno. */
int note_write(const struct note *note, const struct place *place) WARN_UNUSED;
/* Now, as pulled_at has it. */
void note_time(char out[32], int64_t realtime_ms);

#endif
