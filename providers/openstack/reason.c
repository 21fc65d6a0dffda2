/* What a refusal is about: see api.h. Statuses are those of the api-ref; a quota is a 403 (nova/api/openstack/compute/
 * servers.py: OverQuota), of old services a 413, which else is a limit of calls (the names of faults in
 * nova/api/openstack/wsgi.py). */
#include "providers/openstack/api.h"

#include <string.h>

/* "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances", "Maximum number of ports exceeded"
 * (nova/exception.py, OverQuota and what is made of it), "The number of defined ports: 4 is over the limit: 0"
 * (nova/network/neutron.py, validate_networks), "Quota exceeded for resources: ['port']" (neutron-lib). */
static bool is_quota(const char *words) {
  return strstr(words, "uota exceeded") || strstr(words, "Maximum number of") || strstr(words, "is over the limit");
}

enum dk_cloud_failure dk_openstack_failure_of(int status, const char *words) {
  switch (status) {
  case 401: return DK_CLOUD_DENIED;
  case 403: return is_quota(words) ? DK_CLOUD_QUOTA : DK_CLOUD_DENIED;
  case 408: return DK_CLOUD_TRANSIENT;
  case 413: return is_quota(words) ? DK_CLOUD_QUOTA : DK_CLOUD_THROTTLED;
  case 429: return DK_CLOUD_THROTTLED;
  default: return status >= 400 && status < 500 ? DK_CLOUD_BAD : DK_CLOUD_TRANSIENT;
  }
}
