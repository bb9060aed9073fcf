{{/* What the names of all objects begin with. Names of Services have at most 63 characters. */}}
{{- define "ratelimit.prefix" -}}
{{ .Release.Name | trunc 43 | trimSuffix "-" }}-
{{- end }}

{{/* The labels of every object. */}}
{{- define "ratelimit.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/part-of: ratelimit-spoa
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What pods are selected by. The argument is a list: the chart's root, and the name. */}}
{{- define "ratelimit.selector" -}}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ index . 1 }}
{{- end }}

{{/* The labels of a pod: root, name, component. */}}
{{- define "ratelimit.podLabels" -}}
{{ include "ratelimit.selector" . }}
app.kubernetes.io/component: {{ index . 2 }}
app.kubernetes.io/part-of: ratelimit-spoa
{{- end }}

{{- define "ratelimit.spread" -}}
topologySpreadConstraints:
{{- $arguments := . }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "ratelimit.selector" $arguments | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{- define "ratelimit.priorityClass" -}}
{{- if .Values.priorityClass.create -}}
priorityClassName: {{ include "ratelimit.prefix" . }}ratelimit-spoa
{{- else if .Values.priorityClass.name -}}
priorityClassName: {{ .Values.priorityClass.name }}
{{- end }}
{{- end }}

{{- define "ratelimit.pullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ratelimit.podSecurity" -}}
automountServiceAccountToken: false
# With the links, the environment would have the addresses of all services of the namespace.
enableServiceLinks: false
{{- end }}

