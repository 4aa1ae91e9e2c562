{{/* The broker, for workers and the topics job alike. */}}
{{- define "groundswell.kafkaEnvironment" -}}
{{- $kafka := .Values.kafka -}}
- name: GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS
  value: {{ $kafka.bootstrapServers | quote }}
- name: GROUNDSWELL_KAFKA_SECURITY_PROTOCOL
  value: {{ $kafka.securityProtocol | quote }}
{{- if hasPrefix "SASL" $kafka.securityProtocol }}
- name: GROUNDSWELL_KAFKA_SASL_MECHANISM
  value: {{ $kafka.saslMechanism | quote }}
- name: GROUNDSWELL_KAFKA_SASL_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ $kafka.existingSecret | quote }}, key: {{ $kafka.usernameKey | quote }}}
- name: GROUNDSWELL_KAFKA_SASL_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $kafka.existingSecret | quote }}, key: {{ $kafka.passwordKey | quote }}}
{{- end }}
{{- if $kafka.tls.existingSecret }}
- name: GROUNDSWELL_KAFKA_SSL_CAFILE
  value: {{ printf "/etc/groundswell/kafka-tls/%s" $kafka.tls.caKey | quote }}
{{- if $kafka.tls.certKey }}
- name: GROUNDSWELL_KAFKA_SSL_CERTFILE
  value: {{ printf "/etc/groundswell/kafka-tls/%s" $kafka.tls.certKey | quote }}
- name: GROUNDSWELL_KAFKA_SSL_KEYFILE
  value: {{ printf "/etc/groundswell/kafka-tls/%s" $kafka.tls.keyKey | quote }}
{{- end }}
{{- end }}
{{- if $kafka.transactions }}
- name: GROUNDSWELL_KAFKA_TRANSACTIONS
  value: "true"
{{- end }}
{{- if .Values.topics.partitions }}
- name: GROUNDSWELL_TOPIC_PARTITIONS
  value: {{ int .Values.topics.partitions | quote }}
{{- end }}
{{- if .Values.schemaRegistryUrl }}
- name: GROUNDSWELL_SCHEMA_REGISTRY_URL
  value: {{ .Values.schemaRegistryUrl | quote }}
{{- end }}
{{- end -}}

{{/* Where a worker keeps its state. (dict "root" $ "name" "ingest") */}}
{{- define "groundswell.storeEnvironment" -}}
{{- $mongodb := .root.Values.store.mongodb -}}
- name: GROUNDSWELL_DATA_DIR
  value: /data
{{- if eq .root.Values.store.type "mongodb" }}
- name: GROUNDSWELL_STORE_URL
  valueFrom:
    secretKeyRef: {name: {{ $mongodb.existingSecret | quote }}, key: {{ printf "%s-url" .name | quote }}}
{{- if $mongodb.tls.existingSecret }}
- name: GROUNDSWELL_STORE_TLS_CA_FILE
  value: {{ printf "/etc/groundswell/mongodb-tls/%s" $mongodb.tls.caKey | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The definition that a worker reads: channels, boards, segments, notifications, or nothing. (dict "root" $ "name" "ingest") */}}
{{- define "groundswell.definitionOf" -}}
{{- $which := get (dict "ingest" "channels" "dedup" "boards" "segmenter" "segments" "notifier" "notifications") .name | default "" -}}
{{- if and $which (get .root.Values.definitions $which) -}}{{ $which }}{{- end -}}
{{- end -}}

{{- define "groundswell.smtpEnvironment" -}}
{{- $smtp := .Values.smtp -}}
{{- if $smtp.host }}
- name: GROUNDSWELL_SMTP_HOST
  value: {{ $smtp.host | quote }}
- name: GROUNDSWELL_SMTP_PORT
  value: {{ int $smtp.port | quote }}
- name: GROUNDSWELL_SMTP_TLS
  value: {{ $smtp.security }}
- name: GROUNDSWELL_SMTP_SENDER
  value: {{ required "smtp.sender is empty: name the address that mail comes from, such as Lumora <hello@lumora.example>" $smtp.sender | quote }}
{{- if $smtp.unsubscribe }}
- name: GROUNDSWELL_SMTP_UNSUBSCRIBE
  value: {{ $smtp.unsubscribe | quote }}
{{- end }}
{{- if $smtp.tls.existingSecret }}
- name: GROUNDSWELL_SMTP_TLS_CA_FILE
  value: {{ printf "/etc/groundswell/smtp-tls/%s" $smtp.tls.caKey | quote }}
{{- end }}
{{- if $smtp.existingSecret }}
- name: GROUNDSWELL_SMTP_USERNAME
  valueFrom:
    secretKeyRef: {name: {{ $smtp.existingSecret | quote }}, key: {{ $smtp.usernameKey | quote }}}
- name: GROUNDSWELL_SMTP_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ $smtp.existingSecret | quote }}, key: {{ $smtp.passwordKey | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* A worker's whole environment. (dict "root" $ "name" "ingest" "worker" $worker) */}}
{{- define "groundswell.environment" -}}
{{ include "groundswell.kafkaEnvironment" .root }}
{{ include "groundswell.storeEnvironment" . }}
- name: GROUNDSWELL_HTTP_HOST
  value: "0.0.0.0"
- name: GROUNDSWELL_HTTP_PORT
  value: "8080"
- name: GROUNDSWELL_STOP_SECONDS
  value: {{ .worker.stopSeconds | quote }}
- name: GROUNDSWELL_LOG_LEVEL
  value: {{ .worker.logLevel | quote }}
{{- $definition := include "groundswell.definitionOf" . }}
{{- if $definition }}
- name: {{ printf "GROUNDSWELL_%s_FILE" (upper $definition) }}
  value: {{ printf "/etc/groundswell/definitions/%s.yaml" $definition | quote }}
{{- end }}
{{- if include "groundswell.hasIntake" . }}
{{ include "groundswell.intakeEnvironment" .root }}
{{- end }}
{{- if has .name (list "ingest" "notifier") }}
{{- include "groundswell.unsubscribeEnvironment" .root }}
{{- end }}
{{- if eq .name "notifier" }}
{{- include "groundswell.smtpEnvironment" .root }}
{{- include "groundswell.webhookEnvironment" .root }}
{{- if .root.Values.mailTemplates }}
- name: GROUNDSWELL_TEMPLATES_DIR
  value: /etc/groundswell/templates
{{- end }}
{{- end }}
{{- range $key, $value := .worker.env }}
- name: {{ $key }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Certificates, for workers and the topics job alike. */}}
{{- define "groundswell.kafkaMounts" -}}
{{- if .Values.kafka.tls.existingSecret }}
- name: kafka-tls
  mountPath: /etc/groundswell/kafka-tls
  readOnly: true
{{- end }}
{{- end -}}

{{- define "groundswell.kafkaVolumes" -}}
{{- if .Values.kafka.tls.existingSecret }}
- name: kafka-tls
  secret:
    secretName: {{ .Values.kafka.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end -}}
