{{/* The names of the four workers, as YAML. */}}
{{- define "groundswell.workerNames" -}}
[ingest, dedup, segmenter, notifier]
{{- end -}}

{{/* A worker's values: the defaults, overridden key by key. (dict "root" $ "name" "ingest") */}}
{{- define "groundswell.worker" -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (get .root.Values.services .name | default dict)) | toYaml -}}
{{- end -}}

{{/* How many replicas a worker has where nothing scales it. (dict "root" $ "worker" $worker) */}}
{{- define "groundswell.replicas" -}}
{{- if kindIs "invalid" .worker.replicas -}}
{{- ternary 1 2 (eq .root.Values.store.type "sqlite") -}}
{{- else -}}
{{- int .worker.replicas -}}
{{- end -}}
{{- end -}}

{{/* Refuses what the schema cannot see is wrong. (dict "root" $ "name" "ingest" "worker" $worker) */}}
{{- define "groundswell.refuse" -}}
{{- $store := .root.Values.store -}}
{{- $kafka := .root.Values.kafka -}}
{{- $where := printf "services.%s" .name -}}
{{- $replicas := int (include "groundswell.replicas" .) -}}
{{- $scaling := .worker.autoscaling -}}
{{- $partitions := int (default 12 .root.Values.topics.partitions) -}}
{{- if eq $store.type "sqlite" -}}
{{- if gt $replicas 1 -}}
{{- fail (printf "%s.replicas is %d, but store.type is sqlite, and a SQLite file takes one worker: set replicas to 1, or store.type to mongodb" $where $replicas) -}}
{{- end -}}
{{- if ne $scaling.type "none" -}}
{{- fail (printf "%s.autoscaling.type is %s, but store.type is sqlite, and a SQLite file takes one worker: set it to none, or store.type to mongodb" $where $scaling.type) -}}
{{- end -}}
{{- else if not $store.mongodb.existingSecret -}}
{{- fail "store.mongodb.existingSecret is empty: name the Secret that holds <service>-url for each service, or set store.type to sqlite" -}}
{{- end -}}
{{- if and (hasPrefix "SASL" $kafka.securityProtocol) (not $kafka.existingSecret) -}}
{{- fail (printf "kafka.securityProtocol is %s, but kafka.existingSecret is empty: name the Secret that holds the user name and the password" $kafka.securityProtocol) -}}
{{- end -}}
{{- if and (eq $scaling.type "none") (gt $replicas $partitions) -}}
{{- fail (printf "%s.replicas is %d, but its topics have %d partitions: the rest would own none and never be ready" $where $replicas $partitions) -}}
{{- end -}}
{{- if ne $scaling.type "none" -}}
{{- if gt (int $scaling.maxReplicas) $partitions -}}
{{- fail (printf "%s.autoscaling.maxReplicas is %d, but its topics have %d partitions: the rest would own none and never be ready" $where (int $scaling.maxReplicas) $partitions) -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "%s.autoscaling.minReplicas is above maxReplicas" $where) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $scaling.type "keda") (not $scaling.keda.topics) -}}
{{- fail (printf "%s.autoscaling.keda.topics is empty: name the topics whose lag scales it" $where) -}}
{{- end -}}
{{- end -}}

{{/* What a pod needs to be admitted under the restricted Pod Security Standard. */}}
{{- define "groundswell.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "groundswell.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
