"""deploy/'s manifests against the schemas of Kubernetes and of JobSet, and its unit with systemd's own judge."""

import copy
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from launchers import DEPLOY, SKIPPED

PYTHON = pathlib.Path(os.environ["ASCERTAIN_SOURCE"]) / "build/interop-python/bin/python"


def leaves(value, path=()):
    """Every value of a document with its path."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, path + (key,))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, path + (index,))
    else:
        yield path, value


def documents(name):
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def faults_of_job(document):
    try:
        kubernetes_validate.validate(document, "1.30", strict=True)
        return []
    except kubernetes_validate.ValidationError as error:
        return [error.message]


def faults_of_job_set(document):
    """JobSet's own model drops what it does not know, so what comes back must be all that went in."""
    try:
        read = JobsetV1alpha2JobSet.from_dict(copy.deepcopy(document)).to_dict()
    except ValueError as error:
        return [str(error)]
    back = dict(leaves(read))
    return [f"unknown: {'.'.join(map(str, path))}" for path, _ in leaves(document) if path not in back]


class Manifests(unittest.TestCase):
    def test_the_job_fits_the_schema_of_kubernetes(self):
        for document in documents("job.yaml"):
            self.assertEqual(faults_of_job(document), [], document["kind"])

    def test_the_job_set_fits_the_schema_of_job_set_and_its_pods_that_of_kubernetes(self):
        [document] = documents("jobset.yaml")
        self.assertEqual(faults_of_job_set(document), [])
        for job in document["spec"]["replicatedJobs"]:
            whole = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "one"}, **job["template"]}
            self.assertEqual(faults_of_job(whole), [])

    def test_a_slip_would_be_seen(self):
        job = documents("job.yaml")[1]
        job["spec"]["completionsMode"] = job["spec"].pop("completionMode")
        self.assertNotEqual(faults_of_job(job), [])
        [job_set] = documents("jobset.yaml")
        job_set["spec"]["network"]["publishNotReadyAdresses"] = True
        self.assertNotEqual(faults_of_job_set(job_set), [])

    def test_the_numbers_of_nodes_agree(self):
        job = documents("job.yaml")[1]["spec"]
        [job_set] = documents("jobset.yaml")
        for spec in (job, job_set["spec"]["replicatedJobs"][0]["template"]["spec"]):
            [container] = spec["template"]["spec"]["containers"]
            values = {entry["name"]: entry.get("value") for entry in container["env"]}
            self.assertEqual(values["ASCERTAIN_NODES"], str(spec["completions"]))
            self.assertEqual(spec["parallelism"], spec["completions"])

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here")
    def test_the_unit_is_one(self):
        text = (DEPLOY / "ascertain-agent.service").read_text()
        folder = pathlib.Path(os.environ["ASCERTAIN_BUILD"]) / "interop"
        folder.mkdir(exist_ok=True)
        unit = folder / "ascertain-agent.service"
        # The program's place on a node is not the place here.
        unit.write_text(text.replace("/opt/ascertain/ascertain", os.environ["ASCERTAIN"]))
        result = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], text=True, capture_output=True)
        own = [line for line in result.stderr.splitlines() if "ascertain-agent" in line]
        self.assertEqual(own, [], result.stderr)


if __name__ == "__main__":
    if pathlib.Path(sys.prefix) != PYTHON.parent.parent and PYTHON.exists():
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    try:
        import kubernetes_validate
        import yaml
        from kubeflow_trainer_api.models import JobsetV1alpha2JobSet
    except ImportError as missing:
        print("SKIPPED: not installed here:", missing.name)
        sys.exit(SKIPPED)
    unittest.main(verbosity=1)
