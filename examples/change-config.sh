#!/usr/bin/env bash
# Changes the configuration of examples/webapp, and waits until the Deployment has rolled out for it.
#
#     examples/change-config.sh [GREETING]
#
# Uses kubectl as it is set up ($KUBECONFIG); $KUBECTL names another.
set -euo pipefail

kubectl=${KUBECTL:-kubectl}
greeting=${1:-"Hello from the configuration of $(date -u +%H:%M:%S)."}

# The script's only JSON: the greeting may hold anything but quotes and backslashes.
if [[ $greeting == *[\"\\]* ]]; then
  echo "change-config.sh: a greeting without quotes and backslashes, please" >&2
  exit 2
fi

generation=$("$kubectl" get deployment webapp --output 'jsonpath={.metadata.generation}')
"$kubectl" patch configmap webapp-config --type merge \
  --patch "{\"data\": {\"greeting.txt\": \"$greeting\\n\"}}"

# The reload observer changes the pod template, which is the next generation of the Deployment.
"$kubectl" wait deployment/webapp --timeout 60s --for "jsonpath={.metadata.generation}=$((generation + 1))"
"$kubectl" rollout status deployment/webapp --timeout 60s
"$kubectl" get events --field-selector involvedObject.kind=Deployment,involvedObject.name=webapp
