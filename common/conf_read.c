/*
 * The ini file, line by line. inih does the parsing, fed by our own reader, for inih alone cuts long lines in two,
 * shortens section names and forgets line numbers: the reader counts lines, keeps the section's name,
 * tells of what inih would swallow, and hands a long line over as the indented pieces of one value.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INI_LIMIT_BYTES = 4 << 20, VALUE_LIMIT_BYTES = 64 * 1024, KEY_BYTES = 90 };

struct reader {
    struct conf *c;
    struct conf_entries *entries;
    struct diag *d;
    const char *path;
    const char *at, *end;          /* what is not read yet */
    int line;                      /* number of the line in hand */
    char text[CONF_LINE_BYTES + 1]; /* that line, without its end */
    size_t piece_at;               /* what inih has of it */
    int is_piece;                  /* the next call of the handler continues a value */
    int is_continuation;           /* the line in hand is indented: it continues a value too */
    enum { ABOVE_NOTHING, ABOVE_VALUE, ABOVE_REFUSED } above; /* what an indented line would continue */
    struct buf value;              /* of the last entry, until it is complete */
    char *section, *name;
    int has_error;                 /* of memory */
};

/* The value in hand is complete: it becomes the last entry's. */
static int finish_value(struct reader *r)
{
    struct conf_entry *last = r->entries->items_n ? &r->entries->items[r->entries->items_n - 1] : NULL;
    if (!last || !last->key || last->value)
        return 0;
    last->value = conf_text(r->c, buf_data(&r->value), buf_size(&r->value));
    buf_consume(&r->value, buf_size(&r->value));
    return last->value ? 0 : -ENOMEM;
}

static int add_entry(struct reader *r, char *key)
{
    struct conf_entries *e = r->entries;
    if (finish_value(r) < 0)
        return -ENOMEM;
    if (e->items_n == e->room_n) {
        size_t room_n = e->room_n ? e->room_n * 2 : 64;
        struct conf_entry *items = realloc(e->items, room_n * sizeof *items);
        if (!items)
            return -ENOMEM;
        e->items = items;
        e->room_n = room_n;
    }
    e->items[e->items_n++] = (struct conf_entry){r->section, r->name, key, NULL, r->line};
    return 0;
}

/* What a mistake may quote of a line. */
static const char *shown(const struct reader *r, const char *text)
{
    return conf_has_secret_rows(r->section) ? CONF_MASK : text;
}

/* `[section]` or `[section:name]`, of any length. */
static void read_header(struct reader *r, const char *start)
{
    const char *end = strchr(start, ']');
    if (!end) {
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "the section's header is not closed: write [NAME]");
        return;
    }
    const char *colon = memchr(start + 1, ':', (size_t)(end - start - 1));
    const char *section_end = colon ? colon : end;
    r->section = conf_text(r->c, start + 1, (size_t)(section_end - start - 1));
    r->name = colon ? conf_text(r->c, colon + 1, (size_t)(end - colon - 1)) : NULL;
    const char *rest = end + 1 + strspn(end + 1, " \t");
    if (*rest && !strchr(";#", *rest))
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "\"%.60s\" after the section's header is not read: put it on a line of its own",
                 shown(r, rest));
    if (!r->section || (colon && !r->name) || add_entry(r, NULL) < 0)
        r->has_error = 1;
    r->above = ABOVE_NOTHING;
}

/* The line in hand, whose mistake was told, is empty from here on, and so is what is indented below it. */
static void drop_line(struct reader *r)
{
    r->text[0] = '\0';
    r->above = ABOVE_REFUSED;
}

/* Takes the next line of the file into r->text; 0 at the end. */
static int take_line(struct reader *r)
{
    if (r->at == r->end)
        return 0;
    const char *line_end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    size_t n = (size_t)((line_end ? line_end : r->end) - r->at);
    const char *line = r->at;
    r->at += n + (line_end != NULL);
    r->line++;
    r->piece_at = 0;
    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (r->line == 1 && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* a byte-order mark */
        line += 3;
        n -= 3;
    }
    r->text[0] = '\0';
    if (n > CONF_LINE_BYTES) {
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "the line has %zu bytes; %d at the most", n, CONF_LINE_BYTES);
        drop_line(r);
    } else if (memchr(line, '\0', n)) {
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "the line has a NUL byte: this is no text file, or UTF-16");
        drop_line(r);
    } else if (r->line > CONF_LINES_MAX) {
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "the file has more than %d lines", CONF_LINES_MAX);
        r->at = r->end;
    } else {
        memcpy(r->text, line, n);
        r->text[n] = '\0';
    }
    return 1;
}

