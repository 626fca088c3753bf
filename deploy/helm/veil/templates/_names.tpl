{{- define "veil.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 48 | trimSuffix "-" }}{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 48 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- /* Labels by which pods are found: "veil.selector" (dict "root" . "part" "api") */ -}}
{{- define "veil.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "veil.labels" -}}
{{ include "veil.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "veil.image" -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{- else -}}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- define "veil.triton" -}}
{{- if .Values.triton.enabled -}}{{ include "veil.name" . }}-triton:8001{{- else -}}{{ required "triton.url: where is your own Triton server?" .Values.triton.url }}{{- end -}}
{{- end -}}
