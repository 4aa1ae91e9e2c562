{{/* One worker. (dict "root" $ "name" "ingest" "worker" $worker) */}}
{{- define "groundswell.deployment" -}}
{{- $root := .root -}}
{{- $worker := .worker -}}
{{- $name := include "groundswell.componentName" . -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "groundswell.labels" . | nindent 4 }}
spec:
  {{- if eq $worker.autoscaling.type "none" }}
  replicas: {{ include "groundswell.replicas" . }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    {{- if eq $root.Values.store.type "sqlite" }}
    type: Recreate # a SQLite file takes one worker at a time
    {{- else }}
    type: RollingUpdate
    rollingUpdate:
      # Ready means that partitions are assigned: with a replica a partition, one more would never be ready.
      maxSurge: 0
      maxUnavailable: 1
    {{- end }}
  selector:
    matchLabels: {{- include "groundswell.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "groundswell.selectorLabels" . | nindent 8 }}
        {{- with $worker.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/definition: {{ get $root.Values.definitions (include "groundswell.definitionOf" .) | default "" | sha256sum }}
        {{- if include "groundswell.hasIntake" . }}
        checksum/intake: {{ $root.Values.intake.definition | sha256sum }}
        {{- end }}
        {{- if and (eq .name "notifier") $root.Values.mailTemplates }}
        checksum/templates: {{ $root.Values.mailTemplates | toYaml | sha256sum }}
        {{- end }}
        {{- with $worker.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec: {{- include "groundswell.podSpec" . | nindent 6 }}
{{- end -}}

{{- define "groundswell.podSpec" -}}
{{- $worker := .worker -}}
serviceAccountName: {{ include "groundswell.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false # they would arrive as GROUNDSWELL_*_PORT
# SIGTERM stops polling; the batch in hand may take stopSeconds, and so may the handover of the partitions.
terminationGracePeriodSeconds: {{ add (mul 2 (int $worker.stopSeconds)) 10 }}
securityContext: {{- include "groundswell.podSecurity" . | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $worker.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  {{- $selector := include "groundswell.selectorLabels" . }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- $selector | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
containers:
  - name: {{ .name }}
    image: {{ include "groundswell.image" (dict "root" .root "name" .name "image" $worker.image) | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    securityContext: {{- include "groundswell.containerSecurity" . | nindent 6 }}
    ports:
      - name: http
        containerPort: 8080
      {{- if include "groundswell.hasIntake" . }}
      - name: intake
        containerPort: {{ int .root.Values.intake.port }}
      {{- end }}
    env: {{- include "groundswell.environment" . | nindent 6 }}
    {{- if include "groundswell.hasIntake" . }}
    envFrom: # the senders' secrets
      - secretRef:
          name: {{ required "intake.existingSecret is empty: name the secret that holds what intake.yaml's secret_variable name" .root.Values.intake.existingSecret }}
    {{- end }}
    {{- include "groundswell.probes" . | nindent 4 }}
    resources: {{- toYaml $worker.resources | nindent 6 }}
    volumeMounts: {{- include "groundswell.mounts" . | nindent 6 }}
volumes: {{- include "groundswell.volumes" . | nindent 2 }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $worker $key }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Alive: the poll loop is. Ready: partitions are assigned. Neither asks the broker or the store. */}}
{{- define "groundswell.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ max 1 (div (int .worker.startupProbeSeconds) 5) }}
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{- define "groundswell.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /data
{{- include "groundswell.kafkaMounts" .root }}
{{- if and (eq .root.Values.store.type "mongodb") .root.Values.store.mongodb.tls.existingSecret }}
- name: mongodb-tls
  mountPath: /etc/groundswell/mongodb-tls
  readOnly: true
{{- end }}
{{- if include "groundswell.definitionOf" . }}
- name: definitions
  mountPath: /etc/groundswell/definitions
  readOnly: true
{{- end }}
{{- if include "groundswell.hasIntake" . }}
- name: intake
  mountPath: /etc/groundswell/intake
  readOnly: true
{{- end }}
{{- if eq .name "notifier" }}
{{- if .root.Values.mailTemplates }}
- name: templates
  mountPath: /etc/groundswell/templates
  readOnly: true
{{- end }}
{{- if .root.Values.smtp.tls.existingSecret }}
- name: smtp-tls
  mountPath: /etc/groundswell/smtp-tls
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "groundswell.volumes" -}}
- name: tmp
  emptyDir: {}
- name: data
  {{- if eq .root.Values.store.type "sqlite" }}
  persistentVolumeClaim:
    claimName: {{ include "groundswell.componentName" . }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- include "groundswell.kafkaVolumes" .root }}
{{- if and (eq .root.Values.store.type "mongodb") .root.Values.store.mongodb.tls.existingSecret }}
- name: mongodb-tls
  secret:
    secretName: {{ .root.Values.store.mongodb.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if include "groundswell.definitionOf" . }}
- name: definitions
  configMap:
    name: {{ include "groundswell.componentName" (dict "root" .root "name" "definitions") }}
{{- end }}
{{- if include "groundswell.hasIntake" . }}
- name: intake
  configMap:
    name: {{ include "groundswell.intakeName" .root }}
{{- end }}
{{- if eq .name "notifier" }}
{{- if .root.Values.mailTemplates }}
- name: templates
  configMap:
    name: {{ include "groundswell.componentName" (dict "root" .root "name" "templates") }}
{{- end }}
{{- if .root.Values.smtp.tls.existingSecret }}
- name: smtp-tls
  secret:
    secretName: {{ .root.Values.smtp.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end -}}