{{- define "ratelimit.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "ratelimit.hasRedis" -}}
{{- if or .Values.redis.url .Values.redis.trial.enabled }}yes{{ end }}
{{- end }}

{{/* The Secret with the password of Redis, if there is one. */}}
{{- define "ratelimit.passwordSecret" -}}
{{- if .Values.redis.trial.enabled -}}
{{ include "ratelimit.prefix" . }}ratelimit-redis
{{- else -}}
{{ .Values.redis.passwordSecret.name }}
{{- end }}
{{- end }}

{{/* The container of the agent, for both modes. */}}
{{- define "ratelimit.agent" -}}
name: agent
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  {{- if .Values.redis.trial.enabled }}
  - name: VALKEY
    valueFrom: { fieldRef: { fieldPath: spec.serviceAccountName } }
  - { name: RATELIMIT_STORE, value: "redis://$(VALKEY):6379/0" }
  {{- else if .Values.redis.url }}
  - { name: RATELIMIT_STORE, value: {{ .Values.redis.url | quote }} }
  {{- end }}
  {{- if include "ratelimit.hasRedis" . }}
  {{- if include "ratelimit.passwordSecret" . }}
  {{- $key := .Values.redis.trial.enabled | ternary "password" .Values.redis.passwordSecret.key }}
  - { name: RATELIMIT_REDIS_PASSWORD_FILE, value: {{ printf "/run/secrets/ratelimit-redis/%s" $key | quote }} }
  {{- end }}
  {{- if .Values.redis.caSecret.name }}
  - { name: RATELIMIT_REDIS_CA_FILE, value: {{ printf "/run/secrets/ratelimit-redis-ca/%s" .Values.redis.caSecret.key | quote }} }
  {{- end }}
  # While the agents do not reach Redis.
  - { name: RATELIMIT_ON_ERROR, value: {{ .Values.redis.onError | quote }} }
  {{- with .Values.redis.storeTimeout }}
  - { name: RATELIMIT_STORE_TIMEOUT, value: {{ . | quote }} }
  {{- end }}
  {{- end }}
  {{- if eq .Values.mode "sidecar" }}
  - { name: RATELIMIT_SPOP_LISTEN, value: "127.0.0.1:12345" }
  # Kubernetes stops the agent after HAProxy, so HAProxy need not notice the drain.
  - { name: RATELIMIT_DRAIN_DELAY, value: 0s }
  {{- else }}
  # IPv4 and IPv6: clusters of either family, and of both.
  - { name: RATELIMIT_SPOP_LISTEN, value: "*:12345" }
  # Longer than the 2 s in which HAProxy notices that an agent drains (check inter 1s fall 2).
  - { name: RATELIMIT_DRAIN_DELAY, value: 5s }
  {{- end }}
  - { name: RATELIMIT_DRAIN_TIMEOUT, value: 10s }
  - { name: RATELIMIT_HTTP_LISTEN, value: "*:8080" }
  - { name: RATELIMIT_POLICIES, value: /etc/ratelimit-spoa/policies.json }
  - { name: RATELIMIT_MEMORY_LIMIT, value: {{ .Values.agent.memoryLimit | quote }} }
  # The largest frame of HAProxy has 16,380 bytes.
  - { name: RATELIMIT_MAX_FRAME_SIZE, value: 16k }
  - { name: RATELIMIT_MAX_CONNECTIONS, value: {{ .Values.agent.maxConnections | int | quote }} }
  - { name: RATELIMIT_HTTP_MAX_CONNECTIONS, value: {{ .Values.agent.httpMaxConnections | int | quote }} }
  - { name: RATELIMIT_HTTP_MAX_PER_ADDRESS, value: {{ .Values.agent.httpMaxPerAddress | int | quote }} }
  {{- range $name, $value := .Values.agent.env }}
  - { name: {{ $name }}, value: {{ $value | toString | quote }} }
  {{- end }}
ports:
  - { name: spop, containerPort: 12345 }
  - { name: http, containerPort: 8080 }
resources: {{ toYaml .Values.agent.resources | nindent 2 }}
# No probe depends on Redis: an agent that does not reach Redis answers by RATELIMIT_ON_ERROR.
startupProbe:
  httpGet: { path: /ready, port: http }
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet: { path: /ready, port: http }
  periodSeconds: 2
  timeoutSeconds: 1
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /health, port: http }
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
{{ include "ratelimit.containerSecurity" . }}
volumeMounts:
  # The whole folder: a single file (subPath) would never change in a running pod.
  - { name: policies, mountPath: /etc/ratelimit-spoa, readOnly: true }
  {{- if include "ratelimit.passwordSecret" . }}
  - { name: redis-password, mountPath: /run/secrets/ratelimit-redis, readOnly: true }
  {{- end }}
  {{- if .Values.redis.caSecret.name }}
  - { name: redis-ca, mountPath: /run/secrets/ratelimit-redis-ca, readOnly: true }
  {{- end }}
{{- end }}

{{- define "ratelimit.agentVolumes" -}}
- name: policies
  configMap: { name: {{ include "ratelimit.prefix" . }}ratelimit-policies }
{{- if include "ratelimit.passwordSecret" . }}
- name: redis-password
  secret: { secretName: {{ include "ratelimit.passwordSecret" . }}, defaultMode: 0440 }
{{- end }}
{{- if .Values.redis.caSecret.name }}
- name: redis-ca
  secret: { secretName: {{ .Values.redis.caSecret.name }}, defaultMode: 0440 }
{{- end }}
{{- end }}

{{/* Where HAProxy finds the agents. */}}
{{- define "ratelimit.agents.cfg" -}}
{{- $isService := eq .Values.mode "service" -}}
{{- $isSharded := and $isService (not (include "ratelimit.hasRedis" .)) -}}
{{- if $isService -}}
{{ .Files.Get (ternary "files/agents-sharded.cfg" "files/agents-shared.cfg" $isSharded) | replace "hold obsolete 40s" (printf "hold obsolete %ds" (add .Values.dnsAgeSeconds 10)) }}
{{- else -}}
{{ .Files.Get "files/agents-sidecar.cfg" }}
{{- end }}
{{- end }}

{{/* HAProxy's files. A change of them starts new pods, by an annotation. */}}
{{- define "ratelimit.haproxyFiles" -}}
haproxy.cfg: |
  {{- .Values.haproxy.config | default (.Files.Get "files/haproxy.cfg" | replace "set-var(txn.shard) src" (printf "set-var(txn.shard) %s" .Values.haproxy.shardBy)) | nindent 2 }}
ratelimit-spoe.conf: |
  {{- .Files.Get "files/ratelimit-spoe.conf" | nindent 2 }}
agents.cfg: |
  {{- include "ratelimit.agents.cfg" . | nindent 2 }}
{{- end }}
