"""machines.py PARTNERS CLOUD STATE HUB MAX MEMORY DOWN HOLD FILTER: what openstack-machines runs."""
import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

PARTNERS, CLOUD, STATE, HUB = sys.argv[1:5]
MAX, MEMORY = int(sys.argv[5]), int(sys.argv[6])
DOWN_ON_EXIT = bool(sys.argv[7])
HOLD = sys.argv[8]  # while this file is there and we run, the machines' bridge stays
FILTER = sys.argv[9]
KEPT = 4
PRODUCTS = {'a100': 'NVIDIA-A100-SXM4-80GB', 'h100': 'NVIDIA-H100-80GB-HBM3',
            'l40s': 'NVIDIA-L40S', 'a40': 'NVIDIA-A40'}
# The flavor is in the server from 2.47 on.
VERSION = 'compute 2.47'

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def say(text):
    print('%s openstack-machines: %s' % (time.strftime('%H:%M:%S'), text), flush=True)


class Nova:
    """The cloud as its administrator sees it. What it raises is an OSError."""

    def __init__(self):
        self.token = None

    def send(self, method, url, body=None, headers=None):
        request = urllib.request.Request(url, method=method, headers={
            'Content-Type': 'application/json', 'Accept': 'application/json', **(headers or {})})
        data = None if body is None else json.dumps(body).encode()
        with opener.open(request, data, timeout=20) as answer:
            text = answer.read()
            return (json.loads(text) if text else {}), answer.headers

    def login(self):
        with open(CLOUD + '/cloud.json') as file:  # anew: the cloud may have been started again
            cloud = json.load(file)
        domain = {'name': 'Default'}
        _, headers = self.send('POST', cloud['auth_url'] + '/auth/tokens', {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': {
                'name': 'admin', 'password': cloud['admin_password'], 'domain': domain}}},
            'scope': {'project': {'name': 'admin', 'domain': domain}}}})
        self.token = headers['X-Subject-Token']
        self.url = cloud['compute']

    def call(self, method, path, body=None):
        for again in (True, False):
            if self.token is None:
                self.login()
            try:
                return self.send(method, self.url + path, body, {
                    'X-Auth-Token': self.token, 'OpenStack-API-Version': VERSION})[0]
            except urllib.error.HTTPError as error:
                if error.code != 401 or not again:
                    raise
                self.token = None

    def servers(self):
        """All servers of all projects."""
        found, path = {}, '/servers/detail?all_tenants=1'
        while path:
            page = self.call('GET', path)
            found.update((server['id'], server) for server in page['servers'])
            after = page['servers'][-1]['id'] if page.get('servers_links') else None
            path = after and '/servers/detail?all_tenants=1&marker=' + after
        return found

    def is_gone(self, server):
        """Only a 404 says so: a list may be short for other reasons."""
        try:
            return self.call('GET', '/servers/' + server)['server']['status'] == 'DELETED'
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return True
            raise


def run(program, *arguments):
    done = subprocess.run([os.path.join(PARTNERS, program), '--dir', STATE, *arguments],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, start_new_session=True)
    if done.returncode != 0:
        say('%s %s failed: %s' % (program, ' '.join(arguments), done.stderr.strip()))
    return done.returncode == 0


def filtered(user_data):
    if not FILTER or not os.path.exists(FILTER):
        return user_data
    return subprocess.run([FILTER], input=user_data, stdout=subprocess.PIPE, check=True).stdout


def gpus(flavor):
    """(count, product) of a flavor, from an alias like a100:2."""
    alias = flavor.get('extra_specs', {}).get('pci_passthrough:alias', '')
    model, _, count = alias.partition(':')
    return (int(count or 1), PRODUCTS[model]) if model in PRODUCTS else (0, '')


