{{- define "bitloom.labels" -}}
app.kubernetes.io/name: bitloom
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "bitloom.gateway" -}}
app.kubernetes.io/name: bitloom
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "bitloom.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "bitloom.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- /* Kubernetes' names have no dots and at most 63 characters: a long name ends with its hash. */ -}}
{{- define "bitloom.variantName" -}}
{{- $full := printf "%s-%s" .release .name | lower | replace "." "-" | replace "_" "-" -}}
{{- if or (gt (len $full) 55) (ne $full (printf "%s-%s" .release .name)) -}}
{{- printf "%s-%s" ($full | trunc 46 | trimSuffix "-") (printf "%s/%s" .release .name | sha256sum | trunc 8) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end }}

{{- define "bitloom.claim" -}}
{{- .Values.weights.existingClaim | default (printf "%s-weights" .Release.Name) -}}
{{- end }}
