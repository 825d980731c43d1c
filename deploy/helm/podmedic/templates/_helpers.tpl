{{- define "podmedic.labels" -}}
app.kubernetes.io/name: podmedic
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "podmedic.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "podmedic.claim" -}}
{{ .Values.reports.persistence.existingClaim | default "podmedic-reports" }}
{{- end }}

{{- /* A ClusterRole can also grant what is in no namespace. */}}
{{- define "podmedic.rules" -}}
{{- if .Values.rbac.rules }}
{{- toYaml .Values.rbac.rules }}
{{- else if has "*" .Values.namespaces }}
{{- .Files.Get "files/cluster-rules.yaml" | trim }}
{{- else }}
{{- .Files.Get "files/rules.yaml" | trim }}
{{- end }}
{{- if .Values.events }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, get, update]
{{- end }}
{{- end }}

{{- define "podmedic.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "podmedic.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Volumes of a run, and where its container has them. */}}
{{- define "podmedic.runVolumes" -}}
- name: reports
  {{- if .Values.reports.persistence.enabled }}
  persistentVolumeClaim: {claimName: {{ include "podmedic.claim" . }}}
  {{- else }}
  emptyDir: {sizeLimit: 1Gi}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if .Values.policy }}
- name: policy
  configMap: {name: podmedic-policy}
{{- end }}
{{- with .Values.notify.secretName }}
- name: notify
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.signing.secretName }}
- name: key
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- if .Values.signing.sigstore.enabled }}
- name: identity
  projected: {sources: [{serviceAccountToken: {audience: sigstore, path: token}}]}
{{- with .Values.signing.sigstore.trustConfigMap }}
- name: trust
  configMap: {name: {{ . }}}
{{- end }}
{{- end }}
{{- end }}

{{- define "podmedic.runVolumeMounts" -}}
- {name: reports, mountPath: /reports}
- {name: tmp, mountPath: /tmp}
{{- if .Values.policy }}
- {name: policy, mountPath: /etc/podmedic-policy, readOnly: true}
{{- end }}
{{- if .Values.notify.secretName }}
- {name: notify, mountPath: /var/run/secrets/podmedic-notify, readOnly: true}
{{- end }}
{{- if .Values.signing.secretName }}
- {name: key, mountPath: /var/run/secrets/podmedic-key, readOnly: true}
{{- end }}
{{- if .Values.signing.sigstore.enabled }}
- {name: identity, mountPath: /var/run/secrets/podmedic-sigstore, readOnly: true}
{{- if .Values.signing.sigstore.trustConfigMap }}
- {name: trust, mountPath: /etc/podmedic-sigstore, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "podmedic.signingArgs" -}}
{{- with .Values.signing }}
{{- if and .secretName .sigstore.enabled }}
{{- fail "signing.secretName and signing.sigstore.enabled are two ways to sign: choose one" }}
{{- end }}
{{- if .secretName }}
- --bundle
- --key=/var/run/secrets/podmedic-key/podmedic.key
{{- end }}
{{- if .sigstore.enabled }}
- --bundle
- --sigstore
- --identity-token=/var/run/secrets/podmedic-sigstore/token
{{- if .sigstore.trustConfigMap }}
- --trust-config=/etc/podmedic-sigstore/trust.json
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podmedic.notifyArgs" -}}
{{- if .Values.notify.secretName }}
- --notify-file=/var/run/secrets/podmedic-notify/urls
{{- with .Values.notify.link }}
- --link={{ . | replace "{run}" (printf "%s{run}" $.folder) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "podmedic.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* -n for each namespace, or -A. */}}
{{- define "podmedic.selection" -}}
{{- if has "*" .Values.namespaces }}
- --all-namespaces
{{- else }}
{{- range .Values.namespaces }}
- --namespace={{ . }}
{{- end }}
{{- end }}
{{- end }}
