/* A thread for each connection, blocking: see server.h. */
#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MOST 512
#define ASKED_MOST 4096
#define PATH_MOST 512

struct server {
  int listener;
  uint16_t port;
  pthread_t thread;
  pthread_mutex_t lock;
  bool is_ending;
  int proxy_status;
  int fds[CONNECTIONS_MOST]; /* -1: closed */
  pthread_t threads[CONNECTIONS_MOST];
  uint32_t n_connections;
  char asked[ASKED_MOST][PATH_MOST];
  uint32_t n_asked;
};

struct connection {
  struct server *server;
  uint32_t index;
  int fd;
  uint32_t n_before; /* requests over it */
  char in[1 << 17];
  size_t len;
};

static void must(bool is_so, const char *what) {
  if (is_so) return;
  perror(what);
  abort();
}

static bool say(int fd, const void *data, size_t len) {
  for (const char *at = data; len > 0;) {
    ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
    if (n <= 0) return false;
    at += n;
    len -= (size_t)n;
  }
  return true;
}

static bool say_text(int fd, const char *text) {
  return say(fd, text, strlen(text));
}

static bool answer(int fd, int status, const char *headers, const char *body, size_t len) {
  char head[2048];

  snprintf(head, sizeof head, "HTTP/1.1 %d Words\r\nContent-Length: %zu\r\n%s\r\n", status, len, headers);
  return say_text(fd, head) && say(fd, body, len);
}

/* "a: b|c: d" as lines. */
static void lines_of(const char *text, char *ret, size_t size) {
  size_t n = 0;

  for (; *text && n + 3 < size; text++) {
    if (*text != '|') {
      ret[n++] = *text;
      continue;
    }
    ret[n++] = '\r';
    ret[n++] = '\n';
  }
  if (n > 0) {
    ret[n++] = '\r';
    ret[n++] = '\n';
  }
  ret[n] = '\0';
}

static void undo_percent(const char *text, char *ret) {
  for (; *text; text++) {
    unsigned value;
    if (*text == '%' && sscanf(text + 1, "%2x", &value) == 1) {
      *ret++ = (char)value;
      text += 2;
    } else {
      *ret++ = *text;
    }
  }
  *ret = '\0';
}

static bool say_status(int fd, const char *rest) {
  char lines[1024], plain[PATH_MOST];
  int status = atoi(rest);
  const char *headers = strchr(rest, '/');

  undo_percent(headers ? headers + 1 : "", plain);
  lines_of(plain, lines, sizeof lines);
  return answer(fd, status, lines, "words of the server", status == 204 || status == 304 ? 0 : 19);
}

static void for_ever(int fd, const char *head, const char *part, unsigned pause_us) {
  bool goes_on = say_text(fd, head);

  while (goes_on) {
    goes_on = say_text(fd, part);
    if (pause_us) usleep(pause_us);
  }
}

/* Until the other side, or the end of the test, closes. */
static void wait_for_end(int fd) {
  char byte;

  while (recv(fd, &byte, 1, 0) > 0) continue;
}

static bool say_file(int fd, const char *path) {
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
  char part[65536];
  FILE *file = fopen(path, "rb");
  size_t n;

  must(file != NULL, path);
  bool goes_on = say_text(fd, head);
  while (goes_on && (n = fread(part, 1, sizeof part, file)) > 0) goes_on = say(fd, part, n);
  fclose(file);
  return false;
}

static uint32_t seen(struct server *server, const char *path) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < server->n_asked; i++) n += strncmp(server->asked[i], path, strlen(path)) == 0;
  return n;
}

static bool redirect(int fd, const char *to) {
  char header[PATH_MOST + 32];

  snprintf(header, sizeof header, "Location: %s\r\n", to);
  return answer(fd, 302, header, "moved", 5);
}

