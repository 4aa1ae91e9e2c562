{{/* Scales a worker by CPU. (dict "root" $ "name" "ingest" "worker" $worker) */}}
{{- define "groundswell.hpa" -}}
{{- $scaling := .worker.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "groundswell.componentName" . }}
  labels: {{- include "groundswell.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "groundswell.componentName" . }}
  minReplicas: {{ int $scaling.minReplicas }}
  maxReplicas: {{ int $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int $scaling.hpa.cpuPercent }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300 # every change of the group is a rebalance
      policies:
        - type: Pods
          value: 1
          periodSeconds: 60
{{- end -}}

{{/* Scales a worker by its consumer group's lag. */}}
{{- define "groundswell.scaledObject" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $scaling := .worker.autoscaling -}}
{{- $secured := include "groundswell.kedaNeedsSecrets" .root -}}
{{- $sasl := dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512" -}}
{{- $authentication := include "groundswell.fullname" .root -}}
{{- $group := printf "groundswell-%s" .name -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "groundswell.componentName" . }}
  labels: {{- include "groundswell.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    name: {{ include "groundswell.componentName" . }}
  minReplicaCount: {{ int $scaling.minReplicas }}
  maxReplicaCount: {{ int $scaling.maxReplicas }}
  pollingInterval: {{ int $scaling.keda.pollingInterval }}
  cooldownPeriod: {{ int $scaling.keda.cooldownPeriod }}
  triggers:
    {{- range $scaling.keda.topics }}
    - type: kafka
      metadata:
        bootstrapServers: {{ $kafka.bootstrapServers | quote }}
        consumerGroup: {{ $group }}
        topic: {{ . | quote }}
        lagThreshold: {{ int $scaling.keda.lagThreshold | quote }}
        offsetResetPolicy: earliest
        {{- if hasPrefix "SASL" $kafka.securityProtocol }}
        sasl: {{ get $sasl $kafka.saslMechanism }}
        {{- end }}
        {{- if hasSuffix "SSL" $kafka.securityProtocol }}
        tls: enable
        {{- end }}
      {{- if $secured }}
      authenticationRef:
        name: {{ $authentication }}
      {{- end }}
    {{- end }}
{{- end -}}

{{/* Whether KEDA needs secrets to reach the broker: "true" or nothing. */}}
{{- define "groundswell.kedaNeedsSecrets" -}}
{{- if or (hasPrefix "SASL" .Values.kafka.securityProtocol) .Values.kafka.tls.existingSecret -}}true{{- end -}}
{{- end -}}

{{/* How KEDA reaches a secured broker. */}}
{{- define "groundswell.triggerAuthentication" -}}
{{- $kafka := .Values.kafka -}}
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {{ include "groundswell.fullname" . }}
  labels: {{- include "groundswell.labels" (dict "root" . "name" "keda") | nindent 4 }}
spec:
  secretTargetRef:
    {{- if hasPrefix "SASL" $kafka.securityProtocol }}
    - {parameter: username, name: {{ $kafka.existingSecret | quote }}, key: {{ $kafka.usernameKey | quote }}}
    - {parameter: password, name: {{ $kafka.existingSecret | quote }}, key: {{ $kafka.passwordKey | quote }}}
    {{- end }}
    {{- with $kafka.tls }}
    {{- if .existingSecret }}
    - {parameter: ca, name: {{ .existingSecret | quote }}, key: {{ .caKey | quote }}}
    {{- if .certKey }}
    - {parameter: cert, name: {{ .existingSecret | quote }}, key: {{ .certKey | quote }}}
    - {parameter: key, name: {{ .existingSecret | quote }}, key: {{ .keyKey | quote }}}
    {{- end }}
    {{- end }}
    {{- end }}
{{- end -}}
