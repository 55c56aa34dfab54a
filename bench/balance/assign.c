/*
 * assign: plays proxy/balance by a script from stdin, a command a line, and prints what it decides; so that another that is to decide the same, as
 * the script of proxy/store/balance, can be compared with it, decision by decision.
 *
 *   rules AGEING_MS RESIDENCY_MS FAIR_MAX_MS     first; once
 *   at MS                                        it is that time now
 *   backend I SLOTS WEIGHT OPEN                  I: 0 to 63; OPEN: 0 or 1
 *   loaded I ASKED_MS [MODEL…]                   what it says that it has loaded
 *   enter ID MODEL PRIORITY PAYER [I:RUN_MS:LOAD_MS…]   ID: 0 to 9999. PAYER: a number, 0: nobody. Prints "tag ID TAG_MS"; where it comes back ("leave" with
 *                                                a slot, then "again"), it keeps its tag
 *   again ID MODEL                               it comes back, as its backend has failed
 *   ways ID [I:RUN_MS:LOAD_MS…]                  its ways are others now
 *   leave ID                                     out of the line, or out of its slot
 *   next                                         prints "grant ID I ENDS_MS" for each that gets a slot now, then "again MS" (0: when something has changed)
 *   place ID                                     prints "place ID N WAIT_MS"
 *
 * Empty lines, and those that begin with #, are nothing. Whatever else ends it with code 100.
 */
#include "proxy/balance/balance.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICKETS = 10000, LINE_BYTES = 8192, WORDS = 80 };

static struct player {
    struct balance_ticket ticket;
    struct balance_way ways[BALANCE_BACKENDS];
} players[TICKETS];

static struct balance_rules rules;
static struct waiting waiting = {.limit_n = SIZE_MAX};
static struct balance *b;
static int64_t now_ms;
static long line_n;

_Noreturn static void refuse(const char *what)
{
    fprintf(stderr, "assign: line %ld: %s\n", line_n, what);
    exit(100);
}

static int64_t number(const char *word, int64_t most)
{
    char *end;
    int64_t n = word ? strtoll(word, &end, 10) : 0;
    if (!word || end == word || *end || n < 0 || n > most)
        refuse("a number is expected");
    return n;
}

static struct player *player_of(const char *word)
{
    return &players[number(word, TICKETS - 1)];
}

static void read_ways(struct player *p, char **words)
{
    for (int i = 0; i < BALANCE_BACKENDS; i++)
        p->ways[i] = (struct balance_way){.run_ms = BALANCE_NO_WAY};
    for (; *words; words++) {
        int i;
        int32_t run_ms, load_ms;
        if (sscanf(*words, "%d:%" SCNd32 ":%" SCNd32, &i, &run_ms, &load_ms) != 3 || i < 0 || i >= BALANCE_BACKENDS)
            refuse("a way is I:RUN_MS:LOAD_MS");
        p->ways[i] = (struct balance_way){.run_ms = run_ms, .load_ms = load_ms};
    }
}

static void enter(struct player *p, const char *model, int is_accepted)
{
    if (!model || strlen(model) >= CONTRACT_NAME_BYTES || balance_enter(b, &p->ticket, model, is_accepted, now_ms) != BALANCE_WAIT)
        refuse("it may not enter");
    printf("tag %td %" PRId64 "\n", p - players, p->ticket.tag_ms);
}

static void next(void)
{
    int64_t again_ms;
    for (const struct balance_ticket *t; (t = balance_next(b, now_ms, &again_ms));)
        printf("grant %td %d %" PRId64 "\n", (struct player *)t->context - players, t->backend, t->ends_ms);
    printf("again %" PRId64 "\n", again_ms);
}

static void obey(char **words, size_t words_n)
{
    const char *verb = words[0];
    if (!strcmp(verb, "rules") && words_n == 4 && !b) {
        rules = (struct balance_rules){.ageing_ms = number(words[1], INT32_MAX), .min_residency_ms = number(words[2], INT32_MAX), .fair_max_ms = number(words[3], INT32_MAX)};
        if (!(b = balance_new(&rules, &waiting)))
            refuse("no memory");
    } else if (!b) {
        refuse("rules come first, and once");
    } else if (!strcmp(verb, "at") && words_n == 2) {
        now_ms = number(words[1], INT64_MAX);
    } else if (!strcmp(verb, "backend") && words_n == 5) {
        balance_set_backend(b, (int)number(words[1], BALANCE_BACKENDS - 1), (size_t)number(words[2], INT32_MAX), (unsigned)number(words[3], INT32_MAX), (int)number(words[4], 1));
    } else if (!strcmp(verb, "loaded") && words_n >= 3) {
        balance_set_loaded(b, (int)number(words[1], BALANCE_BACKENDS - 1), (const char *const *)words + 3, words_n - 3, number(words[2], INT64_MAX));
    } else if (!strcmp(verb, "enter") && words_n >= 5) {
        struct player *p = player_of(words[1]);
        if (p->ticket.lane)
            refuse("it is there already");
        p->ticket = (struct balance_ticket){.priority = (unsigned)number(words[3], BALANCE_PRIORITIES - 1), .payer = (uint64_t)number(words[4], INT64_MAX), .ways = p->ways, .context = p};
        read_ways(p, words + 5);
        enter(p, words[2], 0);
    } else if (!strcmp(verb, "again") && words_n == 3) {
        enter(player_of(words[1]), words[2], 1);
    } else if (!strcmp(verb, "ways") && words_n >= 2) {
        read_ways(player_of(words[1]), words + 2);
    } else if (!strcmp(verb, "leave") && words_n == 2) {
        balance_leave(b, &player_of(words[1])->ticket);
    } else if (!strcmp(verb, "next") && words_n == 1) {
        next();
    } else if (!strcmp(verb, "place") && words_n == 2) {
        struct player *p = player_of(words[1]);
        printf("place %td %zu %" PRId64 "\n", p - players, balance_place(b, &p->ticket), balance_wait_ms(b, &p->ticket, now_ms));
    } else {
        refuse("this is no command, or has too few words or too many");
    }
}

int main(void)
{
    static char line[LINE_BYTES];
    while (fgets(line, sizeof line, stdin)) {
        char *words[WORDS + 1] = {0}, *rest;
        size_t words_n = 0;
        line_n++;
        for (char *word = strtok_r(line, " \n", &rest); word && words_n < WORDS; word = strtok_r(NULL, " \n", &rest))
            words[words_n++] = word;
        if (words_n > 0 && words[0][0] != '#')
            obey(words, words_n);
    }
    return 0;
}
