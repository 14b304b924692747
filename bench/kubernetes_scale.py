#!/usr/bin/python3
"""Starts spillwayd against a cluster and measures it; bench/kubernetes_scale prepares both and says what
the options mean. What is measured comes from spillwayd's own /metrics and from /proc."""

import argparse
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time

IDLE_SECONDS = 30
CHURN_SECONDS = 30
CHURN_RATE = 100  # pods created per second; as many are deleted
SINGLE_PODS = 60
PROVIDERS = ("scaleway", "ovhcloud", "verda", "nebius", "exoscale")
METRICS = ("127.0.0.1", 19464)

options = argparse.ArgumentParser()
for name in ("api", "ca", "cert", "key"):
    options.add_argument(f"--{name}", required=True)
for name in ("jobs", "rent", "fleet"):
    options.add_argument(f"--{name}", type=int, required=True)
options.add_argument("command", nargs="+")
options = options.parse_args()

tls = ssl.create_default_context(cafile=options.ca)
tls.load_cert_chain(options.cert, options.key)


class Api:
    """One connection to the API server."""

    def __init__(self):
        self.connection = http.client.HTTPSConnection(options.api.removeprefix("https://"), context=tls)

    def call(self, method, path, body=None, kind="application/json"):
        for left in range(60, -1, -1):
            try:
                self.connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": kind})
                answer = self.connection.getresponse()
                text = answer.read()
                if answer.status != 429 or left == 0:
                    break
                time.sleep(1)  # its storage is not ready yet, or it has enough to do
            except (OSError, http.client.HTTPException):  # it closes connections that rest
                self.connection.close()
                if left == 0:
                    raise
        if answer.status >= 300 and answer.status not in (404, 409):
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else {}


api = Api()


def in_parallel(items, work, workers=8):
    items, lock = iter(items), threading.Lock()

    def run():
        own = Api()
        while True:
            with lock:
                item = next(items, None)
            if item is None:
                return
            work(own, item)

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def rules():
    spillway = "/apis/spillway.dev/v1alpha1"
    head = {"apiVersion": "spillway.dev/v1alpha1"}
    for name in ("scale-burst", "scale-single", "scale-churn"):
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    for name in PROVIDERS:
        api.call("POST", f"{spillway}/cloudproviders", head | {"kind": "CloudProvider", "metadata": {"name": name},
                 "spec": {"type": "simulated", "catalog": name, "simulated": {"seed": 7}}})
    for name, most in (("scale-burst", options.rent), ("scale-single", SINGLE_PODS)):
        api.call("POST", f"{spillway}/burstpolicies", head | {"kind": "BurstPolicy", "metadata": {"name": name},
                 "spec": {"namespaces": [name], "dataClasses": ["public"], "nodes": {"max": most},
                          "price": {"maxPerGpuHour": "20 EUR"}, "wait": {"atMost": "0s"},
                          "jurisdiction": {"regions": ["EU"], "usNexus": "any"}}})
        api.call("POST", f"{spillway}/budgets", head | {"kind": "Budget", "metadata": {"name": name},
                 "spec": {"namespaces": [name], "amount": "1000000 EUR", "period": "month", "onExhausted": "wait"}})


