/*
 * replay_plot.h - draws a replay as a picture (SVG 1.1): for each policy that was used a panel with
 * the requests that it allowed, denied, and would have denied in shadow, over time. With a second
 * policy file (--against) there is a second panel below each, for the policy of the same name
 * there.
 *
 * The picture has no scripts and loads nothing. Its colours follow the light or dark setting of the
 * viewer. The same requests give the same picture.
 */
#ifndef APP_REPLAY_PLOT_H
#define APP_REPLAY_PLOT_H

#include <stdio.h>

#include "app/replay/replay_counts.h"

#define REPLAY_PANELS_MAX 50

/* `counts` was made for a picture. The caller looks for errors of the file. */
void replay_plot_put(FILE *to, const struct replay_counts *counts);

#endif
