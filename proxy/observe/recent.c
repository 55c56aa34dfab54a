/* See recent.h. Whoever makes the same mistake again and again does not drive out what else there was: the same words are one error. */
#include "proxy/observe/recent.h"

#include <stdio.h>
#include <string.h>

static const char *const from_names[] = {"request", "program", "preload", "backend", "engine", "pull"};
_Static_assert(sizeof from_names / sizeof *from_names == ERROR_FROM_COUNT, "a name for each");

const char *error_from_name(enum error_from from)
{
    return from_names[from];
}

/* How much of a text that is cut at n bytes is whole characters. */
static size_t whole_n(const char *text, size_t n)
{
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static size_t cut(char *out, size_t room_n, const char *text)
{
    size_t n = strnlen(text, room_n);
    if (n == room_n)
        n = whole_n(text, room_n - 1);
    memcpy(out, text, n);
    out[n] = '\0';
    return n + 1;
}

void recent_end(struct recent *r, const struct ended *facts, const char *const texts[ENDED_TEXT_COUNT])
{
    struct ended *e = &r->ended[r->ended_n++ % RECENT_ENDED_MAX];
    size_t used_n = 0;
    memcpy(e, facts, offsetof(struct ended, at));
    for (size_t i = 0; i < ENDED_TEXT_COUNT; i++) {
        size_t room_n = RECENT_TEXTS_BYTES - used_n - (ENDED_TEXT_COUNT - 1 - i); /* an end for each that follows */
        e->at[i] = (uint16_t)used_n;
        used_n += cut(e->texts + used_n, room_n < RECENT_TEXT_BYTES ? room_n : RECENT_TEXT_BYTES, texts[i] ? texts[i] : "");
    }
}

const struct ended *recent_ended(const struct recent *r, size_t i)
{
    return i < r->ended_n && i < RECENT_ENDED_MAX ? &r->ended[(r->ended_n - 1 - i) % RECENT_ENDED_MAX] : NULL;
}

const char *ended_text(const struct ended *e, enum ended_text which)
{
    return e->texts + e->at[which];
}

void recent_error(struct recent *r, enum error_from from, int64_t at_ms, const char *what, const char *what_to_do, const char *id)
{
    struct error_note note = {.at_ms = at_ms, .from = from, .times_n = 1, .what_to_do = what_to_do};
    size_t place = 0;
    cut(note.what, sizeof note.what, what);
    cut(note.id, sizeof note.id, id);
    while (place < r->errors_n && (r->errors[place].from != from || strcmp(r->errors[place].what, note.what) != 0))
        place++;
    if (place < r->errors_n)
        note.times_n += r->errors[place].times_n;
    else if (r->errors_n < RECENT_ERRORS_MAX)
        r->errors_n++;
    else
        place = RECENT_ERRORS_MAX - 1;
    memmove(r->errors + 1, r->errors, place * sizeof *r->errors);
    r->errors[0] = note;
}
