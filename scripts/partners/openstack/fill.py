"""fill.py identity|resources|hosts: fills a fresh cloud by its APIs.

The environment says where it is: KEYSTONE, PLACEMENT, GLANCE, NEUTRON and NOVA (URLs), DIR,
ADMIN_PASSWORD, and HOSTS (names). `resources` writes DIR/cloud.json.
"""
import json
import os
import sys
import time

import requests

DIR, PASSWORD = os.environ['DIR'], os.environ['ADMIN_PASSWORD']
KEYSTONE, PLACEMENT, GLANCE, NEUTRON, NOVA = (
    os.environ[name] for name in ('KEYSTONE', 'PLACEMENT', 'GLANCE', 'NEUTRON', 'NOVA'))
USER, USER_PASSWORD, PROJECT = 'adapter', 'adapter-secret', 'gpu-demo'
SECOND, SECOND_PROJECT = 'second', 'gpu-second'
TIMEOUT = 60

session = requests.Session()
session.trust_env = False


def call(method, url, body=None, **more):
    answer = session.request(method, url, json=body, timeout=TIMEOUT, **more)
    if answer.status_code not in (200, 201, 202, 204):
        sys.exit('%s %s: %s %s' % (method, url, answer.status_code, answer.text))
    is_json = 'json' in answer.headers.get('Content-Type', '')
    return answer.json() if answer.content and is_json else {}


def login(user, password, project):
    domain = {'name': 'Default'}
    body = {'auth': {
        'identity': {'methods': ['password'],
                     'password': {'user': {'name': user, 'password': password, 'domain': domain}}},
        'scope': {'project': {'name': project, 'domain': domain}}}}
    answer = session.post(KEYSTONE + '/v3/auth/tokens', json=body, timeout=TIMEOUT,
                          headers={'X-Auth-Token': ''})
    answer.raise_for_status()
    session.headers['X-Auth-Token'] = answer.headers['X-Subject-Token']


def make_project(name):
    body = {'project': {'name': name, 'domain_id': 'default'}}
    return call('POST', KEYSTONE + '/v3/projects', body)['project']['id']


def make_user(name, password, project, roles):
    body = {'user': {'name': name, 'password': password, 'domain_id': 'default',
                     'default_project_id': project}}
    user = call('POST', KEYSTONE + '/v3/users', body)['user']['id']
    for role in roles:
        call('PUT', '%s/v3/projects/%s/users/%s/roles/%s' % (KEYSTONE, project, user, role))
    return user


def identity():
    login('admin', PASSWORD, 'admin')
    for name, kind, url in (('nova', 'compute', NOVA + '/v2.1'),
                            ('placement', 'placement', PLACEMENT),
                            ('glance', 'image', GLANCE), ('neutron', 'network', NEUTRON)):
        service = call('POST', KEYSTONE + '/v3/services',
                       {'service': {'name': name, 'type': kind}})['service']['id']
        for interface in ('public', 'internal', 'admin'):
            call('POST', KEYSTONE + '/v3/endpoints', {'endpoint': {
                'service_id': service, 'interface': interface, 'region_id': 'RegionOne',
                'url': url}})
    roles = {role['name']: role['id'] for role in call('GET', KEYSTONE + '/v3/roles')['roles']}
    if 'service' not in roles:
        roles['service'] = call('POST', KEYSTONE + '/v3/roles',
                                {'role': {'name': 'service'}})['role']['id']
    make_user('svc', PASSWORD, make_project('service'), (roles['admin'], roles['service']))
    project = make_project(PROJECT)
    user = make_user(USER, USER_PASSWORD, project, (roles['member'],))
    make_user(SECOND, USER_PASSWORD, make_project(SECOND_PROJECT), (roles['member'],))
    login(USER, USER_PASSWORD, PROJECT)
    credential = call('POST', '%s/v3/users/%s/application_credentials' % (KEYSTONE, user),
                      {'application_credential': {'name': 'adapter'}})['application_credential']
    with open(DIR + '/state/identity.json', 'w') as file:
        json.dump({'project_id': project, 'user_id': user, 'app_cred_id': credential['id'],
                   'app_cred_secret': credential['secret']}, file)


