/* See state_folder.h. */
#include "supervisor/state_folder.h"

#include "supervisor/folder.h"

void state_folder_prepare(const struct conf *c)
{
    const struct conf_rights *r = conf_rights(c, conf_program(c, "proxy"));
    struct folder f;
    if (!r->has_ids)
        r = conf_rights(c, conf_program(c, "ollama"));
    if (r->has_ids && folder_open(&f, c->supervisor.state_dir, r) == 0)
        folder_close(&f);
}
