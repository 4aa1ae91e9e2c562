{{/* What goes with a worker. All take (dict "root" $ "name" "ingest" "worker" $worker). */}}
{{- define "groundswell.metricsService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "groundswell.componentName" . }}
  labels: {{- include "groundswell.labels" . | nindent 4 }}
spec:
  clusterIP: None # found by Prometheus, balanced by nobody
  publishNotReadyAddresses: true
  selector: {{- include "groundswell.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: 8080
      targetPort: http
{{- end -}}

{{- define "groundswell.volumeClaim" -}}
{{- $sqlite := .root.Values.store.sqlite -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "groundswell.componentName" . }}
  labels: {{- include "groundswell.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [{{ $sqlite.accessMode }}]
  {{- with $sqlite.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ $sqlite.size }}
{{- end -}}

{{- define "groundswell.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "groundswell.componentName" . }}
  labels: {{- include "groundswell.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow # a worker without partitions is unready, and must not hold a node
  selector:
    matchLabels: {{- include "groundswell.selectorLabels" . | nindent 6 }}
{{- end -}}

{{- define "groundswell.serviceMonitor" -}}
{{- $monitor := .root.Values.monitoring.serviceMonitor -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "groundswell.componentName" . }}
  labels:
    {{- include "groundswell.labels" . | nindent 4 }}
    {{- with $monitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels: {{- include "groundswell.selectorLabels" . | nindent 6 }}
  endpoints:
    - port: http
      path: /metrics
      interval: {{ $monitor.interval }}
{{- end -}}