static bool misbehave(int fd, const char *path) {
  static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

  if (strcmp(path, "/cut") == 0) say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX-Id: cut\r\n\r\n0123456789");
  if (strcmp(path, "/mute") == 0) wait_for_end(fd);
  if (strcmp(path, "/silent") == 0 && say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")) wait_for_end(fd);
  if (strcmp(path, "/drip") == 0) for_ever(fd, chunked, "1\r\nx\r\n", 5000);
  if (strcmp(path, "/endless") == 0) for_ever(fd, chunked, "20\r\n0123456789abcdef0123456789abcdef\r\n", 0);
  if (strcmp(path, "/heads") == 0) for_ever(fd, "HTTP/1.1 200 OK\r\n", "X-Header: and one more of these\r\n", 0);
  if (strcmp(path, "/interims") == 0) for_ever(fd, "", "HTTP/1.1 100 Continue\r\nX-Header: more\r\n\r\n", 0);
  return false;
}

static bool take_turn(struct connection *on, const char *path) {
  const char *status = path + strlen("/turns/");

  pthread_mutex_lock(&on->server->lock);
  for (uint32_t n = seen(on->server, path); n > 1 && strchr(status, '/'); n--) status = strchr(status, '/') + 1;
  pthread_mutex_unlock(&on->server->lock);
  return atoi(status) > 0 && answer(on->fd, atoi(status), "", "", 0);
}

/* false: the connection is to be closed. */
static bool act(struct connection *on, const char *path, size_t whole) {
  char text[PATH_MOST];
  unsigned times;
  int used = 0;

  if (strcmp(path, "/ok") == 0) return answer(on->fd, 200, "", "fine", 4);
  if (strcmp(path, "/echo") == 0) return answer(on->fd, 200, "", on->in, whole);
  if (strncmp(path, "/status/", 8) == 0) return say_status(on->fd, path + 8);
  if (sscanf(path, "/flaky/%u/%n", &times, &used) == 1 && used > 0) {
    pthread_mutex_lock(&on->server->lock);
    bool is_over = seen(on->server, path) > times;
    pthread_mutex_unlock(&on->server->lock);
    return is_over ? answer(on->fd, 200, "", "fine", 4) : say_status(on->fd, path + used);
  }
  if (strncmp(path, "/turns/", 7) == 0) return take_turn(on, path);
  if (strncmp(path, "/reused", 7) == 0) return on->n_before == 0 && answer(on->fd, 200, "", "fine", 4);
  if (strncmp(path, "/file/", 6) == 0) return say_file(on->fd, path + 5);
  if (strncmp(path, "/to/", 4) == 0) return redirect(on->fd, path + 4);
  if (strncmp(path, "/raw/", 5) == 0) {
    undo_percent(path + 5, text);
    say_text(on->fd, text);
    return false;
  }
  return misbehave(on->fd, path);
}

static void carry(int a, int b) {
  struct pollfd fds[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
  char part[16384];

  while (poll(fds, 2, -1) > 0) {
    for (int i = 0; i < 2; i++) {
      if (!fds[i].revents) continue;
      ssize_t n = recv(fds[i].fd, part, sizeof part, 0);
      if (n <= 0 || !say(fds[1 - i].fd, part, (size_t)n)) return;
    }
  }
}

static void note(struct server *server, const char *path) {
  pthread_mutex_lock(&server->lock);
  must(server->n_asked < ASKED_MOST, "too many requests for this server");
  snprintf(server->asked[server->n_asked++], PATH_MOST, "%s", path);
  pthread_mutex_unlock(&server->lock);
}

static bool be_proxy(struct connection *on, const char *to) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const char *port = strrchr(to, ':');

  pthread_mutex_lock(&on->server->lock);
  int status = on->server->proxy_status;
  pthread_mutex_unlock(&on->server->lock);

  if (strcasestr(on->in, "X-Auth-Token")) note(on->server, "/leaked");
  if (status != 200) return answer(on->fd, status, "", "no", 2);
  address.sin_port = htons((uint16_t)atoi(port ? port + 1 : "0"));
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      say_text(on->fd, "HTTP/1.1 200 Connected\r\nX-Proxy: yes\r\n\r\n"))
    carry(on->fd, fd);
  close(fd);
  return false;
}

