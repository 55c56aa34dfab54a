/*
 * A table as wide as its widest cells. Widths are counted in characters, colours are put around a cell after its
 * width was counted, and the last column is not filled up, so that no line ends in blanks.
 *
 * Invariant: every cell is clean text (plain.c) on one line.
 */
#include "ctl/table.h"

#include "ctl/plain.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_BYTES = 512 };

void table_fini(struct table *t)
{
    for (size_t i = 0; i < t->cells_n; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
}

/* The bytes of the first n characters. */
static size_t bytes_of(const char *text, size_t n)
{
    size_t i = 0;
    while (text[i] && (((unsigned char)text[i] & 0xc0) == 0x80 || n-- > 0))
        i++;
    return i;
}

/* Cuts a cell to so many characters. */
static void cut(char cell[CELL_BYTES], size_t most_n)
{
    static const char mark[] = "…";
    if (most_n == 0 || plain_width(cell) <= most_n)
        return;
    memcpy(cell + bytes_of(cell, most_n - 1), mark, sizeof mark); /* table_add has left room */
}

void table_add(struct table *t, const char *text)
{
    char cell[CELL_BYTES];
    if (t->error)
        return;
    if (t->cells_n % t->columns_n == 0) { /* room for the whole row */
        char **cells = realloc(t->cells, (t->cells_n + t->columns_n) * sizeof *cells);
        if (!cells) {
            t->error = -ENOMEM;
            return;
        }
        t->cells = cells;
    }
    plain_clean_to(cell, sizeof cell - 4, text); /* room for the mark of a cut */
    cut(cell, t->most[t->cells_n % t->columns_n]);
    char *copy = malloc(CELL_BYTES);
    if (!copy) {
        t->error = -ENOMEM;
        return;
    }
    snprintf(copy, CELL_BYTES, "%s", cell[0] ? cell : "-");
    t->cells[t->cells_n++] = copy;
}

void table_init(struct table *t, const char *const *heads, size_t columns_n)
{
    assert(columns_n > 0 && columns_n <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns_n = columns_n};
    for (size_t i = 0; i < columns_n; i++)
        table_add(t, heads[i]);
}

static size_t room_for_last(const struct table *t, const size_t *widths)
{
    size_t used_n = 0, last = t->columns_n - 1;
    for (size_t i = 0; i < last; i++)
        used_n += widths[i] + 2;
    return t->width_n == 0 ? 0 : t->width_n > used_n ? t->width_n - used_n : 1;
}

static int write_cell(const char *cell, size_t width_n, int is_last, const char *colour, struct buf *out)
{
    int error = *colour ? buf_printf(out, "%s%s%s", colour, cell, PLAIN_COLOUR_END) : buf_text(out, cell);
    if (error)
        return error;
    if (is_last)
        return buf_text(out, "\n");
    return buf_printf(out, "%*s", (int)(width_n - plain_width(cell) + 2), "");
}

int table_write(const struct table *t, int colour_column, struct buf *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    int error = t->error;
    for (size_t i = 0; i < t->cells_n; i++) {
        size_t width_n = plain_width(t->cells[i]);
        if (width_n > widths[i % t->columns_n])
            widths[i % t->columns_n] = width_n;
    }
    size_t last_n = room_for_last(t, widths);
    for (size_t i = 0; i < t->cells_n && !error; i++) {
        size_t column = i % t->columns_n;
        if (column + 1 == t->columns_n)
            cut(t->cells[i], last_n);
        int is_coloured = colour_column >= 0 && column == (size_t)colour_column && i >= t->columns_n;
        error = write_cell(t->cells[i], widths[column], column + 1 == t->columns_n,
                           is_coloured ? plain_colour(t->cells[i]) : "", out);
    }
    return error;
}
