{{/*
The one template of a service. Its argument is a map: `root`, `name`, `service`. What differs between services is in the
values; whom a service is called by, and so whether it has an internal port, follows from whom the others call.
*/}}

{{/* The names of the services that call this one, as a JSON list. */}}
{{- define "brokerage.callers" -}}
{{- $callers := list -}}
{{- range $other, $service := .root.Values.services -}}
{{- if has $.name (values $service.calls) -}}
{{- $callers = append $callers $other -}}
{{- end -}}
{{- end -}}
{{- toJson $callers -}}
{{- end -}}

{{/* The secret and its key with the URL of this service's database, for its own role or for the one that migrates. */}}
{{- define "brokerage.databaseSecret" -}}
{{- $database := .service.database -}}
{{- $full := include "brokerage.fullname" .root -}}
{{- if eq .root.Values.database.mode "cnpg" -}}
{{- toJson (dict "name" (printf "%s-%s-db-app" $full .name) "key" "uri") -}}
{{- else if .migrations -}}
{{- toJson (dict "name" $database.migrationsSecret "key" $database.migrationsKey) -}}
{{- else -}}
{{- toJson (dict "name" $database.existingSecret "key" $database.key) -}}
{{- end -}}
{{- end -}}

{{/* Settings that are no secrets. */}}
{{- define "brokerage.settings" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $full := include "brokerage.fullname" $root -}}
{{- $prefix := include "brokerage.env" .name -}}
{{- $settings := dict
  "PROFILE" $values.profile
  "LISTEN__PUBLIC" "0.0.0.0:50051"
  "LISTEN__INTERNAL" "0.0.0.0:50052"
  "LISTEN__OPS" "0.0.0.0:9090"
  "DATABASE__MIGRATE_ON_START" "false"
  "DRAIN__GRACE_MS" (toString (int $values.drain.graceMs))
  "DRAIN__FINISH_MS" (toString (int $values.drain.finishMs))
  "TELEMETRY__LOG" $values.telemetry.log
  "TELEMETRY__FORMAT" "json"
-}}
{{- with $values.telemetry.otlpEndpoint -}}
{{- $_ := set $settings "TELEMETRY__OTLP_ENDPOINT" . -}}
{{- end -}}
{{- range $peer, $callee := .service.calls -}}
{{- $_ := set $settings (printf "PEERS__%s" (upper $peer)) (printf "http://%s-%s-internal:50052" $full $callee) -}}
{{- end -}}
{{- if eq $values.database.mode "dev" -}}
{{- $url := printf "postgres://%s@%s-postgres:5432/%s" .service.database.name $full .service.database.name -}}
{{- $_ := set $settings "DATABASE__URL" $url -}}
{{- end -}}
{{- if and .service.redis (eq $values.redis.mode "dev") -}}
{{- $_ := set $settings "REDIS_URL" (printf "redis://%s-redis:6379" $full) -}}
{{- end -}}
{{- range $key, $value := mergeOverwrite $settings (deepCopy .service.settings) }}
- name: {{ $prefix }}__{{ $key }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Secrets as files, each named by the setting that it holds. */}}
{{- define "brokerage.secretSources" -}}
{{- $values := .root.Values -}}
{{- if ne $values.database.mode "dev" }}
{{- $secret := include "brokerage.databaseSecret" . | fromJson }}
- secret:
    name: {{ $secret.name }}
    items:
      - key: {{ $secret.key }}
        path: database.url
      {{- if and (eq $values.database.mode "external") .service.database.readKey (not .migrations) }}
      - key: {{ .service.database.readKey }}
        path: database.read_url
      {{- end }}
{{- end }}
{{- if and $values.auth.existingSecret (not .migrations) }}
- secret:
    name: {{ $values.auth.existingSecret }}
    items:
      - key: {{ $values.auth.tokensKey }}
        path: auth.tokens
      {{- if .service.calls }}
      - key: {{ .name }}
        path: auth.service_secret
      {{- end }}
      {{- range include "brokerage.callers" . | fromJsonArray }}
      - key: {{ . }}
        path: auth.accepted_callers.{{ . }}
      {{- end }}
{{- end }}
{{- if and .service.redis (eq $values.redis.mode "external") (not .migrations) }}
- secret:
    name: {{ $values.redis.existingSecret }}
    items:
      - key: {{ $values.redis.key }}
        path: redis_url
{{- end }}
{{- end -}}

{{/* A container of the service's image: `container` is its name, `verb` what it does. */}}
{{- define "brokerage.container" -}}
{{- $root := .root -}}
- name: {{ .container }}
  image: {{ include "brokerage.image" (list $root .name .service.digest) }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  args: [{{ .verb }}]
  {{- include "brokerage.containerSecurity" . | nindent 2 }}
  env:
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    - name: NODE_NAME
      valueFrom:
        fieldRef:
          fieldPath: spec.nodeName
    - name: OTEL_RESOURCE_ATTRIBUTES
      value: service.namespace={{ $root.Release.Namespace }},service.instance.id=$(POD_NAME),k8s.namespace.name={{ $root.Release.Namespace }},k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME)
    {{- include "brokerage.settings" . | nindent 4 }}
    {{- if include "brokerage.secretSources" . }}
    - name: {{ include "brokerage.env" .name }}_SECRETS
      value: /run/secrets/brokerage
    {{- end }}
  resources:
    {{- toYaml (default $root.Values.resources .service.resources) | nindent 4 }}
  {{- if include "brokerage.secretSources" . }}
  volumeMounts:
    - name: {{ ternary "migration-secrets" "secrets" .migrations }}
      mountPath: /run/secrets/brokerage
      readOnly: true
  {{- end }}
{{- end -}}

