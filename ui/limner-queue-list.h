// SPDX-License-Identifier: MIT
// The jobs that run and wait, with how far they are, what they will take, and their order.
#ifndef LIMNER_QUEUE_LIST_H
#define LIMNER_QUEUE_LIST_H

#include "app/job-queue.h"

#include <gtk/gtk.h>

// Signals: "repeat" (LimnerJob *job): it is asked for once more.
#define LIMNER_TYPE_QUEUE_LIST (limner_queue_list_get_type())
G_DECLARE_FINAL_TYPE(LimnerQueueList, limner_queue_list, LIMNER, QUEUE_LIST, GtkWidget)

// Once; takes a reference.
void limner_queue_list_set_queue(LimnerQueueList *self, LimnerJobQueue *queue);

#endif
