/*
 * heap.h - how malloc is to work in an agent, which must answer within a millisecond.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

/* To be called once, before the agent serves. */
void heap_set_up(void);

#endif
