/* See ui_files.h. Each file's bytes come from the Makefile. */
#include "proxy/ui_files.h"

#include <string.h>

static const unsigned char index_html[] = {
#include "proxy/ui/index.html.def"
};
static const unsigned char style_css[] = {
#include "proxy/ui/style.css.def"
};
static const unsigned char page_js[] = {
#include "proxy/ui/page.js.def"
};

static const struct ui_file files[] = {
    {"", "text/html; charset=utf-8", index_html, sizeof index_html},
    {"style.css", "text/css; charset=utf-8", style_css, sizeof style_css},
    {"page.js", "text/javascript; charset=utf-8", page_js, sizeof page_js},
};

const struct ui_file *ui_files_find(const char *path, size_t path_n)
{
    static const size_t start_n = sizeof "/ui/" - 1;
    const char *name = path_n > start_n ? path + start_n : "";
    size_t name_n = path_n > start_n ? path_n - start_n : 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strlen(files[i].name) == name_n && memcmp(files[i].name, name, name_n) == 0)
            return &files[i];
    return NULL;
}
