/* See needs.h. */
#include "engine/drive/needs.h"
#include "engine/sys/machine.h"

#include <errno.h>

struct check {
  const struct dk_plan *plan;
  struct dk_machine machine;
  struct dk_error *error;
  int result;
};

static bool check_needs(void *ctx, const struct dk_plan_needs *needs) {
  struct check *check = ctx;
  dk_autobuf name = DK_BUF_INIT, text = DK_BUF_INIT;
  struct dk_need need = {.cpus = needs->cpus, .gpus = needs->gpus, .memory = needs->memory, .gpu_model = needs->gpu};
  if (!dk_machine_lacks(&check->machine, &need, &text)) return true;
  dk_plan_task_name(check->plan, needs->task, &name);
  if (!dk_buf_ok(&name) || !dk_buf_ok(&text))
    check->result = -ENOMEM;
  else
    check->result =
        dk_error_set(check->error, -EINVAL,
                     "%s needs %s\nhelp: nothing was started; change its `needs`, or run it where there is that much",
                     name.data, text.data);
  return false;
}

int dk_needs_check(const struct dk_plan *plan, struct dk_error *error) {
  struct check check = {.plan = plan, .error = error};
  dk_machine_look("", &check.machine);
  int r = dk_plan_each_needs(plan, check_needs, &check);
  if (r == 0) r = check.result;
  return r == -ENOMEM ? dk_error_system(error, r, "looking at what tasks need") : r;
}
