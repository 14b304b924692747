#!/usr/bin/python3
"""Creates nodes and pods in bulk for kubernetes-fleet, which says what the arguments mean."""

import http.client
import json
import ssl
import sys
import threading
import time

API, PKI = sys.argv[1:3]
COUNT, GPUS, PODS, SCHEDULE = (int(word) for word in sys.argv[3:7])
PREFIX = sys.argv[7]
WORKERS = 16
FAKE = {"kwok.x-k8s.io/node": "fake"}

tls = ssl.create_default_context(cafile=f"{PKI}/ca.crt")
tls.load_cert_chain(f"{PKI}/admin.crt", f"{PKI}/admin.key")


def connect():
    return http.client.HTTPSConnection(API.removeprefix("https://"), context=tls)


def node(i):
    name = f"{PREFIX}-{i}"
    room = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    if GPUS:
        room["nvidia.com/gpu"] = str(GPUS)
    labels = {
        "type": "kwok",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": FAKE, "labels": labels | FAKE},
        "spec": {"taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": room, "allocatable": room},
    }


def pod(i):
    need = {"cpu": "100m", "memory": "128Mi"}
    if i < COUNT * GPUS:
        need["nvidia.com/gpu"] = "1"
    container = {"name": "c", "image": "pretend", "resources": {"requests": need, "limits": need}}
    spec = {
        "containers": [container],
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "nodeSelector": {"type": "kwok"},
    }
    if not SCHEDULE:
        spec["nodeName"] = f"{PREFIX}-{i % COUNT}"
    metadata = {"name": f"{PREFIX}-pod-{i}", "labels": {"app": PREFIX}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def say(text):
    print(f"kubernetes-fleet: {text}", flush=True)


def create(path, count, make, what):
    """Objects that are there already are left as they are. Ends the program when others fail."""
    begin, lock, numbers, failures = time.time(), threading.Lock(), iter(range(count)), []

    def work():
        connection = connect()
        while True:
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            connection.request("POST", path, json.dumps(make(i)), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status not in (201, 409):
                failures.append(f"{answer.status} {body[:300]!r}")

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.time() - begin
    say(f"{count} {what} created in {seconds:.1f} s ({count / max(seconds, 0.001):.0f}/s)")
    if failures:
        sys.exit(f"kubernetes-fleet: {len(failures)} {what} failed, the first with {failures[0]}")


def wait_until_ready(limit=600):
    begin, connection, seen = time.time(), connect(), 0
    while time.time() - begin < limit:
        connection.request("GET", "/api/v1/nodes?labelSelector=type%3Dkwok&resourceVersion=0")
        items = json.loads(connection.getresponse().read())["items"]
        seen = sum(
            any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", []))
            for item in items
        )
        if seen >= COUNT:
            break
        time.sleep(1)
    say(f"{seen} of {COUNT} nodes Ready after another {time.time() - begin:.1f} s")
    if seen < COUNT:
        sys.exit(1)


def wait_until_none_pending(limit=1800):
    begin, connection = time.time(), connect()
    query = f"limit=1&fieldSelector=status.phase%3DPending&labelSelector=app%3D{PREFIX}"
    while time.time() - begin < limit:
        connection.request("GET", f"/api/v1/namespaces/default/pods?{query}")
        if not json.loads(connection.getresponse().read())["items"]:
            say(f"no pod Pending after another {time.time() - begin:.1f} s")
            return
        time.sleep(1)
    sys.exit(f"kubernetes-fleet: pods are still Pending after {limit} s")


create("/api/v1/nodes", COUNT, node, "nodes")
wait_until_ready()
if PODS:
    create("/api/v1/namespaces/default/pods", PODS, pod, "pods")
    wait_until_none_pending()
