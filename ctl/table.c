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
#include <stdlib.h>
#include <string.h>

enum { CELL_BYTES = 512 };

void table_init(struct table *t, size_t columns_n)
{
    assert(columns_n > 0 && columns_n <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns_n = columns_n};
}

void table_fini(struct table *t)
{
    for (size_t i = 0; i < t->cells_n; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){0};
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
    plain_clean_to(cell, sizeof cell, text);
    char *copy = strdup(cell[0] ? cell : "-");
    if (!copy)
        t->error = -ENOMEM;
    else
        t->cells[t->cells_n++] = copy;
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
    for (size_t i = 0; i < t->cells_n && !error; i++) {
        size_t column = i % t->columns_n;
        int is_coloured = colour_column >= 0 && column == (size_t)colour_column && i >= t->columns_n;
        error = write_cell(t->cells[i], widths[column], column + 1 == t->columns_n,
                           is_coloured ? plain_colour(t->cells[i]) : "", out);
    }
    return error;
}
