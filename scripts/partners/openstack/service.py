"""service.py NAME ARGUMENTS: runs one service.

Debian puts these entry points into packages that need more than the code (nova-compute brings
qemu and libvirt), and some would start processes that nobody asks (Neutron's RPC workers).
"""
import os
import sys

name = sys.argv.pop(1)
if name == 'nova-api':
    from nova.cmd.api_os_compute import main
elif name == 'nova-conductor':
    from nova.cmd.conductor import main
elif name == 'nova-scheduler':
    from nova.cmd.scheduler import main
elif name == 'nova-compute':
    from nova.cmd.compute import main
    import nova.virt
    # Where compute_driver = gpufake.GpuFakeDriver is found.
    nova.virt.__path__.append(os.path.dirname(os.path.abspath(__file__)))
elif name == 'glance-api':
    from glance.cmd.api import main
elif name == 'neutron-server':
    import neutron.cmd.eventlet  # noqa: F401: patches, so it comes first
    from neutron import server, service

    def main():
        def api_only():
            service.serve_wsgi(service.NeutronApiService).wait()
        server.boot_server(api_only)
else:
    sys.exit('no service %s' % name)
sys.argv[0] = name
sys.exit(main())
