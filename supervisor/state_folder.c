/* See state_folder.h. */
#include "supervisor/state_folder.h"

#include "supervisor/folder.h"

void state_folder_prepare(const struct conf *c, struct keeper *k)
{
    const struct conf_rights *r = conf_rights(c, conf_program(c, "proxy"));
    struct folder f;
    k->is_another = 0;
    if (!r->has_ids)
        r = conf_rights(c, conf_program(c, "ollama"));
    if (!r->has_ids || folder_open(&f, c->supervisor.state_dir, r) < 0)
        return;
    folder_judge(&f, r, 0);
    if (!f.blocked[0]) {
        k->is_another = 1;
        k->uid = r->uid;
        k->gid = r->gid;
    }
    folder_close(&f);
}
