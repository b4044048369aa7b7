"""Runs tickerd against its simulator with faults, has Prometheus scrape it, and asks every query that is in contrib."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SECONDS = 30
# Queries that have no answer within half a minute, and why.
LATER = {
    "tickerd_disk_full_in_seconds": "there is a pace only after a minute",
}
FAULTS = ["conn1:close:1001@6s", "conn2:hole@3s", "conn2:reset@12s", "conn3:refuse:1"]


def get(url, headers=None):
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, seconds, why):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = what()
            if found:
                return found
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"not within {seconds} s: {why}")


def stop(processes):
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def main(tickerd, folder, processes):
    def start(command, **more):
        process = subprocess.Popen(command, cwd=folder, **more)
        processes.append(process)
        return process

    faults = [part for fault in FAULTS for part in ("--fault", fault)]
    exchange = start([tickerd, "simulator", *faults], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    url = exchange.stdout.readline().strip()
    assert url.startswith("ws://"), f"the simulator says {url!r}"

    port = free_port()
    log = open(os.path.join(folder, "log"), "w", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "TICKERD_HTTP__LISTEN": f"127.0.0.1:{port}",
        "TICKERD_OUTPUT__RECORD": "envelope",
        "TICKERD_OUTPUT__ROTATE": '{ every = "10s" }',
    }
    channels = ["--channel", "ticker_batch,market_trades,level2", "--product", "BTC-USD,ETH-USD"]
    run = [tickerd, "run", *channels, "--url", url, "--output", "tape.ndjson"]
    start(run, stderr=log, env=environment)
    at = f"http://127.0.0.1:{port}"
    until(lambda: get(f"{at}/readyz")[0] == 200, 30, "/readyz is 200")

    _, page = get(f"{at}/metrics")
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False)
    assert checked.returncode == 0 and not checked.stderr, f"promtool: {checked.stdout}{checked.stderr}"
    print(f"promtool check metrics: {len(page.splitlines())} lines, {len(page)} bytes, nothing to complain of")

    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    shutil.copy(os.path.join(root, "contrib/prometheus/tickerd.rules.yml"), folder)
    with open(os.path.join(root, "contrib/prometheus/scrape.yml"), encoding="utf-8") as file:
        scrape = file.read().replace("127.0.0.1:9273", f"127.0.0.1:{port}").replace("15s", "1s")
    with open(os.path.join(folder, "prometheus.yml"), "w", encoding="utf-8") as file:
        file.write("global:\n  evaluation_interval: 1s\n" + scrape)
    subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=folder, check=True, stdout=sys.stderr)
    asked = free_port()
    command = ["prometheus", "--config.file=prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    start([*command, f"--web.listen-address=127.0.0.1:{asked}", "--log.level=error"], stderr=sys.stderr)
    prometheus = f"http://127.0.0.1:{asked}/api/v1"

    def query(expression):
        status, body = get(f"{prometheus}/query?" + urllib.parse.urlencode({"query": expression}))
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", f"{expression}: {body}"
        assert not answer.get("warnings"), f"{expression}: {body}"
        return answer["data"]["result"]

    until(lambda: query('up{job="tickerd"} == 1'), 30, "Prometheus scrapes it")
    time.sleep(SECONDS)

    target = json.loads(get(f"{prometheus}/targets")[1])["data"]["activeTargets"][0]
    assert target["health"] == "up" and not target["lastError"], target
    with open(os.path.join(root, "contrib/grafana/tickerd.json"), encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    empty, expressions = [], 0
    for panel in panels:
        for wanted in panel["targets"]:
            expression = wanted["expr"].replace("$__rate_interval", "20s").replace("$instance", ".*")
            expressions += 1
            if not query(expression):
                empty.append((panel["title"], expression))
    unexplained = [(title, query) for title, query in empty if not any(name in query for name in LATER)]
    assert not unexplained, f"the dashboard has queries without an answer: {unexplained}"
    rules = json.loads(get(f"{prometheus}/rules")[1])["data"]["groups"][0]["rules"]
    wrong = [rule for rule in rules if rule["health"] != "ok"]
    assert not wrong, wrong
    for rule in rules:
        query(rule["query"])

    def number(expression):
        return sum(float(sample["value"][1]) for sample in query(expression))

    received, written, dropped = (number(f"tickerd_messages_{what}_total") for what in ("received", "written", "dropped"))
    assert received > 0 and received >= written + dropped and received - written - dropped <= number("tickerd_queue_records") + 1000
    ends, gaps, refusals = (number(f"sum(tickerd_{what}_total)") for what in ("disconnects", "gaps", "refusals"))
    assert ends >= 2 and gaps >= 1 and refusals >= 1, f"the faults do not show: {ends} ends, {gaps} gaps, {refusals} refusals"
    took = number("scrape_duration_seconds{job='tickerd'}")
    firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    print(
        f"{int(received)} messages received, {int(written)} written, {int(dropped)} dropped; {int(ends)} connections ended, {int(gaps)} gaps, "
        f"{int(refusals)} refusals; a scrape takes {took * 1000:.1f} ms"
    )
    print(
        f"{expressions} queries of the dashboard, {expressions - len(empty)} with an answer; {len(rules)} alerts evaluated, "
        f"firing: {', '.join(firing) or 'none'}"
    )
    for title, expression in empty:
        reason = next(why for name, why in LATER.items() if name in expression)
        print(f"without an answer: {title}: {reason}")


with tempfile.TemporaryDirectory() as temporary:
    begun = []
    try:
        main(sys.argv[1], temporary, begun)
    except BaseException:
        log_path = os.path.join(temporary, "log")
        if os.path.exists(log_path):
            with open(log_path, encoding="utf-8") as said:
                sys.stderr.write(re.sub(r"(?m)^", "  tickerd: ", said.read()[-4000:]) + "\n")
        raise
    finally:
        stop(begun)
print("Prometheus takes all that /metrics says, and every query in contrib.")
