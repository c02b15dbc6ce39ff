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

# The reload observer notes the hash of the configuration on the pod template: that is the rollout.
template_hash() {
  "$kubectl" get deployment webapp \
    --output 'jsonpath={.spec.template.metadata.annotations.reload\.xebec\.dev/config-hash}'
}

before=$(template_hash)
"$kubectl" patch configmap webapp-config --type merge \
  --patch "{\"data\": {\"greeting.txt\": \"$greeting\\n\"}}"

for _ in $(seq 600); do
  [ "$(template_hash)" = "$before" ] || break
  sleep 0.1
done
[ "$(template_hash)" != "$before" ] || { echo "change-config.sh: no rollout within a minute" >&2; exit 1; }
"$kubectl" rollout status deployment/webapp --timeout 60s
"$kubectl" get events --field-selector involvedObject.kind=Deployment,involvedObject.name=webapp
