/* See tool_found.h. */
#include "proxy/tool_found.h"

#include "common/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM_N = 64, SLOTS_N = 2 * TOOL_NAMES_MAX, PROBES_MAX = 64 };

void tool_found_add(struct tool_founds *f, const struct tool_found *found)
{
    if (f->error || f->items_n == TOOL_FOUND_MAX) {
        f->lost_n += found->form != TOOL_FRAME && found->form != TOOL_ROOM;
        return;
    }
    if (f->items_n == f->room_n) {
        size_t room_n = f->room_n ? f->room_n * 2 : FIRST_ROOM_N;
        struct tool_found *items = realloc(f->items, room_n * sizeof *items);
        if (!items) {
            f->error = -ENOMEM;
            return;
        }
        f->items = items;
        f->room_n = room_n;
    }
    f->items[f->items_n++] = *found;
}

static int compare(const void *one, const void *other)
{
    const struct tool_found *a = one, *b = other;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    if (a->end != b->end)
        return a->end > b->end ? -1 : 1;
    return (a->form > b->form) - (a->form < b->form);
}

void tool_found_sort(struct tool_founds *f)
{
    if (f->items_n > 1)
        qsort(f->items, f->items_n, sizeof *f->items, compare);
}

int tool_names_init(struct tool_names *t)
{
    *t = (struct tool_names){.slots = calloc(SLOTS_N, sizeof *t->slots)};
    return t->slots ? 0 : -ENOMEM;
}

void tool_names_fini(struct tool_names *t)
{
    free(t->slots);
    t->slots = NULL;
}

struct tool_name *tool_names_find(struct tool_names *t, struct json_text name, int is_wanted)
{
    size_t i = hash_bytes(HASH_START, name.at, name.n) % SLOTS_N, probes_n = 0;
    for (; t->slots[i].name.n > 0 && probes_n < PROBES_MAX; i = (i + 1) % SLOTS_N, probes_n++)
        if (t->slots[i].name.n == name.n && memcmp(t->slots[i].name.at, name.at, name.n) == 0)
            return &t->slots[i];
    if (!is_wanted || t->used_n == TOOL_NAMES_MAX || probes_n == PROBES_MAX || name.n == 0)
        return NULL;
    t->used_n++;
    t->slots[i].name = name;
    return &t->slots[i];
}

static int is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

size_t tool_name_bytes(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && (is_lower(*at) || (*at >= 'A' && *at <= 'Z') || *at == '_' || *at == '-'))
        at++;
    return (size_t)(at - start);
}

int tool_name_is_known(struct json_text name)
{
    /* Those of Cline, Roo and Kilo. */
    static const char known[] = " execute_command read_file write_to_file replace_in_file apply_diff search_files list_files list_code_definition_names browser_action "
                                "use_mcp_tool access_mcp_resource ask_followup_question attempt_completion new_task plan_mode_respond act_mode_respond insert_content "
                                "search_and_replace switch_mode codebase_search fetch_instructions update_todo_list web_fetch web_search load_mcp_documentation condense ";
    const char *at = known;
    if (name.n < sizeof "condense" - 1)
        return 0;
    while ((at = memmem(at, (size_t)(known + sizeof known - 1 - at), name.at, name.n))) {
        if (at[-1] == ' ' && at[name.n] == ' ')
            return 1;
        at++;
    }
    return 0;
}

int tool_name_is_likely(struct json_text name)
{
    const char *end = name.at + name.n;
    int words_n = 1;
    if (tool_name_is_known(name))
        return 1;
    for (const char *at = name.at; at < end; at++) {
        int is_joint = *at == '_' && at > name.at && at + 1 < end && at[-1] != '_';
        if (!is_joint && !is_lower(*at))
            return 0;
        words_n += is_joint;
    }
    return words_n > 1 && *name.at >= 'a';
}

const char *tool_skip_blank(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *tool_skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

const char *tool_line_end(const char *at, const char *end)
{
    const char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    return line_end ? line_end : end;
}

const char *tool_trim(const char *at, const char *end)
{
    while (end > at && is_space(end[-1]))
        end--;
    return end;
}
