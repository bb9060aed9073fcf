/*
 * hosts.h - a host name for a test, with the addresses that the test wants.
 *
 * hosts.c defines getaddrinfo. The addresses are written in digits; all other names are looked up
 * as ever.
 */
#ifndef NET_HOSTS_H
#define NET_HOSTS_H

#define HOST_ADDRESSES_MAX 20

struct host {
	const char *name; /* NULL: there is none */
	const char *addresses[HOST_ADDRESSES_MAX];
};

extern struct host host_of_test;

#endif
