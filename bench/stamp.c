/*
 * The program that the measured supervisors run: tells when it began, then waits to be killed.
 *
 *   stamp [FIFO]   writes "PID NANOSECONDS\n" (CLOCK_MONOTONIC) into FIFO, an absolute path; else into ./out, as s6 runs it
 *                  in a service's folder with the service's name as its argument
 *
 * Linked statically where that is possible, so that its own start is short and the same for all.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    char line[64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int fd = open(argc > 1 && argv[1][0] == '/' ? argv[1] : "out", O_WRONLY | O_CLOEXEC);
    int n = snprintf(line, sizeof line, "%d %lld%09ld\n", (int)getpid(), (long long)now.tv_sec, now.tv_nsec);
    if (fd < 0 || n <= 0 || write(fd, line, (size_t)n) != n) /* less than PIPE_BUF: whole, whoever else writes */
        return 1;
    close(fd);
    for (;;)
        pause();
}
