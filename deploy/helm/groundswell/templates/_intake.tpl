{{/* Whether this worker takes webhooks. (dict "root" $ "name" "ingest") */}}
{{- define "groundswell.hasIntake" -}}
{{- if and (eq .name "ingest") .root.Values.intake.enabled -}}yes{{- end -}}
{{- end -}}

{{- define "groundswell.intakeEnvironment" -}}
- name: GROUNDSWELL_INTAKE_FILE
  value: /etc/groundswell/intake/intake.yaml
- name: GROUNDSWELL_INTAKE_HOST
  value: "0.0.0.0"
- name: GROUNDSWELL_INTAKE_PORT
  value: {{ int .Values.intake.port | quote }}
{{- end -}}

{{- define "groundswell.intakeName" -}}
{{- include "groundswell.componentName" (dict "root" . "name" "intake") -}}
{{- end -}}
