{{/* Names are cut before a suffix is added, so that two of them never become one. */}}
{{- define "groundswell.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of what belongs to one component: (dict "root" $ "name" "ingest") */}}
{{- define "groundswell.componentName" -}}
{{- printf "%s-%s" (include "groundswell.fullname" .root) .name -}}
{{- end -}}

{{- define "groundswell.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "groundswell.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "name" "ingest") */}}
{{- define "groundswell.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "groundswell.labels" -}}
{{ include "groundswell.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: groundswell
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* A component's image: (dict "root" $ "name" "ingest" "image" "") */}}
{{- define "groundswell.image" -}}
{{- if .image -}}
{{- .image -}}
{{- else -}}
{{- $image := .root.Values.image -}}
{{- $path := printf "%s-%s:%s" $image.repository .name (default .root.Chart.AppVersion $image.tag) -}}
{{- if $image.registry -}}{{ $image.registry }}/{{ end -}}
{{- $path -}}
{{- end -}}
{{- end -}}
