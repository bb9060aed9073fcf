/*
 * replay_plot.h - a picture of a replay (SVG 1.1): a panel for each policy that was used, with what
 * was allowed, denied, and would have been denied, over time.
 *
 * It has no scripts and needs nothing from elsewhere; its colours follow the reader's, light or
 * dark. The same requests make the same picture.
 */
#ifndef APP_REPLAY_PLOT_H
#define APP_REPLAY_PLOT_H

#include <stdio.h>

#include "app/replay/replay_counts.h"

#define REPLAY_PANELS_MAX 50

/* `counts` with steps. What can't be written is the file's to tell. */
void replay_plot_put(FILE *to, const struct replay_counts *counts);

#endif