def make_flavors():
    version = {'headers': {'OpenStack-API-Version': 'compute 2.93'}}
    a100, h100 = ({'trait:CUSTOM_GPU_' + model: 'required'} for model in ('A100', 'H100'))
    ids = {}
    for name, vcpus, ram_gib, disk, extra in (
            # As small as a machine of openstack-machines, which really boots.
            ('gpu.vm.1', 2, 2, 22, {'pci_passthrough:alias': 'a100:1', **a100}),
            ('gpu.vm.4', 2, 2, 22, {'pci_passthrough:alias': 'a100:4', **a100}),
            ('gpu.vm.2', 2, 2, 22, {'pci_passthrough:alias': 'a100:2', **a100}),
            ('gpu.vm.h100', 2, 2, 22, {'pci_passthrough:alias': 'h100:4', **h100}),
            ('gpu.vm.l40s', 2, 2, 22, {'pci_passthrough:alias': 'l40s:1'}),
            ('gpu.vm.a40', 2, 2, 22, {'pci_passthrough:alias': 'a40:1'}),
            # Sold out: no host has what it wants.
            ('gpu.vm.h100.full', 2, 2, 22,
             {'pci_passthrough:alias': 'h100:4', 'trait:CUSTOM_GPU_ABSENT': 'required'}),
            ('cpu.small', 2, 4, 20, {}),
            ('gpu.a100.1', 12, 120, 200, {'pci_passthrough:alias': 'a100:1', **a100}),
            ('gpu.a100.8', 96, 960, 1600, {'pci_passthrough:alias': 'a100:8', **a100}),
            ('gpu.h100.1', 26, 225, 300, {'pci_passthrough:alias': 'h100:1', **h100}),
            ('gpu.h100.8', 208, 1800, 2400, {'pci_passthrough:alias': 'h100:8', **h100}),
            ('vgpu.a100.10c', 6, 60, 100,
             {'resources:VGPU': '1', 'trait:CUSTOM_VGPU_NVIDIA_10C': 'required'}),
            # No host has it.
            ('gpu.absent.1', 12, 120, 200, {'trait:CUSTOM_GPU_ABSENT': 'required'})):
        body = {'flavor': {'name': name, 'vcpus': vcpus, 'ram': ram_gib * 1024, 'disk': disk}}
        ids[name] = call('POST', NOVA + '/v2.1/flavors', body, **version)['flavor']['id']
        if extra:
            call('POST', '%s/v2.1/flavors/%s/os-extra_specs' % (NOVA, ids[name]),
                 {'extra_specs': extra}, **version)
    for trait in ('CUSTOM_GPU_A100', 'CUSTOM_GPU_H100', 'CUSTOM_GPU_L40S', 'CUSTOM_GPU_A40',
                  'CUSTOM_GPU_ABSENT', 'CUSTOM_VGPU_NVIDIA_10C'):
        call('PUT', PLACEMENT + '/traits/' + trait,
             headers={'OpenStack-API-Version': 'placement 1.39'})
    return ids


def make_images():
    ids = {}
    for name in ('ubuntu-22.04-cuda', 'debian-12'):
        body = {'name': name, 'disk_format': 'raw', 'container_format': 'bare',
                'visibility': 'public', 'min_disk': 1}
        ids[name] = call('POST', GLANCE + '/v2/images', body)['id']
        answer = session.put('%s/v2/images/%s/file' % (GLANCE, ids[name]), data=b'\0' * (1 << 20),
                             headers={'Content-Type': 'application/octet-stream'},
                             timeout=TIMEOUT)
        if answer.status_code != 204:
            sys.exit('image upload: %s %s' % (answer.status_code, answer.text))
    return ids


def make_subnet(network, cidr, **more):
    body = {'subnet': {'network_id': network, 'ip_version': 4, 'cidr': cidr, **more}}
    return call('POST', NEUTRON + '/v2.0/subnets', body)['subnet']['id']


def resources():
    with open(DIR + '/state/identity.json') as file:
        cloud = json.load(file)
    login('admin', PASSWORD, 'admin')
    cloud['flavors'] = make_flavors()
    call('PUT', NOVA + '/v2.1/os-quota-sets/' + cloud['project_id'],
         {'quota_set': {'instances': 20, 'cores': 1200, 'ram': 8 * 1024 * 1024}})
    cloud['images'] = make_images()
    outside = call('POST', NEUTRON + '/v2.0/networks', {'network': {
        'name': 'public', 'router:external': True, 'provider:network_type': 'flat',
        'provider:physical_network': 'public'}})['network']['id']
    make_subnet(outside, '203.0.113.0/24', enable_dhcp=False)
    login(SECOND, USER_PASSWORD, SECOND_PROJECT)
    make_subnet(call('POST', NEUTRON + '/v2.0/networks',
                     {'network': {'name': 'private'}})['network']['id'], '10.24.0.0/22')
    login(USER, USER_PASSWORD, PROJECT)
    inside = call('POST', NEUTRON + '/v2.0/networks',
                  {'network': {'name': 'private'}})['network']['id']
    subnet = make_subnet(inside, '10.20.0.0/22')
    router = call('POST', NEUTRON + '/v2.0/routers', {'router': {
        'name': 'gw', 'external_gateway_info': {'network_id': outside}}})['router']['id']
    call('PUT', '%s/v2.0/routers/%s/add_router_interface' % (NEUTRON, router),
         {'subnet_id': subnet})
    call('POST', NEUTRON + '/v2.0/security-groups', {'security_group': {'name': 'workers'}})
    cloud.update(auth_url=KEYSTONE + '/v3', region='RegionOne', username=USER,
                 password=USER_PASSWORD, project=PROJECT, admin_password=PASSWORD,
                 network_id=inside, compute=NOVA + '/v2.1', network=NEUTRON)
    with open(DIR + '/cloud.json', 'w') as file:
        json.dump(cloud, file, indent=1)


def hosts():
    login('admin', PASSWORD, 'admin')
    names = set(os.environ['HOSTS'].split())
    end = time.time() + 90

    def until(what, url, member, key):
        while not {item[key] for item in call('GET', url)[member]} >= names:
            if time.time() > end:
                sys.exit('timed out waiting for ' + what)
            time.sleep(0.3)
    until('hypervisors', NOVA + '/v2.1/os-hypervisors', 'hypervisors', 'hypervisor_hostname')
    until('providers', PLACEMENT + '/resource_providers', 'resource_providers', 'name')


{'identity': identity, 'resources': resources, 'hosts': hosts}[sys.argv[1]]()
