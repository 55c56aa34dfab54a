/*
 * sidecarctl and ollama-preload: two programs in one file, by the name that it is called by. Neither is large, and all that they stand on
 * is the same: one file is smaller by 100 kB than two (docs/adr/0014-image.md).
 */
#include "ctl/main.h"
#include "preload/main.h"

#include <string.h>

int main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";
    return strcmp(name, "ollama-preload") == 0 ? preload_main(argc, argv) : ctl_main(argc, argv);
}