/* ` ;` starts a comment. Cut here, as versions of inih differ in lines that continue a value. */
static void cut_comment(char *text)
{
    for (char *c = text; *c; c++) {
        if (*c == ';' && c > text && (c[-1] == ' ' || c[-1] == '\t')) {
            *c = '\0';
            return;
        }
    }
}

/* What is wrong with a line that is no header: told, and the line dropped. */
static void check_pair(struct reader *r, const char *start)
{
    if (r->is_continuation && r->above == ABOVE_NOTHING)
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "an indented line continues the value above it; there is none");
    else if (!r->is_continuation && !strpbrk(start, "=:"))
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "\"%.60s\" is neither `key = value` nor [section]", shown(r, start));
    else if (!r->is_continuation && strcspn(start, "=:") > KEY_BYTES)
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "the key \"%.60s…\" is longer than %d bytes", shown(r, start), KEY_BYTES);
    else if (!r->is_continuation || r->above != ABOVE_REFUSED)
        return;
    drop_line(r);
}

/* Looks at a fresh line before inih does; what inih need not see becomes empty. */
static void look_at_line(struct reader *r)
{
    const char *start = r->text + strspn(r->text, " \t");
    if (strchr(";#", *start)) { /* also the end of an empty line */
        r->text[0] = '\0';
        return;
    }
    for (const unsigned char *c = (const unsigned char *)r->text; *c; c++) {
        if ((*c < 0x20 && *c != '\t') || *c == 0x7f) {
            diag_add(r->d, DIAG_ERROR, r->path, r->line, "the line has a control character (0x%02x)", *c);
            drop_line(r);
            return;
        }
    }
    cut_comment(r->text);
    r->is_continuation = start > r->text && *start != '[';
    if (*start == '[') {
        read_header(r, start);
        snprintf(r->text, sizeof r->text, "[s]"); /* inih need only know that a section begins */
    } else {
        check_pair(r, start);
    }
}

/* Where a long line may be cut so that inih gives both sides back unchanged. */
static size_t piece_length(const char *text, size_t room_n)
{
    size_t n = strlen(text);
    if (n <= room_n)
        return n;
    for (n = room_n; n > room_n / 2; n--)
        if (!strchr(" \t;#", text[n]) && !strchr(" \t", text[n - 1]))
            return n;
    return 0;
}

/* inih's reader: one line, or a piece of one, of at most num - 1 bytes. */
static char *read_piece(char *out, int num, void *stream)
{
    struct reader *r = stream;
    size_t room_n = (size_t)num - 4;
    if (r->text[r->piece_at] == '\0') {
        if (!take_line(r))
            return NULL;
        look_at_line(r);
    }
    const char *text = r->text + r->piece_at;
    r->is_piece = r->piece_at > 0;
    size_t n = piece_length(text, room_n);
    if (n == 0 && *text) {
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "the line is too long and has no place to cut it");
        r->piece_at = 0;
        drop_line(r);
        n = 0;
    }
    snprintf(out, (size_t)num, "%s%.*s\n", r->is_piece ? " " : "", (int)n, n ? text : "");
    r->piece_at += n;
    return out;
}

/* The value goes on: with a space where the user indented a line, without where we cut one. */
static int continue_value(struct reader *r, const char *value)
{
    if (r->above != ABOVE_VALUE)
        return 0; /* it was told */
    int error = buf_printf(&r->value, "%s%s", r->is_piece || buf_size(&r->value) == 0 ? "" : " ", value);
    if (error != -EFBIG)
        return error;
    diag_add(r->d, DIAG_ERROR, r->path, r->line, "the value is longer than 64 KB");
    drop_line(r);
    return 0;
}