class Machines:
    def __init__(self):
        self.nova = Nova()
        self.waiting = set()  # servers that had to wait: said once
        self.failed = {}      # server -> when its boot failed
        self.away = False

    def path(self, name, file=''):
        return os.path.join(STATE, name, file)

    def has(self, name, file):
        return os.path.exists(self.path(name, file))

    def names(self):
        return [name for name in os.listdir(STATE) if self.has(name, 'disk.qcow2')]

    def runs(self, name):
        """The process of STATE/name/pid, and not another with its number."""
        try:
            with open(self.path(name, 'pid')) as file:
                pid, start = file.read().split()
            with open('/proc/%s/stat' % pid) as file:
                fields = file.read().rpartition(')')[2].split()
        except (OSError, ValueError):
            return False
        return fields[0] not in 'ZX' and fields[19] == start

    def mark(self, name, file, there):
        if there:
            open(self.path(name, file), 'w').close()
        elif self.has(name, file):
            os.unlink(self.path(name, file))

    def boot(self, server):
        name, flavor = server['id'], server['flavor']
        if time.time() < self.failed.get(name, 0) + 10:
            return
        if sum(map(self.runs, self.names())) >= MAX:
            if name not in self.waiting:
                self.waiting.add(name)
                say('%s (%s) waits: %d machines run' % (name, server['name'], MAX))
            return
        self.waiting.discard(name)
        again = self.has(name, 'disk.qcow2')
        user_data = os.path.join(STATE, '.user-data')
        with open(os.open(user_data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'wb') as file:
            try:
                file.write(filtered(base64.b64decode(server['OS-EXT-SRV-ATTR:user_data'] or '')))
            except ValueError:  # Nova takes anything; a real machine gets nothing then either
                say('%s: its user data is not base64' % name)
        count, product = gpus(flavor)
        hostname = server.get('OS-EXT-SRV-ATTR:hostname') or server['name']
        options = ['--name', name, '--uuid', name, '--user-data', user_data,
                   '--hostname', hostname, '--memory', str(min(MEMORY, flavor['ram'])),
                   '--cpus', str(min(2, flavor['vcpus'])), '--gpus', str(count),
                   '--disk', str(min(max(flavor['disk'], 4), 20))]
        if count:
            options += ['--product', product]
        if HUB:
            options += ['--hub', HUB]
        if not run('machine-boot', *options):
            self.failed[name] = time.time()
            return
        os.unlink(user_data)
        self.mark(name, 'off', False)
        self.mark(name, 'stopped', False)
        say('%s (%s, %s) %s, %d GPUs' % (name, server['name'], flavor['original_name'],
                                         'boots again' if again else 'boots', count))

    def remove(self, name):
        kept = os.path.join(STATE, 'kept')
        disk = os.path.join(kept, name + '.qcow2')
        if not run('machine-down', '--name', name, '--keep-disk', disk):
            return
        os.utime(disk)
        say('%s lost its power: the server is deleted' % name)
        disks = sorted((os.path.join(kept, disk) for disk in os.listdir(kept)),
                       key=lambda disk: os.stat(disk).st_mtime)
        for disk in disks[:-KEPT]:
            os.unlink(disk)

    def has_stopped(self, server):
        """ACTIVE in Nova, but the machine is off: it did that itself."""
        name = server['id']
        if not self.has(name, 'off'):
            self.mark(name, 'off', True)
            say('%s powered itself off' % name)
        try:
            self.nova.call('POST', '/servers/%s/action' % name, {'os-stop': None})
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):  # deleted or busy meanwhile
                raise

    def look(self):
        servers = self.nova.servers()
        for name in self.names():
            status = servers.get(name, {}).get('status', 'DELETED')
            if status == 'DELETED' and not self.has(name, 'forgotten') and self.nova.is_gone(name):
                self.remove(name)
        for name, server in sorted(servers.items(), key=lambda item: item[1]['created']):
            there, runs, status = self.has(name, 'disk.qcow2'), self.runs(name), server['status']
            if server.get('OS-EXT-STS:task_state'):  # on its way to another status
                continue
            if status == 'ACTIVE' and (not there or not runs and self.has(name, 'stopped')):
                self.boot(server)
            elif status == 'ACTIVE' and not runs:
                self.has_stopped(server)
            elif status == 'SHUTOFF' and there:
                if runs and run('machine-down', '--name', name, '--off'):
                    say('%s is off: the server was stopped' % name)
                if not self.has(name, 'stopped'):
                    self.mark(name, 'stopped', True)
        self.waiting &= set(servers)

    def step(self):
        try:
            self.look()
        # The cloud is away, or half there.
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            self.nova.token = None
            if not self.away:
                say('no answer from the cloud: %s' % error)
            self.away = True
            return
        if self.away:
            say('the cloud answers again')
        self.away = False


def main():
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    machines = Machines()
    say('ready: %d machines are there' % len(machines.names()))
    while not ended.is_set():
        machines.step()
        ended.wait(1)
    os.unlink(HOLD)
    if DOWN_ON_EXIT:
        run('machine-down')
    say('ended')


main()
