/*
 * models_folder: where Ollama keeps its models. Made before Ollama starts, by whom may make it and for whom will write
 * there; and claimed, as two that pull into one folder disturb each other.
 */
#ifndef SUPERVISOR_MODELS_FOLDER_H
#define SUPERVISOR_MODELS_FOLDER_H

#include "supervisor/folder.h"

struct models_folder {
    char path[FOLDER_PATH_BYTES]; /* "": nobody knows */
    int lock_fd;                  /* our claim on it; -1: none */
    uint64_t told[3];             /* the hash of what was last said of the folder, of the home, and of where it is; 0: nothing */
};

void models_folder_init(struct models_folder *m);
void models_folder_fini(struct models_folder *m);
/* Finds and makes the folder that this configuration means. start_dir: where relative paths start. 1 where Ollama's user
 * could not write there, or in its home, so that Ollama must not be given that user; it was told why. Else 0. */
int models_folder_prepare(struct models_folder *m, const struct conf *c, const char *start_dir);
/* Claims it, once Ollama is ready; another one's claim is told, and no mistake: a shared volume may be meant. */
void models_folder_claim(struct models_folder *m);

#endif
