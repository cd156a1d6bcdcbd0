{{- define "firstmate.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "firstmate.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "firstmate.name" .) .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name (include "firstmate.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Cluster-wide names must not collide with those of another release. */}}
{{- define "firstmate.clusterName" -}}
{{- if eq .Release.Namespace (include "firstmate.fullname" .) }}{{ include "firstmate.fullname" . }}
{{- else }}{{ printf "%s-%s" .Release.Namespace (include "firstmate.fullname" .) }}
{{- end }}
{{- end }}

{{- define "firstmate.selector" -}}
app.kubernetes.io/name: {{ include "firstmate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "firstmate.labels" -}}
{{ include "firstmate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "firstmate.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "firstmate.fullname" .) }}
{{- else }}{{ required "serviceAccount.name must name the account to use where serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "firstmate.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* The configuration: the values' own, and what follows from where it runs. */}}
{{- define "firstmate.config" -}}
{{- $own := deepCopy .Values.config }}
{{- $_ := set $own "listen" ":8080" }}
{{- $state := dict }}
{{- if .Values.postgres.enabled }}
{{- $state = dict "postgres_file" (printf "/etc/firstmate/credentials/%s" .Values.postgres.key) }}
{{- $_ := set $own "replicas" (dict "lease" (printf "%s/%s" .Release.Namespace (include "firstmate.fullname" .))) }}
{{- else }}
{{- $state = dict "path" "/var/lib/firstmate/firstmate.db" }}
{{- end }}
{{- $_ := set $own "state" (merge $state ($own.state | default dict)) }}
{{- toYaml $own }}
{{- end }}

{{- /* In whose name the process may act, as JSON {users, groups}. */}}
{{- define "firstmate.impersonated" -}}
{{- $users := .Values.impersonation.users }}
{{- $groups := .Values.impersonation.groups }}
{{- range ((.Values.config.access | default dict).people | default list) }}
{{- if .user }}
{{- $users = append $users .user }}
{{- $groups = concat $groups (.groups | default list) }}
{{- end }}
{{- end }}
{{- $users = $users | compact | uniq | sortAlpha }}
{{- $groups = $groups | compact | uniq | sortAlpha }}
{{- range concat $users $groups }}
{{- if hasPrefix "system:" . }}
{{- fail (printf "firstmate may not act as %s: what begins with system: has rights that nobody gave it here. Name a user or group of people." .) }}
{{- end }}
{{- end }}
{{- dict "users" $users "groups" $groups | toJson }}
{{- end }}
