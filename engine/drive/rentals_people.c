/* What people want to go, and what is left where nobody can be asked: see rentals.h. */
#include "engine/drive/rentals_priv.h"

#include <errno.h>
#include <string.h>

/* --- of a place that no file of providers names now --- */

static bool is_named(const struct dk_rentals *rentals, const char *pool) {
  for (uint32_t i = 0; i < rentals->n_pools; i++)
    if (rentals->pools[i]->is_named && strcmp(rentals->pools[i]->name, pool) == 0) return true;
  return false;
}

static bool is_same_place(const struct dk_rented *a, const struct dk_rented *b) {
  return strcmp(a->pool, b->pool) == 0 && strcmp(a->where, b->where) == 0;
}

/* How many are where this one is. */
static uint32_t count_there(const struct dk_rentals *rentals, const struct dk_rented *rented) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++)
    n += is_same_place(dk_rent_at(rentals->rent, i), rented);
  return n;
}

static int set_left(const struct dk_rentals *rentals, const struct dk_rented *rented, struct dk_error *error) {
  uint32_t n = count_there(rentals, rented);
  const char *why = is_named(rentals, rented->pool) ? "it is elsewhere now" : "no file of providers names it now";

  return dk_error_set(error, -EHOSTUNREACH,
                      "%s: %s, and %u machine%s of it may still be at %s: nobody can be asked there\nhelp: say in the "
                      "file of providers what it said then, `dkrun down %s`, and change it after that",
                      rented->pool, why, n, n == 1 ? "" : "s", *rented->where ? rented->where : "its old place",
                      rented->pool);
}

/* The first of them that are where this one is. */
static bool is_first(const struct dk_rentals *rentals, uint32_t at) {
  for (uint32_t i = 0; i < at; i++)
    if (is_same_place(dk_rent_at(rentals->rent, i), dk_rent_at(rentals->rent, at))) return false;
  return true;
}

void dk_rentals_say_left(struct dk_rentals *rentals) {
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rentals->rent, i);
    struct dk_error words = {0};
    if (dk_rentals_can_ask(rentals, rented) || !is_first(rentals, i)) continue;
    set_left(rentals, rented, &words);
    dk_engine_say(rentals->engine, words.text);
  }
}

/* --- what is to go --- */

static void release(struct dk_rentals *rentals, uint32_t number, uint32_t pool, bool is_hard) {
  struct dk_rent_event event = {.kind = DK_RENT_EV_RELEASE, .number = number, .pool = pool};

  event.u.release.is_hard = is_hard;
  rentals->was_released = true;
  dk_rentals_tell(rentals, &event);
}

void dk_rentals_let_go(struct dk_rentals *rentals, uint32_t number, bool is_hard) {
  release(rentals, number, UINT32_MAX, is_hard);
}

static bool release_pools(struct dk_rentals *rentals, const char *name, bool is_hard) {
  bool is_known = false;

  for (uint32_t i = 0; i < rentals->n_pools; i++) {
    if (!rentals->pools[i]->cloud || strcmp(rentals->pools[i]->name, name) != 0) continue;
    release(rentals, DK_RENT_ALL, i, is_hard);
    is_known = true;
  }
  return is_known;
}

/* NULL: all. */
static bool is_meant(const struct dk_rented *rented, const char *name) {
  char own[DK_RENT_NAME + 12];

  dk_rentals_name(rented->pool, rented->number, own, sizeof own);
  return !name || strcmp(rented->pool, name) == 0 || strcmp(own, name) == 0;
}

int dk_rentals_release(struct dk_rentals *rentals, const char *name, bool is_hard, struct dk_error *error) {
  const struct dk_rented *left = NULL;

  if (!name) release(rentals, DK_RENT_ALL, UINT32_MAX, is_hard);
  bool is_known = !name || release_pools(rentals, name, is_hard), is_provider = is_known;
  for (uint32_t i = 0; i < dk_rent_count(rentals->rent, UINT32_MAX); i++) {
    const struct dk_rented *rented = dk_rent_at(rentals->rent, i);
    if (!is_meant(rented, name)) continue;
    is_known = true;
    if (!dk_rentals_can_ask(rentals, rented))
      left = rented;
    else if (!is_provider)
      dk_rentals_let_go(rentals, rented->number, is_hard);
  }
  if (left) return set_left(rentals, left, error);
  if (is_known) return 0;
  return dk_error_set(error, -ENOENT, "there is no rented machine or provider `%s`\nhelp: `dkrun instances` lists them",
                      name);
}
