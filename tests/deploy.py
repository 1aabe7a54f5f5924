"""What the tools of others do not see in deploy/: rights that are too wide, files that an image is built from and that are not
sent, numbers that must agree. Must not need a network or the built program."""

import json
import pathlib
import re
import sys

import parliament
import yaml

deploy = pathlib.Path("deploy")
wrong = []


def check(holds, what):
    if not holds:
        wrong.append(what)


# Rights: the grammar and the names of actions by parliament, the least of them here.
MAY = {
    "photos": {"s3:GetObject"},
    "cutouts": {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"},
}
MAY["review"] = MAY["selvedge"] = MAY["cutouts"]


def listed(value):
    return value if isinstance(value, list) else [value]


def rights(policy):
    found = {}
    for statement in policy["Statement"]:
        check(statement["Effect"] == "Allow", "a policy with another effect than Allow")
        for resource in listed(statement["Resource"]):
            place = resource.removeprefix("arn:aws:s3:::my-shop")
            found.setdefault(place, set()).update(listed(statement["Action"]))
            if place == "":
                prefixes = statement["Condition"]["StringLike"]["s3:prefix"]
                check(sorted(prefixes) == sorted(f"{name}/*" for name in MAY), f"listing of {prefixes}")
    return found


def without_principal(policy):
    return [{key: value for key, value in each.items() if key != "Principal"} for each in policy["Statement"]]


policies = {}
for name in ["iam-policy.json", "bucket-policy.json"]:
    text = (deploy / name).read_text()
    for finding in parliament.analyze_policy_string(text).findings:
        check(False, f"{name}: {finding}")
    policies[name] = json.loads(text)
    wanted = {"": {"s3:ListBucket"}, **{f"/{prefix}/*": actions for prefix, actions in MAY.items()}}
    check(rights(policies[name]) == wanted, f"{name}: rights {rights(policies[name])}")
check(all("Principal" in each for each in policies["bucket-policy.json"]["Statement"]), "a bucket policy for everybody")
iam, bucket = (without_principal(policies[name]) for name in ["iam-policy.json", "bucket-policy.json"])
check(iam == bucket, "iam-policy.json and bucket-policy.json differ")

# Manifests: what a schema cannot say.
jobs = {}
for file in sorted((deploy / "kubernetes").glob("*.yaml")):
    for document in yaml.safe_load_all(file.read_text()):
        spec = document["spec"]
        job = spec["jobTemplate"]["spec"] if document["kind"] == "CronJob" else spec
        name, pod = document["metadata"]["name"], job["template"]["spec"]
        jobs[name] = job
        [container] = pod["containers"]
        check(pod["restartPolicy"] == "Never", f"{name}: podFailurePolicy needs restartPolicy Never")
        check(pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532, f"{name}: user")
        check(pod["automountServiceAccountToken"] is False, f"{name}: a token of the cluster is handed to it")
        check(not {"hostNetwork", "hostPID", "hostname"} & set(pod), f"{name}: the lock could not tell pods apart")
        secured = container["securityContext"]
        check(secured["readOnlyRootFilesystem"] and not secured["allowPrivilegeEscalation"], f"{name}: security")
        check(secured["capabilities"]["drop"] == ["ALL"], f"{name}: capabilities")
        check({"cpu", "memory"} <= set(container["resources"]["limits"]), f"{name}: no limits")
        for rule in job["podFailurePolicy"]["rules"]:
            codes = rule.get("onExitCodes")
            if codes:
                check(codes["containerName"] == container["name"], f"{name}: a rule for no container")
                check(codes["operator"] == "In", f"{name}: operator")
                check(not {0, 3, 75, 143} & set(codes["values"]), f"{name}: gives up at {codes['values']}")
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        check(mounts == {volume["name"] for volume in pod["volumes"]}, f"{name}: volumes {mounts}")
        # `work` never answers 3; the others may.
        wraps = container.get("command") == ["nightly.sh"]
        check(wraps == (container["args"][0] in ("run", "finish")), f"{name}: exit 3 would count as a failure")
work = jobs["selvedge-work"]
env = {entry["name"]: entry["value"] for entry in work["template"]["spec"]["containers"][0]["env"]}
check(work["completionMode"] == "Indexed", "selvedge-work: completionMode")
check(env["JOB_COMPLETIONS"] == str(work["completions"]), "selvedge-work: JOB_COMPLETIONS is not completions")
check("backoffLimitPerIndex" in work and "backoffLimit" not in work, "selvedge-work: FailIndex needs backoffLimitPerIndex")

# Images: what is copied must be there and be sent, and what the program embeds must be copied.
sent = [line.strip()[1:] for line in pathlib.Path(".dockerignore").read_text().splitlines() if line.startswith("!")]
for path in sent:
    check(pathlib.Path(path).exists(), f".dockerignore: {path} is not there")
version = re.search(r'^version = "(.*)"', pathlib.Path("Cargo.toml").read_text(), re.M)[1]
rust = re.search(r'^rust-version = "(.*)"', pathlib.Path("Cargo.toml").read_text(), re.M)[1]
stages = {}
for name in ["Dockerfile", "Dockerfile.cuda"]:
    text = (deploy / name).read_text()
    stages[name] = re.split(r"^FROM ", text, flags=re.M)
    copied = [source for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M) for source in line.split()[:-1]]
    copied = [source for source in copied if not source.startswith("--")]
    for source in copied:
        check(any(source == path or source.startswith(path + "/") for path in sent), f"{name}: {source} is not sent")
    for file in pathlib.Path("src").rglob("*.rs"):
        for embedded in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', file.read_text()):
            path = (file.parent / embedded).resolve().relative_to(pathlib.Path.cwd())
            check(any(str(path).startswith(source + "/") for source in copied), f"{name}: {path} is embedded, not copied")
    example = re.search(r'^path = "(tests/.*)"', pathlib.Path("Cargo.toml").read_text(), re.M)[1]
    check(any(example.startswith(source + "/") for source in copied), f"{name}: {example} is named in Cargo.toml")
    check(f'image.version="{version}"' in text, f"{name}: another version than {version}")
    check(f"FROM rust:{rust}." in text, f"{name}: another Rust than {rust}")
    for image in re.findall(r"^FROM (\S+)", text, re.M):
        check(re.search(r":\S*(\d+\.\d+\.\d+|\d{8})", image), f"{name}: {image} is not pinned")
    last = stages[name][-1]
    check(re.search(r"^USER 65532:65532$", last, re.M), f"{name}: user")
    check('ENTRYPOINT ["selvedge"]' in last and "ORT_DYLIB_PATH=/usr/local/lib/onnxruntime" in last, f"{name}: entry")
    check("apt-get" not in text, f"{name}: installs from an index that changes")
