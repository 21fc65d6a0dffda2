"""Nova's driver for machines that are namespaces (machine.sh). What is not here is Nova's own fake driver: its resources,
and the states of machines that are only said to be there."""
import os

from nova.compute import power_state
from nova.virt import fake
from nova.virt import hardware
from nova.virt import images
from oslo_concurrency import lockutils
from oslo_concurrency import processutils

MACHINE = '/bed/support/machine.sh'
IMAGES = '/bed/images'
MACHINES = '/bed/machines'


class Driver(fake.MediumFakeDriver):
    def _root_of(self, context, image):
        root = os.path.join(IMAGES, image)
        with lockutils.lock(image):
            if not os.path.isdir(root):
                os.makedirs(root + '.new')
                images.fetch(context, image, root + '.tar')
                processutils.execute('tar', '-C', root + '.new', '--numeric-owner', '-xf', root + '.tar')
                os.unlink(root + '.tar')
                os.rename(root + '.new', root)
        return root

    def spawn(self, context, instance, image_meta, injected_files, admin_password, allocations,
              network_info=None, block_device_info=None, power_on=True, accel_info=None):
        root = self._root_of(context, instance.image_ref)
        super().spawn(context, instance, image_meta, injected_files, admin_password, allocations,
                      network_info, block_device_info, power_on, accel_info)
        address = str(network_info[0].fixed_ips()[0]['address'])
        processutils.execute('bash', MACHINE, 'up', instance.uuid, root, address)

    def destroy(self, context, instance, network_info, block_device_info=None, destroy_disks=True,
                destroy_secrets=True):
        super().destroy(context, instance, network_info, block_device_info, destroy_disks, destroy_secrets)
        processutils.execute('bash', MACHINE, 'down', instance.uuid)

    def get_info(self, instance, use_cache=True):
        """A machine that switched itself off is off."""
        info = super().get_info(instance, use_cache)
        if os.path.isdir(os.path.join(MACHINES, instance.uuid)):
            if processutils.execute('bash', MACHINE, 'is', instance.uuid, check_exit_code=[0, 1])[0].strip() == 'off':
                return hardware.InstanceInfo(state=power_state.SHUTDOWN)
        return info
