/*
 * ui_files: the files of the page, packed by gzip, as they are in proxy/ui/.
 */
#ifndef PROXY_UI_FILES_H
#define PROXY_UI_FILES_H

#include <stddef.h>

struct ui_file {
    const char *name; /* behind /ui/; "" is the page itself */
    const char *type; /* its media type */
    const unsigned char *bytes;
    size_t bytes_n;
};

/* The file of a path that begins with /ui; NULL: there is none. */
const struct ui_file *ui_files_find(const char *path, size_t path_n);

#endif