check(stages["Dockerfile"][1] == stages["Dockerfile.cuda"][1], "the two images build the program in two ways")

# Schedules: one hour for all, and it is there once a day where clocks change.
timer = re.search(r"^OnCalendar=\*-\*-\* (\d+):(\d+):00 (\S+)$", (deploy / "selvedge.timer").read_text(), re.M)
cron = [line.split() for line in (deploy / "crontab").read_text().splitlines() if re.match(r"^[\d*]", line)]
check(len(cron) == 2 and all(len(line) > 6 and line[5] == "selvedge" for line in cron), "crontab: lines")
check(not any("%" in word for line in cron for word in line), "crontab: % ends a line for cron")
check([line[:2] for line in cron][0] == [str(int(timer[2])), str(int(timer[1]))], "crontab and timer differ")
nightly = yaml.safe_load((deploy / "kubernetes/cronjob.yaml").read_text())["spec"]
check(nightly["schedule"].split()[:2] == cron[0][:2] and nightly["timeZone"] == timer[3], "CronJob and timer differ")
check(int(timer[1]) not in (0, 1, 2), "an hour that clocks skip or repeat")

# Alerts: every alert has a test, and every figure is one that the program writes.
rules = (deploy / "prometheus-rules.yml").read_text()
tests = (deploy / "prometheus-tests.yml").read_text()
for alert in re.findall(r"alert: (\w+)", rules):
    check(f"alertname: {alert}\n" in tests, f"no test of the alert {alert}")
source = "".join(path.read_text() for path in pathlib.Path("src").rglob("*.rs"))
if "selvedge_last_run" in source:
    for name in sorted(set(re.findall(r"\bselvedge_\w+", rules))):
        check(f'"{name}"' in source, f"prometheus-rules.yml: nothing writes {name}")
else:
    print("not done: this program writes no figures yet")

# The page names every file.
page = (deploy / "README.md").read_text()
for file in deploy.rglob("*"):
    if file.is_file() and file.name not in ("README.md", "runtime.sh", "prometheus-tests.yml"):
        check(file.name in page, f"README.md: not a word about {file.name}")

for line in wrong:
    print(line)
sys.exit(bool(wrong))
