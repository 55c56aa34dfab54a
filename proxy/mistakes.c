/* See mistakes.h. Room for the count is kept from the beginning. What a client wrote may be in it, so it is made harmless. */
#include "proxy/mistakes.h"

#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>

enum { COUNT_BYTES = 32 };

void mistakes_init(struct mistakes *m, char *why, size_t room_n)
{
    *m = (struct mistakes){.why = why, .room_n = room_n};
    *why = '\0';
}

void mistakes_add(struct mistakes *m, const char *format, ...)
{
    const char *between = m->told_n ? "; " : "";
    size_t between_n = m->told_n ? 2 : 0, left_n = m->room_n - COUNT_BYTES - m->used_n;
    char *at = m->why + m->used_n;
    va_list args;
    m->found_n++;
    if (m->told_n + 1 < m->found_n) /* one did not fit: none behind it is told, so that the order stays */
        return;
    va_start(args, format);
    int n = left_n > between_n ? vsnprintf(at + between_n, left_n - between_n, format, args) : -1;
    va_end(args);
    if (n < 0 || between_n + (size_t)n >= left_n) {
        *at = '\0';
        return;
    }
    for (size_t i = 0; i < between_n; i++)
        at[i] = between[i];
    buf_neutralise(at);
    m->used_n += strlen(at);
    m->told_n++;
}

size_t mistakes_place(const char *why)
{
    static const char in_places[] = "abcdefghijklmnopqrstuvwxyz0123456789_.[]";
    size_t n = strspn(why, in_places);
    return n > 0 && why[0] >= 'a' && why[0] <= 'z' && why[n] == ':' && why[n + 1] == ' ' ? n : 0;
}

size_t mistakes_end(struct mistakes *m)
{
    const char *or_more = mistakes_are_many(m) ? ", or yet others" : "";
    if (m->told_n == 0 && m->found_n > 0)
        snprintf(m->why, m->room_n, "%zu mistakes, too long to tell", m->found_n);
    else if (m->told_n < m->found_n)
        snprintf(m->why + m->used_n, m->room_n - m->used_n, "; and %zu more%s", m->found_n - m->told_n, or_more);
    return m->found_n;
}
