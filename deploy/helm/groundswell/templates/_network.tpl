{{/* What a component may reach: names, the broker, its store, and what the values add. (dict "root" $ "name" "ingest") */}}
{{- define "groundswell.egress" -}}
{{- $values := .root.Values -}}
{{- $ports := $values.networkPolicy.egressPorts -}}
{{- range splitList "," $values.kafka.bootstrapServers -}}
{{- $ports = append $ports (last (splitList ":" (trim .)) | int) -}}
{{- end -}}
{{- if and (eq $values.store.type "mongodb") (ne .name "topics") -}}
{{- $ports = concat $ports $values.store.mongodb.ports -}}
{{- end -}}
{{- if and (eq .name "notifier") $values.smtp.host -}}
{{- $ports = append $ports $values.smtp.port -}}
{{- end -}}
{{- if and (eq .name "notifier") $values.webhook.existingSecret -}}
{{- $ports = append $ports 443 -}}
{{- end -}}
{{- $numbers := list -}}
{{- range $ports -}}
{{- $numbers = append $numbers (int .) -}}
{{- end -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
- ports:
    {{- range uniq $numbers }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{- define "groundswell.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "groundswell.componentName" . }}
  labels: {{- include "groundswell.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "groundswell.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        - {protocol: TCP, port: http}
      {{- with .root.Values.networkPolicy.ingressFrom }}
      from: {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- if include "groundswell.hasIntake" . }}
    - ports:
        - {protocol: TCP, port: intake}
      {{- with .root.Values.intake.from }}
      from: {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
  egress: {{- include "groundswell.egress" . | nindent 4 }}
{{- end -}}
