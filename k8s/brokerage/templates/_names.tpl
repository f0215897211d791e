{{/* Names, labels, images, and what is checked before anything is rendered. */}}

{{- define "brokerage.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Of one object of one service: a list of the root, the service's name, and more. */}}
{{- define "brokerage.labels" -}}
{{- $root := index . 0 -}}
{{ include "brokerage.selector" . }}
app.kubernetes.io/part-of: brokerage
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "brokerage.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/component: {{ index . 2 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end -}}

{{- define "brokerage.image" -}}
{{- $root := index . 0 -}}
{{- $digest := index . 2 -}}
{{- $reference := ternary (printf "@%s" $digest) (printf ":%s" (default $root.Chart.AppVersion $root.Values.image.tag)) (ne $digest "") -}}
{{- printf "%s/%s%s" $root.Values.image.registry (index . 1) $reference -}}
{{- end -}}

{{/* What a pod of ours may do: nothing that it does not need. */}}
{{- define "brokerage.podSecurity" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "brokerage.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "brokerage.scheduling" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* The prefix of a service's environment variables. */}}
{{- define "brokerage.env" -}}
{{- . | upper | replace "-" "_" -}}
{{- end -}}

{{/* Combinations that cannot work are refused before anything is made. */}}
{{- define "brokerage.check" -}}
{{- $values := .Values -}}
{{- if and (ne $values.profile "dev") (eq $values.auth.existingSecret "") -}}
{{- fail "auth.existingSecret: required unless profile is dev" -}}
{{- end -}}
{{- if and (eq $values.migrations.mode "job") (ne $values.database.mode "external") -}}
{{- fail "migrations.mode: job needs database.mode external; on install the job would run before the database is made" -}}
{{- end -}}
{{- if and $values.grpcRoute.enabled (not $values.grpcRoute.parentRefs) -}}
{{- fail "grpcRoute.parentRefs: required when grpcRoute is enabled" -}}
{{- end -}}
{{- if and (ne $values.profile "dev") (or (eq $values.database.mode "dev") (eq $values.redis.mode "dev")) -}}
{{- fail "database.mode and redis.mode: dev needs profile dev" -}}
{{- end -}}
{{- range $name, $service := $values.services -}}
{{- range $peer, $callee := $service.calls -}}
{{- if not (hasKey $values.services $callee) -}}
{{- fail (printf "services.%s.calls.%s: there is no service %s" $name $peer $callee) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
