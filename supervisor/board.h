/*
 * board: the supervisor's side of the shared page: who is in what state, who is busy.
 */
#ifndef SUPERVISOR_BOARD_H
#define SUPERVISOR_BOARD_H

#include "common/contract.h"

struct board {
    int fd;
    struct contract_page *page;
    int64_t last_active_ms; /* of writers that are gone; times here are of the monotonic clock, which all processes share */
    uint64_t progress_bytes; /* of writers that are gone */
};

/* Makes the page. 0 or -errno. */
int board_init(struct board *b) WARN_UNUSED;
void board_fini(struct board *b);

/* No preloader is there, and none will come: its rows are forgotten. */
void board_forget_models(struct board *b);

/* The memory that programs may take together; negative: not known. */
void board_tell_limit(struct board *b, int64_t bytes);

/* The row of this place is this program's, which is down. */
void board_name_program(struct board *b, size_t index, const char *name);
/* A free line for a new writer, zeroed; -1 where all are taken. */
int board_take_line(struct board *b);
/* The writer was reaped: what it counted is forgotten, but not when it was last active. */
void board_free_line(struct board *b, int line, int64_t now_ms);

struct board_activity {
    uint64_t in_flight_n, held_n, asked_n;
    int64_t last_active_ms; /* never later than now */
};
/* Bytes from backends that all writers have counted, ever growing. */
uint64_t board_progress(const struct board *b);
/* What all writers do together. */
void board_activity(const struct board *b, int64_t now_ms, struct board_activity *out);

/* Whether a model of the list, or one that somebody asks for, is being pulled or is to be. */
int board_is_pulling(const struct board *b);

/* When the first model was loaded, and the first byte of an answer came, by what all writers say of the time from since_ms to
 * now_ms (monotonic); 0: nobody says so. */
struct board_marks {
    int64_t loaded_at_ms, first_token_at_ms;
};
void board_marks(const struct board *b, int64_t since_ms, int64_t now_ms, struct board_marks *out);

#endif
