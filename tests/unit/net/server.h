/* A real HTTP server in threads of the test, on the loopback or a unix socket. What it does with a request is in the
 * path, so a test says how it is to misbehave; it counts what it was asked. Also a CONNECT proxy. */
#ifndef DK_TEST_NET_SERVER_H
#define DK_TEST_NET_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct server;

/* `unix_path` NULL: 127.0.0.1, a port of its own. Aborts the test when it cannot. */
struct server *server_start(const char *unix_path);
void server_stop(struct server *server);
uint16_t server_port(const struct server *server);
/* Requests that were read whole, body too, whose path begins so. */
uint32_t server_seen(struct server *server, const char *path);
uint32_t server_connections(struct server *server);
/* CONNECT is answered so from now on; 200 (at first): it leads to the port at 127.0.0.1, whatever the name. One
 * that has an X-Auth-Token is seen as "/leaked", too. */
void server_proxy_status(struct server *server, int status);
/* Paths:
 *   /ok                    200 "fine"
 *   /echo                  200, the request as it came
 *   /status/NNN/HEADERS    NNN with these header lines, separated by `|`
 *   /flaky/N/NNN/HEADERS   the first N: so; then 200
 *   /turns/NNN/MMM...      each time the next one, the last one from then on; 0 closes
 *   /close                 closes when it was read
 *   /cut                   closes in the middle of its answer
 *   /reused...             200; over a connection that was used before: closes when it was read
 *   /mute                  never answers
 *   /silent                says its headers and a part, then nothing
 *   /drip                  a byte every 5 ms
 *   /endless  /heads  /interims   bytes, headers, 100 Continue without end
 *   /file/PATH             200, Content-Encoding: gzip, the bytes of the file
 *   /raw/TEXT              TEXT as it is (%0d%0a: line ends)
 *   /to/URL                302 to URL (or to a path, when it begins with a slash)
 */

#endif
