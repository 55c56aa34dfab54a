/*
 * See member.h. What the members say together. Their entries are handed on as they stand: whatever a newer Ollama tells of a model passes.
 */
#include "proxy/balance/members_inner.h"

#include "proxy/json_write.h"
#include "proxy/model_list.h"

/* What it says counts; a member that is down keeps its models, as they come back with it. */
static struct member *listed_at(const struct members *all, size_t i)
{
    struct member *m = all->places[i];
    return m && !m->is_leaving && buf_size(&m->tags) > 0 ? m : NULL;
}

/* Its owner may have said that it has less. */
static int is_shown(const struct member *m, const char *name)
{
    return m->conf->models.items_n == 0 || conf_names_model(&m->conf->models, name, strlen(name));
}

static int is_first_with(const struct members *all, const struct member *m, const char *name)
{
    for (size_t i = 0; i < (size_t)m->index; i++) {
        const struct member *other = listed_at(all, i);
        if (other && is_shown(other, name) && installed_is_listed(&other->installed, name))
            return 0;
    }
    return is_shown(m, name);
}

int members_list(const struct members *all, const char *model)
{
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        const struct member *m = listed_at(all, i);
        if (m && is_shown(m, model) && installed_is_listed(&m->installed, model))
            return 1;
    }
    return 0;
}

static void write_item(struct json_write *w, const struct json_value *item, int *is_first)
{
    json_write_text(w, *is_first ? "" : ",");
    json_write_bytes(w, item->at, item->n);
    *is_first = 0;
}

static void write_list(struct json_write *w, const struct members *all, const struct member *m, int *is_first)
{
    char name[CONTRACT_NAME_BYTES];
    struct json_items items;
    struct json_value item;
    (void)model_list_begin(&items, buf_data(&m->tags), buf_size(&m->tags)); /* it was one when it came */
    while (model_list_next(&items, &item, name, sizeof name))
        if (is_first_with(all, m, name))
            write_item(w, &item, is_first);
}

int members_write_tags(const struct members *all, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    int is_first = 1;
    json_write_text(&w, "{\"models\":[");
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        if (listed_at(all, i))
            write_list(&w, all, all->places[i], &is_first);
    json_write_text(&w, "]}");
    return json_write_end(&w);
}

static int is_up(const struct member *m)
{
    return m && !m->is_leaving && m->breaker.state != BREAKER_DOWN && buf_size(&m->loaded) > 0;
}

int members_write_ps(const struct members *all, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    struct json_items items;
    struct json_value item;
    int is_first = 1;
    json_write_text(&w, "{\"models\":[");
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        if (is_up(all->places[i])) {
            (void)model_list_begin(&items, buf_data(&all->places[i]->loaded), buf_size(&all->places[i]->loaded));
            while (json_items_next(&items, &item))
                write_item(&w, &item, &is_first);
        }
    json_write_text(&w, "]}");
    return json_write_end(&w);
}

_Static_assert((int)FLEET_FACTS_MEMBERS == BALANCE_BACKENDS, "each has a place");

void members_gather(const struct members *all, const struct balance *b, struct fleet_facts *out)
{
    int64_t now_ms = loop_now_ms(all->loop);
    out->waiting_n = balance_waiting_n(b);
    out->members_n = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        struct member *m = all->places[i];
        if (!m || m->is_leaving)
            continue;
        out->members[out->members_n++] = (struct fleet_fact){
            .name = m->name, .state = breaker_state_name(m->breaker.state), .why = m->why, .is_up = member_is_open(m, now_ms), .is_drained = m->is_drained,
            .is_asked = m->breaker.state != BREAKER_UNKNOWN, .slots_n = member_slots(m, now_ms), .used_n = balance_used_n(b, m->index),
            .models_n = m->installed.names_n};
    }
}
