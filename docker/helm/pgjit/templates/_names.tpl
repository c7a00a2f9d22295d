{{/* Names and labels, and pgjit.yaml. */}}

{{- define "pgjit.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pgjit.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "pgjit.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pgjit.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "pgjit.selector" -}}
app.kubernetes.io/name: {{ include "pgjit.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pgjit.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "pgjit.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pgjit.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "pgjit.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "pgjit.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "pgjit.policies" -}}
{{- default (printf "%s-policies" (include "pgjit.fullname" .)) .Values.existingPolicies }}
{{- end }}

{{/* What the chart decides counts before `config`, and `config` before the chart's defaults. */}}
{{- define "pgjit.config" -}}
{{- $defaults := dict
  "journal" (dict "folder" "/var/lib/pgjit/journal")
  "log" (dict "format" "json")
  "reload" (dict "watch" true)
  "limits" (dict "drain_delay_seconds" .Values.drain.delaySeconds "drain_seconds" .Values.drain.seconds)
}}
{{- $decided := dict
  "listen" (dict "host" "0.0.0.0" "port" 6432)
  "tls" (dict "certificate" "/run/secrets/pgjit-tls/tls.crt" "key" "/run/secrets/pgjit-tls/tls.key")
  "policies" "/etc/pgjit-policies"
  "admin" (dict "host" "0.0.0.0" "port" 9432)
}}
{{- if .Values.config.api }}
{{- $_ := set $decided "api" (dict "listen" (dict "host" "0.0.0.0" "port" 8432)) }}
{{- end }}
{{- if .Values.consoleSecret.existingSecret }}
{{- $secret := dict "client_secret" (dict "file" "/run/secrets/pgjit-console/client-secret") }}
{{- $_ := set $decided.api "console" $secret }}
{{- end }}
{{- if .Values.journalKey.existingSecret }}
{{- $_ := set $decided "journal" (dict "checkpoint" (dict "key" "/run/secrets/pgjit-journal/journal.key")) }}
{{- end }}
{{- mergeOverwrite $defaults (deepCopy .Values.config) $decided | toYaml }}
{{- end }}

{{/* What a reload does not put in force: a change of it restarts the pods. */}}
{{- define "pgjit.restart" -}}
{{- omit (include "pgjit.config" . | fromYaml) "connections" "limits" "log" "policies" "reload" "tls" | toYaml }}
{{- end }}

{{/* No subPath: a file that is mounted in that way never changes when its Secret or ConfigMap does. */}}
{{- define "pgjit.mounts" -}}
- name: config
  mountPath: /etc/pgjit
  readOnly: true
- name: policies
  mountPath: /etc/pgjit-policies
  readOnly: true
- name: tls
  mountPath: /run/secrets/pgjit-tls
  readOnly: true
{{- range $name, $secret := .Values.secrets }}
- name: secret-{{ $name }}
  mountPath: /run/secrets/pgjit/{{ $name }}
  readOnly: true
{{- end }}
{{- if .Values.journalKey.existingSecret }}
- name: journal-key
  mountPath: /run/secrets/pgjit-journal
  readOnly: true
{{- end }}
{{- if .Values.consoleSecret.existingSecret }}
- name: console-secret
  mountPath: /run/secrets/pgjit-console
  readOnly: true
{{- end }}
{{- if .Values.secretProviderClass }}
- name: csi
  mountPath: /run/secrets/csi
  readOnly: true
{{- end }}
- name: state
  mountPath: /var/lib/pgjit
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