{{- define "brokerage.secretVolume" -}}
{{- with include "brokerage.secretSources" . }}
- name: {{ ternary "migration-secrets" "secrets" $.migrations }}
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- end -}}

{{- define "brokerage.probe" -}}
grpc:
  port: 9090
  service: {{ . }}
{{- end -}}

{{- define "brokerage.deployment" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $full := include "brokerage.fullname" $root -}}
{{- $serving := merge (dict "container" .name "verb" "serve" "migrations" false) . -}}
{{- $migrating := merge (dict "container" "migrate" "verb" "migrate" "migrations" true) . -}}
{{- $annotations := deepCopy $values.podAnnotations -}}
{{- with $values.auth.secretsVersion -}}
{{- $_ := set $annotations "brokerage/secrets-version" . -}}
{{- end -}}
{{- if eq $values.loadBalancing.mode "mesh" -}}
{{- $annotations = mergeOverwrite $annotations $values.loadBalancing.mesh.podAnnotations -}}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $full }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "brokerage.labels" (list $root .name "service") | nindent 4 }}
spec:
  {{- if not .service.autoscaling.enabled }}
  replicas: {{ .service.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      # One at a time, each after the one before is ready.
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "brokerage.selector" (list $root .name "service") | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "brokerage.labels" (list $root .name "service") | nindent 8 }}
      {{- with $annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ $full }}-{{ .name }}
      {{- include "brokerage.podSecurity" . | nindent 6 }}
      {{- include "brokerage.scheduling" $root | nindent 6 }}
      # Longer than the service needs to drain in the worst case.
      terminationGracePeriodSeconds: {{ add 10 (div (add (int $values.drain.graceMs) (int $values.drain.finishMs)) 1000) }}
      {{- if $values.topologySpread.enabled }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
          labelSelector:
            matchLabels:
              {{- include "brokerage.selector" (list $root $.name "service") | nindent 14 }}
          # Only pods of the same rollout count, or the old ones would be in the way of the new.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- end }}
      {{- if eq $values.migrations.mode "onStart" }}
      initContainers:
        {{- include "brokerage.container" $migrating | nindent 8 }}
      {{- end }}
      containers:
        {{- include "brokerage.container" $serving | nindent 8 }}
          ports:
            - name: grpc
              containerPort: 50051
            {{- if include "brokerage.callers" . | fromJsonArray }}
            - name: grpc-internal
              containerPort: 50052
            {{- end }}
            - name: ops
              containerPort: 9090
          # By number and without TLS, on the port that sheds no call.
          startupProbe:
            {{- include "brokerage.probe" "liveness" | nindent 12 }}
            periodSeconds: 1
            failureThreshold: 120
          readinessProbe:
            {{- include "brokerage.probe" "readiness" | nindent 12 }}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 2
          livenessProbe:
            {{- include "brokerage.probe" "liveness" | nindent 12 }}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
      {{- $volumes := include "brokerage.secretVolume" $serving }}
      {{- if eq $values.migrations.mode "onStart" }}
      {{- $volumes = print $volumes (include "brokerage.secretVolume" $migrating) }}
      {{- end }}
      {{- with trim $volumes }}
      volumes:
        {{- . | nindent 8 }}
      {{- end }}
{{- end -}}

{{- define "brokerage.services" -}}
{{- $root := .root -}}
{{- $full := include "brokerage.fullname" $root -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $full }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "brokerage.labels" (list $root .name "service") | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "brokerage.selector" (list $root .name "service") | nindent 4 }}
  ports:
    - name: grpc
      port: 50051
      targetPort: grpc
      appProtocol: kubernetes.io/h2c
    - name: ops
      port: 9090
      targetPort: ops
{{- if include "brokerage.callers" . | fromJsonArray }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $full }}-{{ .name }}-internal
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "brokerage.labels" (list $root .name "internal") | nindent 4 }}
spec:
  type: ClusterIP
  {{- if eq $root.Values.loadBalancing.mode "clientSide" }}
  # Its name leads to every ready pod; the callers balance.
  clusterIP: None
  {{- end }}
  selector:
    {{- include "brokerage.selector" (list $root .name "service") | nindent 4 }}
  ports:
    - name: grpc
      port: 50052
      targetPort: grpc-internal
      appProtocol: kubernetes.io/h2c
{{- end }}
{{- end -}}

{{- define "brokerage.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "brokerage.fullname" .root }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "brokerage.labels" (list .root .name "service") | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{- define "brokerage.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "brokerage.fullname" .root }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "brokerage.labels" (list .root .name "service") | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready anyway does not keep a node from being emptied.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "brokerage.selector" (list .root .name "service") | nindent 6 }}
{{- end -}}

{{- define "brokerage.autoscaler" -}}
{{- $full := include "brokerage.fullname" .root -}}
{{- $scaling := .service.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $full }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "brokerage.labels" (list .root .name "service") | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ $full }}-{{ .name }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scaling.cpu }}
    {{- with $scaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  behavior:
    scaleDown:
      # Each process that goes hands its sagas over; not all at once.
      stabilizationWindowSeconds: 300
      policies:
        - type: Pods
          value: 1
          periodSeconds: 60
{{- end -}}

{{/* All objects of one service. */}}
{{- define "brokerage.service" -}}
---
{{ include "brokerage.account" . }}
---
{{ include "brokerage.services" . }}
---
{{ include "brokerage.deployment" . }}
{{- $scaling := .service.autoscaling }}
{{- if and .root.Values.podDisruptionBudget.enabled (gt (int (ternary $scaling.minReplicas .service.replicas $scaling.enabled)) 1) }}
---
{{ include "brokerage.disruption" . }}
{{- end }}
{{- if $scaling.enabled }}
---
{{ include "brokerage.autoscaler" . }}
{{- end }}
{{- end -}}