/* Reads one request whole and does what it says. */
static bool serve_one(struct connection *on) {
  char method[16], path[PATH_MOST];
  const char *end = NULL, *length;
  size_t whole = 0;

  for (on->len = 0; !end || on->len < whole;) {
    if (on->len + 1 >= sizeof on->in) return false;
    ssize_t n = recv(on->fd, on->in + on->len, sizeof on->in - 1 - on->len, 0);
    if (n <= 0) return false;
    on->len += (size_t)n;
    on->in[on->len] = '\0';
    if (end) continue;
    end = strstr(on->in, "\r\n\r\n");
    if (!end) continue;
    length = strcasestr(on->in, "\r\nContent-Length:");
    whole = (size_t)(end + 4 - on->in) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
  }
  if (sscanf(on->in, "%15s %511s", method, path) != 2) return false;
  note(on->server, path);
  bool goes_on = strcmp(method, "CONNECT") == 0 ? be_proxy(on, path) : act(on, path, whole);
  on->n_before++;
  return goes_on;
}

static void *serve(void *ctx) {
  struct connection *on = ctx;

  while (serve_one(on)) continue;
  pthread_mutex_lock(&on->server->lock);
  close(on->fd);
  on->server->fds[on->index] = -1;
  pthread_mutex_unlock(&on->server->lock);
  free(on);
  return NULL;
}

static void *accept_all(void *ctx) {
  struct server *server = ctx;

  for (;;) {
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    pthread_mutex_lock(&server->lock);
    if (fd < 0 || server->is_ending) {
      pthread_mutex_unlock(&server->lock);
      if (fd >= 0) close(fd);
      return NULL;
    }
    /* Head and body go in two parts: the second would wait for the first one's receipt, 40 ms. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *on = calloc(1, sizeof *on);
    must(on && server->n_connections < CONNECTIONS_MOST, "one more connection");
    *on = (struct connection){.server = server, .index = server->n_connections++, .fd = fd};
    server->fds[on->index] = fd;
    must(pthread_create(&server->threads[on->index], NULL, serve, on) == 0, "a thread");
    pthread_mutex_unlock(&server->lock);
  }
}

struct server *server_start(const char *unix_path) {
  struct server *server = calloc(1, sizeof *server);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un there = {.sun_family = AF_UNIX};
  socklen_t len = sizeof here;

  must(server != NULL, "memory");
  pthread_mutex_init(&server->lock, NULL);
  server->proxy_status = 200;
  server->listener = socket(unix_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (unix_path) {
    snprintf(there.sun_path, sizeof there.sun_path, "%s", unix_path);
    must(bind(server->listener, (struct sockaddr *)&there, sizeof there) == 0, unix_path);
  } else {
    must(bind(server->listener, (struct sockaddr *)&here, sizeof here) == 0, "bind");
    must(getsockname(server->listener, (struct sockaddr *)&here, &len) == 0, "getsockname");
    server->port = ntohs(here.sin_port);
  }
  must(listen(server->listener, 64) == 0, "listen");
  must(pthread_create(&server->thread, NULL, accept_all, server) == 0, "a thread");
  return server;
}

void server_stop(struct server *server) {
  pthread_mutex_lock(&server->lock);
  server->is_ending = true;
  shutdown(server->listener, SHUT_RDWR);
  pthread_mutex_unlock(&server->lock);
  pthread_join(server->thread, NULL);
  pthread_mutex_lock(&server->lock);
  for (uint32_t i = 0; i < server->n_connections; i++) {
    if (server->fds[i] >= 0) shutdown(server->fds[i], SHUT_RDWR);
  }
  pthread_mutex_unlock(&server->lock);
  for (uint32_t i = 0; i < server->n_connections; i++) pthread_join(server->threads[i], NULL);
  close(server->listener);
  pthread_mutex_destroy(&server->lock);
  free(server);
}

uint16_t server_port(const struct server *server) {
  return server->port;
}

uint32_t server_seen(struct server *server, const char *path) {
  pthread_mutex_lock(&server->lock);
  uint32_t n = seen(server, path);
  pthread_mutex_unlock(&server->lock);
  return n;
}

uint32_t server_connections(struct server *server) {
  pthread_mutex_lock(&server->lock);
  uint32_t n = server->n_connections;
  pthread_mutex_unlock(&server->lock);
  return n;
}

void server_proxy_status(struct server *server, int status) {
  pthread_mutex_lock(&server->lock);
  server->proxy_status = status;
  pthread_mutex_unlock(&server->lock);
}
