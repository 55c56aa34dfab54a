/*
 * text: numbers and foreign words made fit for a line that people read.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include "common/sys.h"

enum { TEXT_NUMBER_BYTES = 32 };

/* Copies text of others, cut at whole characters: control characters, broken UTF-8 and what changes the writing
 * direction become '?', line breaks and runs of blanks one space, '"' becomes '\'' as a log quotes by it. Always
 * terminated where out_n > 0. */
void text_clean(char *out, size_t out_n, const char *text, size_t text_n);

/* Whether there are spaces only, or nothing: in streams of lines a heartbeat. */
int text_is_blank(const char *text, size_t text_n);

/* `812 B`, `1.3 GB`: decimal units, as Ollama prints them. */
void text_bytes(char out[TEXT_NUMBER_BYTES], uint64_t bytes);

/* `850ms`, `12s`, `3m12s`, `2h05m`, `3d04h`; `-` below zero. */
void text_duration(char out[TEXT_NUMBER_BYTES], int64_t ms);

#endif
