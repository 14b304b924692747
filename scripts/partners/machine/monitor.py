"""monitor.py SOCKET LINE: gives a line to the human monitor of a QEMU by its QMP socket; prints the answer."""
import json
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
stream = connection.makefile('rw')
json.loads(stream.readline())  # the greeting


def ask(command, **arguments):
    json.dump({'execute': command, 'arguments': arguments}, stream)
    stream.write('\n')
    stream.flush()
    while True:
        line = stream.readline()
        if not line:
            sys.exit('the machine is gone')
        answer = json.loads(line)
        if 'error' in answer:
            sys.exit(answer['error']['desc'])
        if 'return' in answer:
            return answer['return']


ask('qmp_capabilities')
print(ask('human-monitor-command', **{'command-line': sys.argv[2]}), end='')