def clear():
    """What an earlier run left in a cluster that was kept."""
    spillway = "/apis/spillway.dev/v1alpha1"
    api.call("DELETE", "/apis/batch/v1/namespaces/scale-burst/jobs?propagationPolicy=Background")
    for name in ("scale-burst", "scale-single", "scale-churn"):
        api.call("DELETE", f"/api/v1/namespaces/{name}/pods?gracePeriodSeconds=0")
    for node in api.call("GET", f"{spillway}/burstnodes").get("items", []):
        path = f"{spillway}/burstnodes/{node['metadata']['name']}"
        api.call("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        api.call("DELETE", path)


def template(gpus):
    need = {"cpu": "2", "memory": "8Gi", "nvidia.com/gpu": str(gpus)}
    return {"metadata": {"annotations": {"spillway.dev/expected-duration": "20m"}},
            "spec": {"restartPolicy": "Never",
                     "containers": [{"name": "main", "image": "pretend", "resources": {"requests": need, "limits": need}}]}}


class Metrics:
    """What spillwayd says of itself at one moment."""

    def __init__(self):
        connection = http.client.HTTPConnection(*METRICS, timeout=30)
        connection.request("GET", "/metrics")
        self.values = {}
        for line in connection.getresponse().read().decode().splitlines():
            match = re.match(r"^(\w+)(?:\{(.*)\})? (\S+)$", line)
            if match:
                self.values.setdefault(match[1], {})[match[2] or ""] = float(match[3])

    def total(self, name, contains=""):
        return sum(value for labels, value in self.values.get(name, {}).items() if contains in labels)


def quantile(name, before, after, q):
    """Upper bound of the histogram's bucket that holds the quantile of what came between."""
    buckets = {}
    for moment, sign in ((after, 1), (before, -1)):
        for labels, value in moment.values.get(f"{name}_bucket", {}).items():
            bound = float(re.search(r'le="([^"]+)"', labels)[1].replace("+Inf", "inf"))
            buckets[bound] = buckets.get(bound, 0) + sign * value
    count = buckets.get(float("inf"), 0)
    if count == 0:
        return "none"
    bound = next(bound for bound, below in sorted(buckets.items()) if below >= q * count)
    return f"<= {bound * 1000:g} ms"


class Process:
    def __init__(self, command):
        self.child = subprocess.Popen(command)
        self.begin = time.time()

    def cpu(self):
        fields = open(f"/proc/{self.child.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field):
        text = open(f"/proc/{self.child.pid}/status").read()
        return int(re.search(rf"{field}:\s+(\d+) kB", text)[1]) / 1024

    def wait_until(self, what, done, seconds):
        until = time.time() + seconds
        while time.time() < until:
            if self.child.poll() is not None:
                sys.exit(f"kubernetes_scale: spillwayd ended with {self.child.returncode}")
            try:
                if done():
                    return time.time()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        sys.exit(f"kubernetes_scale: {what} did not come within {seconds} s")


def synced():
    connection = http.client.HTTPConnection(*METRICS, timeout=10)
    connection.request("GET", "/readyz")
    ready = connection.getresponse().status == 200
    return ready and Metrics().total("spillway_leader") == 1


def row(what, measured, goal=""):
    print(f"| {what} | {measured} | {goal} |", flush=True)


def cold_start(process):
    at = process.wait_until("sync", synced, 300)
    row("cold start until synced", f"{at - process.begin:.1f} s, {process.cpu():.1f} s CPU")
    row("memory after the start", f"{process.memory('VmRSS'):.0f} MiB, at most {process.memory('VmHWM'):.0f} MiB", "200 MiB")


def idle(process):
    time.sleep(5)
    before = process.cpu()
    time.sleep(IDLE_SECONDS)
    row("CPU while idle", f"{100 * (process.cpu() - before) / IDLE_SECONDS:.1f} % of one processor")


def churn(process):
    need = {"cpu": "10m", "memory": "16Mi"}

    def pod(i):
        return {"metadata": {"name": f"churn-{i}"},
                "spec": {"nodeName": f"fleet-{i % options.fleet}", "terminationGracePeriodSeconds": 0,
                         "tolerations": [{"operator": "Exists"}],
                         "containers": [{"name": "c", "image": "pretend", "resources": {"requests": need}}]}}

    path, begin = "/api/v1/namespaces/scale-churn/pods", time.time()
    before, rounds = process.cpu(), Metrics()

    def paced():
        for i in range(CHURN_RATE * CHURN_SECONDS):
            time.sleep(max(0.0, begin + i / CHURN_RATE - time.time()))
            yield i

    def one(own, i):
        own.call("POST", path, pod(i))
        if i >= CHURN_RATE:
            own.call("DELETE", f"{path}/churn-{i - CHURN_RATE}?gracePeriodSeconds=0")

    in_parallel(paced(), one, 16)
    took, after = time.time() - begin, Metrics()
    looks = after.total("spillway_rounds_total") - rounds.total("spillway_rounds_total")
    row(f"CPU while {CHURN_RATE * CHURN_SECONDS / took:.0f} pods/s come and go",
        f"{100 * (process.cpu() - before) / took:.1f} % of one processor, {looks / took:.1f} rounds/s")
    row("a round", f"half {quantile('spillway_round_seconds', rounds, after, 0.5)}, "
        f"99 % {quantile('spillway_round_seconds', rounds, after, 0.99)}")
    row("memory after that", f"{process.memory('VmRSS'):.0f} MiB", "200 MiB")


def within(name, before, after, bound):
    """Share of what came between that is in buckets up to the bound, which is one of theirs."""
    def below(moment, le):
        return sum(v for k, v in moment.values.get(f"{name}_bucket", {}).items() if f'le="{le}"' in k)

    count = below(after, "+Inf") - below(before, "+Inf")
    return f"{100 * (below(after, bound) - below(before, bound)) / max(count, 1):.0f} %"


def report(what, before, after, goal):
    own, whole = "spillway_reaction_own_seconds", "spillway_reaction_seconds"
    count = after.total(f"{own}_count") - before.total(f"{own}_count")
    row(f"{what}: verdict to create call, own time ({count:.0f} pods)",
        f"p50 {quantile(own, before, after, 0.5)}, p99 {quantile(own, before, after, 0.99)}, "
        f"{within(own, before, after, '0.1')} within 100 ms", goal)
    row(f"{what}: the same with the API server's answers",
        f"p50 {quantile(whole, before, after, 0.5)}, p99 {quantile(whole, before, after, 0.99)}", "apart")
    parts = (("a round", "spillway_round_seconds"), ("deciding in it", "spillway_plan_seconds"),
             ("storing in it", "spillway_ledger_commit_seconds"))
    for part, name in parts:
        row(f"{what}: {part}", f"p50 {quantile(name, before, after, 0.5)}, p99 {quantile(name, before, after, 0.99)}")
    row(f"{what}: latency of an API request",
        f"p50 {quantile('spillway_api_request_seconds', before, after, 0.5)}, "
        f"p99 {quantile('spillway_api_request_seconds', before, after, 0.99)}", "apart")
    requests = after.total("spillway_api_requests_total") - before.total("spillway_api_requests_total")
    made = after.total("spillway_provider_calls_total", 'call="create"') - before.total("spillway_provider_calls_total", 'call="create"')
    if made == 0:
        made = after.total("spillway_nodes") - before.total("spillway_nodes")
    row(f"{what}: instances asked for, API requests", f"{made:.0f}, {requests:.0f} ({requests / max(made, 1):.1f} each)")


def singles(process):
    before = Metrics()
    one = template(1)
    for i in range(SINGLE_PODS):
        body = {"metadata": {"name": f"single-{i}"} | one["metadata"], "spec": one["spec"]}
        api.call("POST", "/api/v1/namespaces/scale-single/pods", body)
        time.sleep(0.5)
    time.sleep(5)
    report("pods one by one", before, Metrics(), "p99 <= 100 ms")


def burst(process):
    before, cpu, begin = Metrics(), process.cpu(), time.time()

    def one(own, i):
        own.call("POST", "/apis/batch/v1/namespaces/scale-burst/jobs",
                 {"metadata": {"name": f"burst-{i}"}, "spec": {"template": template(1 + i % 3)}})

    in_parallel(range(options.jobs), one, 16)
    applied = time.time() - begin

    def decided():
        now, ours = Metrics(), 'policy="scale-burst"'
        waiting = now.values.get("spillway_pods_waiting", {})
        known = sum(count for labels, count in waiting.items() if ours in labels)
        open_ = sum(count for labels, count in waiting.items() if ours in labels and 'reason="rent"' in labels)
        return known >= options.jobs and open_ == 0

    at = process.wait_until("the decision on all jobs", decided, 240)
    time.sleep(5)
    report(f"{options.jobs} jobs at once", before, Metrics(), "p99 <= 100 ms")
    row(f"{options.jobs} jobs at once: until all are decided",
        f"{at - begin:.1f} s, of which applying them {applied:.1f} s; {process.cpu() - cpu:.1f} s CPU")
    row("memory after that", f"{process.memory('VmRSS'):.0f} MiB, at most {process.memory('VmHWM'):.0f} MiB", "200 MiB")


clear()
rules()
load = open("/proc/loadavg").read().split()[:3]
print(f"load of this machine: {' '.join(load)}, {os.cpu_count()} processors", flush=True)
print("Rented machines never come up here: what is measured ends with the create call.\n", flush=True)
daemon = Process(options.command + ["--metrics-listen", "{}:{}".format(*METRICS)])
try:
    row("what", "measured", "goal")
    row("---", "---", "---")
    cold_start(daemon)
    idle(daemon)
    churn(daemon)
    singles(daemon)
    burst(daemon)
finally:
    daemon.child.terminate()
    daemon.child.wait()
