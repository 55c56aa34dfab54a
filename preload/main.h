/*
 * The whole of ollama-preload, for tools/main.c. What it returns is the exit code (main.c).
 */
#ifndef PRELOAD_MAIN_H
#define PRELOAD_MAIN_H

/* argc and argv: as main() got them. */
int preload_main(int argc, char **argv);

#endif
