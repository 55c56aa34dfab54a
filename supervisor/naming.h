/*
 * naming: which model a blob belongs to, by Ollama's manifests. Reads a disk that may be slow: not for PID 1 itself, but for
 * the short-lived process that announce.c makes.
 */
#ifndef SUPERVISOR_NAMING_H
#define SUPERVISOR_NAMING_H

#include <stddef.h>

/* The name of a model whose manifest FOLDER/manifests/HOST/NAMESPACE/NAME/TAG mentions sha256:DIGEST, as Ollama shows it
 * (types/model/name.go, DisplayShortest): llama3.2:1b, hf.co/org/name:q4. Of several the shortest, then the first by the
 * alphabet. Looks at NAMING_FILES_MAX manifests at most. 1, or 0 where there is none. */
int naming_find(const char *folder, const char *digest, char *name, size_t name_n);

enum { NAMING_FILES_MAX = 4096, NAMING_FILE_BYTES = 256 * 1024 };

#endif
