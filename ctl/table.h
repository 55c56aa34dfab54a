/*
 * table: cells in aligned columns.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include "common/buf.h"

enum { TABLE_COLUMNS_MAX = 12, TABLE_NO_COLUMN = -1 };

struct table {
    char **cells; /* row by row; owned */
    size_t cells_n;
    size_t columns_n;
    size_t most[TABLE_COLUMNS_MAX]; /* characters of a cell in that column, beyond: cut with "…"; 0: as it is */
    size_t width_n;                 /* characters of a line; the last column is cut to fit. 0: as it comes */
    int error; /* the first one; the cells after it are missing */
};

/* heads: of the columns, its first row. */
void table_init(struct table *t, const char *const *heads, size_t columns_n);
void table_fini(struct table *t);

/* The next cell, left to right; cleaned here. An empty one shows as "-". */
void table_add(struct table *t, const char *text);

/* All of it, a line a row, columns two blanks apart. colour_column: the one whose cells are states to be coloured, or
 * TABLE_NO_COLUMN. 0 or -errno. */
int table_write(const struct table *t, int colour_column, struct buf *out) WARN_UNUSED;

#endif
