/*
 * folder: makes a folder for a user, and says whether that user may write there. For a supervisor that is root and starts a
 * program that is not.
 */
#ifndef SUPERVISOR_FOLDER_H
#define SUPERVISOR_FOLDER_H

#include "common/conf.h"

enum { FOLDER_PATH_BYTES = 1024 };

struct folder {
    int fd;      /* -1: it is not there */
    int is_made; /* by us, just now */
    int is_foreign; /* behind a link that somebody else than root or we made */
    /* What keeps the user from it; "": nothing. */
    char blocked[FOLDER_PATH_BYTES];
    unsigned blocked_uid; /* whose that is */
    int is_entry_blocked; /* it is the folder or in it, and not on the way there */
};

/* Opens path (absolute), making what is missing of it; what is new, and the folder where it is empty (lost+found does not
 * count), is given to the user of the rights. A link that somebody else than root or we made is followed, but nothing is
 * made or given behind it: the user would get what is not his. Rights without a user: nothing is given or judged.
 * 0 with *out (the caller ends it by folder_close), or -errno. path_resolution(7) */
int folder_open(struct folder *out, const char *path, const struct conf_rights *r) WARN_UNUSED;
/* Looks at the folder and what is in it, depth folders deep, and at a few hundred entries at most: out->blocked. What
 * Ollama's server does not use (lost+found, the client's history) may be anybody's. */
void folder_judge(struct folder *f, const struct conf_rights *r, int depth);
void folder_close(struct folder *f);

#endif
