/*
 * form_head: what stands before a part of multipart/form-data, and the parameters of such fields. Pure.
 *
 * Sources: RFC 7578 (section 4.2: Content-Disposition; 4.4, 4.5: Content-Type, charset; 4.7: Content-Transfer-Encoding), RFC 2045
 * section 5.1 and RFC 9110 section 5.6.4 and 5.6.6 (parameters), RFC 5322 section 2.2 (fields).
 */
#ifndef PROXY_FORM_HEAD_H
#define PROXY_FORM_HEAD_H

#include <stddef.h>
#include <sys/types.h>

enum { FORM_NAME_BYTES = 64, FORM_HEAD_WHY_BYTES = 200 };

/* A part, by its head. What its file is called is not asked for: nothing is stored under any name. */
struct form_part {
    char name[FORM_NAME_BYTES]; /* of the form's field, NUL-terminated */
    int is_file;                /* it has a filename … */
    int is_unnamed;             /* … which is empty: a browser's form in which nothing was chosen */
    int is_foreign_charset;     /* it says that it is text in another one than UTF-8 */
};

/* The parameter `name` (lower case) of a field's value, quotes taken off: `form-data; name="a"; filename=b`. Its length, and out is NUL-terminated;
 * -ENOENT: it has none; -EINVAL: it has it twice, or its parameters can't be read; -ENOSPC: it does not fit. */
ssize_t form_param(const char *value, size_t value_n, const char *name, char *out, size_t out_n);
/* Whether the value's first word, before any parameter, is this one, in any case; prefix: whether it begins so. */
int form_is(const char *value, size_t value_n, const char *word);
int form_is_prefix(const char *value, size_t value_n, const char *prefix);

/* head: a part's fields, each with its CR LF, without the empty line behind them. 0, or 400 and what is wrong in words. why:
 * FORM_HEAD_WHY_BYTES. *p is valid as far as it could be read. */
int form_head_read(struct form_part *p, const char *head, size_t head_n, char *why, size_t why_n);

#endif
