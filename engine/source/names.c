/* The list of names: see names.h. docs/cli.md prints it. */
#include "engine/source/names.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Matched against each part of the path, whatever the case. */
static const char *const secrets[] = {
    ".env*",
    "*.env",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ovpn",
    "*.gpg",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".pypirc",
    ".npmrc",
    ".htpasswd",
    ".git-credentials",
    "credentials",
    "credentials.json",
    "credentials.ini",
    "credentials.toml",
    "credentials.y*ml",
    "secrets.json",
    "secrets.ini",
    "secrets.toml",
    "secrets.y*ml",
    "service-account*.json",
    "service_account*.json",
    "client_secret*.json",
    "clouds.yaml",
    "secure.yaml",
    "kubeconfig",
    "*.tfstate",
    "*.tfstate.*",
};

static bool part_matches(const char *part, size_t len) {
  char text[256];
  if (len >= sizeof text) return false; /* longer than a name can be */
  memcpy(text, part, len);
  text[len] = '\0';
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
    if (fnmatch(secrets[i], text, FNM_CASEFOLD) == 0) return true;
  return false;
}

bool dk_names_is_secret(const char *path) {
  for (const char *at = path;;) {
    size_t len = strcspn(at, "/");
    if (len && part_matches(at, len)) return true;
    if (at[len] == '\0') return false;
    at += len + 1;
  }
}

bool dk_names_is_own(const char *path) {
  for (const char *at = path;;) {
    size_t len = strcspn(at, "/");
    if ((len == 4 && strncasecmp(at, ".git", 4) == 0) || (len == 6 && strncmp(at, ".dkrun", 6) == 0)) return true;
    if (at[len] == '\0') return false;
    at += len + 1;
  }
}
