{{- define "groundswell.webhookEnvironment" -}}
{{- with .Values.webhook }}
{{- if .existingSecret }}
- name: GROUNDSWELL_WEBHOOK_SECRET
  valueFrom:
    secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .secretKey | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* For who writes the links, and for who takes them back. */}}
{{- define "groundswell.unsubscribeEnvironment" -}}
{{- $unsubscribe := .Values.unsubscribe -}}
{{- if $unsubscribe.url }}
{{- if not .Values.intake.enabled }}
{{- fail "unsubscribe.url is set, but intake.enabled is false: the intake serves the page behind the links" }}
{{- end }}
- name: GROUNDSWELL_UNSUBSCRIBE_URL
  value: {{ $unsubscribe.url | quote }}
- name: GROUNDSWELL_UNSUBSCRIBE_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ required "unsubscribe.existingSecret is empty: name the Secret that links are signed with" $unsubscribe.existingSecret | quote }}
      key: {{ $unsubscribe.secretKey | quote }}
{{- end }}
{{- end -}}
