/*
 * state_folder: state_dir for those who keep something there: we ourselves, who may be root, and the proxy, which may be somebody
 * else.
 */
#ifndef SUPERVISOR_STATE_FOLDER_H
#define SUPERVISOR_STATE_FOLDER_H

#include "common/conf.h"
#include "supervisor/keeper.h"

/* Where a program of ours is another user than we are: makes state_dir, and gives it to the proxy's, else to Ollama's, as it may lie
 * in the folder of models. After models_folder_prepare, which gives a volume away only while it is empty. Says then to the keeper as
 * whom it writes, as in a folder of somebody else a link could lead root elsewhere. What fails is told by who then can't write there. */
void state_folder_prepare(const struct conf *c, struct keeper *k);

#endif