/* inih's handler. Its idea of the section is not ours. */
static int take_pair(void *context, const char *section, const char *key, const char *value)
{
    struct reader *r = context;
    (void)section;
    if (!key || !value)
        return 1;
    if (r->is_piece || r->is_continuation) {
        if (continue_value(r, value) < 0)
            r->has_error = 1;
        return 1;
    }
    r->above = ABOVE_VALUE;
    if (!r->section) {
        diag_add(r->d, DIAG_ERROR, r->path, r->line, "\"%.60s\" stands before the first [section]", key);
        r->above = ABOVE_REFUSED;
        return 1;
    }
    char *key_text = conf_text(r->c, key, strlen(key));
    if (!key_text || add_entry(r, key_text) < 0 || buf_text(&r->value, value) < 0)
        r->has_error = 1;
    return 1;
}

int conf_read_ini(struct conf *c, const char *text, size_t text_n, struct conf_entries *entries, struct diag *d)
{
    struct reader *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    *r = (struct reader){.c = c, .entries = entries, .d = d, .path = c->file, .at = text, .end = text + text_n};
    buf_init(&r->value, VALUE_LIMIT_BYTES);
    (void)ini_parse_stream(read_piece, r, take_pair, r); /* its error is one line number; ours are all told */
    int error = finish_value(r) < 0 || r->has_error ? -ENOMEM : 0;
    buf_fini(&r->value);
    free(r);
    return error;
}

/* NAME=value, `export` before and quotes around the value allowed, # starts a comment line. */
static int read_env_line(struct conf *c, struct conf_variables *out, char *line, const char *path, int number, struct diag *d)
{
    line += strspn(line, " \t");
    if (strncmp(line, "export ", 7) == 0)
        line += 7;
    size_t line_n = strlen(line);
    while (line_n > 0 && strchr(" \t\r", line[line_n - 1]))
        line[--line_n] = '\0';
    if (*line == '\0' || *line == '#')
        return 0;
    char *equals = strchr(line, '=');
    if (!equals || equals == line || strcspn(line, " \t\"'") < (size_t)(equals - line)) {
        diag_add(d, DIAG_ERROR, path, number, "the line is not NAME=value"); /* not shown: it may be a secret */
        return 0;
    }
    char *value = equals + 1;
    size_t value_n = strlen(value);
    if (value_n >= 2 && (*value == '"' || *value == '\'') && value[value_n - 1] == *value) {
        value[value_n - 1] = '\0';
        value++;
    }
    return conf_variables_add(c, out, line, (size_t)(equals - line), value, number);
}

static int read_env_file(struct conf *c, const char *path, struct conf_variables *out, struct diag *d)
{
    char *bytes;
    size_t bytes_n;
    int error = sys_read_file(path, INI_LIMIT_BYTES, &bytes, &bytes_n);
    if (error)
        return error;
    char *line = bytes, *end = bytes + bytes_n;
    if (bytes_n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) /* a byte-order mark */
        line += 3;
    for (int number = 1; !error && line < end; number++) {
        char *line_end = memchr(line, '\n', (size_t)(end - line));
        if (!line_end)
            line_end = end; /* the NUL that sys_read_file puts there */
        *line_end = '\0';
        if (strlen(line) < (size_t)(line_end - line))
            diag_add(d, DIAG_ERROR, path, number, "the line has a NUL byte: this is no text file, or UTF-16");
        else
            error = read_env_line(c, out, line, path, number, d);
        line = line_end + 1;
    }
    free(bytes);
    return error;
}

int conf_read_named_env_file(struct conf *c, const char *named, struct conf_variables *out, char **path, struct diag *d)
{
    int is_optional = *named == '-';
    *path = NULL;
    if (*named == '\0' || strcmp(named, "none") == 0 || c->reader == CONF_READER_CHILD)
        return 0;
    *path = conf_path(c, named + is_optional);
    int error = *path ? read_env_file(c, *path, out, d) : -ENOMEM;
    return error == -ENOENT && is_optional ? 0 : error;
}

int conf_is_section_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
    return n > 0 && n <= CONF_NAME_N && name[n] == '\0';
}
