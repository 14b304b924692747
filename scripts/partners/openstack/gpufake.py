"""Nova's fake hypervisor with GPUs, and with failures that a server's metadata asks for.

The hardware of this host is JSON in PRETEND_HARDWARE, for example {"a100": 8, "vgpu": 16}.
Metadata: pretend_delay=SECONDS stays in BUILD, pretend_fail=abort ends in ERROR at once,
pretend_fail=reschedule ends in ERROR after all hosts were tried.
"""
import json
import os
import time

from nova import exception
from nova.virt import fake

HARDWARE = json.loads(os.environ.get('PRETEND_HARDWARE', '{}'))
MODELS = {'a100': ('20b5', 'CUSTOM_GPU_A100'), 'h100': ('2330', 'CUSTOM_GPU_H100'),
          'l40s': ('26b9', 'CUSTOM_GPU_L40S'), 'a40': ('2235', 'CUSTOM_GPU_A40')}


class GpuFakeDriver(fake.FakeDriver):
    vcpus = HARDWARE.get('vcpus', 256)
    memory_mb = HARDWARE.get('memory_mb', 2 * 1024 * 1024)
    local_gb = HARDWARE.get('local_gb', 30000)

    def get_available_resource(self, nodename):
        status = super().get_available_resource(nodename)
        devices = []
        for model, (product, _) in MODELS.items():
            for _ in range(HARDWARE.get(model, 0)):
                address = '0000:%02x:00.0' % (len(devices) + 1)
                devices.append({
                    'dev_id': 'pci_' + address.replace(':', '_').replace('.', '_'),
                    'address': address, 'vendor_id': '10de', 'product_id': product,
                    'status': 'available', 'dev_type': 'type-PCI',
                    'parent_addr': None, 'numa_node': None,
                    'label': 'label_10de_' + product})
        status['pci_passthrough_devices'] = json.dumps(devices)
        return status

    def update_provider_tree(self, provider_tree, nodename, allocations=None):
        super().update_provider_tree(provider_tree, nodename, allocations)
        for model, (_, trait) in MODELS.items():
            if HARDWARE.get(model):
                provider_tree.add_traits(nodename, trait)
        total = HARDWARE.get('vgpu')
        if not total:
            return
        child = nodename + '_vgpu'
        if not provider_tree.exists(child):
            provider_tree.new_child(child, nodename)
        provider_tree.update_inventory(child, {'VGPU': {
            'total': total, 'min_unit': 1, 'max_unit': total, 'step_size': 1,
            'allocation_ratio': 1.0, 'reserved': 0}})
        provider_tree.add_traits(child, 'CUSTOM_VGPU_NVIDIA_10C')

    def spawn(self, context, instance, *args, **kwargs):
        asked = instance.metadata or {}
        time.sleep(float(asked.get('pretend_delay', os.environ.get('PRETEND_BUILD_SECONDS', '1'))))
        if asked.get('pretend_fail') == 'abort':
            raise exception.BuildAbortException(
                instance_uuid=instance.uuid, reason='pretend_fail=abort')
        if asked.get('pretend_fail') == 'reschedule':
            raise exception.ComputeResourcesUnavailable(reason='pretend_fail=reschedule')
        return super().spawn(context, instance, *args, **kwargs)
