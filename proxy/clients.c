/*
 * See clients.h. A list and what is done to all of it. A client that closes leaves the list at once, by a call
 * back from it, so every walk reads the next link first.
 */
#include "proxy/clients.h"

#include "proxy/connection.h"
#include "proxy/exchange.h"

#include <errno.h>
#include <stdlib.h>

/* libc would keep what a crowd needed, 5 MB for each thousand, until the next one. */
static void on_trim(void *context, int64_t now_ms)
{
    struct clients *all = context;
    (void)now_ms;
    exchange_free_spares(all->host.env);
    sys_trim_memory();
    all->most_n = all->clients_n;
}

static void trim_after_a_crowd(struct clients *all)
{
    struct loop *loop = all->host.env->loop;
    if (all->most_n >= CLIENTS_CROWD_N && all->clients_n <= all->most_n / 2 && !timer_is_armed(&all->trim))
        loop_arm(loop, &all->trim, loop_now_ms(loop) + CLIENTS_TRIM_MS);
}

static void on_gone(void *context, struct client_link *link)
{
    struct clients *all = context;
    *(link->previous ? &link->previous->next : &all->first) = link->next;
    *(link->next ? &link->next->previous : &all->last) = link->previous;
    all->clients_n--;
    addresses_leave(&all->addresses, &link->address);
    trim_after_a_crowd(all);
    all->left(all->context);
}

int clients_init(struct clients *all, struct env *env, size_t max_n, void (*left)(void *context), void *context)
{
    *all = (struct clients){.left = left, .context = context};
    all->host = (struct client_host){.env = env, .gone = on_gone, .context = all};
    timer_init(&all->trim, on_trim, all);
    all->host.scratch = malloc(CONNECTION_READ_BYTES);
    if (!all->host.scratch)
        return -ENOMEM;
    int error = addresses_init(&all->addresses, (size_t)env->conf->proxy.max_clients_per_address, max_n);
    all->addresses.exempt = &env->trust.trusted;
    return error;
}

void clients_fini(struct clients *all)
{
    for (struct client_link *link; (link = all->first);) {
        client_abort(link->client, "the server is shutting down");
        if (all->first == link)
            client_close(link->client);
    }
    loop_disarm(all->host.env->loop, &all->trim);
    exchange_free_spares(all->host.env);
    free(all->host.scratch);
    free(all->host.spare_access);
    all->host.scratch = NULL;
    all->host.spare_access = NULL;
    addresses_fini(&all->addresses);
}

/* Now and then: whoever does it may do it a thousand times a second. */
static void tell_crowded(struct clients *all, const struct sockaddr_storage *peer)
{
    int64_t now_ms = loop_now_ms(all->host.env->loop);
    struct ip ip;
    char text[IP_TEXT_BYTES];
    if (all->told_crowded_ms && now_ms - all->told_crowded_ms < CLIENTS_TELL_MS)
        return;
    all->told_crowded_ms = now_ms;
    ip_from_sockaddr(peer, &ip);
    ip_text(&ip, text);
    log_event(LOG_WARNING, "address_full", "address=%s limit=%zu hint=\"[proxy] max_clients_per_address\"", text,
              all->addresses.limit_n);
}

int clients_add(struct clients *all, int take_fd, const struct sockaddr_storage *peer)
{
    struct client_link *link;
    struct address_place place;
    enum address_verdict verdict = addresses_enter(&all->addresses, peer, &place);
    if (verdict != ADDRESS_SERVE)
        tell_crowded(all, peer);
    if (verdict == ADDRESS_DROP) {
        sys_close(take_fd);
        return 0;
    }
    int error = client_new(&all->host, take_fd, peer, &link);
    if (error) {
        addresses_leave(&all->addresses, &place);
        return error;
    }
    link->address = place;
    if (verdict == ADDRESS_REFUSE)
        client_turn_away(link->client);
    link->previous = NULL;
    link->next = all->first;
    *(link->next ? &link->next->previous : &all->last) = link;
    all->first = link;
    if (++all->clients_n > all->most_n)
        all->most_n = all->clients_n;
    return 0;
}

void clients_drain(struct clients *all)
{
    for (struct client_link *link = all->first, *next; link; link = next) {
        next = link->next;
        client_drain(link->client);
    }
}

int clients_make_room(struct clients *all)
{
    struct client_link *link = all->last;
    while (link && !client_is_spare(link->client))
        link = link->previous;
    return link && client_make_way(link->client);
}

void clients_abort(struct clients *all, const char *text)
{
    for (struct client_link *link = all->first, *next; link; link = next) {
        next = link->next;
        client_abort(link->client, text);
    }
}

int clients_part(struct clients *all)
{
    int have_all_parted = 1;
    for (struct client_link *link = all->first, *next; link; link = next) {
        next = link->next;
        have_all_parted &= client_part(link->client);
    }
    return have_all_parted;
}

int clients_are_quiet(const struct clients *all)
{
    for (const struct client_link *link = all->first; link; link = link->next)
        if (!client_is_quiet(link->client))
            return 0;
    return 1;
}

int clients_spare_backend(const struct clients *all)
{
    for (const struct client_link *link = all->first; link; link = link->next)
        if (!client_spares_backend(link->client))
            return 0;
    return 1;
}
