/*
 * The whole of sidecarctl, for tools/main.c. What it returns is the exit code (ctl.h).
 */
#ifndef CTL_MAIN_H
#define CTL_MAIN_H

/* argc and argv: as main() got them. */
int ctl_main(int argc, char **argv);

#endif
