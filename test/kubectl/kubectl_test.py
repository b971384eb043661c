#!/usr/bin/env python3
"""kubectl 1.34 and 1.36 against `causeway apiserver`: each case is run with both, in a namespace of its own.

  kubectl_test.py SOURCE-DIRECTORY CAUSEWAY [KUBECTL...]      (without KUBECTL: those of ./dev peers kubectl)
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from api_server import ApiServer, Kubelet  # noqa: E402

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {level: info}
---
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: web}}
spec:
  nodeName: node-1
  containers:
  - {name: main, image: "example/main:1", ports: [{containerPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: "example/main:1"
        env: [{name: LEVEL, value: info}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
"""


HOMES = tempfile.TemporaryDirectory(prefix="cw-kubectl-")  # kubectl's caches; goes at exit


class Failure(Exception):
    pass


class Kubectl:
    def __init__(self, program, server, namespace):
        self.program, self.server, self.namespace = program, server, namespace
        self.home = tempfile.mkdtemp(dir=HOMES.name)

    def command(self, args):
        return [self.program, "--kubeconfig", self.server.kubeconfig, "-n", self.namespace, *args]

    def run(self, *args, stdin=None):
        """(exit status, stdout, stderr)"""
        done = subprocess.run(self.command(args), input=stdin, capture_output=True, text=True, timeout=60,
                              env={"HOME": self.home, "PATH": os.environ["PATH"]})
        return done.returncode, done.stdout, done.stderr

    def __call__(self, *args, stdin=None):
        """stdout of a command that has to succeed"""
        status, out, err = self.run(*args, stdin=stdin)
        if status != 0:
            raise Failure(f"kubectl {' '.join(args)}: exit {status}\n{out}{err}")
        return out

    def refused(self, *args, stdin=None):
        """stderr of a command that has to fail"""
        status, out, err = self.run(*args, stdin=stdin)
        if status == 0:
            raise Failure(f"kubectl {' '.join(args)}: was not refused\n{out}")
        return err

    def start(self, *args):
        return subprocess.Popen(["timeout", "60", *self.command(args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={"HOME": self.home, "PATH": os.environ["PATH"]})


def equal(got, wanted):
    if got != wanted:
        raise Failure(f"got:\n{got}\nwanted:\n{wanted}")


def contains(text, *parts):
    for part in parts:
        if part not in text:
            raise Failure(f"{part!r} is not in:\n{text}")


def columns(table):
    """Single spaces, ages taken out."""
    return "\n".join(re.sub(r" \d+s\b", " AGE", re.sub(r" +", " ", line.strip())) for line in table.strip().splitlines())


def applied(k):
    k("apply", "-f", "-", stdin=MANIFEST)


def case_apply_creates_then_configures_then_changes_nothing(k, _):
    equal(k("apply", "-f", "-", stdin=MANIFEST),
          "configmap/settings created\npod/one created\ndeployment.apps/web created\nservice/web created\n"
          "networkpolicy.networking.k8s.io/closed created\n")
    changed = MANIFEST.replace("value: info", "value: debug").replace("level: info", "level: debug")
    equal(k("apply", "-f", "-", stdin=changed),
          "configmap/settings configured\npod/one unchanged\ndeployment.apps/web configured\nservice/web unchanged\n"
          "networkpolicy.networking.k8s.io/closed unchanged\n")
    equal(k("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].env[0].value} {.metadata.generation}"), "debug 2")
    # What a manifest leaves out goes away.
    k("apply", "-f", "-", stdin=MANIFEST.replace("        env: [{name: LEVEL, value: info}]\n", ""))
    equal(k("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].env}"), "")


def case_get_prints_the_columns_of_each_kind(k, _):
    applied(k)
    equal(columns(k("get", "pods,deployments,configmaps,networkpolicies")),
          "NAME READY STATUS RESTARTS AGE\npod/one 0/1 Pending 0 AGE\n\nNAME READY UP-TO-DATE AVAILABLE AGE\n"
          "deployment.apps/web 0/2 0 0 AGE\n\nNAME DATA AGE\nconfigmap/settings 1 AGE\n\nNAME POD-SELECTOR AGE\n"
          "networkpolicy.networking.k8s.io/closed app=web AGE")
    equal(columns(k("get", "pod", "one", "-o", "wide")),
          "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES\none 0/1 Pending 0 AGE <none> node-1 <none> <none>")
    contains(columns(k("get", "service", "web")), "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE\nweb ClusterIP 10.96.", "<none> 80/TCP AGE")
    contains(columns(k("get", "all")), "pod/one", "service/web", "deployment.apps/web")
    equal(k("get", "pod", "one", "-o", "name"), "pod/one\n")
    equal(json.loads(k("get", "pod", "one", "-o", "json"))["spec"]["containers"][0]["ports"], [{"containerPort": 8080, "protocol": "TCP"}])
    contains(k("get", "pod", "one", "-o", "yaml"), "kind: Pod\n", "  nodeName: node-1\n")
    equal(k("get", "pods", "-l", "app=web", "--field-selector", "spec.nodeName=node-1", "-o", "jsonpath={.items[*].metadata.name}"), "one")
    contains(k("get", "pods", "-A"), k.namespace)
    equal(k.refused("get", "pod", "nobody"), 'Error from server (NotFound): pods "nobody" not found\n')


def case_lists_come_in_pages_and_sorted(k, _):
    for name in "cab":
        k("create", "-f", "-", stdin=f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
    equal(k("get", "configmaps", "--chunk-size=2", "--sort-by=.metadata.resourceVersion", "-o", "name"),
          "configmap/c\nconfigmap/a\nconfigmap/b\n")
    equal([line.split()[0] for line in k("get", "configmaps", "--chunk-size=2", "--no-headers").splitlines()], ["a", "b", "c"])


def case_create_refuses_what_is_there_and_what_is_wrong(k, _):
    applied(k)
    contains(k.refused("create", "-f", "-", stdin=MANIFEST), 'configmaps "settings" already exists')
    contains(k.refused("create", "-f", "-", stdin="apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n"),
             'The Pod "x" is invalid: spec.containers: Required value')
    contains(k.refused("create", "-f", "-", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndat: {}\n"),
             'unknown field "dat"')
    contains(k.refused("create", "-f", "-", stdin="apiVersion: v1\nkind: Widget\nmetadata: {name: x}\n"), "Widget")


def case_protobuf_is_refused_with_the_way_out(k, _):
    contains(k.refused("create", "deployment", "x", "--image=x"), "the body is protobuf", "kubectl create -f")


def case_server_side_apply_is_refused_with_the_way_out(k, _):
    contains(k.refused("apply", "--server-side", "-f", "-", stdin=MANIFEST), "server-side apply", "without --server-side")


def case_label_annotate_and_the_three_patches(k, _):
    applied(k)
    k("label", "pod", "one", "tier=front")
    k("annotate", "pod", "one", "note=yes")
    k("patch", "deployment", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"s"}]}}}}')
    k("patch", "pod", "one", "--type=merge", "-p", '{"metadata":{"labels":{"app":null}}}')
    k("patch", "pod", "one", "--type=json", "-p", '[{"op":"add","path":"/metadata/labels/more","value":"1"}]')
    k("patch", "pod", "one", "--subresource=status", "--type=merge", "-p", '{"status":{"podIP":"10.244.0.9","podIPs":[{"ip":"10.244.0.9"}]}}')
    pod = json.loads(k("get", "pod", "one", "-o", "json"))
    equal((pod["metadata"]["labels"], pod["metadata"]["annotations"]["note"], pod["status"]["podIP"]),
          ({"tier": "front", "more": "1"}, "yes", "10.244.0.9"))
    equal(k("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[*].name}"), "side main")
    contains(k.refused("patch", "pod", "one", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/none"}]'), "does not exist")


def case_replace_edits_and_dry_run_stores_nothing(k, _):
    applied(k)
    config = json.loads(k("get", "configmap", "settings", "-o", "json"))
    config["data"] = {"level": "trace"}
    equal(k("replace", "-f", "-", stdin=json.dumps(config)), "configmap/settings replaced\n")
    contains(k.refused("replace", "-f", "-", stdin=json.dumps(config)), "the object has been modified")
    equal(k("apply", "--dry-run=server", "-f", "-", stdin=MANIFEST.replace("info", "other")).splitlines()[0],
          "configmap/settings configured (server dry run)")
    equal(k("get", "configmap", "settings", "-o", "jsonpath={.data.level}"), "trace")


def case_scale_and_wait(k, _):
    applied(k)
    k("scale", "deployment", "web", "--replicas=5")
    equal(k("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}"), "5")
    contains(k.refused("scale", "deployment", "web", "--replicas=2", "--current-replicas=3"), "Expected replicas to be 3")
    waiting = k.start("wait", "pod", "one", "--for=condition=Ready", "--timeout=30s")
    time.sleep(0.5)  # so that it has to watch; it passes as well if it has not begun yet
    k("patch", "pod", "one", "--subresource=status", "--type=merge", "-p",
      '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}')
    equal(waiting.communicate(timeout=40)[0], "pod/one condition met\n")


def case_a_watch_prints_each_change(k, _):
    applied(k)
    watch = k.start("get", "pods", "-w", "--output-watch-events")
    lines = [watch.stdout.readline() for _ in range(2)]
    k("label", "pod", "one", "seen=1")
    lines.append(watch.stdout.readline())
    k("delete", "pod", "one", "--grace-period=0", "--force")
    lines.append(watch.stdout.readline())
    watch.terminate()
    watch.communicate()
    equal([line.split()[0] for line in lines], ["EVENT", "ADDED", "MODIFIED", "DELETED"])


def case_delete_waits_for_finalizers(k, _):
    applied(k)
    k("patch", "configmap", "settings", "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/hold"]}}')
    deleting = k.start("delete", "configmap", "settings")
    for _ in range(100):
        if k("get", "configmap", "settings", "-o", "jsonpath={.metadata.deletionTimestamp}"):
            break
        time.sleep(0.05)
    k("patch", "configmap", "settings", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    contains(deleting.communicate(timeout=40)[0], 'configmap "settings" deleted')
    k("delete", "networkpolicy,service", "--all")
    equal(k("get", "networkpolicy,service", "-o", "name"), "")


def case_describe_tells_an_object_with_its_events(k, _):
    applied(k)
    uid = k("get", "pod", "one", "-o", "jsonpath={.metadata.uid}")
    k("create", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "one.1", "namespace": k.namespace},
        "involvedObject": {"kind": "Pod", "name": "one", "namespace": k.namespace, "uid": uid, "apiVersion": "v1"},
        "reason": "Pulled", "message": "the image is there", "type": "Normal", "count": 2,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:01Z", "source": {"component": "kubelet"}}))
    described = lambda *what: columns(k("describe", *what))  # noqa: E731
    contains(described("pod", "one"), "Name: one\n", "Node: node-1", "Pulled", "the image is there")
    contains(described("deployment", "web"), "Replicas: 2 desired", "Selector: app=web")
    contains(described("service", "web"), "Port: <unset> 80/TCP", "Selector: app=web")
    contains(described("networkpolicy", "closed"), "PodSelector: app=web")
    contains(described("node", "node-1"), "Name: node-1", "Non-terminated Pods:")
    contains(described("namespace", k.namespace), "Status: Active")
    contains(k("get", "events"), "Pulled", "pod/one", "the image is there")
    contains(k("events", "--for", "pod/one"), "Pulled")
    contains(k("get", "events.events.k8s.io", "-o", "jsonpath={.items[0].note}"), "the image is there")


def case_logs_come_from_the_node_and_go_on(k, kubelet):
    applied(k)
    equal(k("logs", "one"), "one\ntwo\nthree\n")
    equal(k("logs", "one", "--tail=1", "-c", "main"), "three\n")
    kubelet.go_on.clear()
    follow = k.start("logs", "-f", "one")
    equal("".join(follow.stdout.readline() for _ in range(3)), "one\ntwo\nthree\n")
    kubelet.go_on.set()
    equal(follow.communicate(timeout=30)[0], "four\nfive\n")
    contains(k.refused("logs", "one", "-c", "other"), "container other is not valid for pod one")


def case_cordon_and_uncordon(k, _):
    k("cordon", "node-1")
    contains(k("get", "node", "node-1"), "SchedulingDisabled")
    k("uncordon", "node-1")


def case_what_there_is_can_be_asked(k, _):
    resources = k("api-resources", "--no-headers")
    for name in ["configmaps", "daemonsets", "deployments", "endpointslices", "events", "leases", "namespaces", "networkpolicies",
                 "nodes", "pods", "replicasets", "secrets", "services"]:
        contains(resources, name)
    contains(k("explain", "deployment.spec.template.spec.containers"), "KIND:       Deployment", "readinessProbe\t<Probe>")
    contains(k("api-versions"), "apps/v1", "discovery.k8s.io/v1")
    contains(k("version"), "Server Version: v1.36")
    applied(k)
    equal(k("diff", "-f", "-", stdin=MANIFEST), "")
    status, out, _ = k.run("diff", "-f", "-", stdin=MANIFEST.replace("replicas: 2", "replicas: 3"))
    equal(status, 1)
    contains(out, "-  replicas: 2", "+  replicas: 3")


def case_a_namespace_goes_with_its_content(k, _):
    name = k.namespace + "-going"
    k("create", "-f", "-", stdin=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
    k("create", "-n", name, "-f", "-", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    contains(k("delete", "namespace", name), "deleted")
    equal(k("get", "configmaps", "-A", "--field-selector", "metadata.name=x", "-o", "name"), "")


def case_a_killed_server_comes_back_with_everything(k, _):
    applied(k)
    before = k("get", "pods,deployments,configmaps,services", "-o", "yaml")
    k.server.kill()
    k.server.start()
    equal(k("get", "pods,deployments,configmaps,services", "-o", "yaml"), before)


def case_a_full_disk_refuses_the_write_and_nothing_else(k, _):
    if os.geteuid() != 0:
        return
    mount = tempfile.mkdtemp(prefix="cw-full-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "cw-full", mount], check=True)
    try:
        small = ApiServer(k.server.program, os.path.join(mount, "data"))
        try:
            full = Kubectl(k.program, small, "default")
            refusal = ""
            for i in range(60):
                body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{i}"}, "data": {"x": "y" * 100000}})
                status, _, refusal = full.run("create", "-f", "-", stdin=body)
                if status != 0:
                    break
            contains(refusal, "the disk is full; nothing was changed")
            names = full("get", "configmaps", "-o", "name").split()
            equal(names, sorted(f"configmap/m{n}" for n in range(i)))
            small.kill()
            small.start()
            equal(full("get", "configmaps", "-o", "name").split(), names)
        finally:
            small.stop()
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
        os.rmdir(mount)


def case_two_servers_on_one_directory_are_refused(k, _):
    done = subprocess.run([k.server.program, "apiserver", "--data", k.server.data, "--listen", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=30)
    equal(done.returncode, 1)
    contains(done.stderr, f"another API server (pid {k.server.process.pid}) uses the data directory {k.server.data}")


def case_services_are_exposed_typed_and_given_addresses(k, _):
    applied(k)
    equal(k("expose", "deployment", "web", "--name=front", "--port=80", "--target-port=8080", "--type=NodePort"), "service/front exposed\n")
    front = json.loads(k("get", "service", "front", "-o", "json"))["spec"]
    port = front["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767, port
    contains(columns(k("get", "svc", "front", "-o", "wide")), f"front NodePort {front['clusterIP']} <none> 80:{port}/TCP AGE app=web")
    contains(columns(k("get", "ipaddress", front["clusterIP"])), f"{front['clusterIP']} services/{k.namespace}/front AGE")
    contains(columns(k("get", "servicecidrs")), "NAME CIDRS AGE\nkubernetes 10.96.0.0/16 AGE")
    contains(k("get", "servicecidr", "kubernetes", "-o", "jsonpath={.status.conditions[0].type}={.status.conditions[0].status}"), "Ready=True")
    contains(columns(k("get", "endpoints,endpointslices", "-n", "default")), "endpoints/kubernetes")
    contains(k.refused("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "twin"},
             "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}})), "provided port is already allocated")
    contains(k.refused("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "low"},
             "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}})), "The range of valid ports is 30000-32767")
    # The load balancer's address comes through the status subresource.
    k("patch", "service", "front", "-p", '{"spec":{"type":"LoadBalancer"}}')
    contains(columns(k("get", "svc", "front")), "front LoadBalancer", "<pending>")
    k("patch", "service", "front", "--subresource=status", "--type=merge", "-p", '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.80"}]}}}')
    contains(columns(k("get", "svc", "front")), f" 192.0.2.80 80:{port}/TCP")
    k("patch", "service", "front", "-p", '{"spec":{"type":"ClusterIP"}}')
    contains(columns(k("get", "svc", "front")), f"front ClusterIP {front['clusterIP']} <none> 80/TCP")
    # A name may start with a digit (1.36), an address asked for may be the tenth.
    k("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "1st"}, "spec": {"ports": [{"port": 80}]}}))
    k("delete", "service", "1st")
    contains(columns(k("describe", "service", "front")), "Type: ClusterIP", f"IP: {front['clusterIP']}")


def case_clusternetworkpolicies_are_applied_shown_and_explained(k, _):
    name = f"guard-{k.namespace}"  # of the whole cluster, and both kubectls run
    policy = {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": name},
              "spec": {"tier": "Admin", "priority": 7, "subject": {"namespaces": {}}, "ingress": [
                  {"name": "metrics", "action": "Deny", "from": [{"namespaces": {"matchLabels": {"team": "x"}}}],
                   "protocols": [{"tcp": {"destinationPort": {"number": 9100}}}]}]}}
    full = f"clusternetworkpolicy.policy.networking.k8s.io/{name}"
    equal(k("apply", "-f", "-", stdin=json.dumps(policy)), f"{full} created\n")
    equal(k("apply", "-f", "-", stdin=json.dumps(policy)), f"{full} unchanged\n")
    policy["spec"]["priority"] = 8
    equal(k("apply", "-f", "-", stdin=json.dumps(policy)), f"{full} configured\n")
    contains(columns(k("get", "cnp", name)), f"NAME TIER PRIORITY AGE\n{name} Admin 8 AGE")
    contains(k("api-resources", "--api-group=policy.networking.k8s.io"), "clusternetworkpolicies", "cnp", "false")
    contains(k("describe", "cnp", name), "Tier:", "9100", "metrics")
    contains(k("explain", "clusternetworkpolicy.spec.egress.to"), "KIND:       ClusterNetworkPolicy", "domainNames\t<[]string>")
    k("patch", "cnp", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {"conditions": [
        {"type": "Seen", "status": "True", "reason": "Yes", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
    equal(k("wait", "--for=condition=Seen", f"cnp/{name}", "--timeout=5s"), f"{full} condition met\n")
    contains(k("get", "cnp", name, "-o", "jsonpath={.metadata.generation} {.spec.priority}"), "2 8")
    policy["spec"]["priority"] = 1001
    contains(k.refused("apply", "-f", "-", stdin=json.dumps(policy)), "spec.priority: Invalid value: 1001")
    policy["spec"]["priority"], policy["spec"]["ingress"][0]["from"] = 8, [{}]
    contains(k.refused("apply", "-f", "-", stdin=json.dumps(policy)), "spec.ingress[0].from[0]", "exactly 1 of namespaces, pods")
    k("delete", "cnp", name)


def case_endpoints_and_slices_take_only_addresses_that_can_be_reached(k, _):
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"},
                 "subsets": [{"addresses": [{"ip": "10.9.0.1"}, {"ip": "10.9.0.2"}], "ports": [{"port": 5432}]}]}
    k("create", "-f", "-", stdin=json.dumps(endpoints))
    contains(columns(k("get", "endpoints", "db")), "NAME ENDPOINTS AGE\ndb 10.9.0.1:5432,10.9.0.2:5432 AGE")
    for bad, why in {"127.0.0.1": "loopback", "169.254.1.1": "link-local", "224.0.0.5": "multicast"}.items():
        endpoints["metadata"]["name"], endpoints["subsets"][0]["addresses"] = "bad", [{"ip": bad}]
        contains(k.refused("create", "-f", "-", stdin=json.dumps(endpoints)), why)
        contains(k.refused("create", "-f", "-", stdin=json.dumps({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                 "metadata": {"name": "bad"}, "addressType": "IPv4", "endpoints": [{"addresses": [bad]}], "ports": []})), why)


def case_a_servicecidr_adds_addresses_and_ends_when_nobody_has_one(k, _):
    name = f"extra-{k.namespace}"
    net = f"10.{100 + sum(map(ord, k.namespace)) % 100}.7.0/24"
    k("create", "-f", "-", stdin=json.dumps({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": name}, "spec": {"cidrs": [net]}}))
    equal(k("wait", "--for=condition=Ready", "servicecidr/" + name, "--timeout=5s"), f"servicecidr.networking.k8s.io/{name} condition met\n")
    k("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "there"},
      "spec": {"clusterIP": net.replace(".0/24", ".9"), "ports": [{"port": 80}]}}))
    k("delete", "servicecidr", name, "--wait=false")
    equal(k("wait", "--for=condition=Ready=false", "servicecidr/" + name, "--timeout=5s"), f"servicecidr.networking.k8s.io/{name} condition met\n")
    k("delete", "service", "there")
    equal(k("wait", "--for=delete", "servicecidr/" + name, "--timeout=20s"), f"servicecidr.networking.k8s.io/{name} condition met\n")


class Controllers:
    """The controllers of Deployments beside the API server, and Pods that become Ready as soon as they are there."""

    def __init__(self, k):
        self.k, self.stop = k, threading.Event()
        self.process = subprocess.Popen(
            [k.server.program, "controller", "--kubeconfig", k.server.kubeconfig, "--no-leader-elect", "--observe", "",
             "--controllers", "deployment-controller,replicaset-controller"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.make_ready)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.process.terminate()
        self.process.wait()

    def make_ready(self):
        while not self.stop.wait(0.1):
            for pod in json.loads(self.k("get", "pods", "-l", "pod-template-hash", "-o", "json"))["items"]:
                if not pod["status"].get("conditions"):
                    self.k.run("patch", "pod", pod["metadata"]["name"], "--subresource=status", "--type=merge", "-p",
                               '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}')


def case_a_rollout_is_followed_paused_taken_back_and_listed(k, _):
    image = ("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
    with Controllers(k):
        applied(k)
        k("annotate", "deployment", "web", "kubernetes.io/change-cause=first")
        contains(k("rollout", "status", "deployment/web", "--timeout=30s"), 'deployment "web" successfully rolled out')
        k("patch", "deployment", "web", "-p", '{"metadata":{"annotations":{"kubernetes.io/change-cause":"second"}},'
          '"spec":{"template":{"spec":{"containers":[{"name":"main","image":"example/main:2"}]}}}}')
        contains(k("rollout", "status", "deployment/web", "--timeout=30s"), "successfully rolled out")
        contains(columns(k("rollout", "history", "deployment/web")), "REVISION CHANGE-CAUSE", "1 first", "2 second")
        contains(k("rollout", "history", "deployment/web", "--revision=2"), "example/main:2")
        equal(k("rollout", "undo", "deployment/web"), "deployment.apps/web rolled back\n")
        equal(k(*image), "example/main:1")
        contains(k("rollout", "status", "deployment/web", "--timeout=30s"), "successfully rolled out")
        contains(columns(k("rollout", "history", "deployment/web")), "2 second", "3 first")
        # Paused: a new template waits.
        k("rollout", "pause", "deployment/web")
        k("patch", "deployment", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"example/main:3"}]}}}}')
        time.sleep(0.5)
        equal(k("get", "pods", "-l", "pod-template-hash", "-o", "jsonpath={.items[*].spec.containers[0].image}"), "example/main:1 example/main:1")
        k("rollout", "resume", "deployment/web")
        contains(k("rollout", "status", "deployment/web", "--timeout=30s"), "successfully rolled out")
        k("rollout", "restart", "deployment/web")
        contains(k("rollout", "status", "deployment/web", "--timeout=30s"), "successfully rolled out")
        equal(k("get", "pods", "-l", "pod-template-hash", "-o", "jsonpath={.items[*].spec.containers[0].image}"), "example/main:3 example/main:3")


def peers(source):
    found = []
    for name in ["kubectl-1.34", "kubectl-1.36"]:
        done = subprocess.run([os.path.join(source, "tools/dev/peer-path"), name], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"kubectl: {done.stderr.strip()}")
        found.append(done.stdout.strip())
    return found


def main():
    source, causeway = sys.argv[1:3]
    kubectls = sys.argv[3:] or peers(source)
    kubelet = Kubelet()
    server = ApiServer(causeway)
    passed = failed = 0
    try:
        admin = Kubectl(kubectls[0], server, "default")
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"},
                "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                           "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}}}}
        admin("create", "-f", "-", stdin=json.dumps(node))
        for number, kubectl in enumerate(kubectls):
            for case in [value for name, value in globals().items() if name.startswith("case_")]:
                name = case.__name__[len("case_"):].replace("_", " ")
                namespace = f"t{number}-{passed + failed}"
                admin("create", "-f", "-", stdin=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n")
                try:
                    case(Kubectl(kubectl, server, namespace), kubelet)
                    passed += 1
                    print(f"ok    {os.path.basename(os.path.dirname(kubectl))}: {name}", flush=True)
                except Exception:  # the next case tells more than the end of the run
                    failed += 1
                    print(f"FAIL  {os.path.basename(os.path.dirname(kubectl))}: {name}\n{traceback.format_exc()}", flush=True)
    finally:
        server.stop()
        kubelet.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
