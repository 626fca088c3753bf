{{- /* What holds every container down. */ -}}
{{- define "veil.held" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- /* What holds every pod down: "veil.pod" (user) */ -}}
{{- define "veil.pod" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- /* Secrets as files: "veil.secrets" (dict "root" . "keys" (list …)) */ -}}
{{- define "veil.secrets" -}}
name: secrets
secret:
  secretName: {{ required "secrets.existing: name a Secret with database_url, database_owner_url and obscuring_secret" .root.Values.secrets.existing }}
  defaultMode: 0440
  items:
    {{- range .keys }}
    - { key: {{ . }}, path: {{ . }} }
    {{- end }}
{{- end -}}
