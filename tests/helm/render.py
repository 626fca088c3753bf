"""Runs in the environment that `requirements/tools.sh helm` makes: Helm 4 as a library, and Kubernetes' JSON schemas.

Reads {"chart": folder, "values": {…}, "kubernetes": "1.31"} as JSON and writes what Helm makes of it: {"lint": […],
"manifests": {template: [document, …]}, "notes": text, "invalid": {"Kind name": reason}, "error": text or null}.
"""

import json
import sys

import kubernetes_validate
import yaml
from helm_python import chart
from helm_python.errors import HelmError

CUSTOM = "monitoring.coreos.com"


def main() -> None:
    order = json.load(sys.stdin)
    done = {"lint": [], "manifests": {}, "notes": "", "invalid": {}, "error": None}
    try:
        done["lint"] = [each["error"] for each in chart.lint(order["chart"], order["values"], strict=True)["messages"]]
        with chart.Chart.load(order["chart"]) as loaded:
            rendered = loaded.render(order["values"], name="veil", namespace="pictures")
    except HelmError as error:
        done["error"] = str(error)
        rendered = {}
    for name, text in rendered.items():
        if name.endswith("NOTES.txt"):
            done["notes"] = text
            continue
        documents = [each for each in yaml.safe_load_all(text) if each]
        done["manifests"][name.rpartition("/")[2]] = documents
        for each in documents:
            if CUSTOM in each["apiVersion"]:
                continue
            try:
                kubernetes_validate.validate(each, order["kubernetes"], strict=True)
            except kubernetes_validate.ValidationError as error:
                done["invalid"][f"{each['kind']} {each['metadata']['name']}"] = str(error)
    json.dump(done, sys.stdout)


if __name__ == "__main__":
    main()
