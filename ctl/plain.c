/*
 * Names, reasons and log lines that a reply carries were written by others: models, children, registries. They pass
 * through plain_clean before they reach the owner's terminal.
 *
 * Invariant: what plain_clean appends is valid UTF-8 without control characters (but for line ends and tabs in a
 * block).
 */
#include "ctl/plain.h"

#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_harmful(uint32_t point, int is_block)
{
    return utf8_is_harmful(point) && !(is_block && (point == '\n' || point == '\t'));
}

/* The next piece of clean text at *at, which moves on. */
static size_t next_piece(const char **at, const char *end, int is_block, const char **piece)
{
    uint32_t point = 0;
    size_t length = utf8_decode(*at, (size_t)(end - *at), &point);
    int is_bad = length == 0 || is_harmful(point, is_block);
    *piece = is_bad ? "?" : *at;
    *at += length > 0 ? length : 1;
    return is_bad ? 1 : length;
}

int plain_clean(struct buf *out, const char *text, size_t text_n, int is_block)
{
    const char *at = text, *end = text + text_n, *piece;
    int error = 0;
    while (at < end && !error) {
        size_t piece_n = next_piece(&at, end, is_block, &piece);
        error = buf_append(out, piece, piece_n);
    }
    return error;
}

int plain_text(struct buf *out, const char *text)
{
    return plain_clean(out, text, strlen(text), 0);
}

void plain_clean_to(char *out, size_t out_n, const char *text)
{
    const char *at = text, *end = text + strlen(text), *piece;
    size_t n = 0;
    while (at < end) {
        size_t piece_n = next_piece(&at, end, 0, &piece);
        if (n + piece_n >= out_n)
            break;
        memcpy(out + n, piece, piece_n);
        n += piece_n;
    }
    if (out_n > 0)
        out[n] = '\0';
}

size_t plain_width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

const char *plain_colour(const char *state)
{
    static const struct {
        const char *state, *colour;
    } colours[] = {
        {"ready", "\033[32m"},    {"running", "\033[32m"}, {"ok", "\033[32m"},       {"done", "\033[32m"},
        {"starting", "\033[33m"}, {"backoff", "\033[33m"}, {"stopping", "\033[33m"}, {"degraded", "\033[33m"},
        {"failed", "\033[31m"},   {"down", "\033[2m"},     {"asleep", "\033[2m"},
        {"loaded", "\033[32m"},   {"streaming", "\033[32m"}, {"held", "\033[33m"},    {"pulling", "\033[33m"},
        {"loading", "\033[33m"},  {"queued", "\033[33m"},  {"waiting", "\033[33m"},   {"refused", "\033[31m"},
        {"timeout", "\033[31m"},  {"cancelled", "\033[2m"}, {"client_gone", "\033[2m"}, {"backend_broken", "\033[31m"},
        {"backend_unreachable", "\033[31m"}, {"backend_unfinished", "\033[31m"}, {"backend_error", "\033[31m"},
        {"up", "\033[32m"},       {"slow_start", "\033[33m"}, {"half_open", "\033[33m"}, {"open", "\033[31m"},
    };
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strcmp(state, colours[i].state) == 0)
            return colours[i].colour;
    return "";
}

int plain_has_colours(void)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return sys_isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && terminal && strcmp(terminal, "dumb") != 0;
}
